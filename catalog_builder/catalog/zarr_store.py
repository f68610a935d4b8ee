"""The catalogue as a zarr store: one array per column, one dimension ``source``.

A task writes whole chunks with :func:`write_rows`, so no two tasks ever touch the same file. The
arrays are declared from the schema with CF attributes, and xarray opens the store as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import ZarrUserWarning

from catalog_builder.catalog.cf import IDENTIFIER, code_attributes
from catalog_builder.catalog.chunk_files import LEVEL
from catalog_builder.contract.columns import Column, Declared
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import StoreError
from catalog_builder.stores.whole_store import EVERY_CHUNK, CatalogueStore

DIMENSION: Final = "source"

# Rows of a chunk in a piece: 4 MB of all columns.
_PIECE_ROWS: Final = 8192

# zstd, because it decodes noisy float32 at 1.5 GB/s where gzip reaches 0.25 at the same size
# (0.84 of the raw size at any level from 1 to 15). The CRC-32C behind it makes a flipped byte an
# error on read instead of a wrong star.
_CODECS: Final = (ZstdCodec(level=LEVEL), Crc32cCodec())


def create_store(
    path: Path,
    schema: Declared,
    rows: int,
    chunk_rows: int,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Create an empty catalogue store.

    Parameters
    ----------
    path : Path
        Must not exist yet.
    schema : CatalogSchema or SideTable
        Its stored columns become the arrays, in order.
    rows : int
        Number of sources.
    chunk_rows : int
        Rows per chunk; the last chunk may hold fewer.
    attributes : mapping of str to str, optional
        More attributes of the group, such as a title.

    Raises
    ------
    StoreError
        If something is there already.
    """
    if path.exists():
        raise StoreError(f"{path} exists already.", "Remove it or choose another place.")
    group = zarr.create_group(
        str(path),
        zarr_format=3,
        attributes={
            "Conventions": "CF-1.11",
            **(attributes or {}),
            "schema_version": schema.version,
            "schema_digest": schema.digest,
            "columns": [column.name for column in schema.columns],
            # CF: by which variable stars are told from each other; xarray makes it a coordinate.
            "coordinates": IDENTIFIER,
        },
    )
    for column in schema.columns:
        # The specification of zarr has no text of a fixed length: its bytes are a second dimension.
        length = (column.numpy_dtype.itemsize,) if column.is_text else ()
        dtype = np.dtype(np.uint8) if column.is_text else column.numpy_dtype
        group.create_array(
            column.name,
            shape=(rows, *length),
            chunks=(chunk_rows, *length),
            dtype=dtype,
            fill_value=np.nan if column.nullable else dtype.type(0),
            compressors=_CODECS,
            dimension_names=[DIMENSION, f"{column.name}_character"][: 1 + len(length)],
            attributes={**column.attributes, **code_attributes(schema, column.name)},
        )
    with warnings.catch_warnings():
        # Without this index xarray warns every user on opening; with it zarr warns, here, that
        # version 3 of its specification does not name it yet. A reader may ignore it.
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(str(path))


def write_rows(
    path: Path, schema: CatalogSchema, start: int, columns: Mapping[str, NDArray[Any]]
) -> None:
    """Write rows ``[start, start + n)`` of every column; whole chunks only.

    Parameters
    ----------
    path : Path
        A store made by :func:`create_store`.
    schema : CatalogSchema
        The schema that it was made with.
    start : int
        First row; a multiple of the chunk length.
    columns : mapping of str to ndarray of shape (n,)
        Every stored column. A dtype of the same kind is converted (float64 to float32).

    Raises
    ------
    StoreError
        If the rows do not fill whole chunks (the store's last chunk counts as whole at its end),
        a column is missing, unknown, of another length, or of another kind of dtype.
    """
    check_names(path, schema, columns)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise StoreError(f"{path}: columns of {sorted(lengths)} rows in one write.")
    stop = start + lengths.pop()
    for column in schema.columns:
        array = _open(path, column.name, writable=True)
        if start % array.chunks[0] or (stop % array.chunks[0] and stop != array.shape[0]):
            raise StoreError(
                f"{path}: rows {start} to {stop} do not fill whole chunks of {array.chunks[0]}.",
                "A task must own whole chunks.",
            )
        if stop > array.shape[0]:
            raise StoreError(f"{path}: row {stop} of a store of {array.shape[0]} rows.")
        array[start:stop] = as_declared(path, column, columns[column.name])


def read_column(path: Path, name: str) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield ``(first row, values)`` of one column, a chunk at a time."""
    array = _open(path, name)
    for start in range(0, array.shape[0], array.chunks[0]):
        yield start, np.asarray(array[start : start + array.chunks[0]])


def read_rows(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    """Yield ``(first row, {name: values})`` of several columns, a chunk at a time."""
    arrays = {name: _open(path, name) for name in names}
    first = arrays[names[0]]
    for start in range(0, first.shape[0], first.chunks[0]):
        block = slice(start, start + first.chunks[0])
        yield start, {name: np.asarray(array[block]) for name, array in arrays.items()}


def in_pieces(
    rows: Mapping[str, NDArray[Any]],
) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    """Yield ``(first row, {name: values})`` of some rows of a chunk at a time, views of it.

    What is computed of a chunk is often larger than it is. Without columns there is one piece, an
    empty one.
    """
    count = len(next(iter(rows.values()), ()))
    for first in range(0, max(count, 1), _PIECE_ROWS):
        yield first, {name: values[first : first + _PIECE_ROWS] for name, values in rows.items()}


def open_columns(path: Path, names: Sequence[str]) -> dict[str, zarr.Array[Any]]:
    """Open several columns for reading; a chunk that is missing or damaged is an error then."""
    return {name: _open(path, name) for name in names}


def row_count(path: Path) -> int:
    """Return the number of sources in a store."""
    return int(_open(path, "source_id").shape[0])


def _open(path: Path, name: str, *, writable: bool = False) -> zarr.Array[Any]:
    try:
        array: zarr.Array[Any] = (
            zarr.open_array(str(path), path=name, mode="r+")
            if writable
            else zarr.open_array(CatalogueStore(path), path=name, mode="r")
        )
    except FileNotFoundError as error:
        raise StoreError(f"{path} has no column {name}.", "Publish the catalogue again.") from error
    return array.with_config(EVERY_CHUNK)


def in_words(letters: NDArray[Any]) -> NDArray[np.bytes_]:
    """Return text, (n,), of which a store has the bytes, (n, characters).

    Raises
    ------
    StoreError
        If they are no bytes: other numbers would become other letters.
    """
    if letters.dtype != np.uint8 or letters.ndim != 2:
        raise StoreError(
            f"Text is stored as {letters.dtype} of {letters.ndim} dimensions, not as bytes of 2.",
            "Restore the catalogue from a copy.",
        )
    whole = np.ascontiguousarray(letters)
    return whole.view(f"S{whole.shape[1]}").reshape(-1)


def check_names(path: Path, schema: CatalogSchema, columns: Mapping[str, object]) -> None:
    """Refuse rows that lack a column, or have one that is not the schema's."""
    missing = [name for name in schema.names if name not in columns]
    unknown = sorted(columns.keys() - {*schema.names})
    if missing or unknown:
        raise StoreError(
            f"{path}: columns missing: {', '.join(missing) or 'none'}; "
            f"not in the schema: {', '.join(unknown) or 'none'}."
        )


def as_declared(path: Path, column: Column, values: NDArray[Any]) -> NDArray[Any]:
    """Return values in the type of their column, if they are of its kind."""
    if not np.can_cast(values.dtype, column.numpy_dtype, casting="same_kind"):
        raise StoreError(
            f"{path}: {column.name} is {values.dtype}, declared {column.dtype}.",
            "Convert it where it is made.",
        )
    return values.astype(column.numpy_dtype, copy=False)
