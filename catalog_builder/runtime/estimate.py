"""How long a stage will still take: pure functions of what is known of its tasks."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

#: What the first tasks of a worker take longer than others (imports, compilation, a model that is
#: read) is tens of seconds: where they take longer than this, it hardly matters.
STARTUP_SECONDS = 120.0
#: A task that takes longer than others did will take some more: this share of what it has taken.
OVERDUE = 0.1
#: Steps from which the pace of a task is its own; before that, others' steps count too:
#: epochs of one second, looked at once a second, seem to take none or two.
LEAST_STEPS = 5
#: Waiting tasks that are handed out one by one; the others are, in equal shares.
_HANDED_OUT = 1000


@dataclass(frozen=True)
class AtWork:
    """A task that a worker is at.

    Attributes
    ----------
    elapsed : float
        Seconds since it was begun.
    work : float
        How much there is to do in it, in units that all tasks of the stage share.
    first : bool
        Whether its worker has done nothing before it.
    """

    elapsed: float
    work: float = 1.0
    first: bool = False


@dataclass(frozen=True)
class Steps:
    """A task that counts its own steps: a member in training, and its epochs.

    Attributes
    ----------
    marks : sequence of (step, moment)
        Its beginning, with the steps that were behind it then, and when which step was seen to be
        finished, oldest first; moments in seconds of any clock that only goes on.
    of : int or None
        Steps at most; None where nothing is known of them yet.
    soonest, resigned
        After which step it ends if it goes on as it does now, and how likely that is.
    """

    marks: Sequence[tuple[int, float]]
    of: int | None = None
    soonest: int | None = None
    resigned: float = 0.0

    @property
    def done(self) -> int:
        """Steps that are finished."""
        return self.marks[-1][0]

    def last(self, usual: float | None) -> float | None:
        """Return the step after which it likely ends, where others ended after the `usual` one."""
        if self.of is None:
            return usual
        soonest = min(self.of, self.soonest or self.of)
        later = max(soonest, min(self.of, self.of if usual is None else usual))
        return self.resigned * soonest + (1.0 - self.resigned) * later

    def took(self, ahead: float = math.inf) -> tuple[int, float]:
        """Return how many of its last steps took how long; the first has the start in it.

        They are as many as are `ahead`: what slows a machine down now tells of the next steps, and
        evens out over many.
        """
        marks = self.marks[1:] or self.marks
        wanted = max(LEAST_STEPS, ahead)
        begin = next((m for m in reversed(marks) if self.done - m[0] >= wanted), marks[0])
        return self.done - begin[0], marks[-1][1] - begin[1]

    @property
    def at_once(self) -> int:
        """Steps that were seen to end together, at most: some tasks tell of several at a time."""
        return max((b - a for (a, _), (b, _) in itertools.pairwise(self.marks)), default=1)

    @property
    def first(self) -> float | None:
        """Seconds for the first step, with all that comes before it; None before it."""
        if len(self.marks) < 2:
            return None
        (before, begun), (step, moment) = self.marks[:2]
        return (moment - begun) / max(1, step - before)

    @property
    def start(self) -> float | None:
        """Seconds that came before the first step; None before enough others are done."""
        steps, seconds = self.took()
        if steps < LEAST_STEPS:
            return None
        (before, begun), (step, moment) = self.marks[:2]
        return max(0.0, moment - begun - (step - before) * seconds / steps)


def seconds_left(
    done: Sequence[tuple[float, float]],
    at_work: Sequence[AtWork],
    waiting: int,
    waiting_work: float,
    places: int,
) -> float | None:
    """Return how long a stage will still take; None where it cannot be told yet.

    Tasks that wait are taken for equally large, and go to whichever place is free first. The more
    work there is, and the less of it is done, the longer it takes.

    Parameters
    ----------
    done : sequence of (work, seconds)
        Finished tasks, in the order in which they were.
    at_work : sequence of AtWork
        Tasks that workers are at.
    waiting : int
        Tasks that no worker is at.
    waiting_work : float
        Work of all of these.
    places : int
        Tasks that can be done side by side.
    """
    if not at_work and not waiting:
        return 0.0
    places = max(1, places, len(at_work))
    first, later = _pace(done[:places]), _pace(done[places:])
    if later is None and done and sum(s for _, s in done) / len(done) >= STARTUP_SECONDS:
        later = first
    free = [_left(each, first if each.first and first else later) for each in at_work]
    if None in free or (waiting and later is None):
        return None
    ends = [0.0] * (places - len(free)) + [end for end in free if end is not None]
    if not waiting or later is None:
        return max(ends)
    return _last_end(ends, waiting, later * waiting_work / waiting)


def steps_left(
    ended: Sequence[Steps],
    at_work: Sequence[Steps],
    waiting: Sequence[Steps | None],
    now: float,
    places: int,
) -> float | None:
    """Return how long a stage will still take whose tasks count their steps; None if unknown.

    A task takes its start (data are read) and its steps; what others took says how long those are
    of one that has not come so far. What comes behind the last epoch of a member (weights are
    written, and a receipt) was 0.3 s in a training of minutes: it is left out.

    Parameters
    ----------
    ended, at_work : sequence of Steps
        Tasks that were finished, and those that workers are at.
    waiting : sequence of Steps or None
        Tasks that no worker is at, in their order; with steps where an earlier run did some.
    now : float
        The moment of asking.
    places : int
        Tasks that can be done side by side.
    """
    if not at_work and not waiting:
        return 0.0
    seen = [*at_work, *ended]
    pace = _pace_of(at_work, LEAST_STEPS) or _pace_of(seen) or _mean([each.first for each in seen])
    usual = _mean([each.done for each in ended])
    likely = _mean([each.done for each in ended] + [each.last(usual) for each in at_work])
    if pace is None or likely is None:
        return None
    start = _mean([each.start for each in seen]) or 0.0

    def steps(task: Steps | None) -> float:
        last = None if task is None else task.last(usual)
        return max(0.0, (likely if last is None else last) - (0 if task is None else task.done))

    def left(task: Steps) -> float:
        since = now - task.marks[-1][1]
        done, seconds = task.took(steps(task))
        own = seconds / done if done >= LEAST_STEPS else pace
        rest = steps(task) * own
        if len(task.marks) < 2:
            return max(rest, start + rest - since)
        # Steps under way may be overdue, those behind them are not begun.
        return rest - min(task.at_once * own, rest, since)

    ends = [left(task) for task in at_work]
    free = [0.0] * (max(1, places, len(ends)) - len(ends)) + ends
    heapq.heapify(free)
    for task in waiting:
        heapq.heapreplace(free, free[0] + start + steps(task) * pace)
    return max(free)


def duration(seconds: float) -> str:
    """Return a duration in two units at most, such as ``3 h 20``."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60:02d}"
    return f"{hours // 24} d {hours % 24} h"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _pace_of(tasks: Sequence[Steps], least: int = 1) -> float | None:
    """Return seconds for a step of all of these; None where they have fewer than the least."""
    spans = [task.took() for task in tasks]
    steps = sum(steps for steps, _ in spans)
    return sum(seconds for _, seconds in spans) / steps if steps >= least else None


def _pace(tasks: Sequence[tuple[float, float]]) -> float | None:
    """Return seconds for each unit of work; None of nothing."""
    work = sum(work for work, _ in tasks)
    return sum(seconds for _, seconds in tasks) / work if work > 0 else None


def _left(task: AtWork, pace: float | None) -> float | None:
    if pace is None:
        return None
    return max(pace * task.work - task.elapsed, OVERDUE * min(task.elapsed, pace * task.work), 0.0)


def _last_end(ends: list[float], tasks: int, each: float) -> float:
    """Hand out equal tasks to places that become free at `ends`; return when the last one ends."""
    shared = max(0, tasks - _HANDED_OUT)
    ends = [end + shared * each / len(ends) for end in ends]
    heapq.heapify(ends)
    for _ in range(tasks - shared):
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)
