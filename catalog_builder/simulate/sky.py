"""A whole simulated sky: plan the partitions, write them through Dask, join what is shared.

Written under DIR: the archive in the release's own layout, ``apogee/`` with the label file,
``SIMULATED.json``, which says what it is, as every table does in its header, and
``truth/*.parquet``, which the pipeline never reads. The same release, number of stars and seed give
the same bytes, whatever the number of workers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from catalog_builder.archive.marks import MARK_FILE, SENTENCE
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.archive.tables import TableName
from catalog_builder.ground.errors import ConfigError, StoreError
from catalog_builder.labels.agreed import DEFAULT_SURVEY
from catalog_builder.labels.survey import load_survey
from catalog_builder.simulate.population import census
from catalog_builder.simulate.population.bare import RULE_IN_WORDS, plan_bare
from catalog_builder.simulate.population.chemistry import check_labels
from catalog_builder.simulate.simulation import simulation_of, survey_of
from catalog_builder.simulate.writing import layout, published
from catalog_builder.simulate.writing.label_file import file_of, write_fits, write_pairs
from catalog_builder.simulate.writing.partition import (
    PartitionPlan,
    labels_path,
    simulate_partition,
    truth_path,
)
from catalog_builder.simulate.writing.writers import PartitionReceipt

if TYPE_CHECKING:
    from distributed import Client

PlanT = TypeVar("PlanT")
ReceiptT = TypeVar("ReceiptT")

__all__ = ["PartitionPlan", "SkySummary", "plan_sky", "simulate", "simulate_partition"]

#: Stars per partition, about; at least `_MIN_PARTITIONS`, so that a small sky has some too.
_STARS_PER_PARTITION = 1000
_MIN_PARTITIONS = 6
#: Share of the stars that have labels, about, where nothing says otherwise; and the largest.
_LABELLED, _MOST_LABELLED = 1.0 / 3.0, 0.7
#: Fewer stars than this in a partition leave some of its tables empty.
_MIN_STARS_PER_PARTITION = 15


@dataclass(frozen=True)
class SkySummary:
    """What was written: rows per table, stars in the label file (rows), partitions, truth files."""

    stars: int
    partitions: int
    rows: dict[str, int]
    label_rows: int
    truth: tuple[Path, ...]


def partitions_of(stars: int) -> int:
    """Return how many partitions a sky of so many stars has."""
    return max(_MIN_PARTITIONS, round(stars / _STARS_PER_PARTITION))


def plan_sky(
    release: str,
    stars: int,
    seed: int,
    out: Path,
    *,
    survey: str = DEFAULT_SURVEY,
    apogee_share: float | None = None,
    clean: bool = False,
    without_spectra: int = 0,
    untied: bool = False,
) -> list[PartitionPlan]:
    """Cut the sky into partitions with equally many stars and say what goes wrong where.

    In a `clean` sky nothing does.

    Raises
    ------
    ConfigError
        If the number of stars, the seed or the share make no sense, or the release's files cannot
        be written.
    """
    if stars < _MIN_STARS_PER_PARTITION * _MIN_PARTITIONS:
        raise ConfigError(
            f"{stars} stars are too few for a sky.",
            f"Ask for {_MIN_STARS_PER_PARTITION * _MIN_PARTITIONS} or more.",
        )
    if seed < 0:
        raise ConfigError(f"The seed {seed} is negative.", "Give 0 or a positive number.")
    spec = load_release(release)
    if apogee_share is None:
        apogee_share = simulation_of(spec.name).labelled or _LABELLED
    if not 0.0 <= apogee_share <= _MOST_LABELLED:
        raise ConfigError(
            f"A share of {apogee_share} of the stars cannot be in APOGEE.",
            f"Give a share between 0 and {_MOST_LABELLED:g}.",
        )
    published.check(spec)
    survey = survey_of(spec.name, survey)
    check_labels(load_survey(survey))
    ranges = census.partition_ranges(partitions_of(stars), spec.partition.healpix_level)
    n = len(ranges)
    without, corrupt = ({}, {}) if clean else _mistakes(spec, seed, n)
    counts = [stars // n + (index < stars % n) for index in range(n)]
    share, bare = 0.0, [0] * n
    if without_spectra:
        share, bare = plan_bare(spec, ranges, counts, without_spectra)
    return [
        PartitionPlan(
            release=release,
            survey=survey,
            seed=seed,
            index=index,
            first=first,
            last=last,
            stars=counts[index],
            apogee_share=apogee_share,
            out=str(out),
            without=without.get(index, ()),
            corrupt=corrupt.get(index, ()),
            clean=clean,
            bare=(bare[index], share),
            untied=untied,
        )
        for index, (first, last) in enumerate(ranges)
    ]


def _mistakes(
    release: ReleaseSpec, seed: int, n: int
) -> tuple[dict[int, tuple[TableName, ...]], dict[int, tuple[TableName, ...]]]:
    """Which partitions lack a file, and which have a damaged cell: one of each kind."""
    if layout.by_field(release):
        first, *_, last = [*release.driving_tables] * 2
        return {seed % n: (last,)}, {(seed + 1) % n: (first,)}
    tables = {native: table for table, native in layout.contents_of(release).items()}
    candidates = ("rvs_mean_spectrum", "xp_continuous_mean_spectrum")
    corrupt: dict[int, tuple[TableName, ...]] = {
        (seed + 1 + k) % n: (tables[native],)
        for k, native in enumerate(candidates)
        if native in tables
    }
    without: dict[int, tuple[TableName, ...]] = {}
    if sampled := tables.get("xp_sampled_mean_spectrum"):
        without[seed % n] = (sampled,)
    return without, corrupt


def simulate(
    release: str,
    stars: int,
    seed: int,
    out: Path,
    client: Client | None = None,
    *,
    survey: str = DEFAULT_SURVEY,
    apogee_share: float | None = None,
    clean: bool = False,
    without_spectra: int = 0,
    untied: bool = False,
    on_partition: Callable[[int, int], None] | None = None,
) -> SkySummary:
    """Write a simulated archive, its label file and its truth.

    Parameters
    ----------
    release : str
        Name of a description in ``schemas/releases``, or the path of one.
    stars : int
        Number of stars with spectra.
    seed : int
        Seed of all random numbers.
    out : Path
        New or empty folder.
    client : distributed.Client, optional
        Where to run; without one the partitions are written here, one after the other.
    survey : str, optional
        Description of the label survey, for its labels, file name and flag bits.
    apogee_share : float, optional
        Share of the stars, about, that have labels; that of the release's simulation if not given.
    clean : bool, optional
        Leave out all that is wrong with the input, so that other people's tools read every file.
        Stars and their labels are those of the same seed without it.
    without_spectra : int, optional
        Number of other rows of the source table, about: sources up to G = 20 that have no spectra.
        Everything else is what it is without them.
    untied : bool, optional
        Draw [alpha/M] evenly and apart from [M/H], which it follows in the Galaxy.
    on_partition : callable, optional
        Told how many partitions are written, of how many.

    Raises
    ------
    ConfigError
        If a setting makes no sense, or `out` holds something already.
    StoreError
        If `out` cannot be made.
    """
    out = out.absolute()
    plans = plan_sky(
        *(release, stars, seed, out),
        survey=survey,
        apogee_share=apogee_share,
        clean=clean,
        without_spectra=without_spectra,
        untied=untied,
    )
    make_out(out)
    spec = load_release(release)
    make_folders(spec, plans[0])
    receipts = sorted(
        carry_out(simulate_partition, plans, client, on_partition),
        key=lambda receipt: receipt.index,
    )
    return finish(spec, plans, receipts, out)


def make_out(out: Path) -> None:
    """Make the folder of an archive, which must be new or empty.

    Raises
    ------
    ConfigError
        If it holds something already, or is a file.
    StoreError
        If it cannot be made.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out} is not an empty folder.", "Name a new one with --out.")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {out} cannot be made: {error.strerror}.", "Name another with --out."
        ) from None


def make_folders(release: ReleaseSpec, plan: PartitionPlan) -> None:
    """Make the folders into which partitions are written."""
    out = Path(plan.out)
    label_file = out / file_of(load_survey(plan.survey))
    tables = layout.written_tables(release)
    folders = [layout.table_folder(release, table, out) for table in tables]
    for folder in (*folders, out / "truth", labels_path(label_file, "").parent):
        folder.mkdir(parents=True, exist_ok=True)


def carry_out(
    simulate_one: Callable[[PlanT], ReceiptT],
    plans: list[PlanT],
    client: Client | None,
    on_partition: Callable[[int, int], None] | None,
) -> Iterator[ReceiptT]:
    """Simulate each partition, here or on workers, and yield receipts as they come."""
    here = client is None
    written = map(simulate_one, plans) if here else _on_workers(simulate_one, plans, client)
    for done, receipt in enumerate(written, start=1):
        if on_partition is not None:
            on_partition(done, len(plans))
        yield receipt


def _on_workers(
    simulate_one: Callable[[PlanT], ReceiptT], plans: list[PlanT], client: Client
) -> Iterator[ReceiptT]:
    from distributed import as_completed

    for future in as_completed(client.map(simulate_one, plans, pure=False)):
        yield future.result()


def totals(
    receipts: Iterable[PartitionReceipt],
) -> tuple[dict[str, dict[str, str]], dict[str, int]]:
    """Return folder -> file name -> checksum, and table -> rows, of all partitions."""
    checksums: dict[str, dict[str, str]] = {}
    rows: dict[str, int] = {}
    for receipt in receipts:
        for folder, files in receipt.checksums.items():
            checksums.setdefault(folder, {}).update(files)
        for table, count in receipt.rows.items():
            rows[table] = rows.get(table, 0) + count
    return checksums, rows


def finish(
    release: ReleaseSpec, plans: list[PartitionPlan], receipts: list[PartitionReceipt], out: Path
) -> SkySummary:
    """Write what belongs to the whole sky: checksum lists, label file, the plan."""
    checksums, rows = totals(receipts)
    if release.checksums is not None:
        for folder, files in checksums.items():
            write_checksums(Path(folder) / release.checksums.file_name, files)
    names = [layout.range_name(release, plan.first, plan.last) for plan in plans]
    survey = load_survey(plans[0].survey)
    label_file = out / file_of(survey)
    parts = [labels_path(label_file, name) for name in names]
    label_rows = write_fits(label_file, parts, survey)
    write_pairs(out, parts, survey)
    shutil.rmtree(parts[0].parent)
    bare = sum(plan.bare[0] for plan in plans)
    summary = SkySummary(
        stars=rows[release.source_table] - bare,
        partitions=len(plans),
        rows=rows,
        label_rows=label_rows,
        truth=tuple(truth_path(out, name) for name in names),
    )
    about = {
        "simulated": True,
        "origin": f"{SENTENCE}; only the layout is that of {release.title}",
        "release": release.name,
        "seed": plans[0].seed,
        "clean": plans[0].clean,
        "stars": summary.stars,
        "partitions": summary.partitions,
        "rows": rows,
        "label_rows": label_rows,
    }
    if bare:
        about["without_spectra"] = {
            "rows": bare,
            "share": plans[0].bare[1],
            "rule": RULE_IN_WORDS,
        }
    for file in (MARK_FILE, "truth/about.json"):
        (out / file).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    return summary


def write_checksums(path: Path, files: dict[str, str]) -> None:
    """Write an md5 list as the archive does: it lists itself, with a sum that cannot match."""
    lines = [f"{digest}  {name}" for name, digest in sorted(files.items())]
    lines.append(f"{'0' * 32}  {path.name}")
    path.write_text("\n".join(lines) + "\n")
