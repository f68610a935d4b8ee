"""Bytes of a file, decompressed as they come, in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isal import igzip_lib

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.signs import GZIP
from catalog_builder.archive.storage import open_bytes

_GZIP_ERRORS: tuple[Any, ...] = (igzip_lib.IsalError, ValueError)

#: Compressed bytes read at once.
READ_BYTES = 1 << 17
#: Text handed on at once; small enough to stay in the processor's cache until it is parsed.
PIECE_BYTES = 1 << 18


def read_pieces(url: str) -> Iterator[bytes]:
    """Yield a file's text in pieces of at most `PIECE_BYTES`; gzip is decompressed.

    A gzip file may consist of several members. All that can be decompressed is yielded before an
    error is raised.

    Raises
    ------
    DamagedFileError
        If the file cannot be opened or read, or its gzip stream fails its CRC or ends too early.
    """
    try:
        with open_bytes(url) as stream:
            head = stream.read(READ_BYTES)
            yield from (
                _inflate(url, head, stream) if head.startswith(GZIP) else _plain(head, stream)
            )
    except OSError as error:
        raise DamagedFileError(f"{url} cannot be read: {error}.", "Check the file.") from error


def _plain(head: bytes, stream: Any) -> Iterator[bytes]:
    if head:
        yield head
    while piece := stream.read(PIECE_BYTES):
        yield piece


def _inflate(url: str, compressed: bytes, stream: Any) -> Iterator[bytes]:
    while compressed:
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        while not member.eof:
            if member.needs_input and not compressed:
                compressed = stream.read(READ_BYTES)
                if not compressed:
                    raise DamagedFileError(
                        f"{url} is cut off: its gzip stream has no end.",
                        reason=RejectReason.TRUNCATED_FILE,
                    )
            try:
                piece = member.decompress(compressed, PIECE_BYTES)
            except _GZIP_ERRORS as error:
                raise DamagedFileError(f"{url} is not valid gzip: {error}.") from error
            compressed = b""
            if piece:
                yield piece
        # Zero padding after the last member is allowed by RFC 1952 practice.
        compressed = (member.unused_data or stream.read(READ_BYTES)).lstrip(b"\0")
        while not compressed and (more := stream.read(READ_BYTES)):
            compressed = more.lstrip(b"\0")
