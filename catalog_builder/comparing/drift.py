"""`drift OLD NEW`: what changed between two catalogues of the same stars; the first front.

A page, a JSON file, and closing lines with the verdict first. :func:`make_drift` puts both into a
catalogue that is about to be sealed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from catalog_builder.catalog.layout import DRIFT_JSON, DRIFT_PAGE, RELEASE_FILE
from catalog_builder.comparing import verdict
from catalog_builder.comparing.correlation import Estimate, adopted_of, measure
from catalog_builder.comparing.crosswalk_file import read_crosswalk
from catalog_builder.comparing.document import to_json
from catalog_builder.comparing.engine import Comparison, compare
from catalog_builder.comparing.matching import Matching, SameIds
from catalog_builder.comparing.sides import CatalogueSide, open_side
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError, ConfigError
from catalog_builder.labels.locate import find_survey
from catalog_builder.labels.survey import load_survey

_SETTING: Final = "The correlation ρ of the errors is a setting, {rho:g}."
_MEASURED: Final = (
    "The correlation ρ of the errors was measured on stars with labels of {survey}:"
    " the covariance of their residuals, less the label's own variance, over what is left of both"
    " variances without it."
)


@dataclass(frozen=True)
class Options:
    """How two catalogues are compared.

    Attributes
    ----------
    crosswalk : Path, optional
        File that says which new id is which old one.
    old_column : str, optional
        Its column with the old ids.
    same_ids : bool
        Take ids for the same although the releases have other names.
    correlation : float
        Of the errors of both, from 0 to below 1; not used where `labels` are given.
    labels : str, optional
        A label survey's file: the correlation is measured on its stars.
    survey : str
        Its description.
    """

    crosswalk: Path | None = None
    old_column: str | None = None
    same_ids: bool = False
    correlation: float = 0.0
    labels: str | None = None
    survey: str = "apogee-dr17"

    def __post_init__(self) -> None:
        if not 0 <= self.correlation < 1:
            raise ConfigError(
                f"--correlation {self.correlation:g} is not from 0 to below 1.",
                "0 is independent errors; at 1 no difference would be expected.",
            )


def drift(old: str | Path, new: str | Path, options: Options | None = None) -> Comparison:
    """Compare two sealed catalogues.

    Parameters
    ----------
    old, new : str or Path
        What :func:`catalog_builder.open_catalog` takes.
    options : Options, optional

    Raises
    ------
    CatalogueError
        If one is no sealed catalogue, or its rows are damaged.
    ConfigError
        If their releases differ and no crosswalk is given.
    InputError
        If the crosswalk or the label survey cannot be used.
    """
    return drift_of(open_side(old), open_side(new), options or Options())


def drift_of(old: CatalogueSide, new: CatalogueSide, options: Options) -> Comparison:
    """Compare two catalogues that are open."""
    matching = matching_of(old, new, options)
    correlation: float | Mapping[str, float] = options.correlation
    facts: dict[str, Any] = {
        "setting": options.correlation,
        "words": _SETTING.format(rho=options.correlation),
    }
    if options.labels is not None:
        survey = load_survey(options.survey)
        found = measure(old, new, matching, find_survey(survey, options.labels, ""), survey)
        correlation = adopted_of(found)
        facts = {
            "survey": survey.title,
            "measured": {name: asdict(each) for name, each in found.items()},
            "words": _MEASURED.format(survey=survey.title) + _unmeasured(found),
        }
    return replace(compare(old, new, matching, correlation=correlation), correlation=facts)


def write(comparison: Comparison, out: Path) -> tuple[Path, Path]:
    """Write the page and the JSON file into a folder; return their paths.

    Raises
    ------
    CatalogueError
        If the folder is a sealed catalogue, which nothing is added to.
    """
    if any((folder / RELEASE_FILE).is_file() for folder in (out, *out.absolute().parents)):
        raise CatalogueError(
            f"{out} is part of a sealed catalogue: nothing is added to one.",
            "Give another folder with -o; `run --drift-from` seals the page with a new catalogue.",
        )
    out.mkdir(parents=True, exist_ok=True)
    return _write(comparison, out)


def make_drift(
    old: str | Path,
    store: Path,
    schema: CatalogSchema,
    record: Mapping[str, Any],
    crosswalk: str | Path | None = None,
) -> dict[str, Any]:
    """Compare a catalogue that is about to be sealed with an older one, and lay the page beside it.

    Parameters
    ----------
    old : str or Path
        A sealed catalogue.
    store : Path
        ``catalog.zarr`` of the new one, complete; page and JSON are written beside it.
    schema : CatalogSchema
        That it was made with.
    record : mapping
        The facts of its ``RELEASE.json`` that are known.
    crosswalk : str or Path, optional
        Says which new id is which old one.

    Returns
    -------
    dict
        For ``RELEASE.json``: ``drift``, with the old catalogue's version and seal, the verdict, and
        the SHA-256 of both files.
    """
    before, options = open_side(old), _told(crosswalk)
    comparison = drift_of(before, CatalogueSide(store, schema, record), options)
    files = _write(comparison, store.parent)
    return {
        "drift": {
            "release": before.facts["release"],
            "version": before.facts["version"],
            "seal": before.facts["seal"],
            "verdict": verdict.in_words(comparison),
            "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        }
    }


def check_drift(old: str | Path, release: str, crosswalk: str | Path | None) -> None:
    """Find out before a run whether :func:`make_drift` can do its work at the end of it.

    Raises
    ------
    CatalogueError
        If there is no such catalogue.
    ConfigError, InputError
        If it is of another release and the crosswalk is not given, or cannot be used.
    """
    before = open_side(old)
    matching_of(before, replace(before, facts={"release": release}), _told(crosswalk))


def closing_lines(comparison: Comparison) -> str:
    """Return what the terminal says: the verdict, then who was compared, then each label."""
    changes = comparison.changes
    lines = [
        verdict.in_words(comparison),
        f"{comparison.stars:,} stars in both, {changes.lost.stars:,} lost,"
        f" {changes.gained.stars:,} gained; matched by {comparison.matched_by}.",
    ]
    for words, who in (("lost", changes.lost), ("gained", changes.gained)):
        lines += [f"  {words} {n:>10,}  {why}" for why, n in who.reasons.most_common()]
    lines += [_line(each, comparison) for each in verdict.judgements(comparison)]
    drifting = [e for e in verdict.regime_judgements(comparison) if e.state == "drifts"]
    if drifting:
        lines.append(f"Regimes that drift: {len(drifting)}, listed on the page.")
    return "\n".join(lines)


def _line(judged: verdict.Judgement, comparison: Comparison) -> str:
    numbers, tally = judged.numbers, comparison.tallies[judged.label]
    if judged.state == "too few stars":
        return f"  {judged.label:<12} {judged.state} ({numbers.stars})"
    digits = tally.label.decimals + 1
    within = numbers.shares[tally.lines[0].name].within_1
    return (
        f"  {judged.label:<12} {judged.state:<14} median {numbers.median:+.{digits}f} ±"
        f" {numbers.median_error:.{digits}f} ({numbers.pull:+.2f} sigma), scatter"
        f" {numbers.scatter:.{digits}f}, {within:.1%} within the expected difference"
    )


def matching_of(old: CatalogueSide, new: CatalogueSide, options: Options) -> Matching:
    """Return what tells which star is which: a crosswalk, or the ids where they are the same.

    Raises
    ------
    ConfigError
        If the releases differ and nothing says that their ids are the same.
    """
    if options.crosswalk is not None:
        return read_crosswalk(options.crosswalk, options.old_column)
    releases = [side.facts.get("release") for side in (old, new)]
    if releases[0] != releases[1] and not options.same_ids:
        raise ConfigError(
            f"The old catalogue is of {releases[0]}, the new one of {releases[1]}: the same id"
            " need not be the same star.",
            "Give --crosswalk FILE (a run: --drift-crosswalk), or --same-ids if ids are shared.",
        )
    return SameIds()


def _told(crosswalk: str | Path | None) -> Options:
    return Options(crosswalk=None if crosswalk is None else Path(crosswalk))


def _unmeasured(found: Mapping[str, Estimate]) -> str:
    few = [name for name, each in found.items() if each.correlation != each.adopted]
    if not few:
        return ""
    return f" Adopted within 0 and 0.99, and as 0 from too few stars: {', '.join(few)}."


def _write(comparison: Comparison, out: Path) -> tuple[Path, Path]:
    from catalog_builder.comparing.page import write_page  # matplotlib

    page, document = out / DRIFT_PAGE, out / DRIFT_JSON
    page.write_text(write_page(comparison), encoding="utf-8", newline="\n")
    document.write_text(to_json(comparison), encoding="utf-8", newline="\n")
    return page, document
