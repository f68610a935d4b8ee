"""One driver per workdir."""

from __future__ import annotations

import functools
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from catalog_builder.ground.errors import StoreError
from catalog_builder.runtime.identity import describe_self, is_alive
from catalog_builder.runtime.signals import at_the_end

#: A holder refreshes its lock this often.
HEARTBEAT_SECONDS = 30.0
#: A holder elsewhere lives until it missed this many heartbeats, by the clock of the disk.
FRESH_HEARTBEATS = 10
#: A holder of which nothing else is known is dead if none came while it was watched for this many.
WATCHED_HEARTBEATS = 3


def _tell(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


@contextmanager
def driver_lock(path: Path, tell: Callable[[str], None] = _tell) -> Iterator[str]:
    """Hold the lock of a workdir, and yield the token that :func:`token_of` then returns.

    A lock whose holder is dead is taken over. On this machine that is seen at once, whatever was
    done to its clock (:mod:`catalog_builder.runtime.identity`). A holder on another one lives while
    its heartbeats are fresh. When they seem old, a clock may have been set: so the lock is watched,
    for a time that no clock moves, and taken over when no heartbeat comes.

    Parameters
    ----------
    path : Path
        The lock's file.
    tell : callable, optional
        Told when there is something to wait for.

    Raises
    ------
    StoreError
        If another driver is alive, naming it.
    """
    mine = _describe_holder()
    with at_the_end(functools.partial(_release, path, mine)):
        _acquire(path, mine, tell)
        stop = threading.Event()
        refresher = threading.Thread(target=_refresh, args=(path, mine, stop), daemon=True)
        refresher.start()
        try:
            yield str(mine["token"])
        finally:
            stop.set()
            refresher.join()


def holder(path: Path) -> dict[str, Any] | None:
    """Return who holds the lock (host, pid, since), or None when no living process does.

    Of a holder that cannot be seen from here it is believed, without waiting, what its last
    heartbeat says: for people, and never for taking a lock over.
    """
    content = _read(path)
    if content is None:
        return None
    alive = is_alive(content)
    return content if alive or (alive is None and _is_fresh(path)) else None


def token_of(path: Path) -> str | None:
    """Return what tells this holding of the lock from every other; None if it is free."""
    content = _read(path)
    return None if content is None else str(content.get("token"))


def _acquire(path: Path, mine: dict[str, Any], tell: Callable[[str], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(mine)
    # The lock appears complete or not at all: it is written aside, then linked under its name,
    # which fails if the name exists.
    aside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    aside.write_text(text, encoding="utf-8")
    try:
        while True:
            try:
                os.link(aside, path)
            except FileExistsError:
                _break_if_dead(path, tell)
            else:
                return
    finally:
        aside.unlink(missing_ok=True)


def _release(path: Path, mine: dict[str, Any]) -> None:
    if _read(path) == mine:
        path.unlink(missing_ok=True)


def _break_if_dead(path: Path, tell: Callable[[str], None]) -> None:
    content = _read(path)
    if content is not None and _lives(path, content, tell):
        raise StoreError(
            f"The workdir {path.parent} is in use by process {content.get('pid')} on"
            f" {content.get('host')}, since {content.get('since')}.",
            "Wait for it or stop it; `catalog-builder status` shows how far it is.",
        )
    # Two drivers may find the same dead holder: renaming lets one of them win, the other finds
    # no file and starts over.
    grave = path.with_name(f".{path.name}.dead.{os.getpid()}.{time.monotonic_ns()}")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return
    if _read(grave) != content:  # the other one was faster and this is its live lock
        with suppress(FileExistsError):
            os.link(grave, path)
    grave.unlink(missing_ok=True)


def _describe_holder() -> dict[str, Any]:
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return {**describe_self(), "token": secrets.token_hex(8), "since": since}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return content if isinstance(content, dict) else None


def _lives(path: Path, content: dict[str, Any], tell: Callable[[str], None]) -> bool:
    alive = is_alive(content)
    if alive is not None:
        return alive
    # A holder of this host's name is another container, or the one before a restart: the same
    # command is given again at once, and is better off waiting than refused.
    elsewhere = content.get("host") != socket.gethostname()
    return (elsewhere and _is_fresh(path)) or _is_heard(path, content, tell)


def _is_fresh(path: Path) -> bool:
    """Say whether the last heartbeat is young, both times being told by the disk's own clock."""
    try:
        age = _time_there(path.parent) - path.stat().st_mtime
    except FileNotFoundError:
        return False
    return -HEARTBEAT_SECONDS < age < FRESH_HEARTBEATS * HEARTBEAT_SECONDS


def _time_there(folder: Path) -> float:
    probe = folder / f".clock-{secrets.token_hex(4)}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:  # not writable: this machine's clock has to do
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink()


def _is_heard(path: Path, content: dict[str, Any], tell: Callable[[str], None]) -> bool:
    """Watch a lock until its holder shows that it lives, or has been silent for too long."""
    patience = WATCHED_HEARTBEATS * HEARTBEAT_SECONDS
    tell(
        f"The lock of {path.parent} is held by process {content.get('pid')} on"
        f" {content.get('host')}, which cannot be seen from here: it is taken over when it gives"
        f" no sign of life for {patience:.0f} s."
    )
    before, deadline = _signs(path), time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(HEARTBEAT_SECONDS / 30.0)
        now = _signs(path)
        if now != before:
            return now is not None  # None: it was given back meanwhile
    return False


def _signs(path: Path) -> tuple[int, int, int] | None:
    try:
        with path.open("rb") as file:  # opening, unlike stat, asks the server of a network's disk
            found = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _refresh(path: Path, mine: dict[str, Any], stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        # A lock that somebody has taken over is not kept alive for them.
        if _read(path) == mine:
            with suppress(OSError):
                os.utime(path)
