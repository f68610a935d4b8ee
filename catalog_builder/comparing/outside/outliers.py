"""Stars whose two values do not go together, with what our flags say of them."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.sides import SOURCE_ID, TIER, Block, Side

#: An outlier is further from the middle of the pulls than this many of their robust widths.
BEYOND: Final = 5.0
#: Of a label, those furthest out are listed.
LISTED: Final = 200
#: The test of bits that say what labels were derived from, which is no fault of a star.
_NO_FAULT: Final = "input_used"


@dataclass(frozen=True)
class Outlier:
    """A star that is listed.

    Attributes
    ----------
    source_id : int
    distance : float
        From the middle of the pulls, in their widths.
    ours, sigma, theirs, error : float
    tier : int or None
    flags : tuple of str
    """

    source_id: int
    distance: float
    ours: float
    sigma: float
    theirs: float
    error: float
    tier: int | None
    flags: tuple[str, ...]


@dataclass
class Outliers:
    """The outliers of one label.

    Attributes
    ----------
    stars : int
        All of them.
    flags, of_all : Counter of str
        How many of them carry each flag, and how many of all pairs do.
    pairs : int
    """

    stars: int = 0
    pairs: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    of_all: Counter[str] = field(default_factory=Counter)
    _heap: list[tuple[float, int, Outlier]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=itertools.count)

    @property
    def listed(self) -> list[Outlier]:
        """Those furthest out, the furthest first; by id where equal."""
        ordered = sorted(self._heap, key=lambda item: (-item[0], item[2].source_id))
        return [outlier for _, _, outlier in ordered]

    def add(
        self,
        block: Block,
        distance: NDArray[np.float64],
        values: Sequence[NDArray[np.float64]],
        flags: Mapping[str, NDArray[np.bool_]],
    ) -> None:
        """Add pairs.

        Parameters
        ----------
        block : dict of str to ndarray
            With ids and, if there are tiers, those.
        distance : ndarray
            From the middle of the pulls.
        values : sequence of ndarray
            Ours, sigma, theirs, error.
        flags : dict of str to ndarray of bool
        """
        far = np.flatnonzero(distance > BEYOND)
        self.pairs += len(distance)
        self.stars += len(far)
        for name, here in flags.items():
            self.of_all[name] += int(np.count_nonzero(here))
            self.flags[name] += int(np.count_nonzero(here[far]))
        for row in far[np.argsort(-distance[far], kind="stable")][:LISTED].tolist():
            tier = int(block[TIER][row]) if TIER in block else None
            carried = tuple(name for name, here in flags.items() if here[row])
            ours, sigma, theirs, error = (float(each[row]) for each in values)
            size, star = float(distance[row]), int(block[SOURCE_ID][row])
            found = Outlier(star, size, ours, sigma, theirs, error, tier, carried)
            entry = (size, -next(self._number), found)
            if len(self._heap) < LISTED:
                heapq.heappush(self._heap, entry)
            else:
                heapq.heappushpop(self._heap, entry)


def masks_of(side: Side) -> list[str]:
    """Return the columns of flags that a table has."""
    return sorted({bit.column for bit in side.schema.flags.active} & side.columns)


def flags_of(side: Side, block: Block) -> dict[str, NDArray[np.bool_]]:
    """Return which pairs carry which flag."""
    return {
        bit.name: (block[bit.column] & np.int64(bit.mask)) != 0
        for bit in side.schema.flags.active
        if bit.column in block and bit.test != _NO_FAULT
    }
