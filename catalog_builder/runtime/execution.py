"""How Dask carries tasks out."""

from __future__ import annotations

import functools
from asyncio import CancelledError
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dask.bag
from distributed import Client, as_completed
from distributed.client import FutureCancelledError

from catalog_builder.errors import ClusterError
from catalog_builder.runtime.lock import token_of
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Failure, Stage, Task, run_task
from catalog_builder.runtime.workdir import Workdir


def execute(
    client: Client, stage: Stage, context: Any, workdir: Workdir, tasks: Sequence[Task]
) -> Iterator[Receipt | Failure]:
    """Run tasks on the workers, yielding each receipt or failure as it comes.

    Every task is one element of a Dask bag and one partition of it: a task that fails leaves the
    others alone. Results are released as they come, so the driver holds none of them.

    A task that was lost with its worker is tried once more, alone, after the others. Dask blames
    a worker's death on every task that was assigned to it, waiting ones too, and two partitions
    that do not fit a machine's memory together may well do so one after the other.

    Raises
    ------
    ClusterError
        If the scheduler is lost. What is done has its receipt.
    """
    lost = []
    for result in _run_side_by_side(client, stage, context, workdir, tasks):
        if isinstance(result, Failure) and result.lost_worker and len(tasks) > 1:
            lost.append(result.task)
        else:
            yield result
    for task in lost:
        yield from _run_side_by_side(client, stage, context, workdir, [task])


def _run_side_by_side(
    client: Client, stage: Stage, context: Any, workdir: Workdir, tasks: Sequence[Task]
) -> Iterator[Receipt | Failure]:
    bag = dask.bag.from_sequence(tasks, npartitions=len(tasks))
    # The token also makes the keys of two drivers differ: a scheduler that still runs the task of
    # a driver that is gone must not take it for this one's.
    run = functools.partial(_run_partition, stage, context, workdir, token_of(workdir.lock_file))
    resources = {stage.prefers: 1} if _offered(client, stage.prefers) else None
    futures = client.compute(bag.map_partitions(run).to_delayed(), resources=resources)
    task_of = {future.key: task for future, task in zip(futures, tasks, strict=True)}
    completed = as_completed(futures)
    del futures
    for future in completed:
        task = task_of[future.key]
        try:
            yield from future.result()
        except (CancelledError, FutureCancelledError):
            raise ClusterError(  # the client has lost its scheduler
                f"{stage.name}: the scheduler at {client._scheduler_identity.get('address')} is"
                " lost.",
                "Give the same command again, with a running scheduler: what is done is kept.",
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever a task raised belongs to the task
            yield Failure(task, error)
        future.release()


def _offered(client: Client, resource: str) -> bool:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(resource in worker["resources"] for worker in workers)


def _run_partition(
    stage: Stage, context: Any, workdir: Workdir, token: str | None, tasks: Iterable[Task]
) -> list[Receipt]:
    return [run_task(stage, context, workdir, task, token) for task in tasks]
