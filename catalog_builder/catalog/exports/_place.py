"""Bytes written at their place in a file by tasks that know nothing of each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from catalog_builder.ground.errors import StoreError

_READ_BYTES: Final = 1 << 20


def write_at(path: Path, place: int, data: bytes | memoryview, *, whole: bool = False) -> None:
    """Write bytes at their place, on disk when this returns, and compare what is there.

    Each write goes to the disk as it is (O_DSYNC): a file system of a network that collects whole
    pages of what two machines write would put back old bytes beside the new ones.

    Parameters
    ----------
    path : Path
        A file that is there, unless `whole` is set.
    place : int
        First byte.
    data : bytes
        What to write.
    whole : bool
        The file is made if it is not there, and ends behind these bytes. Who writes it a second
        time writes the same, so that it may be read while that goes on.
    """
    flags = os.O_RDWR | os.O_DSYNC | (os.O_CREAT if whole else 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        view, at = memoryview(data), place
        while view:
            count = os.pwrite(descriptor, view, at)
            view, at = view[count:], at + count
        if whole:
            os.ftruncate(descriptor, at)
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
