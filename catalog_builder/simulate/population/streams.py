"""Random numbers of a block of stars: each purpose has its own, so that none shifts another's."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

#: What `stream` returns: a generator for a purpose in words.
Draws = Callable[[str], np.random.Generator]


def streams(seed: int, partition: int, block: int) -> Draws:
    """Return a function that gives the generator of a purpose, the same at every call."""

    def stream(purpose: str) -> np.random.Generator:
        return np.random.default_rng([seed, partition, block, 2, zlib.crc32(purpose.encode())])

    return stream
