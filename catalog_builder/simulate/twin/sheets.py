"""A table about to be written: columns in the order and with the types of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.writing.ecsv import Column

Values = NDArray[np.generic]


@dataclass(frozen=True)
class Sheet:
    """Rows of one table.

    Parameters
    ----------
    columns : tuple of Column
        In the order of the file.
    values : dict of str to numpy.ndarray
        (n,) or, of arrays, (n, k), by column; NaN and masked is null.
    """

    columns: tuple[Column, ...]
    values: dict[str, Values]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values["source_id"])

    def rows(self, selected: NDArray[np.bool_]) -> Sheet:
        """Return some rows."""
        return Sheet(self.columns, {name: v[selected] for name, v in self.values.items()})

    def filled(self, name: str, values: Values) -> Sheet:
        """Return the sheet with other values in one of its columns."""
        return Sheet(self.columns, self.values | {name: values})

    def renamed(self, old: str, new: str) -> Sheet:
        """Return the sheet with one column under another name."""
        columns = tuple(
            Column(new, c.dtype, c.unit, c.array) if c.name == old else c for c in self.columns
        )
        return Sheet(columns, {(new if k == old else k): v for k, v in self.values.items()})

    def without(self, *names: str) -> Sheet:
        """Return the sheet without some columns."""
        columns = tuple(c for c in self.columns if c.name not in names)
        return Sheet(columns, {k: v for k, v in self.values.items() if k not in names})

    def extended(self, column: Column, values: Values) -> Sheet:
        """Return the sheet with one column more, at its end."""
        return Sheet((*self.columns, column), self.values | {column.name: values})


def sheet(columns: tuple[Column, ...], known: Mapping[str, Values]) -> Sheet:
    """Make a sheet of what is known; columns that are not are null."""
    n = len(known["source_id"])
    return Sheet(columns, {c.name: _typed(known.get(c.name), c, n) for c in columns})


#: In place of a null, below its mask.
_BLANK: Final = {"string": "", "bool": False}


def _typed(values: Values | None, column: Column, n: int) -> Values:
    if values is None:
        if column.array:
            return np.full((n, 1), np.nan, column.dtype)
        values = np.ma.array(np.full(n, _BLANK.get(column.dtype, 0)), mask=True)
    dtype = "U" if column.dtype == "string" else column.dtype
    if column.dtype.startswith("float"):
        return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=column.dtype), np.nan))
    whole = np.ma.asarray(values)
    if whole.dtype.kind == "f":  # in which a null is NaN
        null = np.isnan(whole.data)
        whole = np.ma.array(np.where(null, 0, whole.data), mask=null | np.ma.getmaskarray(whole))
    return whole.astype(dtype)


def taken(values: Values, where: NDArray[np.int64], found: NDArray[np.bool_]) -> Values:
    """Return `values[where]`, null where nothing was found; there may be no values at all."""
    if len(values) == 0:
        nothing = np.zeros((len(where), *values.shape[1:]), values.dtype)
        is_float = values.dtype.kind == "f"
        return np.full_like(nothing, np.nan) if is_float else np.ma.array(nothing, mask=True)
    picked = np.ma.asarray(values)[where]
    if picked.dtype.kind == "f":
        filled = np.ma.filled(picked, np.nan)
        return np.where(found.reshape(-1, *[1] * (filled.ndim - 1)), filled, np.nan)
    return np.ma.array(picked.data, mask=np.ma.getmaskarray(picked) | ~found)
