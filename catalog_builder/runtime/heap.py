"""Free memory goes back to the system when a task has ended."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _find_trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`, or None where the C library has none."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim


_TRIM = _find_trim()


def release() -> None:
    """Give back what a task has freed.

    Within a task the allocator keeps freed buffers, for a network asks for the same ones again
    (`WORKER_ENVIRONMENT`). Kept from task to task they are cut into pieces that the next one cannot
    use, and a worker grows by a fifth over its first ten partitions.
    """
    if _TRIM is not None:
        _TRIM(0)
