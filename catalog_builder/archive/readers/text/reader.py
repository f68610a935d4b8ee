"""Reader of CSV and ECSV tables, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.identifiers import keys_of
from catalog_builder.archive.readers.block import (
    Block,
    inexact_key,
    integer_limits,
    match_columns,
    null_column,
)
from catalog_builder.archive.readers.text import rows
from catalog_builder.archive.readers.text.buffer import TextBuffer
from catalog_builder.archive.readers.text.header import TextHeader, check_header
from catalog_builder.archive.readers.text.numbers import NO_TOKEN
from catalog_builder.archive.rejects import REASON_NUMBER, RejectReason, RowRejects
from catalog_builder.archive.tables import ColumnSpec, TableSpec, TextRule, spelt

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
        url: str,
        pieces: Iterator[bytes],
        table_name: str,
        table: TableSpec,
        wanted: dict[str, ColumnSpec],
        text_rule: TextRule,
        block_rows: int,
    ) -> None:
        self.url = url
        self.pieces = pieces
        self.table_name = table_name
        self.table = table
        self.wanted = wanted
        self.block_rows = block_rows
        self.delimiter = text_rule.delimiter
        self.tokens = [
            pack_tokens(spellings)
            for spellings in (text_rule.null_tokens, text_rule.true_tokens, text_rule.false_tokens)
        ]
        self.token_addresses = [table.ctypes.data for table in self.tokens]
        self.next_row = 0

    def blocks(self) -> Iterator[Block]:
        """Yield the table's blocks; a damaged file raises after its last good row."""
        text = TextBuffer(self.url, self.pieces, self.delimiter)
        header = text.read_header()
        self._plan(header)
        filling = self._new_block()
        while True:
            filling.parse(text)
            if filling.is_full:
                yield self._checked(filling)
                filling = self._new_block()
            elif not text.refill():
                break
        if filling.n_read:
            yield self._checked(filling)
        if text.damage is not None:
            raise text.damage

    def _checked(self, filling: _FillingBlock) -> Block:
        """Return a block; refuse a file that begins with nothing but ids of lost precision."""
        if filling.first_row == 0 and filling.has_only_float_keys:
            raise inexact_key(self.url, self.header[self.places["source_id"]])
        return filling.finish()

    def _plan(self, header: TextHeader) -> None:
        """Lay out where each field of the file goes."""
        self.header = header.names
        self.places = match_columns(self.url, header.names, self.table, self.wanted)
        self.fields = np.zeros((len(header.names), 6), np.int64)
        self.slots: dict[str, int] = {}
        counts = {"integers": 0, "floats": 0, "flat32": 0, "flat64": 0, "letters": 0}
        for canonical, place in self.places.items():
            spec = self.wanted[canonical]
            kind, store = _kind(canonical, spec)
            is_key = kind == rows.KEY
            check_header(self.url, header.names[place], spec, header, is_key=is_key)
            width = 1 if spec.length is None else spec.length * self.block_rows
            low, high = integer_limits(spec, is_key=is_key)
            # A bad scalar is only a lost cell, even in a required column; without its id, a row
            # is lost.
            row_depends = spec.required and (spec.length is not None or canonical == "source_id")
            if spec.is_text:
                width = (spec.characters or 0) * self.block_rows
            self.slots[canonical] = counts[store] if store else 0
            if store:
                counts[store] += width
            self.fields[place] = (
                kind,
                self.slots[canonical],
                spec.length or spec.characters or 0,
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
        self.letters = np.empty(counts["letters"], np.uint8)
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
    def has_only_float_keys(self) -> bool:
        """Whether every row was rejected, and some for a key with a point or an exponent."""
        codes, seen = self.rejects[: self.n_rejects, [3, 5]].T
        is_float = (codes == rows.BAD_KEY) & (seen == rows.FLOAT_KEY)
        return self.n_rows == 0 and bool(is_float.any())

    @property
    def n_read(self) -> int:
        return self.reader.next_row - self.first_row

    def parse(self, text: TextBuffer) -> None:
        """Parse the complete lines of the buffer, up to a full block."""
        reader = self.reader
        nulls, trues, falses = reader.token_addresses
        text.start, self.n_rows, reader.next_row, self.n_rejects = rows.parse_rows(
            text.address, text.start, text.parsable, reader.fields,
            nulls, trues, falses,
            self.keys, self.row_numbers, self.integers, self.floats, self.flat32, self.flat64,
            self.letters.ctypes.data, self.cell_nulls, self.rejects,
            self.n_rows, reader.next_row, self.n_rejects,
        )  # fmt: skip

    def finish(self) -> Block:
        """Return the rows so far as a block of their dtypes."""
        columns = {name: self._column(name, spec) for name, spec in self.reader.wanted.items()}
        for name, spec in self.reader.wanted.items():
            if spec.is_text:
                columns[spelt(name)] = columns[name]
                columns[name] = keys_of(columns[name].tolist())
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
            return self._words(0, 0, spec) if spec.is_text else null_column(spec, self.n_rows)
        kind, store = _kind(name, spec)
        slot = self.reader.slots[name]
        if kind == rows.TEXT:
            return self._words(slot, self.n_rows, spec)
        if kind == rows.KEY:
            return self.keys[: self.n_rows].copy()
        if spec.length is not None:
            flat: NDArray[Any] = getattr(self, store)
            stop = slot + self.n_rows * spec.length
            return flat[slot:stop].reshape(self.n_rows, spec.length)
        scalars: NDArray[Any] = getattr(self, store)[slot, : self.n_rows]
        return scalars.astype(spec.numpy_dtype)

    def _words(self, slot: int, stored: int, spec: ColumnSpec) -> NDArray[np.bytes_]:
        """Return words, (n,), of which the first `stored` are filled; the others are empty."""
        length = spec.characters or 1
        words = np.zeros(self.n_rows, f"S{length}")
        words.view(np.uint8)[: stored * length] = self.letters[slot : slot + stored * length]
        return words

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
        elif code == rows.BAD_KEY and seen == rows.FLOAT_KEY:
            detail = f"{column}: a floating-point number, which loses an identifier's digits"
        elif code == rows.BAD_KEY and self.reader.fields[field, 0] == rows.TEXT:
            most = self.reader.fields[field, 2]
            detail = f"{column}: no identifier of at most {most} characters"
        elif code == rows.BAD_KEY:
            detail = f"{column}: not a positive 64-bit integer"
        elif code == rows.WRONG_LENGTH:
            expected = self.reader.fields[field, 2]
            detail = f"{column}: {seen} elements, expected {expected}"
        else:
            detail = f"{column}: element {seen} is not a number"
        return detail


def _kind(name: str, spec: ColumnSpec) -> tuple[int, str]:
    """Return what the parser makes of a column, and the buffer that holds it."""
    if spec.is_text:
        return rows.TEXT, "letters"
    if name == "source_id":
        return rows.KEY, ""
    single = spec.dtype == "float32"
    if spec.length is not None:
        return (rows.ARRAY32, "flat32") if single else (rows.ARRAY64, "flat64")
    if spec.numpy_dtype.kind == "f":
        return (rows.FLOAT32 if single else rows.FLOAT64), "floats"
    return (rows.BOOLEAN if spec.dtype == "bool" else rows.INTEGER), "integers"


def pack_tokens(spellings: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return a table of tokens in lower case: the size of each before its bytes."""
    encoded = [spelling.lower().encode() for spelling in spellings]
    if max(map(len, encoded), default=0) >= NO_TOKEN:
        raise ValueError("a null or boolean is spelt with more than 254 bytes")
    table = b"".join(bytes([len(token)]) + token for token in encoded)
    return np.frombuffer(table + bytes([NO_TOKEN]), np.uint8).copy()
