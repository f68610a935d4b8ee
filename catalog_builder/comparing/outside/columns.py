"""Columns of whatever format as the comparison wants them: ids, numbers, or text."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.readers.block import inexact_key
from catalog_builder.archive.readers.typed import RawColumn
from catalog_builder.ground.errors import InputError

#: How a column is read: ids (int64, 0 for none), numbers (float64, NaN), text (str, empty).
Kind = Literal["id", "number", "text"]
Columns = dict[str, NDArray[Any]]
#: Rows that are read at once.
BLOCK_ROWS: Final = 1 << 17
#: Of the largest integer of 64 bits.
_DIGITS: Final = 19


def from_arrow(path: str, name: str, column: Any, kind: Kind) -> NDArray[Any]:
    """Return a column of Arrow.

    Raises
    ------
    InputError
        If ids are no integers, or numbers are no numbers.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(column.type):
        return from_arrow(path, name, column.dictionary_decode(), kind)
    if kind == "text":
        return np.asarray(column.cast(pa.string()).fill_null("").to_pylist(), dtype=str)
    is_none, is_whole = types.is_null(column.type), types.is_integer(column.type)
    if kind == "id":
        if types.is_floating(column.type):
            raise inexact_key(path, name)
        if types.is_string(column.type) or types.is_large_string(column.type):
            try:
                return np.asarray(column.cast(pa.int64()).fill_null(0))
            except pa.ArrowInvalid:  # some are no plain numbers
                return ids_of_text(from_arrow(path, name, column, "text"))
        if not (is_whole or is_none):
            raise no_numbers(path, name, str(column.type))
        return np.asarray(column.cast(pa.int64()).fill_null(0))
    if types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif not (is_whole or is_none or types.is_floating(column.type)):
        raise no_numbers(path, name, str(column.type))
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan))


def from_fits(column: RawColumn, kind: Kind) -> NDArray[Any]:
    """Return a column of the FITS reader, whose kind was checked."""
    values = column.values
    if kind == "text":
        if values.dtype.kind == "S":
            return np.char.strip(np.char.decode(values, "ascii", "replace"))
        return values.astype(str)
    if kind == "id" and values.dtype.kind in "SU":
        return ids_of_text(from_fits(column, "text"))
    if kind == "id":
        # An unsigned integer beyond int64 is no identifier, and must not become a negative one.
        usable = ~column.null & (values > 0) & (values <= np.iinfo(np.int64).max)
        return np.where(usable, values, 0).astype(np.int64)
    return np.where(column.null, np.nan, values.astype(np.float64))


def from_astropy(path: str, name: str, column: Any, kind: Kind) -> NDArray[Any]:
    """Return a column of astropy.

    Raises
    ------
    InputError
        If ids are no integers, or numbers are no numbers.
    """
    masked = np.ma.asarray(column)
    null, values = np.ma.getmaskarray(masked), np.asarray(np.ma.getdata(masked))
    if kind == "text":
        return np.where(null, "", values.astype(str))
    if kind == "id" and values.dtype.kind == "f":
        raise inexact_key(path, name)
    if kind == "id" and values.dtype.kind in "SUO":
        return ids_of_text(np.where(null, "", values.astype(str)))
    if values.ndim != 1 or values.dtype.kind not in ("iu" if kind == "id" else "iufb"):
        raise no_numbers(path, name, str(values.dtype))
    if kind == "id":
        return np.where(null, 0, values).astype(np.int64)
    return np.where(null, np.nan, values.astype(np.float64))


def ids_of_text(words: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return ids that are written out, 0 where none is; of ``Gaia DR3 4295806720``, the number."""
    found = np.zeros(len(words), np.int64)
    for row, word in enumerate(words.tolist()):
        last = word.split(" ")[-1] if word else ""
        if last.isascii() and last.isdigit() and len(last) <= _DIGITS:
            found[row] = min(int(last), np.iinfo(np.int64).max)
    return found


def no_numbers(path: str, name: str, seen: str) -> InputError:
    """Return the refusal of a column that holds something else."""
    return InputError(
        f"{path}: column {name} holds {seen}, where single numbers are expected.",
        "Correct the mapping, or convert the column.",
    )
