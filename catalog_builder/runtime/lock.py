"""One driver per workdir."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from catalog_builder.errors import StoreError

#: A holder on another host refreshes its lock this often, and is taken for dead after ten misses.
HEARTBEAT_SECONDS = 30.0


@contextmanager
def driver_lock(path: Path) -> Iterator[str]:
    """Hold the lock of a workdir, and yield the token that :func:`token_of` then returns.

    A lock whose holder is dead is taken over: on this host, when no process with its pid and its
    start time exists; on another host, when it has not been refreshed for ten heartbeats.

    Raises
    ------
    StoreError
        If another driver is alive, naming it.
    """
    mine = _describe_self()
    _acquire(path, mine)
    stop = threading.Event()
    refresher = threading.Thread(target=_refresh, args=(path, stop), daemon=True)
    refresher.start()
    try:
        yield str(mine["token"])
    finally:
        stop.set()
        refresher.join()
        if _read(path) == mine:
            path.unlink(missing_ok=True)


def holder(path: Path) -> dict[str, Any] | None:
    """Return who holds the lock (host, pid, since), or None when nobody alive does."""
    content = _read(path)
    return content if content is not None and _is_alive(path, content) else None


def token_of(path: Path) -> str | None:
    """Return what tells this holding of the lock from every other; None if nobody holds it."""
    content = _read(path)
    return None if content is None else str(content.get("token"))


def _acquire(path: Path, mine: dict[str, Any]) -> None:
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
                _break_if_dead(path)
            else:
                return
    finally:
        aside.unlink(missing_ok=True)


def _break_if_dead(path: Path) -> None:
    content = _read(path)
    if content is not None and _is_alive(path, content):
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


def _describe_self() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "token": secrets.token_hex(8),
        "started": psutil.Process().create_time(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return content if isinstance(content, dict) else None


def _is_alive(path: Path, content: dict[str, Any]) -> bool:
    if content.get("host") != socket.gethostname():
        try:
            silent = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            return False
        return silent < 10 * HEARTBEAT_SECONDS
    try:
        process = psutil.Process(int(content["pid"]))
        # A recycled pid belongs to a process with another start time.
        same = abs(process.create_time() - float(content["started"])) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return False


def _refresh(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
