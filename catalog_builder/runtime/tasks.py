"""Tasks: the unit of work, of retry and of accounting."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.errors import CatalogBuilderError, ClusterError, InputError, StoreError
from catalog_builder.runtime import heap, running
from catalog_builder.runtime.damage import Need, blame_damage, refuse_damaged
from catalog_builder.runtime.lock import token_of
from catalog_builder.runtime.receipts import (
    EVERYTHING,
    SIMULATED,
    Receipt,
    TaskState,
    find_receipt,
    inventory_of,
    read_receipt,
    write_receipt,
)
from catalog_builder.runtime.redaction import redact_json
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
    #: Outputs of earlier tasks that it reads.
    needs: tuple[Need, ...] = ()
    #: How much there is to do, in units that the tasks of the stage share: for estimates of time.
    work: float = 1.0
    #: Whether the task works on simulated stars: its receipt will say so.
    simulated: bool = False

    def of_simulated_stars(self) -> Task:
        """Return the task as one that works on simulated stars; another key, for another origin."""
        return replace(self, key=digest_json([self.key, SIMULATED]), simulated=True)


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
    pattern: str = EVERYTHING


@dataclass(frozen=True)
class Part:
    """How far a task is that counts its own steps.

    Attributes
    ----------
    done, of : int
        Steps that are done, and the most that there will be.
    text : str
        What to say of it.
    soonest : int or None
        After which one it ends if it goes on as it does now, where that may be earlier.
    resigned : float
        How likely that is, 0 to 1.
    """

    done: int
    of: int
    text: str
    soonest: int | None = None
    resigned: float = 0.0


#: What a stage runs on a worker: context (the same for all its tasks) and task to outcome.
Work = Callable[[Any, Task], Outcome]


@dataclass(frozen=True)
class Stage:
    """A kind of task. ``version`` is raised whenever the stage's output changes."""

    name: str
    version: int
    work: Work
    #: Tells the driver from the workdir how far a task is that takes long.
    part: Callable[[Any, Task], Part | None] | None = None
    #: A Dask resource, such as ``GPU``: where a worker offers it, the tasks go there.
    prefers: str = ""
    #: Whether a run goes on without a task of it whose input is at fault or that kills its worker.
    expendable: bool = False
    #: Says of a receipt that its task went without something that may be there by now, though
    #: nothing about its inputs tells: it is done again with `--retry-quarantined`.
    incomplete: Callable[[Receipt], bool] | None = None
    #: Whether an earlier output of a task stays when a new one is made, because others may use it.
    keeps_previous: bool = False
    #: Whether its output holds checksums of all its files, so that the receipt needs none.
    sealed: bool = False


@dataclass(frozen=True)
class Failure:
    """A task that did not end in a receipt."""

    task: Task
    error: BaseException

    @property
    def is_expendable(self) -> bool:
        """Whether its input is at fault, or takes more than a worker has."""
        beyond = isinstance(self.error, InputError | MemoryError | RecursionError)
        return self.lost_worker or beyond

    @property
    def lost_worker(self) -> bool:
        """Whether the task killed its worker every time it was tried."""
        from distributed import KilledWorker  # where there are no workers it takes 0.3 s

        return isinstance(self.error, KilledWorker)

    @property
    def reason(self) -> str:
        """Return the reason in words."""
        if self.lost_worker:
            return "it killed its worker every time it was tried, most often a lack of memory"
        if isinstance(self.error, CatalogBuilderError):
            return str(self.error)
        return f"{type(self.error).__name__}: {self.error}"

    @property
    def traceback(self) -> str:
        """Return the traceback of a defect of the program; empty for an error in words."""
        if self.lost_worker or isinstance(self.error, CatalogBuilderError):
            return ""
        return "".join(traceback.format_exception(self.error))


#: Threads that look up receipts and outputs, and how many tasks each takes at a time: to hand over
#: every task by itself costs a third of what looking it up does.
LOOKERS, LOOKED_UP = 8, 128


@dataclass(frozen=True)
class Review:
    """What the receipts say of a stage's tasks, by name."""

    done: dict[str, Receipt]
    todo: dict[str, TaskState]

    def examples(self, state: TaskState) -> str:
        """Name some tasks of a state that is no part of an ordinary run."""
        if state not in (TaskState.DAMAGED_OUTPUT, TaskState.DAMAGED_RECEIPT):
            return ""
        names = [name for name, other in self.todo.items() if other == state]
        return f": {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"


def review(workdir: Workdir, tasks: Sequence[Task]) -> Review:
    """Look up every task's receipt and output: resume is the plan minus the valid receipts."""

    def look_up(some: Sequence[Task]) -> list[tuple[TaskState, Receipt | None]]:
        return [
            find_receipt(
                workdir.receipt_file(task.stage, task.name),
                workdir.root,
                task.stage,
                task.name,
                task.key,
            )
            for task in some
        ]

    found = Review({}, {})
    batches = [tasks[start : start + LOOKED_UP] for start in range(0, len(tasks), LOOKED_UP)]
    # Threads, because on a network's file system this is waiting for answers.
    with ThreadPoolExecutor(LOOKERS) as pool:
        for some, states in zip(batches, pool.map(look_up, batches), strict=True):
            for task, (state, receipt) in zip(some, states, strict=True):
                if receipt is None:
                    found.todo[task.name] = state
                else:
                    found.done[task.name] = receipt
    return found


def run_task(
    stage: Stage, context: Any, workdir: Workdir, task: Task, token: str | None = None
) -> Receipt:
    """Do one task and write its receipt; called on a worker.

    A task that has a valid receipt by now is not done again: a scheduler repeats a finished task
    when its worker dies before the driver has heard of it.

    Parameters
    ----------
    stage, context, workdir, task
        What to do, and where.
    token : str, optional
        Of the driver's lock (:func:`catalog_builder.runtime.lock.token_of`). A worker that outlives
        its driver may end a task that the next driver has long had done again: it must not put
        its own receipt over that one's.

    Raises
    ------
    DamagedStoreError
        If something that the task needs is damaged.
    StoreError
        If another driver has taken the workdir over.
    RuntimeError
        If the rows do not balance: a defect of the stage, never accepted in silence.
    """
    begin = time.monotonic()
    file = workdir.receipt_file(task.stage, task.name)
    _, receipt = find_receipt(file, workdir.root, task.stage, task.name, task.key)
    if receipt is not None:
        return receipt
    previous = read_receipt(file) if file.exists() else None
    with running.mark(workdir, task.stage, task.name):
        refuse_damaged(workdir, task.needs)
        try:
            outcome = stage.work(context, task)
        except Exception as error:
            blame_damage(workdir, task.needs, error)
            raise
        finally:
            heap.release(stage.name)
        receipt = _receipt_of(stage, workdir, task, outcome, time.monotonic() - begin)
        _refuse_if_superseded(workdir, task, token)
        write_receipt(file, receipt)
    superseded = previous is not None and previous.output != receipt.output
    if previous is not None and superseded and not stage.keeps_previous:
        remove_tree(workdir.root / previous.output)
    return receipt


def _receipt_of(
    stage: Stage, workdir: Workdir, task: Task, outcome: Outcome, seconds: float
) -> Receipt:
    marks = {SIMULATED: True} if task.simulated else {}
    receipt = Receipt(
        stage=task.stage,
        task=task.name,
        stage_version=stage.version,
        key=task.key,
        rows_in=outcome.rows_in,
        rows_out=outcome.rows_out,
        rejected=dict(sorted(outcome.rejected.items())),
        inputs=redact_json({name: dict(facts) for name, facts in sorted(outcome.inputs.items())}),
        output=outcome.output,
        output_digest=outcome.output_digest,
        pattern=outcome.pattern,
        inventory=inventory_of(
            workdir.root / outcome.output, outcome.pattern, checksums=not stage.sealed
        ),
        notes=redact_json({**outcome.notes, **marks}),
        seconds=round(seconds, 3),
    )
    if not receipt.balances():
        raise RuntimeError(f"rows of {task.stage}/{task.name} do not balance: {receipt}")
    return receipt


def _refuse_if_superseded(workdir: Workdir, task: Task, token: str | None) -> None:
    now = token_of(workdir.lock_file)
    if token is not None and now is not None and now != token:
        raise StoreError(
            f"{task.stage}/{task.name} was handed out by a driver that is gone; another one has"
            f" taken over {workdir.root}.",
            "Nothing is to be done: the other driver does this task itself.",
        )


def as_one_error(stage: Stage, failures: Sequence[Failure], planned: int) -> BaseException:
    """Return one error for all failures; a defect of the program is passed on as it is."""
    first = failures[0]
    if not (first.lost_worker or isinstance(first.error, CatalogBuilderError | OSError)):
        return first.error  # its traceback helps to find the defect
    done = ", the others are done" if len(failures) < planned else ""
    reasons = grouped({failure.task.name: failure.reason for failure in failures})
    problem = f"{stage.name}: {len(failures)} of {planned} tasks failed{done}. {'; '.join(reasons)}"
    way_out = "Remove the cause and give the same command again: what is done is kept."
    if isinstance(first.error, CatalogBuilderError):
        return type(first.error)(problem, way_out)
    return ClusterError(problem, way_out) if first.lost_worker else StoreError(problem, way_out)


def grouped(reasons: Mapping[str, str], most: int = 5) -> list[str]:
    """Return tasks with their reasons in words, tasks of one reason together, `most` of them."""
    tasks_of: dict[str, list[str]] = {}
    for task, reason in sorted(reasons.items()):
        tasks_of.setdefault(reason, []).append(task)
    lines = []
    for reason, tasks in list(tasks_of.items())[:most]:
        more = f" and {len(tasks) - 3} more" if len(tasks) > 3 else ""
        lines.append(f"{', '.join(tasks[:3])}{more}: {reason}")
    return [*lines, *([f"and {len(tasks_of) - most} more reasons"] if len(tasks_of) > most else [])]
