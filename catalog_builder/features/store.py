"""The feature store of one partition: written as a stream, read by rows.

Layout (one zarr group)::

    source_int64, source_float32, ...    (column, source)   sorted by source_id
    rvs_flux, rvs_flux_error, rvs_mask   (rvs, samples)     in the order of the archive's file
    xp_flux, xp_flux_error               (xp, samples)
    rejected_int64, rejected_uint8       (column, rejected)
    cells_int64                          (column, cells)    in the order of the cells

Columns of one dtype lie in one array, each a chunk of its own in one shard; the attribute `columns`
names them. The attribute `spectra` names the arrays of each input that is a spectrum (above those
of DR3), with dtype and samples. Among the columns is ``<name>_row``, the row of a source's spectrum
of that name, -1 where it has none. Spectra are written once, as they are read, and found through
the row numbers: a partition of any size streams through, and a star without a spectrum takes no
room. Cells count all sources of the piece, with or without spectra (`features.cells`).

Why so: a file costs time whatever is in it, and a release has 20 000 such stores
(``docs/scale.md``).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.contract.inputs import Inputs
from catalog_builder.stores.shards import RowsWriter, write_columns, write_group
from catalog_builder.stores.whole_store import WholeStore, named

Array = NDArray[Any]
Block = dict[str, Array]
#: Arrays of each spectrum, by names: dtype and samples.
Arrays = Mapping[str, Mapping[str, tuple[str, int]]]

#: Chunks of spectra in one file.
SHARD_CHUNKS: Final = 4


def arrays_of(inputs: Inputs) -> Arrays:
    """Return the arrays of each spectrum by its name: of each array, dtype and samples.

    Flux and error of all; of lines also a mask, true where a sample is usable.
    """
    return {
        name: {
            f"{name}_flux": ("float32", spectrum.samples),
            f"{name}_flux_error": ("float32", spectrum.samples),
            **({f"{name}_mask": ("bool", spectrum.samples)} if spectrum.kind == "lines" else {}),
        }
        for name, spectrum in inputs.spectra.items()
    }


def stars_of(block: Mapping[str, Array]) -> NDArray[np.int64]:
    """Return whose each row of a block is: its star's identifier where a star may have several."""
    stars: NDArray[np.int64] = block["star_id" if "star_id" in block else "source_id"]
    return stars


def bytes_of(arrays: Mapping[str, tuple[str, int]]) -> int:
    """Return the bytes of a row of the arrays of a spectrum."""
    return sum(np.dtype(dtype).itemsize * samples for dtype, samples in arrays.values())


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


class FeatureWriter:
    """Writes a feature store: spectra as they come, then the sources, then the rejected.

    Parameters
    ----------
    path : Path
        Folder of the new store.
    chunk_rows : int
        Spectra of a chunk.
    inputs : Inputs
        Which spectra there may be.
    """

    def __init__(self, path: Path, chunk_rows: int, inputs: Inputs) -> None:
        path.mkdir(parents=True)
        self._path = path
        self._arrays = arrays_of(inputs)
        self._spectra = {
            spectrum: {
                name: RowsWriter(
                    path / name,
                    dtype,
                    samples,
                    chunk_rows,
                    SHARD_CHUNKS,
                    (spectrum, f"{spectrum}_wavelength"),
                )
                for name, (dtype, samples) in arrays.items()
            }
            for spectrum, arrays in self._arrays.items()
        }
        self._digests = {
            name: ArrayDigest(name, dtype)
            for arrays in self._arrays.values()
            for name, (dtype, _) in arrays.items()
        }
        self._columns: dict[str, list[str]] = {}

    def append(self, spectrum: str, rows: Mapping[str, Array]) -> None:
        """Append spectra of an input, by its name."""
        for name, writer in self._spectra[spectrum].items():
            writer.append(rows[name])
            self._digests[name].update(rows[name])

    def finish(
        self,
        sources: Mapping[str, Array],
        rejected: Mapping[str, Array],
        cells: Mapping[str, Array] | None = None,
    ) -> str:
        """Write the columns of the sources, of the rejected and of cells; return the digest.

        It is that of the stars: cells have one of their own, for nothing that is made of stars
        depends on them.
        """
        for writers in self._spectra.values():
            for writer in writers.values():
                writer.finish()
        self._write_columns(sources, "source")
        self._write_columns({f"rejected_{k}": v for k, v in rejected.items()}, "rejected")
        digests = sorted((name, digest.hexdigest()) for name, digest in self._digests.items())
        self._write_columns(cells or {}, "cells")
        digest = hashlib.sha256(repr(digests).encode()).hexdigest()[:32]
        write_group(
            self._path,
            {
                "kind": "features",
                "sources": len(sources["source_id"]),
                "digest": digest,
                "columns": self._columns,
                "spectra": self._arrays,
            },
        )
        return digest

    def _write_columns(self, columns: Mapping[str, Array], dimension: str) -> None:
        names: dict[str, list[str]] = defaultdict(list)
        for name, values in columns.items():
            names[f"{dimension}_{values.dtype.name}"].append(name)
            self._digests[name] = ArrayDigest(name, values.dtype.str)
            self._digests[name].update(values)
        for packed, members in names.items():
            write_columns(
                self._path / packed,
                np.stack([columns[name] for name in members]),
                # Columns are small: one chunk holds one of a whole DR3 partition.
                1 << 20,
                ("column", dimension),
            )
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
            self._group = zarr.open_group(WholeStore(path), mode="r")
            if self._group.attrs["kind"] != "features":
                raise ValueError(f"its kind is {self._group.attrs['kind']!r}")
            self._sources = int(self._group.attrs["sources"])  # type: ignore[arg-type]
            columns = cast("dict[str, list[str]]", self._group.attrs["columns"])
            spectra = cast("dict[str, dict[str, list[Any]]]", self._group.attrs["spectra"])
            self._spectra: Arrays = {
                spectrum: {name: (str(dtype), int(size)) for name, (dtype, size) in arrays.items()}
                for spectrum, arrays in spectra.items()
            }
            self._place = {
                name: (packed, place)
                for packed, names in columns.items()
                for place, name in enumerate(names)
            }
        self._packed: dict[str, Array] = {}

    def __len__(self) -> int:
        """Return the number of sources."""
        return self._sources

    @property
    def names(self) -> list[str]:
        """Names of the columns of the sources."""
        return [n for n, (packed, _) in self._place.items() if packed.startswith("source_")]

    def column(self, name: str) -> Array:
        """Return a whole column of the sources (or of the rejected); not to be written to."""
        with self._intact():
            packed, place = self._place[name]
            if packed not in self._packed:
                self._packed[packed] = np.asarray(self._array(packed)[:])
            column: Array = self._packed[packed][place]
            return column

    def stars(self) -> NDArray[np.int64]:
        """Return whose each row is; see `stars_of`."""
        return self.column("star_id" if "star_id" in self._place else "source_id")

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
            for spectrum, arrays in self._spectra.items():
                place = block.pop(f"{spectrum}_row")
                for name, (dtype, samples) in arrays.items():
                    block[name] = self._gather(name, place, dtype, samples)
        return block

    def _intact(self) -> AbstractContextManager[None]:
        return named(self._path, "feature store")

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
