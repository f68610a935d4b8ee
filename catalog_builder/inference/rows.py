"""Catalogue rows of one partition, on their way to publication.

Columns of one type are the rows of one table, (columns, source), whose names are its attribute: a
file for each column would cost a small partition more time than its predictions. Sources that have
inputs and got no finite answer have no row: their ids are a table of their own, `failed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.store import ArrayDigest
from catalog_builder.stores.shards import COMPRESSORS
from catalog_builder.stores.whole_store import EVERY_CHUNK, WholeStore, named

#: Rows per chunk: a multiple of every sensible batch size, so that batches fill whole chunks.
CHUNK_ROWS = 65_536

_FAILED = "failed"


class RowWriter:
    """Collects batches and writes them chunk by chunk; the digest is that of the rows.

    Parameters
    ----------
    path : Path
        New store.
    schema : CatalogSchema
        Its columns.
    rows : int
        Rows that may come at most.
    """

    def __init__(self, path: Path, schema: CatalogSchema, rows: int) -> None:
        self._group = zarr.create_group(store=path, zarr_format=3)
        self._tables: dict[str, list[str]] = {}
        for column in schema.columns:
            self._tables.setdefault(column.numpy_dtype.name, []).append(column.name)
        self._arrays = {
            dtype: self._group.create_array(
                dtype,
                shape=(len(names), rows),
                chunks=(len(names), max(1, min(rows, CHUNK_ROWS))),
                dtype=dtype,
                compressors=COMPRESSORS,
                config=EVERY_CHUNK,
                dimension_names=("column", "source"),
                attributes={"columns": names},
            )
            for dtype, names in self._tables.items()
        }
        self._digests = {c.name: ArrayDigest(c.name, c.numpy_dtype.str) for c in schema.columns}
        self._waiting: dict[str, list[NDArray[Any]]] = {c.name: [] for c in schema.columns}
        self._start = self._rows_waiting = 0
        self._failed: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        """Return the number of rows so far."""
        return self._start + self._rows_waiting

    def write(self, start: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take a batch; batches come in order and without gaps."""
        if start != len(self):
            raise ValueError(f"batch at row {start} follows row {len(self)}")
        for name, waiting in self._waiting.items():
            waiting.append(columns[name])
            self._digests[name].update(columns[name])
        self._rows_waiting += len(columns["source_id"])
        while self._rows_waiting >= CHUNK_ROWS:
            self._flush(CHUNK_ROWS)

    def fail(self, source_ids: NDArray[np.int64]) -> None:
        """Take the ids of sources that got no finite answer."""
        self._failed.append(source_ids)

    def finish(self) -> str:
        """Write what is left and return the digest of all columns, and of who failed."""
        if self._rows_waiting:
            self._flush(self._rows_waiting)
        for dtype, array in self._arrays.items():
            if array.shape[1] > self._start:
                array.resize((len(self._tables[dtype]), self._start))
        failed = np.concatenate([np.empty(0, np.int64), *self._failed])
        self._digests[_FAILED] = ArrayDigest(_FAILED, failed.dtype.str)
        self._digests[_FAILED].update(failed)
        self._group.create_array(_FAILED, data=failed, dimension_names=("failed",))
        named = sorted((name, digest.hexdigest()) for name, digest in self._digests.items())
        digest = hashlib.sha256(repr(named).encode()).hexdigest()[:32]
        self._group.attrs.update({"kind": "predictions", "digest": digest})
        return digest

    def _flush(self, rows: int) -> None:
        whole = {name: np.concatenate(waiting) for name, waiting in self._waiting.items()}
        for dtype, names in self._tables.items():
            table = np.stack([whole[name][:rows] for name in names])
            self._arrays[dtype][:, self._start : self._start + rows] = table
        self._waiting = {name: [values[rows:]] for name, values in whole.items()}
        self._start += rows
        self._rows_waiting -= rows


def read_rows(path: Path, start: int, stop: int) -> dict[str, NDArray[Any]]:
    """Return rows ``[start, stop)`` of a partition's catalogue rows, by column.

    Raises
    ------
    StoreError
        If the store is absent or damaged.
    """
    columns: dict[str, NDArray[Any]] = {}
    with named(path, "store of predictions"):
        group = zarr.open_group(WholeStore(path), mode="r")
        for name, array in group.arrays():
            if name == _FAILED:
                continue
            table = np.asarray(array[:, start:stop])
            columns |= dict(zip(_names(array), table, strict=True))
    return columns


def read_some(path: Path, names: Sequence[str], places: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Return some columns of some of a partition's catalogue rows, by column.

    Parameters
    ----------
    path : Path
        The store.
    names : sequence of str
        The columns.
    places : sequence of int
        The rows.

    Raises
    ------
    StoreError
        If the store is absent or damaged.
    """
    columns: dict[str, NDArray[Any]] = {}
    with named(path, "store of predictions"):
        group = zarr.open_group(WholeStore(path), mode="r")
        for kind, array in group.arrays():
            if kind == _FAILED:
                continue
            for which, name in enumerate(_names(array)):
                if name in names:
                    values = [array[which, place] for place in places]
                    columns[name] = np.array(values, dtype=array.dtype)
    return columns


def read_failed(path: Path) -> NDArray[np.int64]:
    """Return the ids of the sources of a partition that got no finite answer.

    Raises
    ------
    StoreError
        If the store is absent or damaged.
    """
    with named(path, "store of predictions"):
        failed = zarr.open_group(WholeStore(path), mode="r").get(_FAILED)
        # Rows from before there were any do not say.
        return np.asarray(failed[:] if isinstance(failed, zarr.Array) else [], dtype=np.int64)


def _names(array: zarr.Array[Any]) -> list[str]:
    names = array.attrs["columns"]
    if not isinstance(names, list):
        raise TypeError(f"{array.path}: its columns are not a list")
    return [str(name) for name in names]
