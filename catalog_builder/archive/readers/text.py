"""Reader of CSV and ECSV tables, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import rows
from catalog_builder.archive.readers.block import (
    Block,
    DamagedFileError,
    integer_limits,
    match_columns,
    null_column,
)
from catalog_builder.archive.readers.header import TextHeader, check_header, parse_header
from catalog_builder.archive.readers.numbers import NEWLINE, pack_tokens
from catalog_builder.archive.readers.stream import read_pieces
from catalog_builder.archive.readers.words import PADDING
from catalog_builder.archive.rejects import REASON_NUMBER, RejectReason, RowRejects
from catalog_builder.archive.tables import ColumnSpec, TableSpec, TextRule

#: No line of a Gaia table comes near; a longer one is not a table, and must not fill the memory.
MAX_LINE_BYTES = 1 << 25
#: Bounds of a header; that of Gaia's largest table has 60 kB, 1 500 lines and 152 columns.
_MAX_HEADER_BYTES, _MAX_HEADER_LINES, _MAX_COLUMNS = 1 << 22, 20_000, 10_000
_HEADER_STEP = 1 << 12

#: By the code of the compiled parser.
_REASON_NUMBERS = np.zeros(1 + max(rows.REJECT_CODES), np.uint8)
for _code, _reason in {
    rows.MALFORMED: RejectReason.MALFORMED_ROW,
    rows.BAD_KEY: RejectReason.BAD_SOURCE_ID,
    rows.WRONG_LENGTH: RejectReason.WRONG_ARRAY_LENGTH,
    rows.BAD_ELEMENT: RejectReason.BAD_NUMBER,
}.items():
    _REASON_NUMBERS[_code] = REASON_NUMBER[_reason]


class TextReader:
    """Streams one text table as blocks; see :func:`catalog_builder.archive.readers.read_blocks`."""

    def __init__(
        self,
        file: FileRef,
        table_name: str,
        table: TableSpec,
        wanted: dict[str, ColumnSpec],
        text_rule: TextRule,
        block_rows: int,
    ) -> None:
        self.url = file.url
        self.table_name = table_name
        self.table = table
        self.wanted = wanted
        self.block_rows = block_rows
        self.tokens = [
            pack_tokens(spellings)
            for spellings in (text_rule.null_tokens, text_rule.true_tokens, text_rule.false_tokens)
        ]
        self.token_addresses = [table.ctypes.data for table in self.tokens]
        self.next_row = 0

    def blocks(self) -> Iterator[Block]:
        """Yield the table's blocks; a damaged file raises after its last good row."""
        text = _TextBuffer(self.url)
        header = text.read_header()
        self._plan(header)
        filling = self._new_block()
        while True:
            filling.parse(text)
            if filling.is_full:
                yield filling.finish()
                filling = self._new_block()
            elif not text.refill():
                break
        if filling.n_read:
            yield filling.finish()
        if text.damage is not None:
            raise text.damage

    def _plan(self, header: TextHeader) -> None:
        """Lay out where each field of the file goes."""
        self.header = header.names
        self.places = match_columns(self.url, header.names, self.table, self.wanted)
        self.fields = np.zeros((len(header.names), 6), np.int64)
        self.slots: dict[str, int] = {}
        counts = {"integers": 0, "floats": 0, "flat32": 0, "flat64": 0}
        for canonical, place in self.places.items():
            spec = self.wanted[canonical]
            check_header(self.url, header.names[place], spec, header)
            kind, store = _kind(canonical, spec)
            width = 1 if spec.length is None else spec.length * self.block_rows
            low, high = integer_limits(spec, is_key=kind == rows.KEY)
            # A bad scalar is only a lost cell, even in a required column; without its id, a row
            # is lost.
            row_depends = spec.required and (spec.length is not None or kind == rows.KEY)
            self.slots[canonical] = counts[store] if store else 0
            if store:
                counts[store] += width
            self.fields[place] = (
                kind,
                self.slots[canonical],
                spec.length or 0,
                row_depends,
                low,
                high,
            )
        self.counts = counts

    def _new_block(self) -> _FillingBlock:
        return _FillingBlock(self)


class _FillingBlock:
    """One block while it is filled by the compiled parser."""

    def __init__(self, reader: TextReader) -> None:
        self.reader = reader
        size, counts = reader.block_rows, reader.counts
        self.keys = np.empty(size, np.int64)
        self.row_numbers = np.empty(size, np.int64)
        self.integers = np.empty((counts["integers"], size), np.int64)
        self.floats = np.empty((counts["floats"], size), np.float64)
        self.flat32 = np.empty(counts["flat32"], np.float32)
        self.flat64 = np.empty(counts["flat64"], np.float64)
        self.cell_nulls = np.zeros(len(reader.fields), np.int64)
        self.first_row = reader.next_row
        self.n_rows = 0
        self.rejects = np.empty((size, rows.REJECT_FIELDS), np.int64)
        self.n_rejects = 0

    @property
    def is_full(self) -> bool:
        # Of a file in which every row is bad, too, no more than a block is held.
        return max(self.n_rows, self.n_rejects) >= self.reader.block_rows

    @property
    def n_read(self) -> int:
        return self.reader.next_row - self.first_row

    def parse(self, text: _TextBuffer) -> None:
        """Parse the complete lines of the buffer, up to a full block."""
        reader = self.reader
        nulls, trues, falses = reader.token_addresses
        text.start, self.n_rows, reader.next_row, self.n_rejects = rows.parse_rows(
            text.address, text.start, text.parsable, reader.fields,
            nulls, trues, falses,
            self.keys, self.row_numbers, self.integers, self.floats, self.flat32, self.flat64,
            self.cell_nulls, self.rejects, self.n_rows, reader.next_row, self.n_rejects,
        )  # fmt: skip

    def finish(self) -> Block:
        """Return the rows so far as a block of their dtypes."""
        columns = {name: self._column(name, spec) for name, spec in self.reader.wanted.items()}
        nulls = {
            name: int(self.cell_nulls[place])
            for name, place in self.reader.places.items()
            if self.cell_nulls[place]
        }
        return Block(
            columns=columns,
            row_numbers=self.row_numbers[: self.n_rows].copy(),
            first_row=self.first_row,
            n_read=self.n_read,
            rejects=self._rejects(),
            cell_nulls=nulls,
        )

    def _column(self, name: str, spec: ColumnSpec) -> NDArray[Any]:
        if name not in self.reader.places:
            return null_column(spec, self.n_rows)
        kind, store = _kind(name, spec)
        slot = self.reader.slots[name]
        if kind == rows.KEY:
            return self.keys[: self.n_rows].copy()
        if spec.length is not None:
            flat: NDArray[Any] = getattr(self, store)
            stop = slot + self.n_rows * spec.length
            return flat[slot:stop].reshape(self.n_rows, spec.length)
        scalars: NDArray[Any] = getattr(self, store)[slot, : self.n_rows]
        return scalars.astype(spec.numpy_dtype)

    def _rejects(self) -> RowRejects:
        entries = self.rejects[: self.n_rejects]
        return RowRejects(
            self.reader.table_name,
            rows=entries[:, 0],
            source_ids=np.where(entries[:, 1] != 0, entries[:, 2], 0),
            reasons=_REASON_NUMBERS[entries[:, 3]],
            describe=lambda place: self._describe(*entries[place, 3:].tolist()),
        )

    def _describe(self, code: int, field: int, seen: int) -> str:
        header = self.reader.header
        column = header[field] if 0 <= field < len(header) else "the end"
        if code == rows.MALFORMED and field < 0:
            detail = f"{seen} fields, the header has {len(header)}"
        elif code == rows.MALFORMED:
            detail = f"{column}: an opening quote without a closing one"
        elif code == rows.BAD_KEY:
            detail = f"{column}: not a positive 64-bit integer"
        elif code == rows.WRONG_LENGTH:
            expected = self.reader.fields[field, 2]
            detail = f"{column}: {seen} elements, expected {expected}"
        else:
            detail = f"{column}: element {seen} is not a number"
        return detail


class _TextBuffer:
    """The text between the decompressor and the parser."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pieces = read_pieces(url)
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
        return parse_header(self.url, comments, names)

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


def _kind(name: str, spec: ColumnSpec) -> tuple[int, str]:
    """Return what the parser makes of a column, and the buffer that holds it."""
    if name == "source_id":
        return rows.KEY, ""
    single = spec.dtype == "float32"
    if spec.length is not None:
        return (rows.ARRAY32, "flat32") if single else (rows.ARRAY64, "flat64")
    if spec.numpy_dtype.kind == "f":
        return (rows.FLOAT32 if single else rows.FLOAT64), "floats"
    return (rows.BOOLEAN if spec.dtype == "bool" else rows.INTEGER), "integers"
