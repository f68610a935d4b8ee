"""Which source ids were met before, at a cost that does not grow with the number of blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog_builder.features.ledger import Ids


class SeenIds:
    """The ids of the blocks so far, as few sorted runs, each twice as long as the next."""

    def __init__(self) -> None:
        self._runs: list[Ids] = []

    def add(self, ids: Ids) -> NDArray[np.bool_]:
        """Take in the ids of a block; say which are met for the first time."""
        new = first_of_each(ids)
        for run in self._runs:
            new &= ~is_among(ids, run)
        merged = np.sort(ids[new])
        while self._runs and self._runs[-1].size < 2 * merged.size:
            # A stable sort of two sorted runs is a merge.
            merged = np.sort(np.concatenate([self._runs.pop(), merged]), kind="stable")
        if merged.size:
            self._runs.append(merged)
        return new


def first_of_each(ids: Ids) -> NDArray[np.bool_]:
    """Say which rows hold an id for the first time."""
    first = np.zeros(ids.size, bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first


def is_among(ids: Ids, ordered: Ids) -> NDArray[np.bool_]:
    """Say which ids are among sorted ones, without sorting those again."""
    if ordered.size == 0:
        return np.zeros(ids.size, bool)
    place = np.searchsorted(ordered, ids).clip(max=ordered.size - 1)
    return np.asarray(ordered[place] == ids)
