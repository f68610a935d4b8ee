"""Rows of delimited text to arrays, in compiled code.

One row is one line: a newline ends it even inside quotes, so that a lost quote costs one row and
not the rest of the file. Fields are separated by commas and may stand in double quotes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from catalog_builder.archive.readers.lists import (
    BAD_ELEMENT,
    BAD_KEY,
    GOOD,
    MALFORMED,
    WRONG_LENGTH,
    parse_list,
)
from catalog_builder.archive.readers.numbers import (
    BAD,
    COMMA,
    NEWLINE,
    OK,
    QUOTE,
    RETURN,
    find_token,
    parse_integer,
    parse_value,
    skip_blanks,
    token_end,
)
from catalog_builder.archive.readers.words import compiled, load_byte

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

# Why the compiled code came back.
NEEDS_TEXT: Final = 0
BLOCK_FULL: Final = 1
REJECTS_FULL: Final = 2

_FLOAT32_MAX: Final = 3.4028235677973366e38  # what is above rounds to infinity

#: Columns of the reject table: row, has a key, key, reason, field, number seen.
REJECT_FIELDS: Final = 6


@compiled
def parse_rows(  # noqa: PLR0912 (a call per row would cost more than its branches)
    text: int,
    start: int,
    end: int,
    fields: Any,
    tokens: Any,
    token_ends: Any,
    keys: Any,
    row_numbers: Any,
    integers: Any,
    floats: Any,
    flat32: Any,
    flat64: Any,
    cell_nulls: Any,
    rejects: Any,
    n_rows: int,
    next_row: int,
) -> tuple[int, int, int, int, int]:
    """Parse the lines from `start` to `end` until the block is full or the text is used up.

    Parameters
    ----------
    text : int
        Address of the buffer, which has `PADDING` bytes behind `end`.
    start, end : int
        Where the text to parse lies; its last byte is a newline.
    fields : int64 (n_fields, 6)
        Per field of the file: kind, slot, length, required, minimum, maximum. The slot is the
        row of `integers` or `floats`, or the offset of an array column in its flat buffer.
    tokens, token_ends : 3-tuple of uint8 (k,), int64 (t,)
        Null, true and false tokens in lower case, end to end, and where each ends.
    keys, row_numbers : int64 (block_rows,)
        Out: source_id and number of the row in the file.
    integers : int64 (a, block_rows), floats : float64 (b, block_rows)
        Out: scalars by slot. Null integers are 0, null floats NaN.
    flat32 : float32, flat64 : float64
        Out: array columns, each of block_rows * length elements from its slot on.
    cell_nulls : int64 (n_fields,)
        Raised for every bad cell of an accepted row that became null.
    rejects : int64 (r, 6)
        Out: see `REJECT_FIELDS`.
    n_rows : int
        Rows of the block filled so far.
    next_row : int
        Number of the next row in the file.

    Returns
    -------
    tuple of int
        Why it came back, position of the first unused byte, rows filled, next row's number, and
        number of rejects written.
    """
    n_fields = fields.shape[0]
    doubtful = np.zeros(n_fields, np.bool_)
    marks = np.empty(fields[:, 2].max() + 1, np.int64)
    n_rejects = 0
    at = start
    while at < end:
        if n_rows == keys.size:
            return BLOCK_FULL, at, n_rows, next_row, n_rejects
        if n_rejects == rejects.shape[0]:
            return REJECTS_FULL, at, n_rows, next_row, n_rejects
        if load_byte(text, at) == NEWLINE or (
            load_byte(text, at) == RETURN and load_byte(text, at + 1) == NEWLINE
        ):
            at += 1 if load_byte(text, at) == NEWLINE else 2
            continue
        reason = GOOD
        where = seen = key = field = 0
        has_key = any_doubtful = False
        while True:
            cause, at, number = _parse_field(
                text,
                at,
                fields,
                min(field, n_fields - 1),
                field >= n_fields,
                n_rows,
                tokens,
                token_ends,
                integers,
                floats,
                flat32,
                flat64,
                marks,
            )
            if field < n_fields and fields[field, 0] == KEY:
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
    return NEEDS_TEXT, at, n_rows, next_row, n_rejects


@compiled
def _parse_field(
    text: int,
    at: int,
    fields: Any,
    field: int,
    surplus: bool,
    row: int,
    tokens: Any,
    token_ends: Any,
    integers: Any,
    floats: Any,
    flat32: Any,
    flat64: Any,
    marks: Any,
) -> tuple[int, int, int]:
    """Parse one field; return GOOD or the reason, the position at its separator, and a number.

    The number is the key, or the array's length where that is wrong. Bad cells are null.
    """
    at = skip_blanks(text, at)
    quoted = load_byte(text, at) == QUOTE
    if quoted:
        at = skip_blanks(text, at + 1)
    kind = SKIP if surplus else fields[field, 0]
    slot, length = fields[field, 1], fields[field, 2]
    cause, number = GOOD, 0
    if kind == ARRAY32:
        begin = slot + row * length
        cause, at, number = parse_list(
            text, at, flat32[begin : begin + length], _FLOAT32_MAX, tokens[0], token_ends[0], marks
        )
    elif kind == ARRAY64:
        begin = slot + row * length
        cause, at, number = parse_list(
            text, at, flat64[begin : begin + length], np.inf, tokens[0], token_ends[0], marks
        )
    elif kind in (FLOAT32, FLOAT64):
        value, at, status = parse_value(text, at, tokens[0], token_ends[0])
        if kind == FLOAT32 and _FLOAT32_MAX <= abs(value) < np.inf:
            status = BAD
        floats[slot, row] = np.nan if status == BAD else value
        cause = BAD_ELEMENT if status == BAD else GOOD
    elif kind in (INTEGER, KEY):
        number, at, status = parse_integer(text, at, tokens[0], token_ends[0])
        if status == OK and not fields[field, 4] <= number <= fields[field, 5]:
            status, number = BAD, 0
        if kind == KEY:
            cause = GOOD if status == OK else BAD_KEY
        else:
            integers[slot, row] = number
            cause = BAD_ELEMENT if status == BAD else GOOD
    elif kind == BOOLEAN:
        stop = token_end(text, at)
        truth = find_token(text, at, stop, tokens[1], token_ends[1]) >= 0
        integers[slot, row] = truth
        if not truth and find_token(text, at, stop, tokens[2], token_ends[2]) < 0:
            known = find_token(text, at, stop, tokens[0], token_ends[0]) >= 0
            cause = GOOD if known else BAD_ELEMENT
        at = stop
    return _close_field(text, at, quoted, kind, cause, number, slot, row, integers, floats)


@compiled
def _close_field(
    text: int,
    at: int,
    quoted: bool,
    kind: int,
    cause: int,
    number: int,
    slot: int,
    row: int,
    integers: Any,
    floats: Any,
) -> tuple[int, int, int]:
    """Go to the separator after a field; text left over in the field makes it bad."""
    tidy = True
    if quoted:
        close = _closing_quote(text, at)
        tidy = skip_blanks(text, at) == close
        if load_byte(text, close) != QUOTE:
            return MALFORMED, close, number
        at = close + 1
    stop = _separator(text, at)
    tidy = tidy and skip_blanks(text, at) == stop
    if tidy or kind == SKIP or cause != GOOD:
        return cause, stop, number
    if kind in (FLOAT32, FLOAT64):
        floats[slot, row] = np.nan
    elif kind in (INTEGER, BOOLEAN):
        integers[slot, row] = 0
    return (BAD_KEY if kind == KEY else BAD_ELEMENT), stop, number


@compiled
def _closing_quote(text: int, at: int) -> int:
    """Position of the quote that ends a quoted field, or of the newline that cuts it off."""
    while True:
        while load_byte(text, at) != QUOTE and load_byte(text, at) != NEWLINE:
            at += 1
        if load_byte(text, at) == NEWLINE or load_byte(text, at + 1) != QUOTE:
            return at
        at += 2


@compiled
def _separator(text: int, at: int) -> int:
    """Position of the comma, newline, or return before a newline that ends a field."""
    while True:
        while (
            load_byte(text, at) != COMMA
            and load_byte(text, at) != NEWLINE
            and load_byte(text, at) != RETURN
        ):
            at += 1
        if load_byte(text, at) != RETURN or load_byte(text, at + 1) == NEWLINE:
            return at
        at += 1
