"""What Dask, the receipts and the books cost for a release of 20 000 partitions of trivial work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from catalog_builder.config import RunConfig
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.status import read_status
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir
from tests.benchmarks.measure import Bench, Figure

#: Milliseconds of driver and scheduler for a partition, and seconds of planning, that are allowed.
ALLOWED_MS, ALLOWED_SECONDS = 2.0, 10.0


def trivial(context: Any, task: Task) -> Outcome:
    return Outcome(rows_in=1, rows_out=1, output="one", output_digest=task.key)


@pytest.mark.parametrize("partitions", [3386, 20_000])
def test_scheduling(partitions: int, bench: Bench, tmp_path: Path) -> None:
    workdir = Workdir(tmp_path / "work")
    workdir.create()
    (workdir.root / "one").write_text("x")
    stage = Stage("ingest", 1, trivial)
    tasks = [Task("ingest", f"{number:06d}", f"{number:032x}") for number in range(partitions)]
    config = RunConfig.model_validate({"workdir": workdir.root, "cluster": {"workers": 2}})
    events = Events(workdir.logs, verbosity=-1)
    try:
        with Driver(config, workdir, events) as driver:
            assert driver.client is not None  # a cluster's start is no cost of a partition
            # The scheduler runs in this process: its processor time is that of both.
            begin = time.process_time()
            driver.complete(stage, None, tasks)
            spent = time.process_time() - begin
        begin = time.perf_counter()
        with Driver(config, workdir, events) as driver:
            assert len(driver.complete(stage, None, tasks)) == partitions
        resume = time.perf_counter() - begin
    finally:
        events.close()
    begin = time.perf_counter()
    assert read_status(workdir.root).stages[0].done == partitions
    status = time.perf_counter() - begin

    def note(name: str, title: str, figure: float, unit: str, allowed: float) -> None:
        share = figure / allowed
        bench.record(
            Figure(
                name=f"{name}-{partitions}",
                title=title,
                figure=figure,
                unit=unit,
                reference="allowed",
                reference_figure=allowed,
                ratio=share,
                spread=(share, share),
                rounds=1,
                target=1.0,
                at_most=True,
            )
        )

    note(
        "scheduling",
        "driver and scheduler, processor time of a partition",
        1e3 * spent / partitions,
        "ms",
        ALLOWED_MS,
    )
    note("resume", "resume planning, wall time", resume, "s", ALLOWED_SECONDS)
    note("status", "status, wall time", status, "s", ALLOWED_SECONDS)
