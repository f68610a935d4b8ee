"""What is lost when a worker goes: tasks that were being done on it, and for how long."""

from __future__ import annotations

import time
from typing import Any

from distributed import SchedulerPlugin

#: States of a task whose worker went, before it runs again.
_TAKEN_AWAY = frozenset({"released", "waiting", "no-worker", "queued"})


class CutWork(SchedulerPlugin):  # type: ignore[misc]
    """Counts tasks that left their worker unfinished.

    Attributes
    ----------
    tasks : int
        Tasks cut short.
    seconds : float
        Time that was spent on them in vain.
    """

    name = "cut-work"

    def __init__(self) -> None:
        self.tasks, self.seconds = 0, 0.0
        self._since: dict[Any, float] = {}

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Take note of a task's change of state (see Dask's scheduler)."""
        del args
        if finish == "processing":
            self._since[key] = time.monotonic()
            return
        began = self._since.pop(key, None) if start == "processing" else None
        # The error of a task has a text; that of a task whose worker died once too often has none.
        died = finish == "erred" and "exception_text" not in kwargs
        if began is not None and (died or finish in _TAKEN_AWAY):
            self.tasks += 1
            self.seconds += time.monotonic() - began
