"""How far the stage at work is, as the driver sees it: told to a person, the log and `status`.

What a worker is at is read from the marks in the workdir, and how far it is with it, where the
stage can tell, from what the task leaves there (the log of a member in training). All times are the
driver's own, by a clock that cannot be set.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from catalog_builder.runtime.estimate import AtWork, Steps, seconds_left, steps_left
from catalog_builder.runtime.events import Events, Meter
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.runtime.running import running
from catalog_builder.runtime.tasks import Part, Stage, Task
from catalog_builder.runtime.workdir import Workdir, write_json

#: Seconds between looks at the workdir; more where a look takes longer than this share of them.
LOOK_SECONDS = 1.0
_LOOK_SHARE = 0.05
#: The log has a line of a stage at work so often.
LOG_SECONDS = 60.0
#: Tasks whose own progress is named.
_NAMED = 4


class Progress(BaseModel):
    """How far a stage is, as the driver last wrote it down.

    Attributes
    ----------
    run : str
        Name of the run.
    silent : float
        Seconds since something was last finished.
    seconds_left : float or None
        The estimate.
    text : str
        What workers are at, in words.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    stage: str
    done: int
    total: int
    seconds_left: float | None
    silent: float
    text: str


class _Seen(NamedTuple):
    """A task that a worker is at: how many were begun before it; its steps, and when each ended."""

    number: int
    marks: list[tuple[int, float]]


def read_progress(workdir: Workdir) -> Progress | None:
    """Return what the driver last wrote down; None if there is nothing that can be read."""
    try:
        return Progress.model_validate(json.loads(workdir.progress_file.read_bytes()))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, RecursionError, ValidationError):
        return None


class StageWatch:
    """Watches over a stage while its body runs.

    Parameters
    ----------
    workdir : Workdir
        Where marks and progress are.
    events : Events
        The run's log.
    meter : Meter
        What a person sees.
    stage, context, tasks
        What is to be done.
    places : callable
        Returns how many tasks can be done side by side; called by :meth:`finished` alone.
    """

    def __init__(
        self,
        workdir: Workdir,
        events: Events,
        meter: Meter,
        stage: Stage,
        context: Any,
        tasks: Sequence[Task],
        places: Callable[[], int],
    ) -> None:
        self._workdir, self._events, self._meter = workdir, events, meter
        self._stage, self._context, self._places_now = stage, context, places
        self._left = {task.name: task for task in tasks}
        #: Work of all of these: a sum over thousands of tasks is not for every look.
        self._work_left = sum(task.work for task in tasks)
        self._total = len(tasks)
        self._ended: list[tuple[float, float]] = []
        #: The steps of those that were finished, and of those that wait.
        self._ended_steps: list[Steps] = []
        self._before = {task.name: steps for task in tasks if (steps := self._done_before(task))}
        self._rows = self._failed = 0
        self._places = places()
        #: Tasks that workers are at, and what has been seen of each since it was begun.
        self._seen: dict[str, _Seen] = {}
        self._begun = 0
        self._parts: dict[str, Part] = {}
        self._at_work: list[str] = []
        now = time.monotonic()
        self._asked = self._logged = self._sign = now
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stage-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._show(time.monotonic())  # what was finished since the last look
        self._workdir.progress_file.unlink(missing_ok=True)

    def finished(self, task: str, receipt: Receipt | None) -> None:
        """Take note of the end of a task; without a receipt it failed.

        It is shown at the next look: a driver has hundreds a second to take note of.
        """
        now = time.monotonic()
        if now - self._asked > 10.0:
            self._places, self._asked = self._places_now(), now
        with self._lock:
            if receipt is None:
                self._take(task)
                self._seen.pop(task, None)
                self._failed += 1
                self._sign = now
            else:
                self._note(task, receipt, now)

    def _done_before(self, task: Task) -> Steps | None:
        """Return the steps that an earlier run did of a task; None where it did none."""
        part = None if self._stage.part is None else self._stage.part(self._context, task)
        return None if part is None else _steps([(part.done, 0.0)], part)

    def _take(self, name: str) -> Task | None:
        """Return a task that was left, which it is no more."""
        task = self._left.pop(name, None)
        if task is not None:
            self._work_left -= task.work
        return task

    def _note(self, name: str, receipt: Receipt, now: float) -> None:
        task = self._take(name)
        if task is not None:
            self._ended.append((task.work, receipt.seconds))
            self._rows += receipt.rows_out
            self._sign = now
            seen = self._seen.pop(name, None)
            part = None if self._stage.part is None else self._stage.part(self._context, task)
            if seen is not None and part is not None:
                marks = [mark for mark in seen.marks if mark[0] != part.done]
                self._ended_steps.append(_steps([*marks, (part.done, now)], part))

    def _watch(self) -> None:
        pause = LOOK_SECONDS
        while not self._stop.wait(pause):
            begin = time.monotonic()
            self._look(begin)
            with self._lock:
                self._show(begin)
                found = self._progress(begin)
            # A full disk is told of by those who have more to write.
            with suppress(OSError):
                write_json(self._workdir.progress_file, found.model_dump())
            if begin - self._logged >= LOG_SECONDS:
                self._logged = begin
                self._events.record("progress", **found.model_dump(exclude={"run"}))
            pause = max(LOOK_SECONDS, (time.monotonic() - begin) / _LOOK_SHARE)

    def _look(self, now: float) -> None:
        """Read what workers are at, and how far they are."""
        names = [mark.task for mark in running(self._workdir) if mark.stage == self._stage.name]
        parts = {}
        if self._stage.part is not None:
            for name in names:
                task = self._left.get(name)
                part = None if task is None else self._stage.part(self._context, task)
                if part is not None:
                    parts[name] = part
        # Somebody else's scheduler may hand a result over only with the next one: what workers are
        # not at any more is done if there is a receipt.
        gone = set(self._at_work).difference(names)
        receipts = [self._receipt(name) for name in self._at_work if name in gone]
        with self._lock:
            for receipt in receipts:
                if receipt is not None:
                    self._note(receipt.task, receipt, now)
            self._at_work = [name for name in names if name in self._left]
            self._parts = parts
            for name in self._at_work:
                steps = parts[name].done if name in parts else 0
                seen = self._seen.get(name)
                if seen is None:
                    self._seen[name] = _Seen(self._begun, [(steps, now)])
                    self._begun += 1
                elif name in parts and steps != seen.marks[-1][0]:
                    if steps < seen.marks[-1][0]:  # its checkpoint was damaged: it begins anew
                        seen.marks.clear()
                    seen.marks.append((steps, now))
                    self._sign = now

    def _receipt(self, name: str) -> Receipt | None:
        task = self._left.get(name)
        if task is None:
            return None
        file = self._workdir.receipt_file(task.stage, name)
        receipt = read_receipt(file) if file.exists() else None
        return receipt if receipt is not None and receipt.key == task.key else None

    def _show(self, now: float) -> None:
        self._meter.show(self._total - len(self._left), self._estimate(now), self._text())

    def _progress(self, now: float) -> Progress:
        left = self._estimate(now)
        return Progress(
            run=self._events.run,
            stage=self._stage.name,
            done=self._total - len(self._left),
            total=self._total,
            seconds_left=None if left is None else round(left, 1),
            silent=round(now - self._sign, 1),
            text=self._text(),
        )

    def _estimate(self, now: float) -> float | None:
        names = [name for name in self._at_work if name in self._left]
        if self._stage.part is not None:
            at_work = [self._steps_of(name) for name in names]
            waiting = [self._before.get(name) for name in self._left if name not in names]
            return steps_left(self._ended_steps, at_work, waiting, now, self._places)
        facts = [self._fact_of(name, now) for name in names]
        waits = len(self._left) - len(facts)
        rest = max(0.0, self._work_left - sum(task.work for task in facts)) if waits else 0.0
        return seconds_left(self._ended, facts, waits, rest, self._places)

    def _steps_of(self, name: str) -> Steps:
        return _steps(self._seen[name].marks, self._parts.get(name))

    def _fact_of(self, name: str, now: float) -> AtWork:
        number, marks = self._seen[name]
        return AtWork(now - marks[0][1], self._left[name].work, number < self._places)

    def _text(self) -> str:
        names = [name for name in self._at_work if name in self._left]
        told = [f"{name}: {self._parts[name].text}" for name in names if name in self._parts]
        if not told:
            told = [f"{len(names)} at work"] if names else []
            told += [f"{self._rows:,} rows"] if self._rows else []
        elif len(told) > _NAMED:
            told[_NAMED:] = [f"{len(told) - _NAMED} more"]
        return "; ".join([*told, *([f"{self._failed} failed"] if self._failed else [])])


def _steps(marks: list[tuple[int, float]], part: Part | None) -> Steps:
    return Steps(marks) if part is None else Steps(marks, part.of, part.soonest, part.resigned)
