"""The text of a table between the decompressor and the parser."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.text.delimiters import with_commas
from catalog_builder.archive.readers.text.header import TextHeader, parse_header
from catalog_builder.archive.readers.text.numbers import NEWLINE
from catalog_builder.archive.readers.text.words import PADDING
from catalog_builder.archive.rejects import RejectReason

#: No line of a Gaia table comes near; a longer one is not a table, and must not fill the memory.
MAX_LINE_BYTES = 1 << 25
#: Bounds of a header; that of Gaia's largest table has 60 kB, 1 500 lines and 152 columns.
_MAX_HEADER_BYTES, _MAX_HEADER_LINES, _MAX_COLUMNS = 1 << 22, 20_000, 10_000
_HEADER_STEP = 1 << 12


class TextBuffer:
    """The text between the decompressor and the parser."""

    def __init__(self, url: str, pieces: Iterator[bytes], delimiter: str = ",") -> None:
        self.url = url
        self.pieces = pieces if delimiter == "," else with_commas(pieces, delimiter)
        self.delimiter = delimiter
        self.buffer = _padded(1 << 20)
        #: Of the buffer: asking for it takes NumPy a microsecond.
        self.address = self.buffer.ctypes.data
        self.start = 0
        self.end = 0
        #: Where the last complete line ends; 0 where there is none.
        self.parsable = 0
        self.damage: DamagedFileError | None = None
        self._ended = False

    def refill(self) -> bool:
        """Append one piece of text; False when there is none left.

        A file may end without a newline; one that is damaged ends in a row that must not count.
        """
        if self._ended:
            return False
        try:
            piece = next(self.pieces, b"")
        except DamagedFileError as error:
            self.damage, self._ended = error, True
            return False
        if not piece:
            self._ended = True
            piece = b"\n"
        kept = self.end - self.start
        if kept > MAX_LINE_BYTES:
            self._ended = True
            self.damage = DamagedFileError(
                f"{self.url} has a line of more than {MAX_LINE_BYTES >> 20} MiB.",
                "Check that it is the table its name says.",
            )
            return False
        self._make_room(kept, len(piece))
        self.end = kept + len(piece)
        self.buffer[kept : self.end] = np.frombuffer(piece, np.uint8)
        self.parsable = kept + piece.rfind(b"\n") + 1 if b"\n" in piece else 0
        return True

    def _make_room(self, kept: int, more: int) -> None:
        target = self.buffer
        if kept + more > target.size:
            target = _padded(max(2 * target.size, kept + more))
            self.address = target.ctypes.data
        target[:kept] = self.buffer[self.start : self.end]
        self.buffer, self.start = target, 0

    def read_header(self) -> TextHeader:
        """Take the comment lines and the line of column names from the front.

        Raises
        ------
        InputError
            If there are none, or they are damaged.
        """
        comments: list[str] = []
        taken = 0
        lines = 0
        while taken <= _MAX_HEADER_BYTES and lines <= _MAX_HEADER_LINES:
            line = self._take_line()
            if line is None:
                raise self.damage or DamagedFileError(
                    f"{self.url} has no line of column names.",
                    reason=RejectReason.TRUNCATED_FILE,
                )
            taken, lines = taken + len(line), lines + 1
            if line.startswith("#"):
                comments.append(line[1:].removeprefix(" "))
            elif line.strip():
                return self._parse_header(comments, line)
        raise DamagedFileError(
            f"{self.url} has a header of more than {_MAX_HEADER_BYTES >> 20} MiB or"
            f" {_MAX_HEADER_LINES} lines.",
            "Check that it is the table its name says.",
        )

    def _parse_header(self, comments: list[str], names: str) -> TextHeader:
        if names.count(",") >= _MAX_COLUMNS:
            raise DamagedFileError(
                f"{self.url} has more than {_MAX_COLUMNS} columns.",
                "Check that it is the table its name says.",
            )
        return parse_header(self.url, comments, names, self.delimiter)

    def _take_line(self) -> str | None:
        searched = self.start
        while True:
            newline = self._find_newline(searched)
            if newline >= 0:
                raw = self.buffer[self.start : newline].tobytes()
                self.start = newline + 1
                return raw.decode("utf-8", "replace").rstrip("\r").removeprefix("\ufeff")
            kept = self.end - self.start
            if not self.refill():
                return None
            searched = self.start + kept

    def _find_newline(self, searched: int) -> int:
        # In steps: header lines are short, and the buffer behind them is long.
        for begin in range(searched, self.end, _HEADER_STEP):
            hits = np.flatnonzero(
                self.buffer[begin : min(begin + _HEADER_STEP, self.end)] == NEWLINE
            )
            if hits.size:
                return begin + int(hits[0])
        return -1


def _padded(size: int) -> NDArray[np.uint8]:
    """Return a buffer with room for the parser's loads before and behind it."""
    return np.zeros(size + 2 * PADDING, np.uint8)[PADDING:-PADDING]
