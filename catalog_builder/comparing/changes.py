"""What changed beside the labels' values: flags, tiers, and who is in the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.matching import Match
from catalog_builder.comparing.pairs import ABSENT, Gained, Pairs
from catalog_builder.comparing.regimes import Division
from catalog_builder.comparing.sides import TIER, Block, Side
from catalog_builder.contract.flags import FlagBit
from catalog_builder.report.histogram import Counts

#: Why an old star is not in the new table, and why a new one was not in the old.
LOST: Final[Mapping[int, str]] = {
    Match.NONE: "no match in the crosswalk",
    Match.SEVERAL: "several new ids in the crosswalk: ambiguous",
    Match.SHARED: "its new id is another star's too: ambiguous",
    ABSENT: "its id is not in the new catalogue: not requested, or rejected",
}
GAINED: Final[Mapping[int, str]] = {
    Match.NONE: "no match in the crosswalk",
    Match.SEVERAL: "its old id has several new ones: ambiguous",
    Match.SHARED: "several old ids in the crosswalk: ambiguous",
    ABSENT: "its id is not in the old catalogue: not requested there, or rejected",
}
_TIERS: Final = 10


@dataclass
class BitChange:
    """Pairs by whether they carry a bit: in both tables, or in one only."""

    sentence: str
    both: int = 0
    set: int = 0
    unset: int = 0


@dataclass
class Departures:
    """Stars that one table has alone.

    Attributes
    ----------
    stars : int
    reasons : Counter of str
    regimes : dict of str to ndarray of int64
        Stars per cell of each division, by the values that the table has for them.
    """

    stars: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    regimes: dict[str, Counts] = field(default_factory=dict)


class Changes:
    """Changes of pairs, and stars without a partner.

    Attributes
    ----------
    bits : dict of str to BitChange
        Of the bits of one name that both tables have.
    only_old, only_new : tuple of str
        Bits that the other table's schema does not have.
    tiers : ndarray of int64, shape (10, 10), or None
        Pairs by old and new tier; 0 is a star without labels. None where a table has no tiers.
    lost, gained : Departures
    """

    def __init__(self, old: Side, new: Side, divisions: Sequence[Division]) -> None:
        self._pairs = list(_common_bits(old, new))
        self._divisions = divisions
        self.bits = {after.name: BitChange(after.sentence) for _, after in self._pairs}
        before, now = _bits_of(old), _bits_of(new)
        self.only_old = tuple(name for name in before if name not in now)
        self.only_new = tuple(name for name in now if name not in before)
        has_tiers = TIER in old.columns & new.columns
        self.tiers: Counts | None = np.zeros((_TIERS, _TIERS), np.int64) if has_tiers else None
        self.lost, self.gained = Departures(), Departures()

    def add(self, pairs: Pairs) -> None:
        """Add the stars of a chunk of the old table."""
        for before, after in self._pairs:
            was = (pairs.old[before.column] & before.mask) != 0
            now = (pairs.new[after.column] & after.mask) != 0
            change = self.bits[after.name]
            change.both += int(np.count_nonzero(was & now))
            change.set += int(np.count_nonzero(~was & now))
            change.unset += int(np.count_nonzero(was & ~now))
        if self.tiers is not None:
            flat = pairs.old[TIER].astype(np.int64) * _TIERS + pairs.new[TIER]
            found = np.bincount(flat, minlength=_TIERS**2)
            self.tiers += found[: _TIERS**2].reshape(_TIERS, _TIERS)
        self._part(self.lost, pairs.lost, pairs.why, LOST, "old")

    def add_gained(self, gained: Gained) -> None:
        """Add the stars of a chunk of the new table that had no partner."""
        self._part(self.gained, gained.new, gained.why, GAINED, "new")

    def _part(
        self,
        who: Departures,
        block: Block,
        why: NDArray[np.int8],
        words: Mapping[int, str],
        side: str,
    ) -> None:
        who.stars += len(why)
        for status, count in zip(*np.unique(why, return_counts=True), strict=True):
            who.reasons[words[int(status)]] += int(count)
        for division in self._divisions:
            column = division.old if side == "old" else division.new
            cells = division.of_one(block, column)
            found = np.bincount(cells, minlength=len(division.regimes))
            who.regimes[division.name] = who.regimes.get(division.name, 0) + found


def masks_of_both(old: Side, new: Side) -> tuple[list[str], list[str]]:
    """Return the columns of masks that changes of bits need, of the old and the new table."""
    pairs = list(_common_bits(old, new))
    return (
        sorted({before.column for before, _ in pairs}),
        sorted({after.column for _, after in pairs}),
    )


def _common_bits(old: Side, new: Side) -> list[tuple[FlagBit, FlagBit]]:
    before, now = _bits_of(old), _bits_of(new)
    return [(before[name], now[name]) for name in before if name in now]


def _bits_of(side: Side) -> dict[str, FlagBit]:
    """Return the active bits of a table by name, those whose mask it really has."""
    return {bit.name: bit for bit in side.schema.flags.active if bit.column in side.columns}
