"""Free memory goes back to the system when a task has ended."""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable


def _find_trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`, or None where the C library has none."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim


_TRIM = _find_trim()


def release(stage: str) -> None:
    """Give back what a task of a stage has freed.

    Within a task the allocator keeps freed buffers, for a network asks for the same ones again
    (`WORKER_ENVIRONMENT`). Kept from task to task they are cut into pieces that the next one cannot
    use, and a worker grows by a fifth over its first ten partitions.
    """
    _collect_once(stage)
    if _TRIM is not None:
        _TRIM(0)


@functools.cache
def _collect_once(stage: str) -> None:
    """Collect what the first task of a stage leaves in circles.

    What it imports tries this and that, and keeps the errors: their tracebacks hold its arrays, 70
    MiB of a chunk, until Python happens to look. Later tasks leave next to nothing, and a look
    takes 50 ms.
    """
    del stage
    gc.collect()
