"""Zarr arrays written from front to back, each chunk appended to its shard's file when it is full.

zarr itself needs about 5 ms of processor time for an array and its file, whatever is in them, as
much as the spectra of 100 stars take to inflate, and holds a shard in memory until it is complete.
Here zarr says once in a process what the metadata of an array are, and chunks are encoded with the
codecs that they name. To zarr the arrays are like its own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import google_crc32c
import numcodecs.blosc
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

Array = NDArray[Any]

#: A flipped bit is found on reading (crc32c). Shuffled LZ4 writes four and reads seven times as
#: fast as zstd, for two per cent more bytes: spectra are mostly noise.
COMPRESSORS: Final = (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"), Crc32cCodec())
_ENCODER: Final = numcodecs.blosc.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.blosc.SHUFFLE)

#: Stands in a shard's index for a chunk that is not there.
_ABSENT: Final = 0xFFFF_FFFF_FFFF_FFFF

# Tasks run side by side already, and Blosc's threads would all be the same few.
numcodecs.blosc.use_threads = False


class RowsWriter:
    """Appends rows to a new array in whole chunks, whatever blocks they come in.

    Parameters
    ----------
    folder : Path
        Of the array; must not be there yet.
    dtype : str
        Of its elements.
    samples : int
        Elements of a row.
    chunk_rows, shard_chunks : int
        Rows of a chunk, and chunks of a file.
    dimensions : tuple of str
        Names of the two dimensions.
    """

    def __init__(
        self,
        folder: Path,
        dtype: str,
        samples: int,
        chunk_rows: int,
        shard_chunks: int,
        dimensions: tuple[str, str],
    ) -> None:
        folder.mkdir()
        self._folder, self._dimensions = folder, dimensions
        self._shard_chunks = shard_chunks
        self._waiting: Array = np.empty((chunk_rows, samples), dtype)
        self._rows = self._n_waiting = self._n_shards = 0
        self._shard: _Shard | None = None

    def append(self, rows: Array) -> None:
        """Append rows, shape (n, samples)."""
        chunk_rows = len(self._waiting)
        self._rows += len(rows)
        while len(rows):
            if self._n_waiting == 0 and len(rows) >= chunk_rows:
                self._write(rows[:chunk_rows])
                rows = rows[chunk_rows:]
                continue
            stop = min(self._n_waiting + len(rows), chunk_rows)
            count = stop - self._n_waiting
            self._waiting[self._n_waiting : stop] = rows[:count]
            rows = rows[count:]
            self._n_waiting = stop % chunk_rows
            if stop == chunk_rows:
                self._write(self._waiting)

    def finish(self) -> None:
        """Write what is left, and the metadata."""
        if self._n_waiting:
            self._waiting[self._n_waiting :] = 0
            self._write(self._waiting)
        if self._shard is not None:
            self._shard.close()
        chunk_rows, samples = self._waiting.shape
        _write_metadata(
            self._folder,
            self._waiting.dtype,
            self._dimensions,
            shape=(self._rows, samples),
            chunk=(chunk_rows, samples),
            shard=(chunk_rows * self._shard_chunks, samples),
        )

    def _write(self, chunk: Array) -> None:
        if self._shard is None:
            self._shard = _Shard(self._folder / f"c.{self._n_shards}.0", self._shard_chunks)
            self._n_shards += 1
        self._shard.append(chunk)
        if self._shard.is_full:
            self._shard.close()
            self._shard = None


def write_columns(
    folder: Path, columns: Array, chunk_rows: int, dimensions: tuple[str, str]
) -> None:
    """Write columns of one dtype as a new array: each in chunks of its own, all in one file.

    Parameters
    ----------
    folder : Path
        Of the array; must not be there yet.
    columns : ndarray of shape (k, n)
        The columns.
    chunk_rows : int
        Most rows of a chunk; a file holds those rows of all columns.
    dimensions : tuple of str
        Names of the two dimensions.
    """
    folder.mkdir()
    members, rows = columns.shape
    width = max(1, min(rows, chunk_rows))
    for number, start in enumerate(range(0, rows, width)):
        shard = _Shard(folder / f"c.0.{number}", members)
        for values in columns[:, start : start + width]:
            chunk = np.zeros((1, width), columns.dtype)
            chunk[0, : values.size] = values
            shard.append(chunk)
        shard.close()
    _write_metadata(
        folder,
        columns.dtype,
        dimensions,
        shape=(members, rows),
        chunk=(1, width),
        shard=(members, width),
    )


def write_group(folder: Path, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of a group; its arrays are the folders in it."""
    _write_json(
        folder / "zarr.json",
        {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)},
    )


class _Shard:
    """A file of chunks, appended one after the other, and their index at its end."""

    def __init__(self, file: Path, chunks: int) -> None:
        self._file = file
        self._index = np.full((chunks, 2), _ABSENT, np.dtype("<u8"))
        self._count = self._size = 0

    @property
    def is_full(self) -> bool:
        return self._count == len(self._index)

    def append(self, chunk: Array) -> None:
        stored = chunk.astype(chunk.dtype.newbyteorder("<"), order="C", copy=False)
        size = self._append(_ENCODER.encode(stored))
        self._index[self._count] = self._size, size
        self._size += size
        self._count += 1

    def close(self) -> None:
        self._append(self._index.tobytes())

    def _append(self, content: bytes) -> int:
        """Append bytes and their checksum; return how many they are together."""
        checksum = google_crc32c.value(content).to_bytes(4, "little")
        # Opened anew each time: a task that fails leaves no file open.
        with self._file.open("ab") as file:
            return file.write(content) + file.write(checksum)


def _write_metadata(
    folder: Path,
    dtype: np.dtype[Any],
    dimensions: tuple[str, str],
    *,
    shape: tuple[int, int],
    chunk: tuple[int, int],
    shard: tuple[int, int],
) -> None:
    metadata = json.loads(_metadata(dtype.name))
    metadata["shape"] = shape
    metadata["chunk_grid"]["configuration"]["chunk_shape"] = shard
    metadata["codecs"][0]["configuration"]["chunk_shape"] = chunk
    metadata["dimension_names"] = dimensions
    _write_json(folder / "zarr.json", metadata)


@functools.cache
def _metadata(dtype: str) -> str:
    """Return zarr's metadata of a sharded array of two dimensions."""
    store: dict[str, Any] = {}
    zarr.create_array(
        store,
        shape=(1, 1),
        chunks=(1, 1),
        shards=(1, 1),
        dtype=dtype,
        compressors=COMPRESSORS,
        dimension_names=("", ""),
        # Files lie beside the metadata: one folder for an array, instead of three.
        chunk_key_encoding={"name": "default", "separator": "."},
        zarr_format=3,
    )
    return bytes(store["zarr.json"].to_bytes()).decode()


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")
