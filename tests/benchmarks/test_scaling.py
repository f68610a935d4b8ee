"""Strong scaling: two Dask workers beside two processes that know nothing of each other."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.config import IngestSettings
from catalog_builder.features.stage import STAGE, IngestContext, plan
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.execution import execute
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Task, run_task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.simulate.sky import simulate
from tests.benchmarks.measure import Bench, Run
from tests.benchmarks.scale import repeat_archive

TABLES = ("rvs_mean_spectrum", "xp_continuous_mean_spectrum", "gaia_source")
PARTITIONS, STARS = 16, 400


def ingest_alone(context: IngestContext, tasks: Sequence[Task]) -> int:
    """Do tasks one after the other in this process."""
    return sum(run_task(STAGE, context, context.workdir, task).rows_out for task in tasks)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_workers(bench: Bench, tmp_path: Path) -> None:
    release, settings = load_release("dr3"), IngestSettings()
    simulate("dr3", 1000, 3, tmp_path / "sky")
    stars, _ = repeat_archive(
        tmp_path / "sky", tmp_path / "archive", PARTITIONS * STARS, TABLES, STARS
    )
    tasks = plan(list_partitions(str(tmp_path / "archive"), release), release, settings)
    attempts = itertools.count()

    def context() -> IngestContext:
        return IngestContext(Workdir(tmp_path / f"work{next(attempts)}"), release, settings)

    made = make_cluster(ClusterSettings(workers=2), Workdir(tmp_path / "cluster"))
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    with made as cluster, pool:

        def with_dask() -> float:
            place = context()
            begin = time.perf_counter()
            done = list(execute(cluster.client, STAGE, place, place.workdir, tasks))
            seconds = time.perf_counter() - begin
            assert all(isinstance(result, Receipt) for result in done)
            shutil.rmtree(place.workdir.root)
            return seconds

        def without() -> float:
            places = [context(), context()]
            begin = time.perf_counter()
            halves = [
                pool.submit(ingest_alone, place, tasks[number::2])
                for number, place in enumerate(places)
            ]
            assert all(half.result() > 0 for half in halves)
            seconds = time.perf_counter() - begin
            for place in places:
                shutil.rmtree(place.workdir.root)
            return seconds

        bench.compare(
            "scaling-ingest",
            "ingest of 16 partitions by two workers, wall time",
            Run("Dask", with_dask, stars),
            [Run("two processes", without, stars, at_least=0.9)],
            unit="stars/s",
        )
