"""Fields of delimited text in compiled code: where they end, and words copied from them."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.archive.readers.text.lists import BAD_KEY, GOOD
from catalog_builder.archive.readers.text.numbers import (
    COMMA,
    NEWLINE,
    QUOTE,
    RETURN,
    is_token,
)
from catalog_builder.archive.readers.text.words import (
    compiled,
    find_bytes,
    load_byte,
    store_byte,
    trailing_zeros,
)

#: What a cell without a word is: a key that is bad, or the null of another column.
NO_WORD: Final = -1
#: It and all bytes below are no letters of a word.
_BLANK: Final = 32


@compiled
def closing_quote(text: int, at: int) -> int:
    """Position of the quote that ends a quoted field, or of the newline that cuts it off."""
    while True:
        found = find_bytes(text, at, np.uint8(QUOTE), np.uint8(NEWLINE))
        if found == np.uint64(0):
            at += 64
            continue
        at += trailing_zeros(found)
        if load_byte(text, at) == NEWLINE or load_byte(text, at + 1) != QUOTE:
            return at
        at += 2


@compiled
def separator(text: int, at: int) -> int:
    """Position of the comma, newline, or return before a newline that ends a field."""
    start = at
    found = find_bytes(text, at, np.uint8(COMMA), np.uint8(NEWLINE))
    while found == np.uint64(0):
        at += 64
        found = find_bytes(text, at, np.uint8(COMMA), np.uint8(NEWLINE))
    at += trailing_zeros(found)
    ends_line = load_byte(text, at) == NEWLINE and at > start
    return at - 1 if ends_line and load_byte(text, at - 1) == RETURN else at


@compiled
def store_text(text: int, at: int, stop: int, place: int, length: int, nulls: int) -> int:
    """Store a word at an address, without blanks behind it; return why there is none, or GOOD."""
    while stop > at and load_byte(text, stop - 1) <= _BLANK:
        stop -= 1
    none = is_token(text, at, stop, nulls)
    size = 0 if none or stop - at > length else stop - at
    for index in range(length):
        store_byte(place + index, load_byte(text, at + index) if index < size else np.uint8(0))
    if none or stop == at:
        return NO_WORD
    return GOOD if size > 0 else BAD_KEY
