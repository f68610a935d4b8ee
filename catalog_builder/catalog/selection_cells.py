"""The counts of a selection function in cells as coarse as a question needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.selection_store import SelectionStore
from catalog_builder.features.cells import Bins, Codes, summed
from catalog_builder.ground.errors import ConfigError

Int = NDArray[np.int64]

#: What `SelectionFunction.probability` may be asked for besides tiers.
REQUESTED: Final = "requested"
#: Bins of the magnitude, and of the colour, that are taken together, from fine to coarse; 0: all.
_MAGNITUDE_WIDTHS: Final = (1, 2, 4, 8, 0)
_COLOUR_WIDTHS: Final = (1, 2, 0)


class Coarseness(NamedTuple):
    """How much is taken together to one cell; 0 of a width is everything.

    Attributes
    ----------
    order : int
        HEALPix order of its pixel, -1 for the whole sky.
    magnitude, colour : int
        Bins.
    """

    order: int
    magnitude: int
    colour: int


EVERYTHING: Final = Coarseness(-1, 0, 0)


class CoarseCells:
    """Cells of a store, from its own to the whole sky; each coarseness is made when it is needed.

    Parameters
    ----------
    store : SelectionStore
        Of the finest cells.
    """

    def __init__(self, store: SelectionStore) -> None:
        self._store, self._grid = store, store.about.grid
        self.finest = Coarseness(self._grid.order, 1, 1)
        self._levels: dict[tuple[Coarseness, str | None], tuple[Codes, Int]] = {}
        self._all: Codes | None = None

    def steps(self, *, any_colour: bool) -> Iterator[Coarseness]:
        """Yield cells from fine to coarse: pixels first, then colours, then magnitudes."""
        widths = _COLOUR_WIDTHS[-1:] if any_colour else _COLOUR_WIDTHS
        yield from (Coarseness(order, 1, widths[0]) for order in range(self.finest.order, -2, -1))
        yield from (Coarseness(-1, 1, width) for width in widths[1:])
        yield from (Coarseness(-1, width, 0) for width in _MAGNITUDE_WIDTHS[1:])

    def join(
        self, finer: Coarseness, coarse: Coarseness, pixel: Int, magnitude: Int, colour: Int
    ) -> Codes:
        """Return in which coarse cells finer ones lie."""
        orders = finer.order - coarse.order
        joined = np.zeros_like(pixel) if coarse.order < 0 else pixel >> 2 * orders
        joined *= self._grid.magnitudes.size
        joined += _joined(self._grid.magnitudes, magnitude, finer.magnitude, coarse.magnitude)
        joined *= self._grid.colours.size
        joined += _joined(self._grid.colours, colour, finer.colour, coarse.colour)
        return joined

    def look_up(
        self, coarse: Coarseness, finer: Coarseness, tier: str | None, codes: Codes
    ) -> tuple[Int, Int]:
        """Return the sources of some cells, and how many of them are selected.

        Parameters
        ----------
        coarse, finer : Coarseness
            Of the cells; and one that was looked at before, of which they can be made.
        tier : str, optional
            Who is selected: see `SelectionFunction.probability`.
        codes : ndarray of int64
            Which cells, as `join` has them.
        """
        return _found(*self._level(coarse, finer, tier), codes)

    def _level(self, coarse: Coarseness, finer: Coarseness, tier: str | None) -> tuple[Codes, Int]:
        """Return all cells of a coarseness, in order, and their sources and selected ones, (m, 2).

        They are made of those of a finer one.
        """
        known = self._levels.get((coarse, tier))
        if known is None and coarse == self.finest:
            sources, *selected = (self._column(name) for name in self._names(tier))
            known = self._codes(), np.stack([sources, np.sum(selected, axis=0)], axis=1)
        elif known is None:
            codes, counts = self._level(finer, finer, tier)
            known = summed(self.join(finer, coarse, *self._grid.parts(codes)), counts)
        self._levels[coarse, tier] = known
        return known

    def _column(self, name: str) -> Int:
        return self._store.column(name).astype(np.int64)

    def _codes(self) -> Codes:
        if self._all is None:
            self._all = self._store.codes()
        return self._all

    def _names(self, tier: str | None) -> tuple[str, ...]:
        if tier is None:
            return "sources", "published"
        if tier == REQUESTED:
            return "sources", "requested"
        tiers = self._store.about.tiers
        if tier not in tiers:
            raise ConfigError(
                f"There is no tier {tier!r}.",
                f"Give one of {', '.join((*tiers, REQUESTED))}, or none for all rows.",
            )
        return ("sources", *(f"tier_{name}" for name in tiers[: tiers.index(tier) + 1]))


def _found(known: Codes, counts: Int, codes: Codes) -> tuple[Int, Int]:
    """Return the sources of cells, and how many of them are selected."""
    if known.size == 0:
        return np.zeros(codes.size, np.int64), np.zeros(codes.size, np.int64)
    place = np.searchsorted(known, codes).clip(max=known.size - 1)
    n, k = np.where((known[place] == codes)[:, None], counts[place], 0).T
    return n, k


def _joined(bins: Bins, place: Int, finer: int, coarse: int) -> Int:
    """Return wider bins in which bins lie, by their widths; what is not known stays by itself."""
    if coarse == 0:
        return np.zeros_like(place)
    return np.where(place == bins.unknown, place, place // (coarse // finer))
