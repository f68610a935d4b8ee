"""What Dask, the receipts and the books cost for a release of 20 000 partitions of trivial work.

Only the work is trivial: the archive's folders are listed, receipts say as much as those of an
ingest, and their output has as many files as a feature store (one that all tasks share).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.archive.tables import TableName
from catalog_builder.features.stage import plan
from catalog_builder.looking.status import read_status
from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.simulate.writing.layout import file_name, range_name, table_folder
from tests.benchmarks.measure import Bench, Figure

#: Milliseconds of driver and scheduler for a partition, and seconds of planning, that are allowed.
ALLOWED_MS, ALLOWED_SECONDS = 2.0, 10.0
TABLES: tuple[TableName, ...] = ("gaia_source", "rvs_mean_spectrum", "xp_continuous_mean_spectrum")
#: Arrays of a feature store, each a file of its own and one that describes it.
ARRAYS = 14


def trivial(context: Any, task: Task) -> Outcome:
    files = task.payload["partition"].files
    return Outcome(
        rows_in=1000,
        rows_out=999,
        rejected={"xp_band_missing": 1},
        inputs={table: {"file": file.name, "size": file.size} for table, file in files.items()},
        output="store",
        output_digest=task.key,
        notes={"rows_read": dict.fromkeys(files, 1000), "with": {"rvs": 900, "xp": 999}},
    )


@pytest.mark.parametrize("partitions", [3386, 20_000])
def test_scheduling(partitions: int, bench: Bench, tmp_path: Path) -> None:
    release, archive = load_release("dr3"), tmp_path / "archive"
    make_archive(archive, release, partitions)
    workdir = Workdir(tmp_path / "work")
    make_store(workdir.root / "store")
    stage = Stage("ingest", 1, trivial)
    config = RunConfig.model_validate({"workdir": workdir.root, "cluster": {"workers": 2}})
    events = Events(workdir.logs, verbosity=-1)

    def tasks() -> list[Task]:
        return plan(list_partitions(str(archive), release), release, config.ingest)

    try:
        planned = tasks()
        with Driver(config, workdir, events) as driver:
            assert driver.client is not None  # a cluster's start is no cost of a partition
            # The scheduler runs in this process: its processor time is that of both.
            begin = time.process_time()
            driver.complete(stage, None, planned)
            dask = time.process_time() - begin
        with stopwatch() as resume, Driver(config, workdir, events) as driver:
            assert len(driver.complete(stage, None, tasks())) == partitions
    finally:
        events.close()
    with stopwatch() as status:
        assert read_status(workdir.root).stages[0].done == partitions

    def note(
        name: str, title: str, figure: float, unit: str, allowed: float, text: str = ""
    ) -> None:
        share = figure / allowed
        bench.record(
            Figure(
                name=f"{name}-{partitions}",
                title=f"{partitions} partitions: {title}",
                figure=figure,
                unit=unit,
                reference="allowed",
                reference_figure=allowed,
                ratio=share,
                spread=(share, share),
                rounds=1,
                target=1.0,
                at_most=True,
                note=text,
            )
        )

    note(
        "scheduling",
        "driver and scheduler, processor time of each",
        1e3 * dask / partitions,
        "ms",
        ALLOWED_MS,
    )
    for name, title, spent in (
        ("resume", "planning a resume", resume),
        ("status", "`status`", status),
    ):
        text = f"{spent['processor']:.1f} s of them processor time."
        note(name, f"{title}, wall time", spent["wall"], "s", ALLOWED_SECONDS, text)


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """Give seconds, ``wall`` and ``processor``, that the body takes."""
    seconds: dict[str, float] = {}
    wall, processor = time.perf_counter(), time.process_time()
    yield seconds
    seconds["wall"] = time.perf_counter() - wall
    seconds["processor"] = time.process_time() - processor


def make_archive(root: Path, release: ReleaseSpec, partitions: int) -> None:
    """Make the empty files of an archive of so many partitions."""
    width = release.partition.n_pixels // partitions
    for table in TABLES:
        folder = table_folder(release, table, root)
        folder.mkdir(parents=True)
        for start in range(0, partitions * width, width):
            name = range_name(release, start, start + width - 1)
            (folder / file_name(release.tables[table], name)).touch()


def make_store(root: Path) -> None:
    """Make a folder with as many files as a feature store."""
    for number in range(ARRAYS):
        chunks = root / f"array{number}" / "c" / "0"
        chunks.mkdir(parents=True)
        (chunks / "0").touch()
        (root / f"array{number}" / "zarr.json").touch()
    (root / "zarr.json").touch()
