"""Export formats at work: whatever goes wrong in one is told under its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from catalog_builder.catalog.exports import Format
from catalog_builder.ground.errors import CatalogBuilderError, CatalogueError


@contextmanager
def told_as_a_format(name: str, one: Format) -> Iterator[None]:
    """Name the format in whatever its module raises: it may be anybody's.

    Raises
    ------
    CatalogueError
        Not for errors with words of their own, nor for those of the disk.
    """
    try:
        yield
    except (CatalogBuilderError, OSError, MemoryError):
        raise
    except Exception as error:  # whichever it is: formats come from anywhere
        raise CatalogueError(
            f"The export format {name} failed: {type(error).__name__}: {error}.",
            f"Correct {one.write.__module__}, or take {name} out of publish.formats.",
        ) from error
