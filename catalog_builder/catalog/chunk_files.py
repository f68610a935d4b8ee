"""Files of single chunks of the catalogue's zarr store, written and read without zarr.

zarr needs about 2 ms of processor time for each array that is opened and each chunk that is
written, whatever is in it: with sixty columns more than compressing 65 536 rows takes. The bytes
here are those that zarr writes, and a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import google_crc32c
import numcodecs.zstd
import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import Column
from catalog_builder.ground.errors import StoreError

#: See `catalog_builder.catalog.zarr_store` for why.
LEVEL: Final = 3
_ENCODER: Final = numcodecs.zstd.Zstd(level=LEVEL)
_CHECKSUM_BYTES: Final = 4


def chunk_file(store: Path, column: str, index: int) -> Path:
    """Return where a chunk of a column lies."""
    return store / column / "c" / str(index)


def write_chunk(file: Path, column: Column, values: NDArray[Any], chunk_rows: int) -> None:
    """Write a chunk.

    Parameters
    ----------
    file : Path
        Its file (`chunk_file`); replaced if it is there.
    column : Column
        What it is of.
    values : ndarray of shape (n,)
        Its rows, of the column's dtype: at most ``chunk_rows``.
    chunk_rows : int
        Rows of every chunk of the store; the last one is filled up.
    """
    stored = column.numpy_dtype.newbyteorder("<")
    whole = np.ascontiguousarray(values, dtype=stored)
    if len(whole) < chunk_rows:
        rest = np.zeros(chunk_rows - len(whole), dtype=stored)
        if column.nullable:
            rest.fill(np.nan)
        whole = np.concatenate([whole, rest])
    body = bytes(_ENCODER.encode(whole.view(np.uint8) if column.is_text else whole))
    content = body + google_crc32c.value(body).to_bytes(_CHECKSUM_BYTES, "little")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def read_chunk(file: Path, column: Column, rows: int) -> tuple[bytes, NDArray[Any]]:
    """Return the bytes of a chunk's file, and its first rows, shape (rows,).

    Raises
    ------
    StoreError
        If it is not what `write_chunk` makes.
    OSError
        If it cannot be read.
    """
    content = file.read_bytes()
    body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if google_crc32c.value(body).to_bytes(_CHECKSUM_BYTES, "little") != checksum:
        raise StoreError(f"{file} is damaged: its checksum does not hold.")
    try:
        values = np.frombuffer(_ENCODER.decode(body), column.numpy_dtype.newbyteorder("<"))
    except (RuntimeError, ValueError) as error:
        raise StoreError(f"{file} is damaged: {error}.") from error
    if len(values) < rows:
        raise StoreError(f"{file} is damaged: it has {len(values)} rows instead of {rows}.")
    return content, values[:rows]
