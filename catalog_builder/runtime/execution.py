"""How Dask carries tasks out."""

from __future__ import annotations

import functools
from asyncio import CancelledError
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import dask
import dask.bag
from distributed import Client, as_completed, futures_of
from distributed.client import FutureCancelledError

from catalog_builder.ground.errors import ClusterError
from catalog_builder.runtime.lock import token_of
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Failure, Stage, Task, run_task
from catalog_builder.runtime.workdir import Workdir

#: Bundles of tasks for each worker thread, at least, so that work can be shared evenly.
BUNDLES_PER_THREAD = 64
#: Tasks in a bundle, at most.
BUNDLE_TASKS = 16
#: Dask warns of graphs above 10 MB, for they often hold data; 20 000 descriptors are 13 MB.
LARGE_GRAPH = "100MB"


def execute(
    client: Client, stage: Stage, context: Any, workdir: Workdir, tasks: Sequence[Task]
) -> Iterator[Receipt | Failure]:
    """Run tasks on the workers, yielding each receipt or failure as it comes.

    Tasks are the elements of a Dask bag. Where there are many for each worker, a partition of the
    bag is a bundle of them: what Dask does for a partition costs its scheduler and the driver some
    3 ms of processor time, whatever is in it. Results are released as they come, so the driver
    holds none of them.

    A task that failed in a bundle is tried once more, alone, and so is one that was lost with its
    worker: Dask blames a worker's death on every task that was assigned to it, waiting ones too,
    and two partitions that do not fit a machine's memory together may well do so one after the
    other.

    Raises
    ------
    ClusterError
        If the scheduler is lost. What is done has its receipt.
    """
    again: list[Task] = []
    for bundle, result in _run_side_by_side(
        client, stage, context, workdir, _bundles(client, tasks)
    ):
        if isinstance(result, Failure):
            if len(bundle) > 1 or (result.lost_worker and len(tasks) > 1):
                again += bundle
            else:
                yield result
            continue
        yield from result
        done = {receipt.task for receipt in result}
        again += [task for task in bundle if task.name not in done]
    for task in again:
        for _, result in _run_side_by_side(client, stage, context, workdir, [[task]]):
            if isinstance(result, Failure):
                yield result
            else:
                yield from result


def places(client: Client, stage: Stage) -> int:
    """Return how many tasks of a stage can be done side by side now."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    offered = sum(int(worker["resources"].get(stage.prefers, 0)) for worker in workers)
    return offered or sum(int(worker["nthreads"]) for worker in workers)


def _bundles(client: Client, tasks: Sequence[Task]) -> list[Sequence[Task]]:
    threads = sum(client.nthreads().values())
    size = max(1, min(BUNDLE_TASKS, len(tasks) // max(1, BUNDLES_PER_THREAD * threads)))
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def _run_side_by_side(
    client: Client, stage: Stage, context: Any, workdir: Workdir, bundles: Sequence[Sequence[Task]]
) -> Iterator[tuple[Sequence[Task], list[Receipt] | Failure]]:
    """Yield each bundle with the receipts of what was done of it, or with why nothing is known."""
    tasks = [task for bundle in bundles for task in bundle]
    bag = dask.bag.from_sequence(tasks, partition_size=len(bundles[0]))
    # The token also makes the keys of two drivers differ: a scheduler that still runs the task of
    # a driver that is gone must not take it for this one's.
    run = functools.partial(_run_bundle, stage, context, workdir, token_of(workdir.lock_file))
    resources = {stage.prefers: 1} if _offered(client, stage.prefers) else None
    # One collection, not one for each bundle: Dask would merge and optimise as many graphs.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGE_GRAPH}):
        running = client.persist(bag.map_partitions(run), resources=resources)
    futures = {future.key: future for future in futures_of(running)}
    bundle_of = dict(zip(running.__dask_keys__(), bundles, strict=True))
    completed = as_completed(futures.values())
    del futures, running
    for future in completed:
        bundle = bundle_of[future.key]
        try:
            yield bundle, future.result()
        except (CancelledError, FutureCancelledError):
            raise ClusterError(  # the client has lost its scheduler
                f"{stage.name}: the scheduler at {client._scheduler_identity.get('address')} is"
                " lost.",
                "Give the same command again, with a running scheduler: what is done is kept.",
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever a task raised belongs to the task
            yield bundle, Failure(bundle[0], error)
        future.release()


def _offered(client: Client, resource: str) -> bool:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(resource in worker["resources"] for worker in workers)


def _run_bundle(
    stage: Stage, context: Any, workdir: Workdir, token: str | None, tasks: Iterable[Task]
) -> list[Receipt]:
    bundle = list(tasks)
    if len(bundle) == 1:
        return [run_task(stage, context, workdir, bundle[0], token)]
    receipts = []
    for task in bundle:
        # What goes wrong in one must not stop the others; alone, it will be told.
        with suppress(Exception):
            receipts.append(run_task(stage, context, workdir, task, token))
    return receipts
