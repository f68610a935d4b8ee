"""The digest of a column: a name for its values, whatever the chunks, file or machine.

Two catalogues hold the same data if and only if their column digests are equal. The digest is the
SHA-256 of the column's name and dtype followed by its values in row order, little-endian, with
every NaN in one and the same bit pattern.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.zarr_store import read_column
from catalog_builder.contract.schema import CatalogSchema, Column


class ColumnDigest:
    """A running digest, fed with blocks of rows in order."""

    def __init__(self, column: Column) -> None:
        self._dtype = column.numpy_dtype.newbyteorder("<")
        self._floats = column.nullable
        self._hash = hashlib.sha256(f"{column.name}\0{column.dtype}\0".encode())

    def update(self, values: NDArray[Any]) -> None:
        """Add the next rows, ndarray of shape (n,) in any byte order."""
        canonical = np.array(values, dtype=self._dtype, order="C")
        if self._floats:
            canonical[np.isnan(canonical)] = np.nan
        self._hash.update(canonical.tobytes())

    def hexdigest(self) -> str:
        """Return the digest of the rows so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()


def column_digest(column: Column, blocks: Iterable[NDArray[Any]]) -> str:
    """Return the digest of a column given as blocks of rows in order."""
    digest = ColumnDigest(column)
    for values in blocks:
        digest.update(values)
    return digest.hexdigest()


def store_digests(path: Path, schema: CatalogSchema) -> dict[str, str]:
    """Return the digest of every stored column of a catalogue store."""
    return {
        column.name: column_digest(column, (values for _, values in read_column(path, column.name)))
        for column in schema.columns
    }
