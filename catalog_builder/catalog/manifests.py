"""The lists of a catalogue's bytes: ``SHA256SUMS`` of whole files, ``SHA256PARTS`` of large ones.

A line of the first is what ``sha256sum`` writes. One of the second has the digest of a part of a
file, its first byte, how many bytes it has, and the file. ``SHA256SUMS`` lists ``SHA256PARTS`` too,
and ``RELEASE.json`` has the digest of ``SHA256SUMS``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from catalog_builder.catalog.exports import Part
from catalog_builder.catalog.finding import Finding

#: What is said of a file, or of a part of one, whose digest is another.
CHANGED: Final = "its bytes have changed since sealing"
_READ_BYTES: Final = 1 << 20
_HEX: Final = 64


def file_line(name: str, digest: str) -> str:
    """Return a file's line in ``SHA256SUMS``."""
    return f"{digest}  {name}\n"


def part_line(part: Part) -> str:
    """Return a part's line in ``SHA256PARTS``."""
    return f"{part.digest} {part.start} {part.size} {part.file}\n"


def read_sums(text: bytes) -> dict[str, str]:
    """Return the digest of each file that ``SHA256SUMS`` lists."""
    listed = {}
    for line in text.decode("utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    return listed


def read_parts(text: bytes) -> dict[str, list[Part]]:
    """Return the parts of each file that ``SHA256PARTS`` lists, in order of their first byte.

    Raises
    ------
    ValueError
        If a line is not one of a part.
    """
    found: dict[str, list[Part]] = {}
    for line in text.decode("utf-8", errors="replace").splitlines():
        digest, start, size, file = line.split(" ", 3)
        if len(digest) != _HEX or not (start.isdecimal() and size.isdecimal()):
            raise ValueError(f"no line of a part: {line!r}")
        found.setdefault(file, []).append(Part(file, int(start), int(size), digest))
    return {name: sorted(parts, key=lambda part: part.start) for name, parts in found.items()}


def gap_of(parts: Iterable[Part], size: int) -> str:
    """Say where sorted parts do not make up a file of some bytes; empty if they do."""
    end = 0
    for part in parts:
        if part.start != end:
            return f"its parts leave out or repeat bytes {min(end, part.start)} and following"
        end = part.start + part.size
    return "" if end == size else f"its parts have {end} bytes, it has {size}"


def check_part(folder: Path, part: Part) -> Finding | None:
    """Compare a part of a file with its digest; a whole file is a part from 0 to its end."""
    try:
        found = digest_of(folder / part.file, part.start, part.size)
    except OSError as error:
        return Finding(part.file, f"cannot be read: {error.strerror}")
    if found == part.digest:
        return None
    where = f" (bytes {part.start} to {part.start + part.size})" if part.size >= 0 else ""
    return Finding(part.file, CHANGED + where)


def digest_of(path: Path, start: int = 0, size: int = -1) -> str:
    """Return the SHA-256 of a file, or of some bytes of it.

    Parameters
    ----------
    path : Path
        The file.
    start, size : int
        First byte, and how many; -1 for all that follow.
    """
    with path.open("rb") as file:
        if size < 0:
            file.seek(start)
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        file.seek(start)
        while size > 0 and (block := file.read(min(_READ_BYTES, size))):
            digest.update(block)
            size -= len(block)
        return digest.hexdigest()
