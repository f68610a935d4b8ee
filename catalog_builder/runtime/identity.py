"""Which process of which machine: an identity that no clock moves.

The time at which a process was started, as programs are told it, is the time of the machine's start
plus the ticks since then; and when the clock is set, the time of the start moves with it. So the
ticks themselves are kept, with the name that the kernel gives to each of its starts, and with the
namespaces in which pid and ticks are counted: two containers on one machine may have the same
hostname and the same pids.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_PROC = Path("/proc")


def describe_self() -> dict[str, Any]:
    """Return this process as something that can be written down: see :func:`is_alive`."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        **_kernel(),
        "ticks": _ticks(os.getpid()),
        # Where the kernel gives no ticks; and version 0.1.0 knows nothing else.
        "started": psutil.Process().create_time(),
    }


def is_alive(described: Mapping[str, Any]) -> bool | None:
    """Say whether a process that was described runs; None if that cannot be told from here.

    Parameters
    ----------
    described : mapping
        Of :func:`describe_self`, there and then; or of version 0.1.0, with host, pid and `started`.
    """
    try:
        pid = int(described["pid"])
        if described.get("boot") is not None:
            same_kernel = all(described.get(key) == value for key, value in _kernel().items())
            return _runs(pid, int(described["ticks"])) if same_kernel else None
        if described["host"] != socket.gethostname():
            return None
        return _ran_since(pid, float(described["started"]), told_by_ticks="boot" in described)
    except (KeyError, TypeError, ValueError, OverflowError):
        return False if described.get("host") == socket.gethostname() else None


def _runs(pid: int, ticks: int) -> bool | None:
    now = _ticks(pid)
    if now is not None:
        return now == ticks and _state(pid) not in ("Z", "X")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return None  # somebody else's, and /proc hides those
    return None


def _ran_since(pid: int, started: float, *, told_by_ticks: bool) -> bool | None:
    """Compare by time of start: on systems that keep it, and for locks of version 0.1.0."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if abs(process.create_time() - started) < 1.0:
            return True
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None
    # Another process with the same pid, or the same one after the clock was set: where the time of
    # start is kept and not worked out, it is the former.
    return False if told_by_ticks else None


def _kernel() -> dict[str, Any]:
    """Return what tells a running kernel, and a namespace of it, from every other."""
    try:
        boot: str | None = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [_space(name) for name in ("pid", "time")]
    except OSError:
        boot, spaces = None, []
    return {"boot": boot, "namespaces": spaces}


def _space(name: str) -> str:
    try:
        return str((_PROC / "self/ns" / name).readlink())
    except FileNotFoundError:  # an old kernel has no namespaces of time
        return ""


def _stat(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` from the third on."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name before it may hold anything


def _ticks(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[19])  # the 22nd of all: starttime


def _state(pid: int) -> str:
    fields = _stat(pid)
    return "X" if fields is None else fields[0]
