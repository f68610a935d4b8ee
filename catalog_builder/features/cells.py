"""Cells of position, magnitude and colour, in which sources are counted.

What share of the archive's sources is in a catalogue, the selection function, is a ratio of such
counts. A cell is a HEALPix pixel (nested, ICRS, from the source id), a bin of the magnitude by
which stars are called bright or faint, and one of the first colour of its group; for DR3 these are
G and BP - RP. What is not known is a bin of its own. Counts are sparse: there are never more cells
than sources, and never more than the grid has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.places import colours_of, magnitude_of
from catalog_builder.features.ledger import Ids
from catalog_builder.features.seen import is_among

Codes = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]

#: The note of a receipt of an ingest that says what was counted.
NOTE: Final = "cells"
#: Names of the columns of counts in a feature store.
CODE, SOURCES, REQUESTED = "cells_code", "cells_sources", "cells_requested"
#: Rows whose codes are held before they are counted.
_HELD: Final = 1 << 16
#: Cells that may be held twice before they are added up.
_LOOSE: Final = 1 << 18


class Bins(BaseModel):
    """Bins of one width; what lies beyond counts in the outermost, what is not known in the last.

    Attributes
    ----------
    low, step : float
        Lower edge of the first, and the width of each.
    count : int
        How many there are, without that of unknown values, whose number this is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    step: float = Field(gt=0)
    count: int = Field(gt=0, le=1000)

    @property
    def unknown(self) -> int:
        """Return the number of the bin of unknown values."""
        return self.count

    @property
    def size(self) -> int:
        """Return how many bins there are, that of unknown values among them."""
        return self.count + 1

    def places(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the bin of each value; of one that is not finite, that of unknown values."""
        # The same precision wherever a value is looked at: catalogues have 32 bits.
        numbers = np.asarray(values, np.float32)
        known = np.isfinite(numbers)
        place = np.floor((np.where(known, numbers, 0) - self.low) / self.step)
        return np.where(known, place.clip(0, self.count - 1), self.count).astype(np.int64)


MAGNITUDES: Final = Bins(low=-5.0, step=0.25, count=140)
COLOURS: Final = Bins(low=-2.0, step=0.5, count=20)


class CellGrid(BaseModel):
    """How cells are cut.

    Attributes
    ----------
    order : int
        HEALPix order of the pixels: 12 * 4**order are the sky.
    id_shift : int
        ``source_id >> id_shift`` is the pixel.
    magnitude : str, optional
        Column of the magnitude; without one all sources are in the bin of unknown ones.
    colour : (str, str), optional
        Columns of the two magnitudes whose difference is the colour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: int = Field(ge=0, le=9)
    id_shift: int = Field(ge=0, le=62)
    magnitude: str | None
    colour: tuple[str, str] | None
    magnitudes: Bins = MAGNITUDES
    colours: Bins = COLOURS

    @classmethod
    def of(cls, release: ReleaseSpec, order: int) -> Self | None:
        """Return the grid for a release; None where ids do not say where stars lie.

        Only what the source table has can be counted of all its sources.
        """
        rule = release.partition
        if not rule.ids_tell:
            return None
        own = release.tables[release.source_table].columns
        magnitude, colour = None, None
        if found := magnitude_of(release.inputs):
            group, _, band = found
            magnitude = band.column if band.column in own else None
            bands = release.inputs.photometry[group].bands.values()
            for pair in colours_of(release.inputs):
                if pair.one[1] in bands:
                    columns = pair.one[1].column, pair.other[1].column
                    colour = columns if own.keys() >= set(columns) else None
                    break
        order = min(order, rule.position_level)
        shift = rule.position_shift + 2 * (rule.position_level - order)
        return cls(order=order, id_shift=shift, magnitude=magnitude, colour=colour)

    @property
    def pixels(self) -> int:
        """Return how many pixels the sky has."""
        return 12 << (2 * self.order)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that are looked at."""
        magnitude = () if self.magnitude is None else (self.magnitude,)
        return ("source_id", *magnitude, *(self.colour or ()))

    def codes(self, columns: Columns) -> Codes:
        """Return the cell of each of n sources as one number; -1 for an id that has no pixel."""
        pixel = columns["source_id"] >> self.id_shift
        number = pixel * self.magnitudes.size
        if self.magnitude is None:
            number += self.magnitudes.unknown
        else:
            number += self.magnitudes.places(columns[self.magnitude])
        number *= self.colours.size
        if self.colour is None:
            number += self.colours.unknown
        else:
            one, other = (np.asarray(columns[name], np.float32) for name in self.colour)
            with np.errstate(invalid="ignore", over="ignore"):
                number += self.colours.places(one - other)
        return np.where((pixel >= 0) & (pixel < self.pixels), number, -1)

    def first_code(self, pixel: int) -> int:
        """Return the smallest code of a pixel's cells."""
        return pixel * self.magnitudes.size * self.colours.size

    def parts(self, codes: Codes) -> tuple[Codes, Codes, Codes]:
        """Return pixel, bin of the magnitude and bin of the colour of cells."""
        rest, colour = np.divmod(codes, self.colours.size)
        pixel, magnitude = np.divmod(rest, self.magnitudes.size)
        return pixel, magnitude, colour


def summed(codes: Codes, counts: NDArray[np.int64]) -> tuple[Codes, NDArray[np.int64]]:
    """Return each code once, in order, and the sums of its counts, (m,) and (m, k)."""
    if codes.size == 0:
        return codes, counts
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    return codes[first], np.add.reduceat(counts[order], first, axis=0)


class CellSums:
    """Counts of cells, added up as they come; it holds each cell a few times at most.

    Parameters
    ----------
    kinds : int
        Counts that a cell has.
    """

    def __init__(self, kinds: int) -> None:
        self._kinds = kinds
        self._parts: list[tuple[Codes, NDArray[np.int64]]] = []
        self._loose = 0

    def add(self, codes: Codes, counts: NDArray[np.int64]) -> None:
        """Add counts, (n, kinds), of some cells."""
        self._parts.append((codes, counts))
        self._loose += codes.size
        if self._loose > _LOOSE:
            self._join()
            self._loose = 0

    def take_below(self, code: int | None = None) -> tuple[Codes, NDArray[np.int64]]:
        """Take out the cells below a code, or all; return them in order, and their counts."""
        codes, counts = self._join()
        end = codes.size if code is None else int(np.searchsorted(codes, code))
        self._parts = [(codes[end:], counts[end:])]
        return codes[:end], counts[:end]

    def _join(self) -> tuple[Codes, NDArray[np.int64]]:
        parts = [(np.empty(0, np.int64), np.empty((0, self._kinds), np.int64)), *self._parts]
        codes, counts = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        self._parts = [summed(codes, counts)]
        return self._parts[0]


@dataclass(frozen=True)
class SourceCounts:
    """What was counted of one piece of the sky.

    Attributes
    ----------
    columns : dict of str to ndarray of int64, shape (m,)
        Codes of cells, in order, and their counts.
    digest : str
        Of all of them.
    first : int, optional
        The first of the codes; None if nothing was counted.
    """

    columns: dict[str, NDArray[np.int64]]
    digest: str
    first: int | None


class SourceCells:
    """Counts all sources of a piece of the sky, and those that were asked for.

    Parameters
    ----------
    grid : CellGrid
        The cells.
    """

    def __init__(self, grid: CellGrid) -> None:
        self._grid, self._sums = grid, CellSums(2)
        self._asked: Ids = np.empty(0, np.int64)
        self._held: list[Codes] = []
        self._n_held = 0
        # Rows come in the order of ids, nearly always: then none can be there twice.
        self._in_order: list[Ids] = []
        self._last = -1
        # From the first that does not on, rows wait to be sorted once: ids, codes, who was asked.
        self._waiting: list[tuple[Ids, Codes, NDArray[np.bool_]]] = []

    def expect(self, asked: Ids) -> None:
        """Take the ids that were asked for, sorted, each once."""
        self._asked = asked

    def add(self, columns: Columns, said: NDArray[np.bool_] | None = None) -> None:
        """Count rows of the source table; a source that was met before is not counted again.

        Parameters
        ----------
        columns : mapping of str to ndarray of shape (n,)
            Those of the grid, at least.
        said : ndarray of bool, shape (n,), optional
            Who was asked for by what the row says, where the rows that ask cannot be read.
        """
        ids, codes = columns["source_id"], self._grid.codes(columns)
        told = np.zeros(ids.size, bool) if said is None else said
        if ids.size == 0:
            return
        if self._waiting or ids[0] <= self._last or (ids[1:] <= ids[:-1]).any():
            self._waiting.append((ids.copy(), codes, told.copy()))
            return
        self._in_order.append(ids)
        self._last = int(ids[-1])
        self._hold(ids, codes, told)

    def counts(self) -> SourceCounts:
        """Return what was counted."""
        self._sort_waiting()
        self._count()
        codes, counts = self._sums.take_below()
        columns = {CODE: codes, SOURCES: counts[:, 0], REQUESTED: counts[:, 1]}
        columns = {name: np.ascontiguousarray(values) for name, values in columns.items()}
        digest = hashlib.sha256(self._grid.model_dump_json().encode())
        for values in columns.values():
            digest.update(values.astype("<i8").data)
        first = int(codes[0]) if codes.size else None
        return SourceCounts(columns, digest.hexdigest()[:32], first)

    def _hold(self, ids: Ids, codes: Codes, told: NDArray[np.bool_]) -> None:
        """Hold rows whose ids rise until there are enough to be counted."""
        held = 2 * codes + (is_among(ids, self._asked) | told)
        counted = codes >= 0
        self._held.append(held if counted.all() else held[counted])
        self._n_held += ids.size
        if self._n_held >= _HELD:
            self._count()

    def _sort_waiting(self) -> None:
        """Count the rows that did not come in order, of each source the one met first."""
        if not self._waiting:
            return
        ids, codes, told = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting = []
        # Sorted once: a search in rising order finds the next entries in the cache.
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        new = np.concatenate([[True], ids[1:] != ids[:-1]])
        if self._in_order:
            new &= ~is_among(ids, np.concatenate(self._in_order))
        ids, order = ids[new], order[new]
        for start in range(0, ids.size, _HELD):
            part = order[start : start + _HELD]
            self._hold(ids[start : start + _HELD], codes[part], told[part])

    def _count(self) -> None:
        held, counts = np.unique(
            np.concatenate([np.empty(0, np.int64), *self._held]), return_counts=True
        )
        asked = held & 1
        self._sums.add(held >> 1, np.stack([counts, counts * asked], axis=1))
        self._held, self._n_held = [], 0
