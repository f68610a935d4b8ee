"""The rows of a catalogue checked, span by span: each by itself, so that many can be side by side.

A span is a block of the column digests. What concerns two spans, the order of sources and the
digest of a whole column, is put together of what they return.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.digest import (
    BLOCK_ROWS,
    SerialDigest,
    TreeDigest,
    block_digest,
    column_digest,
)
from catalog_builder.catalog.exports import ExportedRows, format_of
from catalog_builder.catalog.finding import Finding, FindingLog, unequal
from catalog_builder.catalog.layout import RELEASE_FILE, STORE_NAME
from catalog_builder.catalog.release_json import ReleaseRecord
from catalog_builder.catalog.row_rules import NOT_IN_ORDER, RowRules, has_flags
from catalog_builder.catalog.zarr_store import in_pieces, read_column
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogBuilderError

# What zarr's codecs raise for a damaged chunk.
_DAMAGED_CHUNK: Final = (OSError, ValueError, RuntimeError)

Rows = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Span:
    """What was found out about the rows ``[start, stop)``.

    Attributes
    ----------
    findings : list of Finding
        What is wrong with them.
    first_id, last_id : int
        Their first and last source; -1 if they could not be read.
    blocks : dict of str to bytes
        Digest of each column of which all rows could be read.
    """

    start: int
    findings: list[Finding]
    first_id: int
    last_id: int
    blocks: dict[str, bytes]


class OpenCatalogue:
    """The rows of a catalogue and of its exports, opened once in each process.

    Parameters
    ----------
    folder : Path
        The catalogue.
    schema : CatalogSchema
        The schema it was made with.
    present : tuple of str
        Columns of the schema that the store has.
    exports : mapping of str to str
        The files that hold the same rows, and the names of their formats.
    """

    def __init__(
        self,
        folder: Path,
        schema: CatalogSchema,
        present: tuple[str, ...],
        exports: Mapping[str, str],
    ) -> None:
        self.folder, self.schema = folder, schema
        self.exports = exports
        store = str(folder / STORE_NAME)
        self.arrays = {name: zarr.open_array(store, path=name, mode="r") for name in present}
        self.chunk_rows = min((array.chunks[0] for array in self.arrays.values()), default=1)
        self._opened: dict[str, ExportedRows] | None = None

    def rows(self, log: FindingLog) -> int | None:
        """Return how many rows there are; None if columns differ in that, or there is none."""
        lengths = {array.shape[0] for array in self.arrays.values()}
        if len(lengths) == 1:
            return int(lengths.pop())
        if lengths:
            log.add(STORE_NAME, f"the columns have different lengths: {sorted(lengths)}")
        return None

    def check_lengths(self, rows: int, log: FindingLog) -> None:
        """Compare the number of rows of the exports with that of the store."""
        for name, exported in self.exported().items():
            if exported.rows != rows:
                log.add(name, f"has {exported.rows} rows, {STORE_NAME} has {rows}")

    def exported(self) -> dict[str, ExportedRows]:
        """Return the exports that can be read row by row; of others their own check has told."""
        if self._opened is None:
            opened = {
                name: format_of(kind).open_rows(self.folder / name, self.schema)
                for name, kind in self.exports.items()
            }
            self._opened = {name: one for name, one in opened.items() if one is not None}
        return self._opened

    def check_span(self, start: int, stop: int, *, digests: bool) -> Span:
        """Check the rows of a span."""
        log = FindingLog()
        rules = RowRules(self.schema, log)
        rows = next(iter(self.arrays.values())).shape[0]
        exports = {name: one for name, one in self.exported().items() if one.rows == rows}
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in self.arrays}
        for first, last in self._chunks(start, stop):
            columns = self._read(first, last, log)
            for name in parts.keys() - columns.keys():
                del parts[name]
            for name, values in parts.items():
                values.append(columns[name])
            # A chunk is held once, not also as rows of the FITS file and what is computed of both.
            for place, some in in_pieces(columns):
                rules.check(first + place, some)
                if exports and some:
                    self._compare(first + place, some, exports, log)
        blocks = {
            name: block_digest(self.schema[name], np.concatenate(values))
            for name, values in parts.items()
            if digests
        }
        return Span(start, log.as_list(), rules.first_id, rules.last_id, blocks)

    def _chunks(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the rows of each chunk that lie in a span."""
        while start < stop:
            end = min((start // self.chunk_rows + 1) * self.chunk_rows, stop)
            yield start, end
            start = end

    def _read(self, start: int, stop: int, log: FindingLog) -> dict[str, NDArray[Any]]:
        block = {}
        for name, array in self.arrays.items():
            try:
                block[name] = np.asarray(array[start:stop])
            except _DAMAGED_CHUNK as error:
                damaged = np.ones(stop - start, dtype=bool)
                log.add_rows(STORE_NAME, f"damaged chunk: {error}", name, start, damaged)
        return block

    def _compare(
        self, start: int, rows: Rows, exports: Mapping[str, ExportedRows], log: FindingLog
    ) -> None:
        complete = self._complete(rows)
        count = max(len(values) for values in complete.values())
        for file, exported in exports.items():
            others = exported.block(start, count)
            for name, values in complete.items():
                if name not in others:
                    continue  # the format's own check has said so
                other = others[name]
                if len(values) != len(other):
                    log.add(file, "the file ends before its last row")
                    break
                problem = f"differs from {STORE_NAME}"
                log.add_rows(file, problem, name, start, unequal(values, other))

    def _complete(self, rows: Rows) -> Rows:
        """Return the rows with the derived columns, if what these are computed of is there."""
        if not has_flags(rows, self.schema):
            return rows
        readable = tuple(c for c in self.schema.all_columns if c.derived or c.name in rows)
        return with_derived(rows, self.schema.model_copy(update={"all_columns": readable}))

    def serial_digest(self, name: str) -> tuple[str, str]:
        """Return a column's name and its digest as of version 0.1.0; empty if it is damaged."""
        values = (some for _, some in read_column(self.folder / STORE_NAME, name))
        try:
            return name, column_digest(self.schema[name], values, SerialDigest)
        except (*_DAMAGED_CHUNK, CatalogBuilderError):
            return name, ""


def spans(rows: int) -> list[tuple[int, int]]:
    """Return first row and end of every span."""
    return [(start, min(start + BLOCK_ROWS, rows)) for start in range(0, rows, BLOCK_ROWS)]


class SpanResults:
    """What the spans of a catalogue say together; they are added in order."""

    def __init__(self, schema: CatalogSchema, log: FindingLog) -> None:
        self._log = log
        self._last_id, self._stop = -1, 0
        self._trees = {column.name: TreeDigest(column) for column in schema.columns}

    def add(self, span: Span, stop: int) -> None:
        """Add a span that ends before a row."""
        self._log.extend(span.findings)
        follows = span.start == self._stop  # in a sample it may not
        if follows and 0 <= span.first_id <= self._last_id:
            wrong = np.ones(1, dtype=bool)
            self._log.add_rows(STORE_NAME, NOT_IN_ORDER, "source_id", span.start, wrong)
        self._last_id, self._stop = span.last_id, stop
        for name in self._trees.keys() - span.blocks.keys():
            del self._trees[name]
        for name, tree in self._trees.items():
            tree.add(span.blocks[name])

    def digests(self) -> Iterator[tuple[str, str]]:
        """Yield the columns that were read in full, and their digests."""
        for name, tree in self._trees.items():
            yield name, tree.hexdigest()


def compare_digests(
    digests: Iterable[tuple[str, str]], record: ReleaseRecord, log: FindingLog
) -> None:
    """Compare the digests of columns with those sealed; an empty one could not be made."""
    for name, digest in digests:
        if digest and record.columns.get(name) != digest:
            log.add(STORE_NAME, f"its values are not those that {RELEASE_FILE} seals", name)
