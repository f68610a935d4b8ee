"""What a file is, told from its first bytes; its name only says what was hoped for."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.inflate import Inflater
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.signs import CONVERT, FITS, GZIP, name_foreign
from catalog_builder.archive.storage import open_bytes

#: What is enough to tell a format; and the most that a head may hold when decompressed.
_HEAD_BYTES, _MAX_HEAD_BYTES = 1 << 12, 1 << 24
_LINE_BYTES = 512


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Parameters
    ----------
    format : {"text", "fits", "parquet"}
        CSV and ECSV are both text.
    gzipped : bool
        Whether that lies in a gzip stream.
    head : bytes
        Its first bytes, decompressed; empty where they cannot be.
    """

    format: Literal["text", "fits", "parquet"]
    gzipped: bool
    head: bytes


def look_at(url: str, size: int = _HEAD_BYTES) -> Content:
    """Tell what a file is from its first bytes.

    Parameters
    ----------
    url : str
        Path or URL. A name that promises gzip, FITS or Parquet only makes the reader choosier
        about what passes as text.
    size : int
        Bytes on disk to take the head from; what the file is does not depend on it.

    Raises
    ------
    DamagedFileError
        If it cannot be opened, is empty, or is something else, which is named: a compression
        or a format that is not read here, a page of HTML.
    """
    packed, head = read_head(url, size)
    foreign = name_foreign(head[:_HEAD_BYTES])
    if foreign is not None:
        what, way_out = foreign
        found = f"holds {what} within gzip" if packed else f"is {what}"
        raise DamagedFileError(f"{url} {found}, not a table.", way_out)
    if head.startswith(FITS):
        return Content("fits", packed, head)
    # A column may be called PAR1; Parquet goes on in bytes that are no text.
    if head.startswith(b"PAR1") and not (b"," in head[:_HEAD_BYTES] and _is_printable(head)):
        if packed:
            raise DamagedFileError(
                f"{url} is Parquet within gzip, which cannot be read in pieces.",
                "Decompress it: Parquet has compression of its own.",
            )
        return Content("parquet", packed, head)
    if not _may_be_a_table(head, url, packed):
        shown = ascii(head[:20].decode("latin-1"))
        raise DamagedFileError(f"{url} is of no known format: it begins with {shown}.", CONVERT)
    return Content("text", packed, head)


def refuse_other_than_fits(url: str) -> None:
    """Refuse a file that is not FITS, plain or gzipped, saying what it is.

    Raises
    ------
    DamagedFileError
        Also where `look_at` raises it.
    """
    try:
        found = look_at(url)
    except DamagedFileError as error:
        said = error.problem.removeprefix(f"{url} ")
        raise DamagedFileError(
            f"{url} cannot be read as FITS: it {said}", error.way_out, error.reason
        ) from error
    if found.format != "fits":
        what = "a table of text" if found.format == "text" else "Parquet"
        raise DamagedFileError(
            f"{url} cannot be read as FITS: by its content it is {what}.",
            "Give the file as FITS.",
        )


def read_head(url: str, size: int) -> tuple[bool, bytes]:
    """Return whether a file is gzipped, and what its first `size` bytes on disk hold.

    A file that can be inflated only in part gives that part; who reads it to the end will say what
    is wrong.

    Raises
    ------
    DamagedFileError
        If it cannot be opened, or is empty.
    """
    try:
        with open_bytes(url, at_once=size) as stream:
            head = stream.read(size)
    except OSError as error:
        raise DamagedFileError(f"{url} cannot be read: {error}.", "Check the file.") from error
    if not head:
        raise DamagedFileError(
            f"{url} is empty: it has no line of column names.", reason=RejectReason.TRUNCATED_FILE
        )
    if not head.startswith(GZIP):
        return False, head
    inflated = b""
    with suppress(DamagedFileError):  # at the latest where the head ends
        for piece in Inflater(url, io.BytesIO(head)).pieces():
            inflated += piece
            if len(inflated) >= _MAX_HEAD_BYTES:
                break
    return True, inflated


def _may_be_a_table(head: bytes, url: str, packed: bool) -> bool:
    """Whether the first line can be one of a table of text."""
    if not _is_printable(head):
        return False
    line = _first_line(head)
    # Where the name promises something else, text has to look like a header.
    named = url.lower().endswith(("csv", ".tsv", ".txt", ".dat"))
    return packed or named or b"," in line or line.lstrip().startswith(b"#")


def _first_line(head: bytes) -> bytes:
    return head[:_LINE_BYTES].partition(b"\n")[0]


def _is_printable(head: bytes) -> bool:
    """Whether the first line has no control characters."""
    return re.search(rb"[\x00-\x08\x0b\x0e-\x1f]", _first_line(head)) is None
