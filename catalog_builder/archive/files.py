"""One file of the archive, and the checksum its folder's list gives for it."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog_builder.archive.signs import name_foreign
from catalog_builder.archive.storage import (
    filesystem_of,
    find_out,
    first_cause,
    is_local,
    open_bytes,
)
from catalog_builder.archive.tables import ChecksumRule
from catalog_builder.ground.errors import InputError

_HASH_CHUNK = 1 << 20
_HEAD_BYTES = 1 << 12
#: Of a checksum list; Gaia's longest, of 3386 files, has 200 kB.
_MAX_LIST_BYTES = 1 << 26


@dataclass(frozen=True)
class FileRef:
    """One file of the archive, small enough to travel in a task.

    Parameters
    ----------
    url : str
        Path or URL that fsspec opens.
    size : int
        Bytes.
    mtime : float or None
        Seconds since 1970, where the file system says.
    checksum : str or None
        ``<algorithm>:<hex digest>`` from the folder's checksum list.
    link : str or None
        What a symbolic link says; size and time are those of the file that it leads to.
    passed_over : tuple of str
        Names of files that might have been taken instead.
    place : str
        Where in the archive it lies, if its name alone says too little: others have the same.
    limits : (int, int) or None
        First and last pixel of the range that it holds, of a file of a table.
    """

    url: str
    size: int
    mtime: float | None = None
    checksum: str | None = None
    link: str | None = None
    passed_over: tuple[str, ...] = ()
    place: str = ""
    limits: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Last part of the URL, or the place in the archive."""
        return self.place or self.url.rstrip("/").rsplit("/", 1)[-1]

    def share(self, start: int, stop: int) -> float:
        """Return which share of its range lies within another one."""
        if self.limits is None:
            return 1.0
        first, last = self.limits
        return max(0, min(stop, last) - max(start, first) + 1) / (last - first + 1)


def modification_time(info: Mapping[str, Any]) -> float | None:
    """Return seconds since 1970 from fsspec's description of a file; None where it gives none."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None


def refuse_if_changed(file: FileRef) -> None:
    """Refuse a file that is no longer the one that was listed when the run was planned.

    Called after reading: what was read then belongs to what the plan says of the file.

    Raises
    ------
    InputError
        If its size or its time differ, it is gone, or that cannot be told.
    """
    filesystem, path = filesystem_of(file.url, "The file")
    try:
        now = make_file(file.url, find_out(filesystem, path))
    except OSError as error:
        if file.link is not None and file.mtime is None:
            return  # a link that led nowhere already then
        cause = first_cause(error)
        if isinstance(cause, FileNotFoundError | NotADirectoryError):
            raise InputError(
                f"{file.url} is gone since the run was planned: {error}.", _RUN_AGAIN
            ) from error
        raise InputError(
            f"{file.url} cannot be reached any more: {cause}.",
            "Give the same command again when it can be.",
        ) from error
    if file.size != now.size:
        how = f"it had {file.size} bytes when the run was planned, and has {now.size}"
    elif not _same_time(file.mtime, now.mtime, is_exact=is_local(filesystem)):
        how = "it was written to since the run was planned"
    elif file.link != now.link:
        how = "it is a link, and leads to another place than when the run was planned"
    else:
        return
    raise InputError(f"{file.url} changed while it was read: {how}.", _RUN_AGAIN)


def make_file(url: str, facts: Mapping[str, Any]) -> FileRef:
    """Return a file from fsspec's description of it, in which links were followed."""
    link = facts.get("destination")
    return FileRef(
        url,
        size=int(facts.get("size") or 0),
        mtime=modification_time(facts),
        link=os.fsdecode(link) if link else None,
    )


def _same_time(planned: float | None, now: float | None, *, is_exact: bool) -> bool:
    """Whether two times are the same, as far as they are known.

    An object store may list fractions of a second that its answer about one object leaves out.
    """
    if planned is None or now is None or planned == now:
        return True
    whole = planned.is_integer() or now.is_integer()
    return not is_exact and whole and math.floor(planned) == math.floor(now)


_RUN_AGAIN = "Let the archive come to rest, then give the same command again."


def checksum_matches(file: FileRef) -> bool:
    """Whether a file has the checksum of its list; True where the list gives none.

    The file is read once, in pieces.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    if file.checksum is None:
        return True
    algorithm, _, expected = file.checksum.partition(":")
    return digest_file(file.url, algorithm) == expected


def digest_file(url: str, algorithm: str) -> str:
    """Return the hexadecimal digest of a file, by streaming it.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with open_bytes(url) as stream:
            while piece := stream.read(_HASH_CHUNK):
                digest.update(piece)
    except OSError as error:
        raise InputError(f"{url} cannot be read: {error}.", "Check the file.") from error
    return digest.hexdigest()


def read_checksums(
    folder: str, present: Collection[str], rule: ChecksumRule | None, *, by_path: bool = False
) -> dict[str, str]:
    """Return ``<algorithm>:<digest>`` by file name, from a folder's checksum list.

    Parameters
    ----------
    folder : str
        Its path or URL.
    present : collection of str
        Names of the files in it.
    rule : ChecksumRule or None
        Name of the list and its algorithm.
    by_path : bool
        Whether names are kept with the folders before them.

    Returns
    -------
    dict of str to str
        Empty without a list. Lines that are no checksum are skipped, and so is the line in which
        the list names itself: no list can hold its own digest.

    Raises
    ------
    InputError
        If the list is there but cannot be read, or is something else, such as a page of HTML.
    """
    if rule is None or rule.file_name not in present:
        return {}
    url = f"{folder}/{rule.file_name}"
    try:
        with open_bytes(url) as stream:
            content = stream.read(_MAX_LIST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"The checksum list {url} cannot be read: {error}.",
            "Make it readable, or remove it to go without checksums.",
        ) from error
    if len(content) > _MAX_LIST_BYTES:
        raise InputError(
            f"The checksum list {url} has more than {_MAX_LIST_BYTES >> 20} MiB.",
            "Fetch it again, or remove it to go without checksums.",
        )
    foreign = name_foreign(content[:_HEAD_BYTES])
    if foreign is not None:
        raise InputError(
            f"The checksum list {url} is {foreign[0]}.",
            "Fetch it again, or remove it to go without checksums.",
        )
    text = content.decode("utf-8", "replace")
    length = 2 * hashlib.new(rule.algorithm, usedforsecurity=False).digest_size
    lines = re.findall(rf"^([0-9a-fA-F]{{{length}}})[ \t]+\*?(\S+)[ \t\r]*$", text, re.MULTILINE)
    return {
        name.removeprefix("./") if by_path else name.rsplit("/", 1)[-1]: (
            f"{rule.algorithm}:{digest.lower()}"
        )
        for digest, name in lines
        if name.rsplit("/", 1)[-1] != rule.file_name
    }
