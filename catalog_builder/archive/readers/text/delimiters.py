"""Tables whose fields are parted by another byte than the comma, made ones with commas.

The parser knows one separator, and is fast for it. Here the bytes are exchanged as they come: what
parts fields becomes a comma, and a comma that is part of a field, a semicolon, which is no number
either. Fields in quotes, lists in brackets and comment lines before the names stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from catalog_builder.archive.readers.text.numbers import COMMA, NEWLINE, QUOTE, RETURN
from catalog_builder.archive.readers.text.words import compiled

_SPACE, _TAB, _HASH, _SEMICOLON = ord(" "), ord("\t"), ord("#"), ord(";")
_SQUARE, _ROUND, _ASCII = ord("["), ord("("), 127

# Where in a line the next byte is.
_LINE_START: Final = 0
_COMMENT: Final = 1
_FIELD_START: Final = 2
_FIELD: Final = 3
_QUOTED: Final = 4
_AFTER_QUOTE: Final = 5
_LIST: Final = 6


def with_commas(pieces: Iterator[bytes], delimiter: str) -> Iterator[bytes]:
    """Yield the pieces of a text table with commas between its fields.

    Parameters
    ----------
    pieces : iterator of bytes
        Of the table, comment lines and names first.
    delimiter : str
        One byte. Of blanks any number part two fields, and those at the ends of a line none; tabs
        count as blanks then.
    """
    # Where it stands, whether names are still to come, and whether a run of blanks is open.
    state = np.array([_LINE_START, 1, 0])
    for piece in pieces:
        given = np.frombuffer(piece, np.uint8)
        made = np.empty(given.size + 1, np.uint8)
        size = _exchange(given, made, ord(delimiter), state)
        if size:
            yield made[:size].tobytes()


@compiled
def _exchange(given: Any, made: Any, delimiter: int, state: Any) -> int:
    """Write the bytes of a piece anew; return how many."""
    where, in_header, open_run = state[0], state[1], state[2]
    size = 0
    for place in range(given.size):
        byte = given[place]
        if byte == NEWLINE:
            where, open_run = _LINE_START, 0
        elif where in (_COMMENT, _QUOTED, _LIST):
            where = _behind(byte, where)
        elif where == _LINE_START and in_header and byte == _HASH:
            where = _COMMENT
        elif delimiter == _SPACE and byte in (_SPACE, _TAB):
            if where != _LINE_START:
                where, open_run = _FIELD_START, 1
            continue
        elif byte == delimiter:
            where, byte, in_header = _FIELD_START, COMMA, 0
        elif byte != RETURN and not (where == _LINE_START and in_header and byte > _ASCII):
            # Neither the end of a line nor the mark of UTF-8 before the first.
            in_header = 0
            if open_run:
                made[size] = COMMA
                size, open_run = size + 1, 0
            where = _behind(byte, where)
            if byte == COMMA:
                byte = _SEMICOLON
        made[size] = byte
        size += 1
    state[0], state[1], state[2] = where, in_header, open_run
    return size


@compiled
def _behind(byte: int, where: int) -> int:
    """Return where in a line the next byte is, behind one that ends neither line nor field."""
    if where == _COMMENT:
        return _COMMENT
    if where == _LIST:
        return _FIELD if byte in (_SQUARE + 2, _ROUND + 1) else _LIST
    if where == _QUOTED:
        return _AFTER_QUOTE if byte == QUOTE else _QUOTED
    if byte == QUOTE and where != _FIELD:
        return _QUOTED
    if where in (_LINE_START, _FIELD_START) and byte in (_SQUARE, _ROUND, _SPACE, _TAB):
        return _LIST if byte in (_SQUARE, _ROUND) else where
    return _FIELD
