"""The FITS file written by the tasks of chunks: each its rows, at their place in one file.

The size of the file and the place of each row follow from the schema and the number of rows. The
checksum of the table is a ones'-complement sum of its words, so it is the sum of those of its
parts; the header, which has it, is written last, over one of the same length.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from catalog_builder.catalog.exports import Part, Target, Written
from catalog_builder.catalog.fits_checksum import FITS_BLOCK, add_sums, header_bytes, sum_at
from catalog_builder.catalog.fits_table import (
    add_cards,
    cards_of,
    mark_cards,
    primary_header,
    row_type,
    table_header,
    table_of,
)
from catalog_builder.ground.errors import StoreError

_SUM: Final = "sum"
_READ_BYTES: Final = 1 << 20


def begin(target: Target) -> bool:
    """Make the file, of its full size, with a header that says of no row what it sums to."""
    head = _head(target, 0)
    size = len(head) + _padded(target.rows * row_type(target.schema).itemsize)
    if target.path.is_file() and target.path.stat().st_size == size:
        return False
    with target.path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return True


def write(target: Target, start: int, rows: Mapping[str, NDArray[Any]]) -> Written:
    """Write the rows of a chunk at their place; behind the last ones, what fills the block."""
    table = table_of(rows, target.schema)
    at = start * table.dtype.itemsize
    # As `begin` made it; to make the header anew takes as long as a third of the rows.
    head = target.path.stat().st_size - _padded(target.rows * table.dtype.itemsize)
    data = table.tobytes()
    if start + len(table) == target.rows:
        data += bytes(_padded(at + len(data)) - at - len(data))
    _write_at(target.path, head + at, data)
    digest = hashlib.sha256(data).hexdigest()
    part = Part(target.path.name, head + at, len(data), digest)
    return Written((part,), {_SUM: sum_at(at, data)})


def end(target: Target, written: Iterable[Written]) -> tuple[Part, ...]:
    """Write the header with the sum of all rows."""
    total = 0
    for one in written:
        total = add_sums(total, int(one.facts[_SUM]))
    head = _head(target, total)
    _write_at(target.path, 0, head)
    return (Part(target.path.name, 0, len(head), hashlib.sha256(head).hexdigest()),)


def _head(target: Target, total: int) -> bytes:
    """Return all bytes before the first row."""
    header = table_header(target.schema, target.rows)
    # Those who read only the table are told of simulated stars too.
    add_cards(header, mark_cards(target.record))
    primary = header_bytes(primary_header(cards_of(target.record)), 0)
    return primary + header_bytes(header, total)


def _padded(size: int) -> int:
    return -(-size // FITS_BLOCK) * FITS_BLOCK


def _write_at(path: Path, place: int, data: bytes) -> None:
    """Write bytes at their place, on disk when this returns, and compare what is there.

    Each write goes to the disk as it is (O_DSYNC): a file system of a network that collects whole
    pages of what two machines write would put back old bytes beside the new ones.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_DSYNC)
    try:
        view, at = memoryview(data), place
        while view:
            count = os.pwrite(descriptor, view, at)
            view, at = view[count:], at + count
        same = all(
            os.pread(descriptor, min(_READ_BYTES, len(data) - first), place + first)
            == data[first : first + _READ_BYTES]
            for first in range(0, len(data), _READ_BYTES)
        )
    finally:
        os.close(descriptor)
    if not same:
        raise StoreError(
            f"{path} does not have what was written to bytes {place} to {place + len(data)}.",
            "Its disk is failing: have it checked, or give another --workdir.",
        )
