"""Places where files lie: whatever fsspec opens, with the same manners for all.

A link counts as what it points to. What is no file is refused by its kind and never waited for.
Errors of a remote place are `OSError`, whichever package they come from, and a package that is
missing is named.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from catalog_builder.ground.about import DISTRIBUTION
from catalog_builder.ground.errors import CatalogBuilderError, InputError

#: What a protocol needs: `[name]` is an extra of this program, all else a package.
_NEEDED = {
    "http": "[http]",
    "https": "[http]",
    "s3": "[s3]",
    "s3a": "[s3]",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
_PACKAGES = {"[http]": "aiohttp", "[s3]": "s3fs"}

_KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_BUFFER_BYTES = 1 << 16


def check_address(url: str | None, what: str) -> None:
    """Refuse an address whose file system is unknown or not installed; nothing is opened.

    Parameters
    ----------
    url : str or None
        Path or URL, also a chain (``zip://...::https://...``).
    what : str
        What lies there, to begin the message with.

    Raises
    ------
    InputError
        Naming the extra or the package.
    """
    for protocol in re.findall(r"(?:^|::)([A-Za-z0-9][A-Za-z0-9+.-]*)://", url or ""):
        try:
            fsspec.get_filesystem_class(protocol)
        except (ImportError, ValueError) as error:
            needed = _NEEDED.get(protocol)
            if needed is None:
                raise InputError(
                    f"{what} {url} cannot be opened: {error}.",
                    "Install the package that opens such addresses, or give a path or a URL of"
                    f" another kind ({', '.join(f'{name}://' for name in ('https', 's3', 'gs'))}).",
                ) from error
            target = f"'{DISTRIBUTION}{needed}'" if needed.startswith("[") else needed
            raise InputError(
                f"{what} {url} cannot be opened: {protocol}:// needs the package"
                f" {_PACKAGES.get(needed, needed)}, which is not installed.",
                f"Give `pip install {target}`, or copy the files to disk.",
            ) from error


def filesystem_of(url: str, what: str) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path there.

    Raises
    ------
    InputError
        If there is no such file system, naming what to install, or it cannot be reached.
    """
    check_address(url, what)
    try:
        with errors_as_os_errors():
            filesystem, path = fsspec.url_to_fs(url)
    except OSError as error:
        raise InputError(
            f"{what} {url} cannot be opened: {error}.",
            "Give a path, or a URL whose file system is installed.",
        ) from error
    return filesystem, str(path)


@contextmanager
def errors_as_os_errors() -> Iterator[None]:
    """Turn whatever a file system raises into `OSError`."""
    try:
        yield
    except (OSError, CatalogBuilderError):
        raise
    except Exception as error:
        # aiohttp, botocore and the others have errors of their own, without a base in common.
        raise OSError(f"{type(error).__name__}: {error}") from error


def first_cause(error: OSError) -> Exception:
    """Return what went wrong first: for fsspec a server that does not answer has no such file.

    Nor has one that refuses; only where it says "404" the file is gone.
    """
    while isinstance(error.__cause__, OSError):
        error = error.__cause__
    answered = error.__cause__
    if isinstance(answered, Exception) and getattr(answered, "status", 404) != 404:
        return answered
    return error


def is_local(filesystem: Any) -> bool:
    """Whether paths of a file system are this machine's."""
    return isinstance(filesystem, LocalFileSystem)


def find_out(filesystem: Any, path: str) -> dict[str, Any]:
    """Return fsspec's description of what lies at a path, links followed.

    Raises
    ------
    OSError
        If nothing is there, or it cannot be told.
    """
    with errors_as_os_errors():
        filesystem.invalidate_cache()
        facts: dict[str, Any] = filesystem.info(path)
    last_modified = facts.get("Last-Modified")
    if isinstance(last_modified, str):
        with suppress(ValueError):  # a server without a calendar: only sizes are compared
            facts["LastModified"] = parsedate_to_datetime(last_modified)
    return facts


def why_no_file(filesystem: Any, path: str) -> str | None:
    """Say what lies at a path if it is no file; None where it is one, or nothing is there."""
    if not is_local(filesystem):
        with errors_as_os_errors():
            return "it is a folder" if filesystem.isdir(path) else None
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return _broken_link(Path(path))
    return None if stat.S_ISREG(mode) else f"it is {_KINDS.get(stat.S_IFMT(mode), 'no file')}"


def why_no_folder(filesystem: Any, path: str) -> str | None:
    """Say which link on the way to a folder leads nowhere; None where none does."""
    if not is_local(filesystem):
        return None
    for place in (Path(path), *Path(path).parents):
        wrong = _broken_link(place)
        if wrong is not None:
            return wrong if place == Path(path) else f"{place}: {wrong}"
    return None


def _broken_link(path: Path) -> str | None:
    # Without the target: messages end in catalogues, which name no folders of somebody's machine.
    if not path.is_symlink():
        return None
    try:
        path.stat()
    except FileNotFoundError:
        return "it is a symbolic link whose target is not there"
    except NotADirectoryError:
        return "it is a symbolic link that leads through a file"
    except OSError as error:
        # ELOOP, whose number differs among systems.
        loops = "ymbolic link" in (error.strerror or "")
        return "it is a symbolic link that leads back to itself" if loops else None
    return None


@contextmanager
def open_bytes(url: str, *, at_once: int | None = None) -> Iterator[BinaryIO]:
    """Open a file to read, and to seek in.

    Parameters
    ----------
    url : str
        Path or URL.
    at_once : int, optional
        Bytes that a remote place is asked for at once; fsspec's choice by default.

    Raises
    ------
    InputError
        If its file system is not installed.
    OSError
        If it cannot be opened or is no file; also while it is read.
    """
    filesystem, path = filesystem_of(url, "The file")
    if is_local(filesystem):
        wrong = why_no_file(filesystem, path)
        if wrong is not None:
            raise OSError(wrong)
        # Without waiting: a pipe that took the file's place just now would be waited for.
        with open(path, "rb", opener=_open_at_once) as stream:
            yield stream
        return
    options = {} if at_once is None else {"block_size": at_once}
    with errors_as_os_errors():
        remote = filesystem.open(path, "rb", **options)
    with io.BufferedReader(_Remote(filesystem, path, remote), _BUFFER_BYTES) as buffered:
        yield buffered


def _open_at_once(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no file any more")
    return descriptor


class _Remote(io.RawIOBase):
    """A remote file; one whose server gives no parts of files is brought to a temporary file."""

    def __init__(self, filesystem: Any, path: str, stream: Any) -> None:
        super().__init__()
        self._filesystem, self._path, self._stream = filesystem, path, stream
        self._place = 0
        self._is_copy = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with errors_as_os_errors():
            try:
                self._place = int(self._stream.seek(offset, whence))
            except ValueError:
                self._copy()
                self._place = int(self._stream.seek(offset, whence))
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        with errors_as_os_errors():
            try:
                piece = self._stream.read(len(view))
            except ValueError:
                self._copy()
                piece = self._stream.read(len(view))
        view[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _copy(self) -> None:
        """Go on with a local copy, at the same place: fsspec says ValueError for no ranges."""
        if self._is_copy:
            raise OSError("it cannot be read in parts")
        copy = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this stream)
        try:
            with self._filesystem.open(self._path, "rb", block_size=0) as whole:
                shutil.copyfileobj(whole, copy, 1 << 20)
            copy.seek(self._place)
        except BaseException:
            copy.close()
            raise
        self._stream.close()
        self._stream, self._is_copy = copy, True
