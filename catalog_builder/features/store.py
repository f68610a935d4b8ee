"""The feature store of one partition: written as a stream, read by rows.

Layout (one zarr group)::

    source_int64, source_float32, ...    (column, source)   sorted by source_id
    rvs_flux, rvs_flux_error, rvs_mask   (rvs, 800)         in the order of the archive's file
    xp_flux, xp_flux_error               (xp, 343)
    rejected_int64, rejected_uint8       (column, rejected)

Columns of one dtype lie in one array, each a chunk of its own in one shard; the attribute `columns`
names them. Among them are rvs_row and xp_row, the row of a source's spectrum, -1 where it has none.
Spectra are written once, as they are read, and found through the row numbers: a partition of any
size streams through, and a star without a spectrum takes no room.

Why so (measured, ``docs/scale.md``): a file costs about 2 ms of processor time whatever is in it,
and a release has 20 000 such stores.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from catalog_builder.errors import StoreError
from catalog_builder.features import rvs, xp

if TYPE_CHECKING:
    from zarr.core.array_spec import ArrayConfigParams

Array = NDArray[Any]
Block = dict[str, Array]

#: Spectra arrays: name -> (dtype, samples).
SPECTRA: dict[str, dict[str, tuple[str, int]]] = {
    "rvs": {
        "rvs_flux": ("float32", rvs.N_PIXELS),
        "rvs_flux_error": ("float32", rvs.N_PIXELS),
        "rvs_mask": ("bool", rvs.N_PIXELS),
    },
    "xp": {
        "xp_flux": ("float32", xp.N_SAMPLES),
        "xp_flux_error": ("float32", xp.N_SAMPLES),
    },
}

#: A flipped bit is found on reading (crc32c). Shuffled LZ4 writes four and reads seven times as
#: fast as zstd, for two per cent more bytes: spectra are mostly noise.
COMPRESSORS = (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"), Crc32cCodec())

#: Chunks of spectra in one file: four are 30 MB of RVS, which wait in memory to be written.
SHARD_CHUNKS: Final = 4
#: Shards by which an array grows at a time: each growth rewrites its metadata.
_GROWTH: Final = 8
#: zarr would compare every chunk with the fill value, to leave out those that hold nothing else.
_WRITE_ALL: Final[ArrayConfigParams] = {"write_empty_chunks": True}


class ArrayDigest:
    """A running digest of the rows of an array, whatever blocks they come in."""

    def __init__(self, name: str, dtype: str) -> None:
        self._hash = hashlib.sha256(f"{name}\0{np.dtype(dtype).str}\n".encode())
        self._dtype = np.dtype(dtype).newbyteorder("<")

    def update(self, rows: Array) -> None:
        """Take in more rows."""
        self._hash.update(np.ascontiguousarray(rows, dtype=self._dtype).data)

    def hexdigest(self) -> str:
        """Return the digest so far, hex of 16 bytes."""
        return self._hash.hexdigest()[:32]


class _Appender:
    """Appends to arrays of equal length in whole chunks, whatever blocks it is given."""

    def __init__(
        self, group: zarr.Group, arrays: Mapping[str, tuple[str, int]], dimension: str, chunk: int
    ) -> None:
        self._shard = chunk * SHARD_CHUNKS
        self._waiting: dict[str, list[Array]] = {name: [] for name in arrays}
        self._rows = self._rows_waiting = 0
        self._arrays = {
            name: group.create_array(
                name,
                shape=(0, samples),
                chunks=(chunk, samples),
                shards=(self._shard, samples),
                dtype=dtype,
                compressors=COMPRESSORS,
                dimension_names=(dimension, f"{dimension}_wavelength"),
                config=_WRITE_ALL,
            )
            for name, (dtype, samples) in arrays.items()
        }
        self.digests = {name: ArrayDigest(name, dtype) for name, (dtype, _) in arrays.items()}

    def append(self, rows: Mapping[str, Array]) -> None:
        for name, waiting in self._waiting.items():
            waiting.append(rows[name])
            self.digests[name].update(rows[name])
        self._rows_waiting += len(next(iter(rows.values())))
        if self._rows_waiting >= self._shard:
            self._write(self._rows_waiting // self._shard * self._shard, self._shard * _GROWTH)

    def finish(self) -> None:
        if self._rows_waiting:
            self._write(self._rows_waiting, 0)
        for array in self._arrays.values():
            if array.shape[0] != self._rows:
                array.resize((self._rows, *array.shape[1:]))

    def _write(self, count: int, growth: int) -> None:
        stop = self._rows + count
        for name, waiting in self._waiting.items():
            rows, array = np.concatenate(waiting), self._arrays[name]
            if array.shape[0] < stop:
                array.resize((stop + growth, *array.shape[1:]))
            array[self._rows : stop] = rows[:count]
            self._waiting[name] = [rows[count:]]
        self._rows = stop
        self._rows_waiting -= count


class FeatureWriter:
    """Writes a feature store: spectra as they come, then the sources, then the rejected."""

    def __init__(self, path: Path, chunk_rows: int) -> None:
        self._group = zarr.create_group(store=path, zarr_format=3)
        self._chunk = chunk_rows
        self._spectra = {
            kind: _Appender(self._group, arrays, kind, chunk_rows)
            for kind, arrays in SPECTRA.items()
        }
        self._digests: dict[str, str] = {}
        self._columns: dict[str, list[str]] = {}

    def append(self, kind: str, rows: Mapping[str, Array]) -> None:
        """Append spectra of a kind (``"rvs"`` or ``"xp"``)."""
        self._spectra[kind].append(rows)

    def finish(self, sources: Mapping[str, Array], rejected: Mapping[str, Array]) -> str:
        """Write the columns of the sources and of the rejected; return the store's digest."""
        for appender in self._spectra.values():
            appender.finish()
            self._digests |= {n: d.hexdigest() for n, d in appender.digests.items()}
        self._write_columns(sources, "source")
        self._write_columns({f"rejected_{k}": v for k, v in rejected.items()}, "rejected")
        digest = hashlib.sha256(repr(sorted(self._digests.items())).encode()).hexdigest()[:32]
        self._group.attrs.update(
            {
                "kind": "features",
                "sources": len(sources["source_id"]),
                "digest": digest,
                "columns": self._columns,
            }
        )
        return digest

    def _write_columns(self, columns: Mapping[str, Array], dimension: str) -> None:
        names: dict[str, list[str]] = defaultdict(list)
        for name, values in columns.items():
            names[f"{dimension}_{values.dtype.name}"].append(name)
            digest = ArrayDigest(name, values.dtype.str)
            digest.update(values)
            self._digests[name] = digest.hexdigest()
        for packed, members in names.items():
            values = np.stack([columns[name] for name in members])
            # Columns are small: one chunk holds one of a whole DR3 partition.
            rows = max(1, min(values.shape[1], 1 << 20))
            array = self._group.create_array(
                packed,
                shape=values.shape,
                chunks=(1, rows),
                shards=(len(members), rows),
                dtype=values.dtype,
                compressors=COMPRESSORS,
                dimension_names=("column", dimension),
                config=_WRITE_ALL,
            )
            array[:] = values
        self._columns |= names


class FeatureStore:
    """A feature store opened for reading.

    Raises
    ------
    StoreError
        Here and on every read, if something in it is absent, foreign or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._intact():
            self._group = zarr.open_group(path, mode="r")
            if self._group.attrs["kind"] != "features":
                raise ValueError(f"its kind is {self._group.attrs['kind']!r}")
            self._sources = int(self._group.attrs["sources"])  # type: ignore[arg-type]
            columns = cast("dict[str, list[str]]", self._group.attrs["columns"])
            self._place = {
                name: (packed, place)
                for packed, names in columns.items()
                for place, name in enumerate(names)
            }
        self._packed: dict[str, Array] = {}

    def __len__(self) -> int:
        """Return the number of sources."""
        return self._sources

    def column(self, name: str) -> Array:
        """Return a whole column of the sources (or of the rejected); not to be written to."""
        with self._intact():
            packed, place = self._place[name]
            if packed not in self._packed:
                self._packed[packed] = np.asarray(self._array(packed)[:])
            column: Array = self._packed[packed][place]
            return column

    def read(self, rows: slice | NDArray[np.int64]) -> Block:
        """Return the feature block of some sources: every column, and spectra row by row.

        Parameters
        ----------
        rows : slice or ndarray of int
            Sources to read, ascending.

        Returns
        -------
        dict of str to ndarray
            Spectra have shape (n, samples) and are zero for stars that have none.
        """
        block = {
            name: np.copy(self.column(name)[rows])
            for name, (packed, _) in self._place.items()
            if packed.startswith("source_")
        }
        with self._intact():
            for kind, arrays in SPECTRA.items():
                place = block.pop(f"{kind}_row")
                for name, (dtype, samples) in arrays.items():
                    block[name] = self._gather(name, place, dtype, samples)
        return block

    @contextmanager
    def _intact(self) -> Iterator[None]:
        """Say in words what zarr and its codecs raise for what is not there or is damaged."""
        try:
            yield
        except (FileNotFoundError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise StoreError(
                f"{self._path} is not a feature store, or is damaged ({error}).",
                "Remove it and give the same command again: it is made anew.",
            ) from error

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self._group[name]
        if not isinstance(array, zarr.Array):
            raise TypeError(f"{name} is not an array")
        return array

    def _gather(self, name: str, place: Array, dtype: str, samples: int) -> Array:
        result = np.zeros((len(place), samples), dtype=dtype)
        present = np.flatnonzero(place >= 0)
        if present.size == 0:
            return result
        wanted = place[present].astype(np.int64)
        low, high = int(wanted.min()), int(wanted.max()) + 1
        array = self._array(name)
        if high - low <= 4 * wanted.size:  # the archive's order is nearly the id's: read it through
            result[present] = np.asarray(array[low:high])[wanted - low]
        else:
            order = np.argsort(wanted)
            result[present[order]] = np.asarray(array.oindex[wanted[order]])
        return result
