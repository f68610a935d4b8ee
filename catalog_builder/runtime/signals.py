"""A run that is told to stop ends with one line and exit code 130, and leaves nothing behind.

The command line takes the signals over before it imports anything (:func:`take_over`). While there
is nothing to tidy up, a signal ends the process at once. Within :func:`termination_as_interrupt` it
says the line and raises KeyboardInterrupt, so that what was opened is closed; from then on further
signals change nothing, and what others have to say of their end is not shown. Should the exception
be lost on its way (Python drops what is raised in a finaliser) or the closing take too long, a
thread ends the process in its place.

A program that uses this package as a library keeps its own handling of Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress

# Importing `typing` takes longer than all that is done before the signals are taken over.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import NoReturn

#: Exit code of a process that was interrupted.
INTERRUPTED = 130
#: What is said when there is more to say than that.
GOES_ON = "Interrupted; the same command goes on from here."
#: Closing a cluster takes seconds, cancelling jobs some ten.
PATIENCE_SECONDS = 30.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _State:
    def __init__(self) -> None:
        #: Whether this process is the command line's, to be ended as it likes.
        self.ours = False
        #: Whether a signal to stop came.
        self.told = False
        #: What is said of an interruption, innermost last; empty: there is nothing to tidy up.
        self.words: list[str] = []
        #: How many bodies must not be interrupted, and whether a signal waits for their end.
        self.deferring, self.waiting = 0, False
        #: What is done at the very end, however that comes.
        self.last: list[Callable[[], None]] = []


_state = _State()


def take_over() -> None:
    """End this process at once on SIGINT, SIGTERM and SIGHUP, until there is something to tidy up.

    Signals that are ignored (``nohup``, a shell's background jobs) stay so.
    """
    _state.ours = True
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def was_told() -> bool:
    """Say whether the command line was told to stop."""
    return _state.told


def stop_if_told() -> None:
    """Raise the interruption once more: what a signal raised may have been lost on its way."""
    if _state.told:
        raise KeyboardInterrupt


def leave(code: int) -> NoReturn:
    """End the process with an exit code; after an interruption with its own, and at once."""
    if _state.ours:
        _ignore()
    if _state.told:
        _end()
    sys.exit(code)


@contextmanager
def termination_as_interrupt(words: str = GOES_ON) -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt while the body runs, as Ctrl-C is.

    Batch systems and service managers send SIGTERM, a closed terminal SIGHUP; by default both end
    Python at once, with the lock held and workers left to find out by themselves. Signals that
    are ignored (``nohup``) stay so. Outside the main thread nothing is changed.

    Parameters
    ----------
    words : str
        What the command line says of an interruption.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.words.append(words)
    others = [] if _state.ours else [signal.SIGTERM, signal.SIGHUP]
    chosen = [s for s in others if signal.getsignal(s) != signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in chosen}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if not _state.told:  # the words stay for a thread that may have to end the process
            _state.words.pop()


@contextmanager
def deferred() -> Iterator[None]:
    """Let a signal to the command line wait for the end of the body, which must be short.

    Threads that start in the body, and the processes that these start, never see SIGINT and SIGHUP:
    a terminal sends them to every process of a run, and the first one ends the others itself.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    _state.deferring += 1
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        _state.deferring -= 1
        if _state.waiting and not _state.deferring:
            _stop(signal.SIGINT, None)


@contextmanager
def at_the_end(action: Callable[[], None]) -> Iterator[None]:
    """Do something after the body, also where the process is ended within it."""
    _state.last.append(action)
    try:
        yield
    finally:
        action()
        _state.last.remove(action)


def kill_children() -> None:
    """Kill the worker processes of this process, and wait for their end."""
    # Imported here: before the first line of the program's own nothing heavy is.
    import multiprocessing

    children = multiprocessing.active_children()
    for child in children:
        child.kill()
    for child in children:
        child.join(timeout=5.0)


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    if _state.deferring:
        _state.waiting = True
        return
    # Once is enough: a second signal must not break into the tidying up.
    _ignore()
    _state.told = True
    _say(_state.words[-1] if _state.words else "Interrupted.")
    if not _state.words:
        os._exit(INTERRUPTED)
    threading.Thread(target=_end_in_time, name="end-in-time", daemon=True).start()
    raise KeyboardInterrupt


def _say(words: str) -> None:
    """Say the last thing that standard error gets to hear."""
    with suppress(OSError):
        # A bar may stand on the terminal's line and hide its cursor.
        lead = "\x1b[?25h\n" if os.isatty(2) else ""
        os.write(2, f"{lead}{words}\n".encode())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def _end_in_time() -> None:
    threading.Event().wait(PATIENCE_SECONDS)
    _end()


def _end() -> NoReturn:
    try:
        for action in (kill_children, *reversed(_state.last)):
            # The process ends now, and nobody is left to be told.
            with suppress(Exception):
                action()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
    finally:
        os._exit(INTERRUPTED)


def _ignore() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    # Once is enough: a second signal must not break into the cleaning up.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
