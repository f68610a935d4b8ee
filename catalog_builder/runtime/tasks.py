"""Tasks: the unit of work, of retry and of accounting, and how Dask carries them out."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dask.bag
from distributed import Client, KilledWorker, as_completed

from catalog_builder.errors import CatalogBuilderError
from catalog_builder.runtime.receipts import (
    Receipt,
    TaskState,
    check_task,
    inventory_of,
    read_receipt,
    write_receipt,
)
from catalog_builder.runtime.workdir import Workdir, remove_tree


@dataclass(frozen=True)
class Task:
    """A descriptor: small, and all that a worker needs beside the stage's context.

    ``key`` is the digest of everything that the output depends on; the descriptor itself may also
    hold what it does not depend on (paths).
    """

    stage: str
    name: str
    key: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a task made, before it becomes a receipt."""

    rows_in: int
    rows_out: int
    output: str
    output_digest: str
    rejected: Mapping[str, int] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    #: Which files of the output this task wrote, where several tasks fill one store.
    pattern: str = "**/*"


#: What a stage runs on a worker: context (the same for all its tasks) and task to outcome.
Work = Callable[[Any, Task], Outcome]


@dataclass(frozen=True)
class Stage:
    """A kind of task. ``version`` is raised whenever the stage's output changes."""

    name: str
    version: int
    work: Work
    #: A Dask resource, such as ``GPU``: where a worker offers it, the tasks go there.
    prefers: str = ""
    #: Whether a run goes on without a task of it whose input is at fault or that kills its worker.
    expendable: bool = False


@dataclass(frozen=True)
class Failure:
    """A task that did not end in a receipt."""

    task: Task
    error: BaseException

    @property
    def lost_worker(self) -> bool:
        """Whether the task killed its worker every time it was tried."""
        return isinstance(self.error, KilledWorker)

    @property
    def reason(self) -> str:
        """Return the reason in words."""
        if self.lost_worker:
            return "it killed its worker every time it was tried, most often a lack of memory"
        if isinstance(self.error, CatalogBuilderError):
            return str(self.error)
        return f"{type(self.error).__name__}: {self.error}"


def pending(workdir: Workdir, tasks: Iterable[Task]) -> dict[str, TaskState]:
    """Return the tasks that have no valid receipt, by name, and why."""
    states = (
        (
            task.name,
            check_task(
                workdir.receipt_file(task.stage, task.name),
                workdir.root,
                task.stage,
                task.name,
                task.key,
            ),
        )
        for task in tasks
    )
    return {name: state for name, state in states if state is not TaskState.DONE}


def receipts_of(workdir: Workdir, tasks: Iterable[Task]) -> list[Receipt]:
    """Return the receipts of finished tasks, in the order of the tasks.

    Raises
    ------
    KeyError
        If one of them has no readable receipt: the caller planned wrongly.
    """
    found = []
    for task in tasks:
        receipt = read_receipt(workdir.receipt_file(task.stage, task.name))
        if receipt is None:
            raise KeyError(f"{task.stage}/{task.name}")
        found.append(receipt)
    return found


def execute(
    client: Client, stage: Stage, context: Any, workdir: Workdir, tasks: Sequence[Task]
) -> Iterator[Receipt | Failure]:
    """Run tasks on the workers, yielding each receipt or failure as it comes.

    Every task is one element of a Dask bag and one partition of it: a task that fails leaves the
    others alone. Results are released as they come, so the driver holds none of them.
    """
    bag = dask.bag.from_sequence(tasks, npartitions=len(tasks))
    run = functools.partial(_run_partition, stage, context, workdir)
    resources = {stage.prefers: 1} if _offered(client, stage.prefers) else None
    futures = client.compute(bag.map_partitions(run).to_delayed(), resources=resources)
    task_of = {future.key: task for future, task in zip(futures, tasks, strict=True)}
    completed = as_completed(futures)
    del futures
    for future in completed:
        task = task_of[future.key]
        if future.status == "finished":
            yield from future.result()
        else:
            yield Failure(task, future.exception())
        future.release()


def _offered(client: Client, resource: str) -> bool:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(resource in worker["resources"] for worker in workers)


def _run_partition(
    stage: Stage, context: Any, workdir: Workdir, tasks: Iterable[Task]
) -> list[Receipt]:
    return [run_task(stage, context, workdir, task) for task in tasks]


def run_task(stage: Stage, context: Any, workdir: Workdir, task: Task) -> Receipt:
    """Do one task and write its receipt; called on a worker.

    Raises
    ------
    RuntimeError
        If the rows do not balance: a defect of the stage, never accepted in silence.
    """
    begin = time.monotonic()
    file = workdir.receipt_file(task.stage, task.name)
    previous = read_receipt(file) if file.exists() else None
    outcome = stage.work(context, task)
    receipt = Receipt(
        stage=task.stage,
        task=task.name,
        stage_version=stage.version,
        key=task.key,
        rows_in=outcome.rows_in,
        rows_out=outcome.rows_out,
        rejected=dict(sorted(outcome.rejected.items())),
        inputs={name: dict(facts) for name, facts in sorted(outcome.inputs.items())},
        output=outcome.output,
        output_digest=outcome.output_digest,
        pattern=outcome.pattern,
        inventory=inventory_of(workdir.root / outcome.output, outcome.pattern),
        notes=dict(outcome.notes),
        seconds=round(time.monotonic() - begin, 3),
    )
    if not receipt.balances():
        raise RuntimeError(f"rows of {task.stage}/{task.name} do not balance: {receipt}")
    write_receipt(file, receipt)
    if previous is not None and previous.output != receipt.output:
        remove_tree(workdir.root / previous.output)
    return receipt
