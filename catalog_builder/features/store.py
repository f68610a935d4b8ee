"""The feature store of one partition: written as a stream, read by rows.

Layout (one zarr group)::

    source_id, ra, dec, ...      (source,)          sorted by source_id
    rvs_row, xp_row              (source,)          row of the star's spectrum below, -1: none
    rvs_flux, rvs_flux_error, rvs_mask   (rvs, 800) in the order of the archive's file
    xp_flux, xp_flux_error               (xp, 343)
    rejected_source_id, ..._reason, ..._table, ..._row    (rejected,)

Spectra are written once, as they are read, and found through the row numbers: a partition of any
size streams through, and a star without a spectrum takes no room.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec

from catalog_builder.errors import StoreError
from catalog_builder.features import rvs, xp

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

#: A flipped bit is found on reading (crc32c); shuffled zstd halves float spectra at little cost.
COMPRESSORS = (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec())


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
        self._chunk = chunk
        self._waiting: dict[str, list[Array]] = {name: [] for name in arrays}
        self._rows_waiting = 0
        self._arrays = {
            name: group.create_array(
                name,
                shape=(0, samples),
                chunks=(chunk, samples),
                dtype=dtype,
                compressors=COMPRESSORS,
                dimension_names=(dimension, f"{dimension}_wavelength"),
            )
            for name, (dtype, samples) in arrays.items()
        }
        self.digests = {name: ArrayDigest(name, dtype) for name, (dtype, _) in arrays.items()}

    def append(self, rows: Mapping[str, Array]) -> None:
        for name, waiting in self._waiting.items():
            waiting.append(rows[name])
            self.digests[name].update(rows[name])
        self._rows_waiting += len(next(iter(rows.values())))
        if self._rows_waiting >= self._chunk:
            self._write(self._rows_waiting // self._chunk * self._chunk)

    def finish(self) -> None:
        if self._rows_waiting:
            self._write(self._rows_waiting)

    def _write(self, count: int) -> None:
        for name, waiting in self._waiting.items():
            rows = np.concatenate(waiting)
            self._arrays[name].append(rows[:count])
            self._waiting[name] = [rows[count:]]
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
            {"kind": "features", "sources": len(sources["source_id"]), "digest": digest}
        )
        return digest

    def _write_columns(self, columns: Mapping[str, Array], dimension: str) -> None:
        for name, values in columns.items():
            array = self._group.create_array(
                name,
                shape=values.shape,
                # Columns are small: one chunk holds those of a whole DR3 partition.
                chunks=(max(1, min(len(values), 1 << 20)),),
                dtype=values.dtype,
                compressors=COMPRESSORS,
                dimension_names=(dimension,),
            )
            array[:] = values
            digest = ArrayDigest(name, values.dtype.str)
            digest.update(values)
            self._digests[name] = digest.hexdigest()


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
            self._sources = self._array("source_id").shape[0]
            self._columns = [
                name
                for name, array in self._group.arrays()
                if array.metadata.to_dict().get("dimension_names") == ("source",)
            ]

    def __len__(self) -> int:
        """Return the number of sources."""
        return self._sources

    def column(self, name: str) -> Array:
        """Return a whole column of the sources (or of the rejected)."""
        with self._intact():
            return np.asarray(self._array(name)[:])

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
        with self._intact():
            block = {name: np.asarray(self._array(name).oindex[rows]) for name in self._columns}
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
