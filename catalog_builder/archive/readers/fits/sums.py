"""The sums that FITS headers give of their data, and of themselves with their data.

FITS 4.0, section 4.4.2.7 and appendix J: the sum is the ones'-complement sum of big-endian 32-bit
words; DATASUM is that of the data, and CHECKSUM is chosen so that the sum of the whole
header-data unit is all ones.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.fits.header import TableUnit

ALL_ONES: Final = 0xFFFFFFFF
_READ_BYTES: Final = 2880 * 1024
_WAY_OUT: Final = (
    "Fetch the file again. If it is as its author wrote it, and only its header was edited since, "
    "let astropy set the sums anew (astropy.io.fits, checksum=True)."
)


def add_words(total: int, data: bytes) -> int:
    """Add bytes, a multiple of four, to a ones'-complement sum of 32-bit words."""
    total += int(np.frombuffer(data, dtype=">u4").sum(dtype=np.uint64))
    while total > ALL_ONES:
        total = (total & ALL_ONES) + (total >> 32)
    return total


def sum_bytes(stream: Any, start: int, stop: int) -> tuple[int, int]:
    """Sum a part of a file that can seek; return the sum, and where the file or the part ends."""
    stream.seek(start)
    total = 0
    while start < stop:
        data = stream.read(min(_READ_BYTES, stop - start))
        if not data:
            break
        total = add_words(total, data[: len(data) - len(data) % 4])
        start += len(data)
    return total, start


def verify_sums(url: str, stream: Any, unit: TableUnit) -> None:
    """Refuse a table whose bytes contradict its DATASUM or CHECKSUM, as far as it has them.

    A file that ends before the table does is left to the reader of its rows.

    Raises
    ------
    DamagedFileError
        If a sum is wrong.
    """
    stated = {name: str(unit.header.get(name, "")).strip() for name in ("DATASUM", "CHECKSUM")}
    if not any(stated.values()):
        return
    data, end = sum_bytes(stream, unit.data_at, unit.end)
    if end < unit.end:
        return
    # Zero and all ones are the same number in this arithmetic.
    if stated["DATASUM"] and not (
        stated["DATASUM"].isdecimal() and (int(stated["DATASUM"]) - data) % ALL_ONES == 0
    ):
        raise DamagedFileError(f"{url}: the table's data contradict its DATASUM.", _WAY_OUT)
    header, _ = sum_bytes(stream, unit.header_at, unit.data_at)
    if stated["CHECKSUM"] and (header + data) % ALL_ONES != 0:
        raise DamagedFileError(f"{url}: the table's header contradicts its CHECKSUM.", _WAY_OUT)
