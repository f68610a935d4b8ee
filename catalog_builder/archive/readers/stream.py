"""Bytes of a file, decompressed as they come, in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.inflate import PIECE_BYTES, Inflater, sound_pieces
from catalog_builder.archive.signs import GZIP
from catalog_builder.archive.storage import open_bytes


def read_pieces(url: str, *, check_first: bool = True) -> Iterator[bytes]:
    """Yield a file's text in pieces of at most `PIECE_BYTES`; gzip is decompressed.

    A gzip file may consist of several members.

    Parameters
    ----------
    url : str
        The file.
    check_first : bool
        Whether a gzip file is gone through beforehand, so that no byte of a member with a wrong
        CRC is given. Otherwise all that can be decompressed comes before the error.

    Raises
    ------
    DamagedFileError
        If the file cannot be opened or read, or its gzip stream fails its CRC or ends too early.
    """
    try:
        with open_bytes(url) as stream:
            is_packed = stream.read(len(GZIP)) == GZIP
            stream.seek(0)
            if not is_packed:
                yield from _plain(stream)
            elif check_first:
                yield from sound_pieces(url, stream)
            else:
                yield from Inflater(url, stream).pieces()
    except OSError as error:
        raise DamagedFileError(f"{url} cannot be read: {error}.", "Check the file.") from error


def _plain(stream: Any) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece
