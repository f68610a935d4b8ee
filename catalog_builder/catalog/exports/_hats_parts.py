"""The rows of a HATS collection: what the task of a chunk writes of it, and how that is read.

A leaf is a folder, with a file for each chunk that has rows in it. The file is named after the
chunk's first row, so that the rows of a chunk can be found again, wherever they lie.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from catalog_builder.catalog.exports import Part, Target, Written
from catalog_builder.catalog.exports._hats_leaves import (
    FINEST,
    INDEX,
    MARGIN,
    Leaves,
    beside,
    index_of,
    plan_leaves,
)
from catalog_builder.catalog.exports._place import write_at
from catalog_builder.catalog.voparquet import arrow_columns, in_bytes, parquet_schema
from catalog_builder.contract.columns import Column, Declared
from catalog_builder.contract.schema import CatalogSchema

#: Folders of the collection: all rows, and those around each leaf.
PRIMARY: Final = "catalogue"
MARGINS: Final = f"margin_{MARGIN:.0f}arcs"
#: Files of a leaf.
PART_NAMES: Final = "part-*.parquet"

_INDEX_WORDS: Final = (
    f"HEALPix pixel. Of order {FINEST}, nested, of ra and dec; of a star without a position, the"
    " first one in the pixel that its source_id begins with."
)
_DIRECTORY: Final = 10_000
# Stars in a pixel of the map on the average, and the largest order: a file of 6 MB at most.
_MAP_STARS: Final = 16
_MAP_ORDER: Final = 8

Rows = Mapping[str, NDArray[Any]]


def arrow_schema(schema: Declared, record: Mapping[str, Any] | None = None) -> pa.Schema:
    """Return columns and metadata of every Parquet file of the collection."""
    return parquet_schema(schema, record, (INDEX, _INDEX_WORDS))


def leaf_folder(root: Path, order: int, pixel: int) -> Path:
    """Return where the files of a leaf lie in the catalogue ``root``."""
    directory = pixel // _DIRECTORY * _DIRECTORY
    return root / "dataset" / f"Norder={order}" / f"Dir={directory}" / f"Npix={pixel}"


def part_name(start: int) -> str:
    """Return the name of the files of the chunk that begins with a row."""
    return f"part-{start:012d}.parquet"


def map_order(rows: int) -> int:
    """Return the order of the map of counts."""
    return int(np.clip(np.log2(max(rows / (12 * _MAP_STARS), 1)) // 2, 0, _MAP_ORDER))


def write(target: Target, start: int, rows: Rows) -> Written:
    """Write the rows of a chunk, each into its leaf, and into the margins it lies in."""
    leaves = plan_leaves(target.ids)
    ra, dec = (np.asarray(rows[name], dtype=np.float64) for name in ("ra", "dec"))
    index = index_of(rows["source_id"], ra, dec)
    table = _table(target, rows, index)
    order = np.argsort(index, kind="stable")
    writer = _Writer(target, leaves, start)
    leaf = leaves.of(index[order])
    said = writer.leaves(PRIMARY, table, order, leaf)
    near, met = beside(leaves, index, ra, dec)
    by_place = np.lexsort((index[near], met))
    margins = writer.leaves(MARGINS, table, near[by_place], met[by_place])
    pixels, counts = np.unique(index >> 2 * (FINEST - map_order(target.rows)), return_counts=True)
    facts: dict[str, int | str] = {
        "start": start,
        PRIMARY: said,
        MARGINS: margins,
        "pixels": _in_words(zip(pixels.tolist(), counts.tolist(), strict=True)),
    }
    return Written(tuple(writer.parts), facts)


class _Writer:
    """Writes the files of a chunk, and keeps what it wrote."""

    def __init__(self, target: Target, leaves: Leaves, start: int) -> None:
        self._target, self._leaves, self._start = target, leaves, start
        self.parts: list[Part] = []

    def leaves(self, name: str, table: pa.Table, rows: NDArray[Any], leaf: NDArray[Any]) -> str:
        """Write rows, sorted by their leaves; return how many each leaf got, in words."""
        borders = [*np.flatnonzero(np.diff(leaf, prepend=-1)).tolist(), len(leaf)]
        counts = []
        for first, stop in pairwise(borders):
            one = int(leaf[first])
            folder = leaf_folder(self._target.path / name, *self._leaves.name(one))
            self._write(folder / part_name(self._start), table.take(pa.array(rows[first:stop])))
            counts.append((one, stop - first))
        return _in_words(counts)

    def _write(self, path: Path, table: pa.Table) -> None:
        data = in_bytes(table)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_at(path, 0, data, whole=True)
        name = path.relative_to(self._target.path.parent).as_posix()
        self.parts.append(Part(name, 0, len(data), hashlib.sha256(data).hexdigest()))


def _table(target: Target, rows: Rows, index: NDArray[np.int64]) -> pa.Table:
    schema = arrow_schema(target.schema, target.record)
    columns = [pa.array(index), *arrow_columns(rows, target.schema)]
    return pa.Table.from_arrays(columns, schema=schema)


def _in_words(counts: Any) -> str:
    return ",".join(f"{number}:{count}" for number, count in counts)


def from_words(text: str) -> Iterator[tuple[int, int]]:
    """Yield the numbers of leaves or pixels, and how many rows each has."""
    for one in filter(None, text.split(",")):
        number, _, count = one.partition(":")
        yield int(number), int(count)


class HatsRows:
    """The rows of a collection, in the order of the store: those of a chunk are held at a time.

    Those of its margins, where ``name`` is `MARGINS`: a star may be there several times.
    """

    def __init__(self, path: Path, schema: CatalogSchema, rows: int, name: str = PRIMARY) -> None:
        self.rows = rows
        self._schema = schema
        self._files: dict[int, list[Path]] = {}
        for file in sorted((path / name / "dataset").rglob(PART_NAMES)):
            start = file.stem.partition("-")[2]
            if start.isdecimal():
                self._files.setdefault(int(start), []).append(file)
        self.starts = sorted(self._files)
        self._held: tuple[int, dict[str, NDArray[Any]]] = (-1, {})

    def block(self, start: int, rows: int) -> dict[str, NDArray[Any]]:
        """Return every column of the rows from ``start`` on, all of them of one chunk."""
        which = bisect_right(self.starts, start)
        chunk = self.starts[which - 1] if which else -1
        if self._held[0] != chunk:
            self._held = (chunk, self.chunk(chunk))
        first = start - chunk
        return {name: values[first : first + rows] for name, values in self._held[1].items()}

    def chunk(self, start: int) -> dict[str, NDArray[Any]]:
        """Return the rows of a chunk by ``source_id``; none of a file that is damaged."""
        files = self._files.get(start, [])
        tables = [table for file in files if (table := _read(file)) is not None]
        if not tables:
            return {c.name: np.empty(0, c.numpy_dtype) for c in self._schema.all_columns}
        try:
            table = pa.concat_tables(tables)
            order = np.argsort(table["source_id"].to_numpy(), kind="stable")
        except (pa.ArrowException, KeyError):  # of other columns: the format's check says so
            return {c.name: np.empty(0, c.numpy_dtype) for c in self._schema.all_columns}
        there = (c for c in self._schema.all_columns if c.name in table.column_names)
        return {c.name: _values(table[c.name], c)[order] for c in there}


def _read(file: Path) -> pa.Table | None:
    try:
        with pq.ParquetFile(file) as opened:
            return opened.read().replace_schema_metadata(None)
    except (OSError, pa.ArrowException):
        return None  # its digest tells


def _values(array: pa.ChunkedArray, column: Column) -> NDArray[Any]:
    values: NDArray[Any] = array.to_numpy()
    return values.astype(column.numpy_dtype) if column.dtype.startswith("str") else values
