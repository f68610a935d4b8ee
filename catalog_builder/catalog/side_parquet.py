"""The Parquet files of a table beside a catalogue, read back: one, or a folder of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from catalog_builder.catalog.voparquet import CONTENT_KEY, parquet_schema
from catalog_builder.contract.columns import Column
from catalog_builder.contract.side_table import SideTable


class ParquetRows:
    """The rows of a table in Parquet, in the order of its files' names.

    Parameters
    ----------
    path : Path
        The file, or the folder.
    table : SideTable
        Its columns.
    """

    def __init__(self, path: Path, table: SideTable) -> None:
        self._table = table
        self._files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        counts = [pq.read_metadata(file).num_rows for file in self._files]
        self._ends = list(accumulate(counts))
        self.rows = self._ends[-1] if counts else 0
        self._held: tuple[int, pa.Table | None] = (-1, None)

    def undeclared(self) -> Iterator[str]:
        """Yield the names of files whose columns are not the table's, or not so described."""
        meant = parquet_schema(self._table)
        for file in self._files:
            found = pq.read_schema(file)
            same = found.remove_metadata().equals(meant.remove_metadata())
            if not same or (found.metadata or {}).get(CONTENT_KEY) != meant.metadata[CONTENT_KEY]:
                yield file.name

    def block(self, start: int, rows: int) -> Mapping[str, NDArray[Any]]:
        """Return every column of the rows from ``start`` on."""
        pieces = []
        stop = min(start + rows, self.rows)
        while start < stop:
            which = bisect_right(self._ends, start)
            first = self._ends[which - 1] if which else 0
            end = min(stop, self._ends[which])
            pieces.append(self._file(which).slice(start - first, end - start))
            start = end
        whole = pa.concat_tables(pieces) if pieces else parquet_schema(self._table).empty_table()
        return {column.name: _values(whole, column) for column in self._table.columns}

    def _file(self, which: int) -> pa.Table:
        if self._held[0] != which or self._held[1] is None:
            with pq.ParquetFile(self._files[which]) as opened:
                found = opened.read(columns=list(self._table.names))
                self._held = (which, found.replace_schema_metadata(None))
        held: Any = self._held[1]
        return held


def _values(table: pa.Table, column: Column) -> NDArray[Any]:
    if column.dtype.startswith("str"):
        texts: NDArray[Any] = table[column.name].cast(pa.binary()).to_numpy()
        return texts.astype(column.numpy_dtype)
    values: NDArray[Any] = table[column.name].to_numpy()
    return values
