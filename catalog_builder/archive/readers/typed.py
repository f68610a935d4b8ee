"""Columns that come as typed arrays (FITS, Parquet) to the same blocks as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.identifiers import as_texts, keys_of
from catalog_builder.archive.readers.block import (
    Block,
    inexact_key,
    integer_limits,
    null_column,
)
from catalog_builder.archive.rejects import REASON_NUMBER, RejectReason, RowRejects
from catalog_builder.archive.tables import ColumnSpec, TextRule, spelt
from catalog_builder.ground.errors import InputError


@dataclass(frozen=True)
class RawColumn:
    """A column as a file holds it.

    Parameters
    ----------
    values : ndarray
        Scalars (n,), or the elements of all rows' arrays end to end.
    null : ndarray of bool (n,)
        Rows whose cell is null.
    lengths : ndarray of int64 (n,), optional
        Elements of each row's array; 0 where the cell is null.
    """

    values: NDArray[Any]
    null: NDArray[np.bool_]
    lengths: NDArray[np.int64] | None = None


#: Of NumPy's kinds.
_TEXT: Final = "US"
_WORDS: Final = (
    "If these are numbers, write the column as 64-bit integers; if they are words, give"
    " `dtype: text, characters: 32` to it in every table."
)


def check_kind(
    url: str, name: str, spec: ColumnSpec, kind: str, *, is_list: bool, is_key: bool = False
) -> None:
    """Refuse a column of another kind than described.

    Parameters
    ----------
    url, name : str
        File and column, for the message.
    spec : ColumnSpec
        What is described.
    kind : str
        NumPy's letter for the kind of the column's elements.
    is_list : bool
        Whether the column holds arrays.
    is_key : bool
        Whether it is the source_id.

    Raises
    ------
    InputError
        If text or arrays stand where numbers are described, or the reverse; or if a source_id is
        no integer.
    """
    if is_key and kind == "f" and not is_list and not spec.is_text:
        raise inexact_key(url, name)
    if is_key and kind == "b" and not is_list and not spec.is_text:
        raise InputError(f"{url}: column {name} holds booleans.", "Write integers there.")
    if spec.is_text:
        if kind in _TEXT and not is_list:
            return
    elif is_list == (spec.length is not None) and kind in "iufb":
        return
    if spec.dtype == "bool" and kind in _TEXT and not is_list:
        return
    expected = spec.dtype if spec.length is None else f"arrays of {spec.length} {spec.dtype}"
    seen = {"U": "text", "S": "text", "O": "objects"}.get(kind, f"numbers of kind {kind!r}")
    raise InputError(
        f"{url}: column {name} holds {'arrays, ' if is_list else ''}{seen}, but the release "
        f"description says {expected}.",
        _WORDS if is_key and kind in _TEXT and not is_list else "Correct whichever is wrong.",
    )


def make_block(
    table: str,
    wanted: Mapping[str, ColumnSpec],
    raw: Mapping[str, RawColumn],
    first_row: int,
    n_read: int,
    text: TextRule,
) -> Block:
    """Check typed columns row by row and bring them to their dtypes.

    Parameters
    ----------
    table : str
        Logical name, for the rejects.
    wanted : mapping
        Descriptions by canonical name.
    raw : mapping
        Columns that the file has, of `n_read` rows each.
    first_row : int
        Number of the first row in the file.
    n_read : int
        Number of rows.
    text : TextRule
        Spellings of booleans, where a column of them is text.

    Returns
    -------
    Block
        The rows with a usable source_id and required arrays of the right length.
    """
    columns: dict[str, NDArray[Any]] = {}
    nulled: dict[str, NDArray[np.bool_]] = {}
    # Why each row is left out: the number of the finding that is met first, 0 for none.
    found = np.zeros(n_read, np.int16)
    findings: list[tuple[RejectReason, str]] = []

    def note(wrong: NDArray[np.bool_], reason: RejectReason, detail: str) -> None:
        findings.append((reason, detail))
        found[wrong & (found == 0)] = len(findings)

    for name, spec in wanted.items():
        column = raw.get(name)
        if column is None:
            columns[name] = null_column(spec, n_read)
            if spec.is_text:
                columns[spelt(name)] = np.zeros(n_read, f"S{spec.characters}")
        elif spec.is_text:
            texts, nulled[name] = _texts(column, spec)
            columns[name], columns[spelt(name)] = keys_of(texts.tolist()), texts
        elif spec.length is None:
            if spec.dtype == "bool" and column.values.dtype.kind in f"{_TEXT}O":
                column = _spelt(column, text)
            columns[name], nulled[name] = _scalars(column, spec, is_key=name == "source_id")
        else:
            columns[name], wrong = _arrays(column, spec, spec.length)
            if spec.required:
                detail = f"{name}: not {spec.length} elements"
                note(wrong, RejectReason.WRONG_ARRAY_LENGTH, detail)
            else:
                nulled[name] = wrong
    keys = columns["source_id"]
    detail = "source_id: not a positive 64-bit integer"
    if wanted["source_id"].is_text:
        detail = f"source_id: no identifier of at most {wanted['source_id'].characters} characters"
    note(keys <= 0, RejectReason.BAD_SOURCE_ID, detail)
    good, bad = found == 0, np.flatnonzero(found)
    numbers = np.array([0, *(REASON_NUMBER[reason] for reason, _ in findings)], np.uint8)
    counts = {name: int((lost & good).sum()) for name, lost in nulled.items()}
    return Block(
        columns={name: values[good] for name, values in columns.items()},
        row_numbers=first_row + np.flatnonzero(good).astype(np.int64),
        first_row=first_row,
        n_read=n_read,
        rejects=RowRejects(
            table,
            rows=first_row + bad.astype(np.int64),
            source_ids=keys[bad],
            reasons=numbers[found[bad]],
            describe=lambda place: findings[int(found[bad[place]]) - 1][1],
        ),
        cell_nulls={name: count for name, count in counts.items() if count},
    )


def _spelt(column: RawColumn, rule: TextRule) -> RawColumn:
    """Return 1 for words that say true, 0 for false, 2 for others; and which say null."""
    values = column.values
    words = np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values
    kinds, place = np.unique(words.astype(str), return_inverse=True)
    kinds = np.char.lower(np.char.strip(kinds))
    true, false, null = (
        np.isin(kinds, [token.lower() for token in tokens])
        for tokens in (rule.true_tokens, rule.false_tokens, rule.null_tokens)
    )
    numbers = np.select([true, false], [np.int8(1), np.int8(0)], np.int8(2))
    none = null & ~true & ~false
    return RawColumn(numbers[place], column.null | none[place])


def _scalars(
    column: RawColumn, spec: ColumnSpec, *, is_key: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return values of the dtype described, and which cells were lost to it."""
    dtype = spec.numpy_dtype
    values, null = column.values, column.null
    if dtype.kind == "b":
        true = values == 1
        return true & ~null, ~true & (values != 0) & ~null
    if dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            floats = np.where(null, np.nan, values.astype(np.float64)).astype(dtype)
        lost = np.isinf(floats) & np.isfinite(values.astype(np.float64))
        floats[lost] = np.nan
        return floats, lost
    low, high = integer_limits(spec, is_key=is_key)
    if values.dtype.kind == "f":
        # Integers with nulls are often kept as floats; beyond 2**53 they are no integers.
        fits = np.isfinite(values) & (np.abs(values) < 2.0**53) & (values == np.floor(values))
        null = null | np.isnan(values)
    else:
        fits = np.ones(values.size, bool)
    whole = np.where(fits, values, 0) if values.dtype.kind == "f" else values
    fits = fits & (whole >= low) & (whole <= high)
    lost = ~fits & ~null
    return np.where(fits & ~null, whole, 0).astype(dtype), lost


def _texts(column: RawColumn, spec: ColumnSpec) -> tuple[NDArray[np.bytes_], NDArray[np.bool_]]:
    """Return identifiers, empty where null or too long, and which were too long."""
    texts, long = as_texts(column.values, spec.characters or 1)
    texts[column.null | long] = b""
    return texts, long & ~column.null


def _arrays(
    column: RawColumn, spec: ColumnSpec, length: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return an (n, length) array, NaN where null or of another length, and which were."""
    lengths = column.lengths
    if lengths is None:
        # An array of several dimensions (TDIM) is one of as many elements.
        elements = math.prod(column.values.shape[1:])
        lengths = np.full(column.null.size, elements, np.int64)
    right = (lengths == length) & ~column.null
    arrays = null_column(spec, right.size)
    with np.errstate(over="ignore", invalid="ignore"):
        flat = np.asarray(column.values.reshape(-1), spec.numpy_dtype)
    arrays[right] = flat[np.repeat(right, lengths)].reshape(-1, length)
    return arrays, ~right & ~column.null
