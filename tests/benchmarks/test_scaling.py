"""Strong scaling: two Dask workers beside two processes that know nothing of each other."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.features import stage as ingesting
from catalog_builder.features.settings import IngestSettings
from catalog_builder.inference import stage as predicting
from catalog_builder.inference.settings import PredictSettings
from catalog_builder.inference.worker_model import ModelPlugin
from catalog_builder.labels.agreed import default_schema
from catalog_builder.model.estimator import Estimator
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.execution import execute
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Stage, Task, run_task
from catalog_builder.runtime.workdir import Workdir, remove_tree
from tests.benchmarks.measure import Bench, Run
from tests.benchmarks.scale import repeat_archive

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")

TABLES = ("rvs_mean_spectrum", "xp_continuous_mean_spectrum", "gaia_source")
PARTITIONS, STARS = 16, 750


@dataclass(frozen=True)
class Pair:
    """Two workers and two processes, and an archive that was ingested once."""

    client: Client
    pool: ProcessPoolExecutor
    context: ingesting.IngestContext
    tasks: list[Task]
    features: list[Receipt]


@pytest.fixture(scope="module")
def pair(sky_of_many_partitions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    place, release = tmp_path_factory.mktemp("scaling"), load_release("dr3")
    repeat_archive(sky_of_many_partitions, place / "archive", PARTITIONS * STARS, TABLES, STARS)
    partitions = list_partitions(str(place / "archive"), release)
    context = ingesting.IngestContext(Workdir(place / "work"), release, IngestSettings())
    tasks = ingesting.plan(partitions, release, context.settings)
    made = make_cluster(ClusterSettings(workers=2), Workdir(place / "cluster"))
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    with made as cluster, pool:
        client = cluster.client
        done = on_workers(client, ingesting.STAGE, context, tasks)
        yield Pair(client, pool, context, tasks, [done[task.name] for task in tasks])


def on_workers(
    client: Client, stage: Stage, context: Any, tasks: Sequence[Task]
) -> dict[str, Receipt]:
    results = execute(client, stage, context, context.workdir, tasks)
    return {result.task: result for result in results if isinstance(result, Receipt)}


def alone(stage: Stage, context: Any, tasks: Sequence[Task]) -> int:
    """Do tasks one after the other in this process, and return their stars."""
    return sum(run_task(stage, context, context.workdir, task).rows_out for task in tasks)


def compare(
    bench: Bench,
    pair: Pair,
    stage: Stage,
    context: Any,
    tasks: Sequence[Task],
    forget: Callable[[], None],
) -> None:
    """Time the tasks on the workers and in the processes; what was made is forgotten each time."""
    stars = sum(receipt.rows_out for receipt in pair.features)

    def with_dask() -> float:
        forget()
        begin = time.perf_counter()
        assert len(on_workers(pair.client, stage, context, tasks)) == len(tasks)
        return time.perf_counter() - begin

    def without() -> float:
        forget()
        begin = time.perf_counter()
        halves = [pair.pool.submit(alone, stage, context, tasks[number::2]) for number in range(2)]
        assert sum(half.result() for half in halves) == stars
        return time.perf_counter() - begin

    bench.compare(
        f"scaling-{stage.name}",
        f"{stage.name} of {len(tasks)} partitions by two workers, wall time",
        Run("Dask", with_dask, stars),
        [Run("two processes", without, stars, at_least=0.9)],
        unit="stars/s",
        rounds=5,
    )


def test_ingest_by_two(bench: Bench, pair: Pair, tmp_path: Path) -> None:
    context = replace(pair.context, workdir=Workdir(tmp_path / "work"))

    def forget() -> None:
        remove_tree(context.workdir.root)

    compare(bench, pair, ingesting.STAGE, context, pair.tasks, forget)


def test_predict_by_two(bench: Bench, pair: Pair, workdir: Path) -> None:
    (model,) = (workdir / "models").glob("model-*")
    digest, schema, settings = Estimator.load(model).digest, default_schema(), PredictSettings()
    place = pair.context.workdir
    context = predicting.PredictContext(place, model, digest, schema, settings)
    tasks = predicting.plan(pair.features, digest, schema, settings)
    pair.client.register_plugin(ModelPlugin(model, digest))

    def forget() -> None:
        remove_tree(place.receipts / predicting.STAGE.name)
        remove_tree(place.root / "predictions")

    compare(bench, pair, predicting.STAGE, context, tasks, forget)
