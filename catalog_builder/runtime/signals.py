"""A run that is told to stop stops as it does on Ctrl-C: cleanly, and with exit code 130."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt while the body runs.

    Batch systems and service managers send SIGTERM, a closed terminal SIGHUP; by default both end
    Python at once, with the lock held and workers left to find out by themselves. Signals that
    are ignored (``nohup``) stay so. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chosen = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in chosen}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    # Once is enough: a second signal must not break into the cleaning up.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
