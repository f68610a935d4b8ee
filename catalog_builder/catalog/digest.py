"""The digest of a column: a name for its values, whatever the chunks, file or machine.

Two catalogues hold the same data if and only if their column digests are equal. The digest is a
tree of two levels, so that its blocks can be made side by side: the SHA-256 of each block of
`BLOCK_ROWS` rows, little-endian, with every NaN in one and the same bit pattern; and above them the
SHA-256 of the column's name and dtype followed by the digests of its blocks in order. Blocks are
rows, not chunks. docs/verify.md has it in ten lines of Python.

Catalogues of version 0.1.0 have one SHA-256 over name, dtype and all rows (`SerialDigest`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.zarr_store import read_column
from catalog_builder.contract.schema import CatalogSchema, Column

#: Rows of a block of which a column digest is made. Part of the digest's meaning: it never changes.
BLOCK_ROWS: Final = 65_536


class RunningDigest(Protocol):
    """A digest that is fed with rows in order."""

    def update(self, values: NDArray[Any]) -> None:
        """Add the next rows, ndarray of shape (n,) in any byte order."""

    def hexdigest(self) -> str:
        """Return the digest of the rows so far, 64 hexadecimal digits."""


def block_digest(column: Column, values: NDArray[Any]) -> bytes:
    """Return the digest of one block's rows, 32 bytes; ``values`` has shape (n,)."""
    return hashlib.sha256(_canonical(column, values).data).digest()


class TreeDigest:
    """The digest of a column, of the digests of its blocks in order."""

    def __init__(self, column: Column) -> None:
        self._hash = hashlib.sha256(b"blocks\0" + _head(column))

    def add(self, block: bytes) -> None:
        """Add the digest of the next block (`block_digest`)."""
        self._hash.update(block)

    def hexdigest(self) -> str:
        """Return the digest of the blocks so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()


class ColumnDigest:
    """A running digest, fed with rows in order; it holds those of less than a block."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._tree = TreeDigest(column)
        self._block = hashlib.sha256()
        self._room = BLOCK_ROWS

    def update(self, values: NDArray[Any]) -> None:
        """Add the next rows, ndarray of shape (n,) in any byte order."""
        canonical = _canonical(self._column, values)
        while len(canonical):
            some, canonical = canonical[: self._room], canonical[self._room :]
            self._block.update(some.data)
            self._room -= len(some)
            if self._room == 0:
                self._close()

    def hexdigest(self) -> str:
        """Return the digest of the rows, 64 hexadecimal digits; no row can be added behind it."""
        if self._room < BLOCK_ROWS:
            self._close()
        return self._tree.hexdigest()

    def _close(self) -> None:
        self._tree.add(self._block.digest())
        self._block, self._room = hashlib.sha256(), BLOCK_ROWS


class SerialDigest:
    """The digest of a column as catalogues of version 0.1.0 have it: one over all rows."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._hash = hashlib.sha256(_head(column))

    def update(self, values: NDArray[Any]) -> None:
        """Add the next rows, ndarray of shape (n,) in any byte order."""
        self._hash.update(_canonical(self._column, values).data)

    def hexdigest(self) -> str:
        """Return the digest of the rows so far, 64 hexadecimal digits."""
        return self._hash.hexdigest()


def column_digest(
    column: Column, blocks: Iterable[NDArray[Any]], kind: type[RunningDigest] = ColumnDigest
) -> str:
    """Return the digest of a column given as pieces of any length in order."""
    digest = kind(column)  # type: ignore[call-arg] # a protocol has no constructor
    for values in blocks:
        digest.update(values)
    return digest.hexdigest()


def store_digests(
    path: Path, schema: CatalogSchema, kind: type[RunningDigest] = ColumnDigest
) -> dict[str, str]:
    """Return the digest of every stored column of a catalogue store."""
    return {
        column.name: column_digest(column, _values(path, column.name), kind)
        for column in schema.columns
    }


def _values(path: Path, name: str) -> Iterator[NDArray[Any]]:
    return (values for _, values in read_column(path, name))


def _head(column: Column) -> bytes:
    return f"{column.name}\0{column.dtype}\0".encode()


def _canonical(column: Column, values: NDArray[Any]) -> NDArray[Any]:
    """Return values little-endian and contiguous, with one NaN; a copy only where it must be."""
    canonical = np.ascontiguousarray(values, dtype=column.numpy_dtype.newbyteorder("<"))
    if column.nullable:
        null = np.isnan(canonical)
        if null.any():
            canonical = np.where(null, canonical.dtype.type(np.nan), canonical)
    return canonical
