"""One sky in two releases: the archive of each, with the same stars."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog_builder.archive.marks import MARK_FILE, SENTENCE
from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.survey import load_survey
from catalog_builder.simulate import sky
from catalog_builder.simulate.instruments import xp
from catalog_builder.simulate.instruments.gaia import gaia_rvs, gaia_xp
from catalog_builder.simulate.twin import basis, describe
from catalog_builder.simulate.twin.partition import TwinPlan, simulate_twins
from catalog_builder.simulate.twin.recipe import Recipe
from catalog_builder.simulate.writing.label_file import file_of

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Recipe", "TwinSummary", "plan_twins", "simulate_two"]


@dataclass(frozen=True)
class TwinSummary:
    """What was written.

    Parameters
    ----------
    older : SkySummary
        Of the older release.
    rows : dict of str to int
        Of each table of the later one.
    older_archive, later_archive : Path
        Where they are.
    description : Path
        The release description of the later one.
    """

    older: sky.SkySummary
    rows: dict[str, int]
    older_archive: Path
    later_archive: Path
    description: Path


def plan_twins(
    release: str,
    older: str,
    stars: int,
    seed: int,
    out: Path,
    recipe: Recipe,
    *,
    clean: bool = False,
) -> list[TwinPlan]:
    """Cut the sky into partitions.

    Raises
    ------
    ConfigError
        If a number makes no sense, or one of the releases cannot be simulated.
    """
    describe.draft_of(release)
    recipe.checked()
    spec = load_release(older)
    lines, low = gaia_rvs(spec), gaia_xp(spec)
    if (
        lines is None
        or low is None
        or (lines.frame, lines.medium) != ("rest", "vacuum")
        or any(product.basis not in {None, xp.BASIS} for product in low.products)
    ):
        raise ConfigError(
            f"--twin-of {older} has no RVS and XP spectra like DR3's.", "Give --twin-of dr3."
        )
    plans = sky.plan_sky(older, stars, seed, archive_of(out, spec.name), clean=clean)
    later = str(archive_of(out, release))
    return [TwinPlan(plan, recipe, later, stars) for plan in plans]


def archive_of(out: Path, release: str) -> Path:
    """Return the folder of one of the archives."""
    return out / f"archive-{release}"


def simulate_two(
    release: str,
    older: str,
    stars: int,
    seed: int,
    out: Path,
    recipe: Recipe,
    client: Client | None = None,
    *,
    clean: bool = False,
    on_partition: Callable[[int, int], None] | None = None,
) -> TwinSummary:
    """Write the archives of two releases of the same stars.

    Parameters
    ----------
    release, older : str
        The later release, by the name of its draft, and the older one.
    stars, seed, client, clean, on_partition
        As of `catalog_builder.simulate.sky.simulate`; the archive of the older release is what that
        writes, to the byte.
    out : Path
        New or empty folder; the archives lie in it as ``archive-<release>``.
    recipe : Recipe
        What the later release is like.

    Raises
    ------
    ConfigError
        If a setting makes no sense, or `out` holds something already.
    StoreError
        If `out` cannot be made.
    """
    out = out.absolute()
    plans = plan_twins(release, older, stars, seed, out, recipe, clean=clean)
    sky.make_out(out)
    spec = load_release(older)
    first, later = Path(plans[0].older.out), Path(plans[0].out)
    sky.make_folders(spec, plans[0].older)
    (later / "truth").mkdir(parents=True)
    sha256 = basis.write_matrices(later)
    content = describe.describe(describe.draft_of(release), spec, recipe, sha256)
    description = describe.write(later, release, content)
    receipts = sorted(
        sky.carry_out(simulate_twins, plans, client, on_partition),
        key=lambda one: one.older.index,
    )
    summary = sky.finish(spec, [p.older for p in plans], [r.older for r in receipts], first)
    checksums, rows = sky.totals(one.later for one in receipts)
    for folder, files in checksums.items():
        sky.write_checksums(Path(folder) / describe.CHECKSUMS, files)
    labels = file_of(load_survey(plans[0].older.survey))
    (later / labels).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(first / labels, later / labels)
    _mark(later, content, plans, rows, summary)
    return TwinSummary(summary, rows, first, later, description)


def _mark(
    root: Path,
    content: dict[str, Any],
    plans: list[TwinPlan],
    rows: dict[str, int],
    summary: sky.SkySummary,
) -> None:
    about = {
        "simulated": True,
        "origin": f"{SENTENCE}; only the layout is that of {content['title']}",
        "release": content["name"],
        "twin_of": plans[0].older.release,
        "seed": plans[0].older.seed,
        "clean": plans[0].older.clean,
        "stars": summary.stars,
        "partitions": len(plans),
        "rows": rows,
        "label_rows": summary.label_rows,
        "recipe": asdict(plans[0].recipe),
    }
    for file in (MARK_FILE, "truth/about.json"):
        (root / file).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
