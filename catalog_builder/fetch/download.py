"""Bring one file: go on where a broken download stopped, and prove what was brought.

The bytes grow in ``<name>.partial``; beside it a note remembers which remote file they are of, so
that a file that changed there starts anew. Only a complete file whose checksum is right gets its
name.
"""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import urllib3

from catalog_builder.archive.files import digest_file
from catalog_builder.fetch.client import Client, TransientError
from catalog_builder.fetch.plan import Download
from catalog_builder.ground.documents import parse_json, read_document
from catalog_builder.ground.errors import InputError, ResourceError, StoreError

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


class Progress:
    """Bytes that are there, counted over all threads, and told to a callback.

    Parameters
    ----------
    total : int
        Bytes of all files, where known.
    on_progress : callable or None
        Called with (bytes done, bytes in total), one thread at a time.
    """

    def __init__(self, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        self.received = 0
        self._total = total
        self._on_progress = on_progress
        self._done: dict[Path, int] = {}
        self._sum = 0
        self._lock = threading.Lock()

    def at(self, file: Download, n_bytes: int, *, received: int = 0) -> None:
        """Say that `file` has `n_bytes`, of which `received` just came over the network."""
        with self._lock:
            self._sum += n_bytes - self._done.get(file.path, 0)
            self._done[file.path] = n_bytes
            self.received += received
            if self._on_progress is not None:
                self._on_progress(self._sum, max(self._total, self._sum))


@dataclass(frozen=True)
class _Note:
    """The remote file of which a partial one is: size in bytes and validator, if it has one."""

    size: int | None
    validator: str | None


class Downloader:
    """Brings files one by one; may be called from several threads, for different files."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._client = client
        self._progress = progress
        # Largest number of bytes of a file there has been, for files in the making.
        self._furthest: dict[Path, int] = {}

    def fetch(self, file: Download) -> bool:
        """Make `file` be there, complete and right; return whether it had to be brought.

        Raises
        ------
        InputError
            If it cannot be had, or is wrong twice.
        ResourceError
            If the disk is full.
        StoreError
            If it cannot be written.
        """
        try:
            return self._fetch(file)
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise (ResourceError if full else StoreError)(
                f"{file.path} cannot be written: {error.strerror or error}.",
                "Make room: the same command goes on from here." if full else "Make it writable.",
            ) from error

    def _fetch(self, file: Download) -> bool:
        if self._is_there(file):
            self._progress.at(file, file.path.stat().st_size)
            return False
        file.path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_odd_places(file)
        wrong = self._bring(file)
        if wrong is not None:
            wrong = self._bring(file)
        if wrong is not None:
            raise InputError(
                f"{file.url}: {wrong}, also when it was fetched once more from its start.",
                "The file or its checksum list is damaged at the source: try later, or use a"
                " mirror with --root.",
            )
        file.partial.replace(file.path)
        file.note.unlink(missing_ok=True)
        return True

    def _bring(self, file: Download) -> str | None:
        """Complete the partial file; say what is wrong with it then, and throw it away."""
        self._furthest.pop(file.path, None)
        self._client.patiently(file.url, lambda: self._attempt(file))
        wrong = _wrong_digest(file.partial, file.checksum)
        if wrong is not None:
            _discard(file)
        return wrong

    def _is_there(self, file: Download) -> bool:
        """Whether nothing needs to be fetched."""
        if not file.path.is_file() or file.size not in {None, file.path.stat().st_size}:
            return False
        checksum = file.checksum
        if checksum is None and re.fullmatch(r"[0-9a-f]{32}", file.etag or ""):
            # An object store's tag is the md5 of what was put there in one piece. Here it can only
            # spare a download, never accept a wrong one.
            checksum = f"md5:{file.etag}"
        if checksum is None:
            return file.size is not None and not file.is_list
        if not self._client.settings.recheck and not file.is_list:
            return True
        return _wrong_digest(file.path, checksum) is None

    def _attempt(self, file: Download) -> None:
        """Bring what is missing of the partial file, in one request."""
        note = _read_note(file)
        start = _bytes_to_keep(file, note)
        if start and start == note.size:
            self._progress.at(file, start)
            return
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and note.validator and not note.validator.startswith("W/"):
            headers["If-Range"] = note.validator
        statuses = (200, 206, 416) if start else (200,)
        with self._client.open(file.url, headers=headers, statuses=statuses) as response:
            found = _describe(response)
            if response.status == 200:  # also from a server that knows no ranges
                start = 0
            elif not _continues(response, start, note, found):
                _discard(file)
                raise TransientError("the file changed since its first part was fetched")
            size = _expected_size(file, found)
            with file.partial.open("r+b" if start else "wb") as stream:
                if not start:
                    _write_note(file, _Note(size, found.validator))
                stream.seek(start)
                self._receive(response, file, stream, size)

    def _receive(
        self,
        response: urllib3.BaseHTTPResponse,
        file: Download,
        stream: BinaryIO,
        size: int | None,
    ) -> None:
        """Append the body to `stream` and make sure that it lies on the disk."""
        try:
            self._copy(response, file, stream, size)
            if size is not None and stream.tell() < size:
                raise TransientError(f"it ended at byte {stream.tell()} of {size}")  # noqa: TRY301
        except (TransientError, urllib3.exceptions.HTTPError) as error:
            # Bytes count as progress only beyond what was there before: a server that always
            # starts anew and always breaks at the same byte is given up.
            progress = stream.tell() - self._furthest.get(file.path, 0)
            self._furthest[file.path] = max(stream.tell(), self._furthest.get(file.path, 0))
            raise TransientError(f"broken off: {error}", progress=progress) from error
        os.fsync(stream.fileno())

    def _copy(
        self,
        response: urllib3.BaseHTTPResponse,
        file: Download,
        stream: BinaryIO,
        size: int | None,
    ) -> None:
        """Append the body to `stream`, never more than `size` bytes in all."""
        here = stream.tell()
        self._furthest.setdefault(file.path, here)
        self._progress.at(file, here)
        chunk = self._client.settings.chunk_bytes
        while piece := response.read1(chunk, decode_content=False):
            self._client.raise_if_stopped()
            here += len(piece)
            if size is not None and here > size:
                raise TransientError(f"it sends more than the {size} bytes it should have")
            stream.write(piece)
            # Into the system's hands at once: a killed process loses no more than a piece.
            stream.flush()
            self._progress.at(file, here, received=len(piece))
            self._client.throttle(len(piece))


def _refuse_odd_places(file: Download) -> None:
    """Refuse to write where something else lies: a pipe would be waited for, a link followed."""
    for place in (file.partial, file.note):
        is_link = place.is_symlink() and place.is_file()
        if is_link or place.is_fifo() or place.is_block_device():
            what = "a symbolic link" if is_link else "no file"
            raise StoreError(
                f"{place} is {what}, and the download would write there.", "Remove it."
            )


def _describe(response: urllib3.BaseHTTPResponse) -> _Note:
    """Return size of the whole file and validator, as this response has them."""
    validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if response.status == 200:
        length = response.headers.get("Content-Length", "")
        return _Note(int(length) if length.isascii() and length.isdigit() else None, validator)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    size = int(match[2]) if match and match[2] != "*" else None
    return _Note(size, validator)


def _continues(response: urllib3.BaseHTTPResponse, start: int, note: _Note, found: _Note) -> bool:
    """Whether a partial response goes on with the file that was begun."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status != 206 or match is None or int(match[1]) != start:
        return False
    same_size = None in {note.size, found.size} or note.size == found.size
    return same_size and (found.validator is None or found.validator == note.validator)


def _expected_size(file: Download, found: _Note) -> int | None:
    if file.size is not None and found.size is not None and found.size != file.size:
        raise TransientError(f"it has {found.size} bytes where the listing says {file.size}")
    return file.size if file.size is not None else found.size


def _bytes_to_keep(file: Download, note: _Note) -> int:
    """Return how much of the partial file may be gone on from."""
    present = file.partial.stat().st_size if file.partial.exists() else 0
    if note.size is None or present > note.size or file.size not in {None, note.size}:
        return 0
    return present


def _read_note(file: Download) -> _Note:
    """Return the note; an empty one where there is none, or it is not one of ours."""
    try:
        content = parse_json(read_document(file.note))
        size, validator = content["size"], content["validator"]
    except (OSError, ValueError, TypeError, KeyError):
        return _Note(None, None)
    if not isinstance(size, int) or not isinstance(validator, str | None):
        return _Note(None, None)
    return _Note(size, validator)


def _write_note(file: Download, note: _Note) -> None:
    aside = file.note.with_name(file.note.name + ".new")
    aside.write_text(json.dumps(asdict(note)), encoding="utf-8")
    aside.replace(file.note)


def _wrong_digest(path: Path, checksum: str | None) -> str | None:
    """Say what is wrong with a file's checksum; None where it is right, or none is known."""
    if checksum is None:
        return None
    algorithm, _, expected = checksum.partition(":")
    found = digest_file(str(path), algorithm)
    return None if found == expected else f"its {algorithm} is {found}, where {expected} is due"


def _discard(file: Download) -> None:
    file.partial.unlink(missing_ok=True)
    file.note.unlink(missing_ok=True)
