"""A file, or folder, that is not there until it is whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from catalog_builder.catalog.layout import RELEASE_FILE, STORE_NAME
from catalog_builder.ground.errors import CatalogueError, ConfigError


@contextmanager
def appearing(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yield where to write: hidden beside the target, which it becomes at the end of the body.

    What the body wrote is on disk before it is renamed. If it fails or is interrupted, it is
    removed; what a killed process left is written over by the next.

    Parameters
    ----------
    target : Path
        Must not exist; nothing is ever overwritten.
    folder : bool
        Whether the body fills a folder.

    Raises
    ------
    ConfigError
        If something is there, if the folder around it is not, or is that of a catalogue.
    CatalogueError
        If another process writes to the same place.
    """
    _refuse_taken(target)
    _refuse_inside(target)
    partial = target.with_name(f".{target.name}.partial")
    with _held(partial, folder=folder):
        try:
            yield partial
            _sync(partial)
            _refuse_taken(target)
            partial.rename(target)
            _sync_one(target.absolute().parent)
        finally:
            _remove(partial)


@contextmanager
def _held(partial: Path, *, folder: bool) -> Iterator[None]:
    """Make an empty file or folder, and lock it; the lock ends with the process."""
    try:
        if partial.exists() and partial.is_dir() != folder:
            _remove(partial)
        if folder:
            partial.mkdir(exist_ok=True)
        descriptor = os.open(partial, os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ConfigError(
            f"Nothing can be written in {partial.absolute().parent}: {error.strerror}.",
            "Give another --out.",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = partial.exists() and os.path.samestat(partial.stat(), os.fstat(descriptor))
        except BlockingIOError:
            same = False
        if not same:  # it is another's, or just became what another wrote
            raise CatalogueError(
                f"Another process writes {partial} now.", "Wait for it, or give another --out."
            )
        if folder:
            for left in partial.iterdir():
                _remove(left)
        else:
            os.ftruncate(descriptor, 0)
        yield
    finally:
        os.close(descriptor)


def _refuse_taken(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise ConfigError(
            f"{target} exists, and is not written over.", "Remove it, or give another --out."
        )


def _refuse_inside(target: Path) -> None:
    parent = target.absolute().parent
    if not parent.is_dir():
        raise ConfigError(f"There is no folder {parent}.", "Make it, or give another --out.")
    for folder in (parent, *parent.parents):
        if folder.name == STORE_NAME or (folder / RELEASE_FILE).is_file():
            raise ConfigError(
                f"{target} would lie in the sealed catalogue {folder}.",
                "Give an --out outside of it: nothing is added to what is sealed.",
            )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if path.is_dir():
        for one in path.iterdir():
            _sync(one)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system of a network may not know it for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
