"""Fields of fixed width: how wide each column's must be, and its values in it.

Numbers are as short as they are told from all others of their type, their points one below the
other; a column that has very large or very small ones is in exponential notation throughout. A
value is never rounded, and a null is blank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from catalog_builder.contract.schema import Column
from catalog_builder.ground.errors import CatalogueError

Chars = NDArray[np.uint8]
_BLANK, _POINT, _ZERO, _EXPONENT = (ord(letter) for letter in " .0e")
#: Digits behind the first that tell every number from its neighbours, by bytes of its type.
_DIGITS: Final = {4: 8, 8: 16}
#: Of an exponential field beside them: sign, first digit, point, and an exponent of three digits.
_BESIDE: Final = 8


@dataclass
class Field:
    """A field: what `look` has seen of its column, and how its values are written.

    Attributes
    ----------
    column : Column
        What it is of.
    nulls : bool
        Whether a value is null.
    low, high : int
        The smallest and largest value of integers.
    """

    column: Column
    nulls: bool = False
    low: int = 0
    high: int = 0
    _before: int = 1
    _behind: int = 1
    _exponential: bool = False
    _empty: bool = True

    def look(self, values: NDArray[Any]) -> None:
        """Make the field wide enough for values.

        Raises
        ------
        CatalogueError
            If one is infinite, for which there is no notation.
        """
        if not len(values) or self.column.dtype.startswith("str"):
            return
        if values.dtype.kind != "f":
            low, high = int(values.min()), int(values.max())
            self.low = low if self._empty else min(low, self.low)
            self.high = high if self._empty else max(high, self.high)
            self._empty = False
            return
        if np.isinf(values).any():
            raise CatalogueError(
                f"{self.column.name} has an infinite value, which a CDS table cannot.",
                "Leave the column or the row out: --columns, --where.",
            )
        self.nulls |= bool(np.isnan(values).any())
        text = _text_of(values)
        self._exponential |= bool((text.chars == _EXPONENT).any())
        if len(text.chars):
            self._before = max(self._before, int(text.before.max()))
            self._behind = max(self._behind, int((text.length - text.before - 1).max()))

    @property
    def width(self) -> int:
        """Characters of the field."""
        if self.column.dtype.startswith("str"):
            return self.column.numpy_dtype.itemsize
        if not self.column.nullable:
            return max(len(str(self.low)), len(str(self.high)))
        if self._exponential:
            return self._digits + _BESIDE
        return self._before + 1 + self._behind

    @property
    def format(self) -> str:
        """Its format as Fortran has it: ``A7``, ``I19``, ``F9.4`` or ``E16.8``."""
        if self.column.dtype.startswith("str"):
            return f"A{self.width}"
        if not self.column.nullable:
            return f"I{self.width}"
        if self._exponential:
            return f"E{self.width}.{self._digits}"
        return f"F{self.width}.{self._behind}"

    @property
    def limits(self) -> str:
        """The range of its values, where they are codes."""
        return f"[{self.low}/{self.high}]" if self.column.dtype in {"uint8", "bool"} else ""

    @property
    def _digits(self) -> int:
        return _DIGITS[self.column.numpy_dtype.itemsize]

    def write(self, into: Chars, values: NDArray[Any]) -> None:
        """Write values into blank characters.

        Parameters
        ----------
        into : ndarray of uint8, shape (n, width)
            Blank; left so where a value is null.
        values : ndarray of shape (n,)
            That `look` has seen.
        """
        if self.column.dtype.startswith("str"):
            letters = np.ascontiguousarray(values).view(np.uint8).reshape(into.shape)
            into[:] = np.where(letters == 0, _BLANK, letters)
        elif self._exponential:
            self._write_exponential(into, values)
        elif self.column.nullable:
            text = _text_of(values)
            _scatter(into, text, self._before - text.before)
            whole = (text.length > 0) & (text.before == text.length)
            # Without a point, a reader of Fortran's formats would put one elsewhere.
            into[whole, self._before], into[whole, self._before + 1] = _POINT, _ZERO
        else:
            if values.dtype == bool:
                values = values.astype(np.uint8)
            text = _text_of(values)
            _scatter(into, text, self.width - text.length)

    def _write_exponential(self, into: Chars, values: NDArray[Any]) -> None:
        width, digits = into.shape[1], self._digits
        there = np.flatnonzero(~np.isnan(values))
        lines = "".join(f"{number:>{width}.{digits}E}" for number in values[there].tolist())
        into[there] = np.frombuffer(lines.encode(), dtype=np.uint8).reshape(len(there), width)


class _Text(NamedTuple):
    """Numbers as text, one behind the other.

    Attributes
    ----------
    chars : ndarray of uint8
        All characters.
    length, before : ndarray of int64, shape (n,)
        Characters of each number, and those before its point; 0 of a null.
    """

    chars: Chars
    length: NDArray[np.int64]
    before: NDArray[np.int64]


def _text_of(values: NDArray[Any]) -> _Text:
    array = pc.cast(pa.array(values, from_pandas=True), pa.string())
    _, borders, data = array.buffers()
    offsets = np.frombuffer(borders, dtype=np.int32)[: len(array) + 1].astype(np.int64)
    chars = np.frombuffer(data or b"", dtype=np.uint8)[: offsets[-1]]
    length = np.diff(offsets)
    points = np.flatnonzero(chars == _POINT)
    rows = np.searchsorted(offsets, points, side="right") - 1
    before = length.copy()
    before[rows] = points - offsets[rows]
    return _Text(chars, length, before)


def _scatter(into: Chars, text: _Text, start: NDArray[np.int64]) -> None:
    """Write each number into its row, from a place on."""
    total = len(text.chars)
    first = np.cumsum(text.length) - text.length
    rows = np.repeat(np.arange(len(into)), text.length)
    places = np.arange(total) + np.repeat(start - first, text.length)
    into[rows, places] = text.chars
