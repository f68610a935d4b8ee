"""One file of the archive, and the checksum its folder's list gives for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fsspec

from catalog_builder.archive.tables import ChecksumRule
from catalog_builder.errors import InputError

_HASH_CHUNK = 1 << 20


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
    """

    url: str
    size: int
    mtime: float | None = None
    checksum: str | None = None

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self.url.rstrip("/").rsplit("/", 1)[-1]


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
        If its size or its time differ, or it is gone.
    """
    filesystem, path = fsspec.url_to_fs(file.url)
    filesystem.invalidate_cache()
    try:
        info = filesystem.info(path)
    except OSError as error:
        raise InputError(
            f"{file.url} is gone since the run was planned: {error}.", _RUN_AGAIN
        ) from error
    now = FileRef(file.url, int(info.get("size") or 0), modification_time(info))
    touched = None not in (file.mtime, now.mtime) and file.mtime != now.mtime
    if file.size != now.size:
        how = f"it had {file.size} bytes when the run was planned, and has {now.size}"
    elif touched:
        how = "it was written to since the run was planned"
    else:
        return
    raise InputError(f"{file.url} changed while it was read: {how}.", _RUN_AGAIN)


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
        with fsspec.open(url, "rb") as stream:
            while piece := stream.read(_HASH_CHUNK):
                digest.update(piece)
    except OSError as error:
        raise InputError(f"{url} cannot be read: {error}.", "Check the file.") from error
    return digest.hexdigest()


def read_checksums(
    filesystem: Any, folder: str, present: Collection[str], rule: ChecksumRule | None
) -> dict[str, str]:
    """Return ``<algorithm>:<digest>`` by file name, from a folder's checksum list.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
        Where the folder is.
    folder : str
        Its path there.
    present : collection of str
        Names of the files in it.
    rule : ChecksumRule or None
        Name of the list and its algorithm.

    Returns
    -------
    dict of str to str
        Empty without a list. Lines that are no checksum are skipped, and so is the line in which
        the list names itself: no list can hold its own digest.

    Raises
    ------
    InputError
        If the list is there but cannot be read.
    """
    if rule is None or rule.file_name not in present:
        return {}
    try:
        text = filesystem.cat_file(f"{folder}/{rule.file_name}").decode("utf-8", "replace")
    except OSError as error:
        raise InputError(
            f"The checksum list {folder}/{rule.file_name} cannot be read: {error}.",
            "Make it readable, or remove it to go without checksums.",
        ) from error
    length = 2 * hashlib.new(rule.algorithm, usedforsecurity=False).digest_size
    lines = re.findall(rf"^([0-9a-fA-F]{{{length}}})[ \t]+\*?(\S+)[ \t\r]*$", text, re.MULTILINE)
    return {
        name.rsplit("/", 1)[-1]: f"{rule.algorithm}:{digest.lower()}"
        for digest, name in lines
        if name.rsplit("/", 1)[-1] != rule.file_name
    }
