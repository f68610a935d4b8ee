"""Notices when nothing is finished for too long."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
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
        Returns something that is another one after each sign of life beside :meth:`beat`.

    Silence is measured by a clock that cannot be set.
    """

    def __init__(
        self,
        seconds: float,
        report: Callable[[float], None],
        last_sign: Callable[[], object] = lambda: None,
    ) -> None:
        self._seconds, self._report, self._last_sign = seconds, report, last_sign
        self._last_beat, self._sign = time.monotonic(), last_sign()
        self._reported = False
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
        self._last_beat, self._reported = time.monotonic(), False

    def _watch(self) -> None:
        while not self._stop.wait(min(60.0, self._seconds / 4)):
            sign = self._last_sign()
            if sign != self._sign:
                self._sign = sign
                self.beat()
            silent = time.monotonic() - self._last_beat
            if silent > self._seconds and not self._reported:
                self._reported = True
                self._report(silent)


def epochs_logged(workdir: Workdir) -> int:
    """Return the bytes that members in training have logged: they grow with each epoch.

    A member may train for hours before its receipt: its log is a sign of life as well.
    """
    return sum(facts.st_size for facts in _training_logs(workdir))


def last_epoch(workdir: Workdir) -> float:
    """Return when a member in training last finished an epoch (since 1970); 0 if there is none."""
    return max((facts.st_mtime for facts in _training_logs(workdir)), default=0.0)


def _training_logs(workdir: Workdir) -> Iterator[os.stat_result]:
    for log in workdir.models.glob("members/*/training.jsonl"):
        with suppress(FileNotFoundError):
            yield log.stat()
