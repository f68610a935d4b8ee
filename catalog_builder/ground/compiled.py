"""Loops in compiled code, for what NumPy would go through many times over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def compiled(function: FunctionT) -> FunctionT:
    """Compile without the interpreter lock; keep the machine code where a cache can be written."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return numba.njit(**options)(function)  # type: ignore[no-any-return]
