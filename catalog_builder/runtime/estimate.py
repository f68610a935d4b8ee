"""How long a stage will still take: pure functions of what is known of its tasks."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

#: What the first tasks of a worker take longer than others (imports, compilation, a model that is
#: read) is tens of seconds: where they take longer than this, it hardly matters.
STARTUP_SECONDS = 120.0
#: A task that takes longer than others did will take some more: this share of what it has taken.
OVERDUE = 0.1
#: So many of the tasks that wait are handed out one by one, the others in equal shares.
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
    left : float or None
        Seconds that it still takes, where its own progress (epochs) says so.
    first : bool
        Whether its worker has done nothing before it.
    share : float
        How much of it is done, by its own progress: the more, the more `left` is believed beside
        what other tasks took (the first epochs of a member tell little).
    """

    elapsed: float
    work: float = 1.0
    left: float | None = None
    first: bool = False
    share: float = 1.0


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
        Tasks that nobody is at.
    waiting_work : float
        Work of all of these.
    places : int
        Tasks that can be done side by side.
    """
    if not at_work and not waiting:
        return 0.0
    places = max(1, places, len(at_work))
    first, later = _pace(done[:places]), _pace(done[places:])
    if later is None:
        known = [(each, each.left) for each in at_work if each.left is not None]
        later = _pace([(each.work, each.elapsed + left) for each, left in known])
    if later is None and done and sum(s for _, s in done) / len(done) >= STARTUP_SECONDS:
        later = first
    free = [_left(each, first if each.first else later, later) for each in at_work]
    if None in free or (waiting and later is None):
        return None
    ends = [0.0] * (places - len(free)) + [end for end in free if end is not None]
    if not waiting or later is None:
        return max(ends)
    return _last_end(ends, waiting, later * waiting_work / waiting)


def part_left(
    marks: Sequence[tuple[int, float]], of: int, now: float, begun_at: int = 0
) -> float | None:
    """Return how long a task will still take that counts its own steps; None before the first one.

    Parameters
    ----------
    marks : sequence of (step, moment)
        The beginning of the task, and when which step was seen to be finished, oldest first;
        moments in seconds of any clock that only goes on.
    of : int
        Steps in all.
    now : float
        The moment of asking.
    begun_at : int
        Steps that were finished before the task was begun here.
    """
    if len(marks) < 2:
        return None
    # The first step has what comes before it as well: from the second on it does not count.
    begin = marks[1] if len(marks) > 2 else (begun_at, marks[0][1])
    step, moment = marks[-1]
    pace = (moment - begin[1]) / max(1, step - begin[0])
    return max(0.0, max(0, of - step) * pace - max(0.0, now - moment))


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


def _pace(tasks: Sequence[tuple[float, float]]) -> float | None:
    """Return seconds for each unit of work; None of nothing."""
    work = sum(work for work, _ in tasks)
    return sum(seconds for _, seconds in tasks) / work if work > 0 else None


def _left(task: AtWork, pace: float | None, other: float | None) -> float | None:
    pace = other if pace is None else pace
    if pace is None:
        return task.left
    if task.left is not None:
        others = max(0.0, pace * task.work - task.elapsed)
        return task.share * task.left + (1.0 - task.share) * others
    return max(pace * task.work - task.elapsed, OVERDUE * min(task.elapsed, pace * task.work), 0.0)


def _last_end(ends: list[float], tasks: int, each: float) -> float:
    """Hand out equal tasks to places that become free at `ends`; return when the last one ends."""
    shared = max(0, tasks - _HANDED_OUT)
    ends = [end + shared * each / len(ends) for end in ends]
    heapq.heapify(ends)
    for _ in range(tasks - shared):
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)
