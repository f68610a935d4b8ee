"""The mark of a simulated archive: a file in its root, and a word in the header of every table.

A copy of a part of such an archive, without the file, is still known by its tables; tables that a
tool has converted without their headers are still known by the file. Astropy keeps the word in
every conversion: it is a valid key of a FITS header and of ECSV's ``meta``, so to Parquet.
"""

from __future__ import annotations

import re
from typing import Any, Final

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers.content import look_at
from catalog_builder.archive.readers.guard import unforeseen_as_damage
from catalog_builder.archive.storage import errors_as_os_errors, filesystem_of, open_bytes
from catalog_builder.ground.errors import InputError

#: Keyword of FITS headers, key of ECSV's ``meta`` and of Parquet's metadata.
KEYWORD: Final = "SIMULATD"
#: In the root of an archive.
MARK_FILE: Final = "SIMULATED.json"
#: What stands beside the keyword, in words.
SENTENCE: Final = "simulated by catalog-builder, not observed"

#: Version 0.1.0 left no mark, but always the truth.
_MARK_FILES: Final = (MARK_FILE, "truth/about.json")
#: Bytes of a file that are looked at.
_HEAD: Final = 1 << 18
#: Bytes of a remote Parquet file that are asked for at once: most footers.
_FOOTER: Final = 1 << 16
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
    filesystem, root = filesystem_of(archive, "The archive")
    try:
        with errors_as_os_errors():
            return any(_exists(filesystem, f"{root.rstrip('/')}/{name}") for name in _MARK_FILES)
    except OSError as error:
        raise InputError(
            f"The archive {archive} cannot be opened: {error}.",
            "Give a path, or a URL whose file system is installed.",
        ) from error


def _exists(filesystem: Any, path: str) -> bool:
    """Whether a file is there; fsspec says of a web server that cannot be reached that it is not.

    One that refuses to say (403) has none: so do stores whose files may not be listed.
    """
    if "http" not in filesystem.protocol:
        return bool(filesystem.exists(path))
    try:
        return bool(filesystem.exists(path, strict=True))
    except Exception as error:
        if 400 <= getattr(error, "status", 0) < 500:
            return False
        raise


def is_marked(file: FileRef, *, was_read: bool = False) -> bool:
    """Say whether the header of a table says that it is simulated.

    Parameters
    ----------
    file : FileRef
        The table; text, FITS and Parquet are told apart by content, as by those who read the rows.
    was_read : bool
        Whether rows of it were taken. A file that gave none, and cannot be looked at, says nothing.

    Raises
    ------
    InputError
        If rows were taken of a file that now cannot be looked at: they would pass as real.
    """
    try:
        with unforeseen_as_damage(file.url):
            return _says_so(file.url)
    except InputError as error:
        if not was_read:
            return False
        raise InputError(
            f"Whether {file.url} is simulated cannot be told: {error.problem}",
            "Check the file and the connection, then give the same command again.",
        ) from error


def _says_so(url: str) -> bool:
    content = look_at(url, _HEAD)
    if content.format == "parquet":
        return _in_parquet(url)
    return _in_fits(content.head) if content.format == "fits" else _in_comments(content.head)


def _in_comments(head: bytes) -> bool:
    """Look through the comment lines above the rows."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    first_row = re.search(rb"^(?!#)[^\n]*\S", head, re.MULTILINE)
    return _IN_TEXT.search(head, 0, first_row.start() if first_row else len(head)) is not None


def _in_fits(head: bytes) -> bool:
    """Look through the headers of a file that begins with them: the primary, and the table's."""
    cards = (head[at : at + _CARD] for at in range(0, len(head), _CARD))
    start = f"{KEYWORD:<8}= ".encode()
    return any(
        card.startswith(start) and card[len(start) :].split(b"/")[0].strip() in (b"T", b"'T'")
        for card in cards
    )


def _in_parquet(url: str) -> bool:
    import pyarrow.parquet as pq

    with open_bytes(url, at_once=_FOOTER) as stream:
        metadata = pq.read_metadata(stream).metadata or {}
    word = KEYWORD.encode()
    # By itself, or in the ECSV header that astropy keeps.
    own = metadata.get(word, b"").strip().lower() in (b"true", b"t", b"yes", b"1")
    return own or any(_IN_TEXT.search(value) for value in metadata.values())
