"""Rows of delimited text to arrays, in compiled code.

One row is one line: a newline ends it even inside quotes, so that a lost quote costs one row and
not the rest of the file. Fields are separated by commas and may stand in double quotes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from catalog_builder.archive.readers.text.fields import (
    NO_WORD,
    closing_quote,
    separator,
    store_text,
)
from catalog_builder.archive.readers.text.lists import (
    BAD_ELEMENT,
    BAD_KEY,
    GOOD,
    MALFORMED,
    SPARE_MARKS,
    WRONG_LENGTH,
    parse_list,
)
from catalog_builder.archive.readers.text.numbers import (
    BAD,
    COMMA,
    LETTER_E,
    MINUS,
    NEWLINE,
    NULL,
    OK,
    PLUS,
    POINT,
    QUOTE,
    RETURN,
    is_token,
    parse_integer,
    parse_value,
    skip_blanks,
    token_end,
)
from catalog_builder.archive.readers.text.words import (
    compiled,
    load_byte,
    store_float,
    store_integer,
)

__all__ = ["BAD_ELEMENT", "BAD_KEY", "GOOD", "MALFORMED", "WRONG_LENGTH", "parse_rows"]

# What a field of the file is; the numbers are shared with the compiled code.
SKIP: Final = 0
KEY: Final = 1
INTEGER: Final = 2
FLOAT32: Final = 3
FLOAT64: Final = 4
BOOLEAN: Final = 5
ARRAY32: Final = 6
ARRAY64: Final = 7
TEXT: Final = 8
#: Why a row is left out, in the reject table.
REJECT_CODES: Final = (MALFORMED, BAD_KEY, WRONG_LENGTH, BAD_ELEMENT)

_FLOAT32_MAX: Final = 3.4028235677973366e38  # what is above rounds to infinity

#: The number seen where a key is written with a point or an exponent: it has lost its digits.
FLOAT_KEY: Final = -1

#: Columns of the reject table: row, has a key, key, reason, field, number seen.
REJECT_FIELDS: Final = 6


@compiled
def parse_rows(  # noqa: PLR0912, PLR0915 (a call for each row would cost more than it saves)
    text: int,
    start: int,
    end: int,
    fields: Any,
    nulls: int,
    trues: int,
    falses: int,
    keys: Any,
    row_numbers: Any,
    integers: Any,
    floats: Any,
    flat32: Any,
    flat64: Any,
    letters: int,
    cell_nulls: Any,
    rejects: Any,
    n_rows: int,
    next_row: int,
    n_rejects: int,
) -> tuple[int, int, int, int]:
    """Parse the lines from `start` to `end` until the block is full or the text is used up.

    A block is full when it has no room for another row, or none for another reject.

    Parameters
    ----------
    text : int
        Address of the buffer, which has `PADDING` bytes behind `end`.
    start, end : int
        Where the text to parse lies; its last byte is a newline.
    fields : int64 (n_fields, 6)
        Per field of the file: kind, slot, length, required, minimum, maximum. The slot is the
        row of `integers` or `floats`, or the offset of an array column in its flat buffer, or that
        of a column of identifiers that are words in `letters`.
    nulls, trues, falses : int
        Addresses of the tables of null, true and false tokens.
    keys, row_numbers : int64 (block_rows,)
        Out: source_id and number of the row in the file.
    integers : int64 (a, block_rows), floats : float64 (b, block_rows)
        Out: scalars by slot. Null integers are 0, null floats NaN.
    flat32 : float32, flat64 : float64
        Out: array columns, each of block_rows * length elements from its slot on.
    letters : int
        Address of the words, each of as many bytes as its column's length, NULs behind.
    cell_nulls : int64 (n_fields,)
        Raised for every bad cell of an accepted row that became null.
    rejects : int64 (r, 6)
        Out: see `REJECT_FIELDS`.
    n_rows : int
        Rows of the block filled so far.
    next_row : int
        Number of the next row in the file.
    n_rejects : int
        Rejects written so far.

    Returns
    -------
    tuple of int
        Position of the first unused byte, rows filled, next row's number, and rejects written.
    """
    n_fields = fields.shape[0]
    doubtful = np.zeros(n_fields, np.bool_)
    marks = np.empty(fields[:, 2].max() + SPARE_MARKS, np.int64)
    # Scalars are stored by address: functions that are handed no array cost next to nothing.
    integers_at, floats_at = integers.ctypes.data, floats.ctypes.data
    at = start
    while at < end and n_rows < keys.size and n_rejects < rejects.shape[0]:
        if load_byte(text, at) == NEWLINE or (
            load_byte(text, at) == RETURN and load_byte(text, at + 1) == NEWLINE
        ):
            at += 1 if load_byte(text, at) == NEWLINE else 2
            continue
        reason = GOOD
        where = seen = key = field = 0
        has_key = any_doubtful = False
        while True:
            kind, place, cause, number = SKIP, 0, GOOD, 0
            at = skip_blanks(text, at)
            quoted = load_byte(text, at) == QUOTE
            if quoted:
                at = skip_blanks(text, at + 1)
            if field < n_fields:
                kind, slot, length = fields[field, 0], fields[field, 1], fields[field, 2]
            if kind in (ARRAY32, ARRAY64):
                cause, at, number = _parse_array(
                    text, at, kind, slot + n_rows * length, length, flat32, flat64, nulls, marks
                )
            elif kind == TEXT:
                stop = closing_quote(text, at) if quoted else separator(text, at)
                cause = store_text(text, at, stop, letters + slot + n_rows * length, length, nulls)
                if cause == NO_WORD:
                    cause = BAD_KEY if fields[field, 3] else GOOD
                at = stop
            elif kind != SKIP:
                cells = floats_at if kind in (FLOAT32, FLOAT64) else integers_at
                place = cells + 8 * (slot * keys.size + n_rows)
                cause, at, number = _parse_scalar(
                    text,
                    at,
                    kind,
                    fields[field, 4],
                    fields[field, 5],
                    nulls,
                    trues,
                    falses,
                    place,
                )
            if quoted or load_byte(text, at) != COMMA or kind == SKIP:
                cause, at = _close_field(text, at, quoted, kind, cause, place)
            if kind == KEY:
                has_key, key = cause == GOOD, number
            if cause != GOOD and field < n_fields and fields[field, 3] == 0 and cause != MALFORMED:
                doubtful[field] = any_doubtful = True
            elif cause != GOOD and (reason == GOOD or cause == MALFORMED):
                reason, where, seen = cause, field, number
            field += 1
            if load_byte(text, at) != COMMA:
                break
            at += 1
        if load_byte(text, at) == RETURN:
            at += 1
        at += 1
        if field != n_fields and reason != MALFORMED:
            reason, where, seen = MALFORMED, -1, field
        if reason == GOOD:
            keys[n_rows] = key
            row_numbers[n_rows] = next_row
            n_rows += 1
        else:
            rejects[n_rejects, 0] = next_row
            rejects[n_rejects, 1] = has_key
            rejects[n_rejects, 2] = key
            rejects[n_rejects, 3] = reason
            rejects[n_rejects, 4] = where
            rejects[n_rejects, 5] = seen
            n_rejects += 1
        if any_doubtful:
            for index in range(n_fields):
                cell_nulls[index] += doubtful[index] and reason == GOOD
                doubtful[index] = False
        next_row += 1
    return at, n_rows, next_row, n_rejects


@compiled
def _parse_array(
    text: int,
    at: int,
    kind: int,
    begin: int,
    length: int,
    flat32: Any,
    flat64: Any,
    nulls: int,
    marks: Any,
) -> tuple[int, int, int]:
    """Parse a list; return GOOD or the reason, the position after it, and its length."""
    if kind == ARRAY32:
        return parse_list(text, at, flat32[begin : begin + length], _FLOAT32_MAX, nulls, marks)
    return parse_list(text, at, flat64[begin : begin + length], np.inf, nulls, marks)


@compiled
def _parse_scalar(
    text: int,
    at: int,
    kind: int,
    low: int,
    high: int,
    nulls: int,
    trues: int,
    falses: int,
    place: int,
) -> tuple[int, int, int]:
    """Parse a number or boolean and store it at an address; what is bad is null.

    Returns GOOD or the reason, the position after it, and the key, which is not stored.
    """
    if kind in (FLOAT32, FLOAT64):
        value, at, status = parse_value(text, at, nulls)
        if kind == FLOAT32 and _FLOAT32_MAX <= abs(value) < np.inf:
            status = BAD
        store_float(place, np.nan if status == BAD else value)
        return (BAD_ELEMENT if status == BAD else GOOD), at, 0
    if kind == BOOLEAN:
        stop = token_end(text, at)
        truth = is_token(text, at, stop, trues)
        store_integer(place, int(truth))
        known = truth or is_token(text, at, stop, falses) or is_token(text, at, stop, nulls)
        return (GOOD if known else BAD_ELEMENT), stop, 0
    start = at
    number, at, status = parse_integer(text, at, nulls)
    if status == OK and not low <= number <= high:
        status, number = BAD, 0
    if kind == KEY:
        if status != NULL and _is_float(text, start):
            return BAD_KEY, at, FLOAT_KEY
        return (GOOD if status == OK else BAD_KEY), at, number
    store_integer(place, number)
    return (BAD_ELEMENT if status == BAD else GOOD), at, number


@compiled
def _is_float(text: int, at: int) -> bool:
    """Say whether a token is a number with a point or an exponent."""
    byte = load_byte(text, at)
    if byte in (PLUS, MINUS):
        at += 1
        byte = load_byte(text, at)
    first = at
    while 48 <= byte <= 57:
        at += 1
        byte = load_byte(text, at)
    digits = at - first
    return (digits > 0 and byte | 32 == LETTER_E) or (
        byte == POINT and (digits > 0 or 48 <= load_byte(text, at + 1) <= 57)
    )


@compiled
def _close_field(
    text: int, at: int, quoted: bool, kind: int, cause: int, place: int
) -> tuple[int, int]:
    """Go to the separator after a field; text left over in the field makes it bad, and null."""
    tidy = True
    if quoted:
        close = closing_quote(text, at)
        tidy = skip_blanks(text, at) == close
        if load_byte(text, close) != QUOTE:
            return MALFORMED, close
        at = close + 1
    stop = separator(text, at)
    tidy = tidy and skip_blanks(text, at) == stop
    if tidy or kind == SKIP or cause != GOOD:
        return cause, stop
    if kind in (FLOAT32, FLOAT64):
        store_float(place, np.nan)
    elif kind in (INTEGER, BOOLEAN):
        store_integer(place, 0)
    return (BAD_KEY if kind == KEY else BAD_ELEMENT), stop
