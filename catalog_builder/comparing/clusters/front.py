"""`clusters CATALOGUE MEMBERS`: labels within star clusters; the fourth front."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from catalog_builder.comparing.clusters.engine import Clusters, look_at_clusters, shared_labels
from catalog_builder.comparing.clusters.members import Wanted, read_literature, read_members
from catalog_builder.comparing.crosswalk_file import read_crosswalk
from catalog_builder.comparing.document import facts_of, plain
from catalog_builder.comparing.outside.front import refuse_sealed
from catalog_builder.comparing.sides import open_side
from catalog_builder.ground.errors import ConfigError
from catalog_builder.report.quantities import difference_unit

FORMAT: Final = 1
PAGE, DOCUMENT = "clusters.html", "clusters.json"
#: A sigma is called wrong from this many errors of its factor on.
_ERRORS: Final = 3.0


@dataclass(frozen=True)
class Options:
    """How clusters are looked at.

    Attributes
    ----------
    literature : Path, optional
        Table of mean labels by cluster.
    least_probability : float
        Of a member, from 0 to 1.
    columns : Wanted, optional
        Names of the members' columns, where they are not the usual ones.
    crosswalk : Path, optional
        File that says which id of the catalogue's release is which of the members'.
    old_column : str, optional
        Its column with the members' ids.
    taught : bool
        Whether stars that taught the model count.
    """

    literature: Path | None = None
    least_probability: float = 0.5
    columns: Wanted | None = None
    crosswalk: Path | None = None
    old_column: str | None = None
    taught: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.least_probability <= 1:
            raise ConfigError(
                f"--least-probability {self.least_probability:g} is not from 0 to 1.",
                "Tables with percentages have to be divided by 100 first.",
            )


def clusters(
    catalogue: str | Path, members: str | Path, options: Options | None = None
) -> Clusters:
    """Look at the labels of a catalogue within star clusters.

    Parameters
    ----------
    catalogue : str or Path
        What :func:`catalog_builder.open_catalog` takes.
    members : str or Path
        A table with Gaia ids, clusters and, if there are, probabilities.
    options : Options, optional

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue, or its rows are damaged.
    InputError
        If a table cannot be read, or no member is in the catalogue.
    """
    options = options or Options()
    side = open_side(catalogue)
    names = tuple(label.name for label in shared_labels(side))
    crosswalk = options.crosswalk
    return look_at_clusters(
        side,
        read_members(Path(members), options.least_probability, options.columns),
        literature=read_literature(options.literature, names) if options.literature else None,
        matching=None if crosswalk is None else read_crosswalk(crosswalk, options.old_column),
        taught=options.taught,
    )


def write(found: Clusters, out: Path) -> tuple[Path, Path]:
    """Write the page and the JSON file into a folder; return their paths.

    Raises
    ------
    CatalogueError
        If the folder is a sealed catalogue, which nothing is added to.
    """
    from catalog_builder.comparing.clusters.page import write_page  # matplotlib

    refuse_sealed(out)
    out.mkdir(parents=True, exist_ok=True)
    page, document = out / PAGE, out / DOCUMENT
    page.write_text(write_page(found, in_words(found)), encoding="utf-8", newline="\n")
    document.write_text(to_json(found), encoding="utf-8", newline="\n")
    return page, document


def in_words(found: Clusters) -> str:
    """Return what was found in a sentence or two."""
    if not found.pooled:
        return "No cluster has enough stars in the catalogue: nothing can be said."
    return " ".join(_sentences(found))


def _sentences(found: Clusters) -> Iterator[str]:
    small: list[str] = []
    large: list[str] = []
    for label in found.labels:
        if (each := found.pooled.get(label.name)) is None:
            continue
        off = (each.factor - 1) / each.factor_error
        words = f"{label.short} × {each.factor:.2f} ± {each.factor_error:.2f}"
        if abs(off) > _ERRORS:
            (small if off > 0 else large).append(words)
    if small:
        yield (
            f"Stars of a cluster scatter more than σ says: {', '.join(small)}; by intrinsic"
            " scatter, strays, or because σ is too small."
        )
    if large:
        yield (
            f"Stars of a cluster scatter less than σ says: {', '.join(large)}; σ is too large for"
            " them, or their answers lean on the same training stars."
        )
    if not small and not large:
        yield "Stars of a cluster scatter as σ says."
    for label in found.labels:
        each = found.pooled.get(label.name)
        if each is not None and abs(each.slope) > _ERRORS * each.slope_error:
            digits, unit = label.decimals + 1, difference_unit(found.side.schema, label.name)
            slope = f"{each.slope:+.{digits}f} ± {each.slope_error:.{digits}f} {unit}"
            yield f"{label.short} runs with temperature: {slope} per 1000 K.".replace("-", "−")


def closing_lines(found: Clusters) -> str:
    """Return what the terminal says."""
    members = found.members
    lines = [
        in_words(found),
        f"{found.stars:,} of {len(members.ids):,} members in {len(members.names):,} clusters are"
        " looked at.",
    ]
    lines += [f"  left out {n:>10,}  {why}" for why, n in left_out(found)]
    for label in found.labels:
        if (each := found.pooled.get(label.name)) is None:
            lines.append(f"  {label.name:<12} no cluster with enough stars")
            continue
        digits = label.decimals + 1
        lines.append(
            f"  {label.name:<12} {each.clusters:>4} clusters, {each.stars:>6,} stars: scatter"
            f" {each.factor:.2f} ± {each.factor_error:.2f} of sigma, intrinsic"
            f" {each.intrinsic:.{digits}f}, slope {each.slope:+.{digits}f} ±"
            f" {each.slope_error:.{digits}f} per 1000 K"
        )
    return "\n".join(lines)


def left_out(found: Clusters) -> Iterator[tuple[str, int]]:
    """Yield why members are not looked at, and how many."""
    said = {
        "less probable": found.members.improbable,
        "another row of a star": found.members.again,
        **found.left_out,
    }
    yield from ((why, count) for why, count in said.items() if count)


def to_json(found: Clusters) -> str:
    """Return the text of the file."""
    content = {
        "format": FORMAT,
        "words": in_words(found),
        "catalogue": facts_of(found.side),
        "members": len(found.members.ids),
        "clusters": len(found.members.names),
        "stars": found.stars,
        "with_training_stars": found.taught,
        "left_out": dict(left_out(found)),
        "labels": {label.name: _label(found, label.name) for label in found.labels},
    }
    return json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _label(found: Clusters, name: str) -> dict[str, Any]:
    pooled = found.pooled.get(name)
    by_cluster = {}
    for cluster, each in found.fits[name].items():
        said = found.of_literature(name, cluster)
        literature = None if said is None else {"value": said[0], "error": said[1]}
        by_cluster[cluster] = {**asdict(each), "literature": literature}
    return {"pooled": None if pooled is None else asdict(pooled), "clusters": by_cluster}
