"""The FITS file written by the tasks of chunks: each its rows, at their place in one file.

The size of the file and the place of each row follow from the schema and the number of rows. The
checksum of the table is a ones'-complement sum of its words, so it is the sum of those of its
parts; the header, which has it, is written last, over one of the same length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.exports import Part, Target, Written
from catalog_builder.catalog.exports._place import write_at
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

_SUM: Final = "sum"


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
    # Not copied: with the table it is the largest thing that a worker holds.
    data: bytes | memoryview = table.view(np.uint8).data
    if start + len(table) == target.rows:
        data = bytes(data) + bytes(_padded(at + len(data)) - at - len(data))
    write_at(target.path, head + at, data)
    digest = hashlib.sha256(data).hexdigest()
    part = Part(target.path.name, head + at, len(data), digest)
    return Written((part,), {_SUM: sum_at(at, data)})


def end(target: Target, written: Iterable[Written]) -> tuple[Part, ...]:
    """Write the header with the sum of all rows."""
    total = 0
    for one in written:
        total = add_sums(total, int(one.facts[_SUM]))
    head = _head(target, total)
    write_at(target.path, 0, head)
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
