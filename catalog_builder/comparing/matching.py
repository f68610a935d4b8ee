"""Which star of the new table is which of the old one: by the same id, or by a crosswalk."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Statuses = NDArray[np.int8]


class Match(IntEnum):
    """What a crosswalk says of an id."""

    ONE = 0
    NONE = 1
    SEVERAL = 2
    SHARED = 3


#: In the place of an id that there is not.
NO_ID: Final = -1


class Matching(Protocol):
    """What the engine asks: old ids to new ones, and what is known of a new one."""

    def to_new(self, old: Ids) -> tuple[Ids, Statuses]:
        """Return the new id of each old one (`NO_ID` where not ONE) and its status."""
        ...

    def of_new(self, new: Ids) -> Statuses:
        """Return the status of each new id."""
        ...

    @property
    def title(self) -> str:
        """What the stars were matched by, in words."""
        ...


class SameIds:
    """Both tables are of one release: a star has the same id in both."""

    title = "the same source ids"

    def to_new(self, old: Ids) -> tuple[Ids, Statuses]:
        """Return the ids as they are."""
        return old, np.zeros(len(old), dtype=np.int8)

    def of_new(self, new: Ids) -> Statuses:
        """Tell that every id is that of one old star."""
        return np.zeros(len(new), dtype=np.int8)


class CrosswalkIds:
    """Pairs of an old and a new id, in memory: about 34 bytes a pair.

    An old id with several new ones, and several old ids with one new one, are ambiguous: none of
    these stars is compared.

    Parameters
    ----------
    old, new : ndarray of int64, shape (n,)
        The pairs, in any order. The same pair may come again.
    ambiguous_old, ambiguous_new : ndarray of int64
        Ids that the crosswalk itself calls ambiguous, or of which it left pairs out.
    title : str
        What the stars were matched by.
    """

    def __init__(
        self,
        old: Ids,
        new: Ids,
        *,
        ambiguous_old: Ids | None = None,
        ambiguous_new: Ids | None = None,
        title: str = "a crosswalk",
    ) -> None:
        self.title = title
        order = np.lexsort((new, old))
        old, new = old[order], new[order]
        fresh = np.ones(len(old), dtype=bool)
        fresh[1:] = (old[1:] != old[:-1]) | (new[1:] != new[:-1])
        self._old, self._new = old[fresh], new[fresh]
        self._status = np.zeros(len(self._old), dtype=np.int8)
        backwards = np.argsort(self._new, kind="stable")
        shared = np.zeros(len(self._old), dtype=bool)
        shared[backwards] = _again(self._new[backwards])
        self._status[shared | _among(self._new, ambiguous_new)] = Match.SHARED
        self._status[_again(self._old) | _among(self._old, ambiguous_old)] = Match.SEVERAL
        self._sorted_new, self._new_status = self._new[backwards], self._status[backwards]
        self._apart = {
            "old": np.unique(_ids(ambiguous_old)),
            "new": np.unique(_ids(ambiguous_new)),
        }

    def __len__(self) -> int:
        return len(self._old)

    def to_new(self, old: Ids) -> tuple[Ids, Statuses]:
        """Return the new id of each old one and its status."""
        found, there = _place(self._old, old)
        status = np.where(there, self._status[found] if len(self) else 0, Match.NONE)
        status[~there & _among(old, self._apart["old"])] = Match.SEVERAL
        new = np.where(status == Match.ONE, self._new[found] if len(self) else 0, NO_ID)
        return new.astype(np.int64), status.astype(np.int8)

    def of_new(self, new: Ids) -> Statuses:
        """Return the status of each new id."""
        found, there = _place(self._sorted_new, new)
        status = np.where(there, self._new_status[found] if len(self) else 0, Match.NONE)
        status[~there & _among(new, self._apart["new"])] = Match.SHARED
        return status.astype(np.int8)


def _ids(given: Ids | None) -> Ids:
    return np.empty(0, dtype=np.int64) if given is None else given


def _place(ordered: Ids, wanted: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return where ids stand in ordered ones, and whether they do."""
    if not len(ordered):
        return np.zeros(len(wanted), dtype=np.intp), np.zeros(len(wanted), dtype=bool)
    found = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return found, ordered[found] == wanted


def _among(ids: Ids, those: Ids | None) -> NDArray[np.bool_]:
    return np.isin(ids, those) if those is not None and len(those) else np.zeros(len(ids), bool)


def _again(ordered: Ids) -> NDArray[np.bool_]:
    """Tell which of some ordered ids come more than once."""
    same = ordered[1:] == ordered[:-1]
    again = np.zeros(len(ordered), dtype=bool)
    again[1:] |= same
    again[:-1] |= same
    return again
