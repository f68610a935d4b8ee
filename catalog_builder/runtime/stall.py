"""Notices when nothing is finished for too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from catalog_builder.runtime.workdir import Workdir


class StallWatch:
    """Calls `report` with the seconds of silence, once for each time that it gets too long.

    Parameters
    ----------
    seconds : float
        Silence that is too long.
    report : callable
        Told how long it has been; called from a thread of its own.
    last_sign : callable, optional
        Time (seconds since 1970) of another sign of life than :meth:`beat`.
    """

    def __init__(
        self,
        seconds: float,
        report: Callable[[float], None],
        last_sign: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._seconds, self._report, self._last_sign = seconds, report, last_sign
        self._last_beat = time.time()
        self._reported = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)

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

    def beat(self) -> None:
        """Take note that something was finished."""
        self._last_beat = time.time()

    def _watch(self) -> None:
        while not self._stop.wait(min(60.0, self._seconds / 4)):
            last = max(self._last_beat, self._last_sign())
            silent = time.time() - last
            if silent > self._seconds and last > self._reported:
                self._reported = last
                self._report(silent)


def last_epoch(workdir: Workdir) -> float:
    """Return when a member in training last finished an epoch; 0 if there is none.

    A member may train for hours before its receipt: its log is a sign of life as well.
    """
    times = []
    for log in workdir.models.glob("members/*/training.jsonl"):
        try:
            times.append(log.stat().st_mtime)
        except FileNotFoundError:
            continue
    return max(times, default=0.0)
