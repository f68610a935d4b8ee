"""The mark of a simulated archive: a file in its root, and a word in the header of every table.

A copy of a part of such an archive, without the file, is still known by its tables; tables that a
tool has converted without their headers are still known by the file. Astropy keeps the word in
every conversion: it is a valid key of a FITS header and of ECSV's ``meta``, so to Parquet.
"""

from __future__ import annotations

import re
import zlib
from typing import Any, Final

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.archive.files import FileRef
from catalog_builder.errors import InputError

#: Keyword of FITS headers, key of ECSV's ``meta`` and of Parquet's metadata.
KEYWORD: Final = "SIMULATD"
#: In the root of an archive.
MARK_FILE: Final = "SIMULATED.json"
#: What stands beside the keyword, in words.
SENTENCE: Final = "simulated by catalog-builder, not observed"

#: Version 0.1.0 left no mark, but always the truth.
_MARK_FILES: Final = (MARK_FILE, "truth/about.json")
#: Bytes of a file that are looked at, and what they may hold when decompressed.
_HEAD, _TEXT = 1 << 18, 1 << 20
_CARD: Final = 80
_IN_TEXT: Final = re.compile(
    rb"\b" + KEYWORD.encode() + rb"['\"]?\s*:\s*['\"]?(?:true|t|yes|1)\b", re.IGNORECASE
)


def is_marked_archive(archive: str) -> bool:
    """Say whether the mark of a simulation lies in the root of an archive.

    Raises
    ------
    InputError
        If the archive cannot be looked at.
    """
    try:
        filesystem, root = fsspec.url_to_fs(archive)
        return any(filesystem.exists(f"{str(root).rstrip('/')}/{name}") for name in _MARK_FILES)
    except (ValueError, ImportError, OSError) as error:
        raise InputError(
            f"The archive {archive} cannot be opened: {error}.",
            "Give a path, or a URL whose file system is installed.",
        ) from error


def is_marked(file: FileRef) -> bool:
    """Say whether the header of a table says that it is simulated.

    Text, FITS and Parquet are told apart by content. What cannot be read says nothing: those who
    read the rows will say what is wrong with it.
    """
    try:
        filesystem, path = fsspec.url_to_fs(file.url)
        if not filesystem.isfile(path):  # a pipe would be waited for
            return False
        with filesystem.open(path, "rb") as stream:
            head = stream.read(_HEAD)
            if head.startswith(b"PAR1"):
                return _in_parquet(stream)
    except (OSError, pa.ArrowException):
        return False
    if head.startswith(b"\x1f\x8b"):
        head = _inflate(head)
    return _in_fits(head) if head.startswith(b"SIMPLE  =") else _in_comments(head)


def _inflate(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _TEXT)
    except zlib.error:
        return b""


def _in_comments(head: bytes) -> bool:
    """Look through the comment lines above the rows."""
    first_row = re.search(rb"^[^#\r\n]", head, re.MULTILINE)
    return _IN_TEXT.search(head, 0, first_row.start() if first_row else len(head)) is not None


def _in_fits(head: bytes) -> bool:
    """Look through the headers of a file that begins with them: the primary, and the table's."""
    cards = (head[at : at + _CARD] for at in range(0, len(head), _CARD))
    start = f"{KEYWORD:<8}= ".encode()
    return any(
        card.startswith(start) and card[len(start) :].split(b"/")[0].strip() in (b"T", b"'T'")
        for card in cards
    )


def _in_parquet(stream: Any) -> bool:
    stream.seek(0)
    metadata = pq.read_metadata(stream).metadata or {}
    word = KEYWORD.encode()
    # By itself, or in the ECSV header that astropy keeps.
    own = metadata.get(word, b"").strip().lower() in (b"true", b"t", b"yes", b"1")
    return own or any(_IN_TEXT.search(value) for value in metadata.values())
