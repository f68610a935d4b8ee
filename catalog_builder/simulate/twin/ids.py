"""Which ids the stars of one release have in a later one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.twin.recipe import Recipe

Int = NDArray[np.int64]

#: What happened to an id.
CHANGED: Final = "changed"
SPLIT: Final = "split"
MERGED: Final = "merged"
TAKEN_IN: Final = "taken_in"
#: Simulated ids leave the seven lowest bits free: what is put there stays in the same pixel, and
#: ids stay in their order.
_OFFSET: Final = {"": 0, CHANGED: 64, SPLIT: 32, MERGED: 16, TAKEN_IN: 0}
_SECOND: Final = 33


@dataclass(frozen=True)
class Ids:
    """Ids of n stars in the older release and the later one; the later ones rise with the older.

    Parameters
    ----------
    old, new : numpy.ndarray
        (n,) ids. A star that was taken in by another has that one's in `new`: the release has it
        no longer.
    fate : numpy.ndarray
        (n,) ``changed``, ``split``, ``merged`` (the one that stays), ``taken_in`` (the one that
        does not), or nothing.
    second : numpy.ndarray
        (n,) id of the second source of one that was split; else 0.
    """

    old: Int
    new: Int
    fate: NDArray[np.str_]
    second: Int

    def rows(self, selected: slice) -> Ids:
        """Return those of some stars."""
        return Ids(*(values[selected] for values in vars(self).values()))

    @property
    def stays(self) -> NDArray[np.bool_]:
        """Which stars the later release has, shape (n,)."""
        return np.asarray(self.fate != TAKEN_IN)


def renumber(rng: np.random.Generator, old: Int, recipe: Recipe, block: int) -> Ids:
    """Draw what happens to the ids of one partition.

    Parameters
    ----------
    rng : numpy.random.Generator
        Used for nothing else.
    old : numpy.ndarray
        (n,) rising.
    recipe : Recipe
        Its shares.
    block : int
        Stars that are written together: a star is taken in by one of the same block.
    """
    n = len(old)
    drawn = rng.random(n)
    edges = np.cumsum([recipe.changed, recipe.split, recipe.merged])
    fate = np.array([CHANGED, SPLIT, MERGED, ""])[np.searchsorted(edges, drawn, side="right")]
    fate = fate.astype("U8")
    for first in np.flatnonzero(fate == MERGED):
        # The next one, if nothing else happens to it; it must be written with this one.
        following = int(first) + 1
        free = following < n and following % block != 0 and fate[following] == ""
        if free:
            fate[following] = TAKEN_IN
        else:
            fate[first] = ""
    new = old + np.array([_OFFSET[str(one)] for one in fate], dtype=np.int64)
    gone = np.flatnonzero(fate == TAKEN_IN)
    new[gone] = new[gone - 1]
    return Ids(old, new, fate, np.where(fate == SPLIT, old + _SECOND, 0))
