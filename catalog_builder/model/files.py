"""Files of a model directory: read whole, once, and only if they are what they should be."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from catalog_builder.ground.errors import ModelError

COPY_AGAIN: Final = "Copy the model directory again from where it was made, or train again."


def read_whole(path: Path, limit: int) -> bytes:
    """Return the content of a file that should be no larger than `limit` bytes.

    Neither a symbolic link, which leads out of the directory, nor anything that is no file, such
    as a FIFO, which would be waited for, is opened to its end.

    Raises
    ------
    ModelError
        If it cannot be read, is no file of its own, or is larger.
    """
    try:
        # Without waiting: a FIFO without a writer would be waited for here.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise ModelError(_why(path, error), _way_out(path)) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ModelError(f"{path} is no file.", COPY_AGAIN)
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > limit:
            raise ModelError(
                f"{path} has {status.st_size} bytes, more than the {limit} that it can need.",
                COPY_AGAIN,
            )
        try:
            return file.read(limit)
        except OSError as error:
            raise ModelError(_why(path, error), COPY_AGAIN) from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; raises ModelError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(_why(path, error), COPY_AGAIN) from error


def _why(path: Path, error: OSError | ValueError) -> str:
    if path.is_symlink():
        return f"{path} is a symbolic link; a model directory holds its files itself."
    return f"{path} cannot be read ({getattr(error, 'strerror', None) or error})."


def _way_out(path: Path) -> str:
    return "Copy what it points to into the directory." if path.is_symlink() else COPY_AGAIN
