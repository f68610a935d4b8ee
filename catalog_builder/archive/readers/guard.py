"""Keeps the unforeseen of one file to that file: no content of a file may end a run.

Readers refuse what they know to be wrong. What else a parser raises on a stranger's bytes is an
error of that file too: it is named, counted and passed over like every other damage.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.ground.errors import CatalogBuilderError

Item = TypeVar("Item")
_PACKAGE = Path(__file__).parents[2]


class UnforeseenDamageError(DamagedFileError):
    """A file made its reader raise an error without words for a user; that one is the cause.

    The message says which and where: it may be a defect of the program, and tests take it for one.
    """


@contextmanager
def unforeseen_as_damage(url: str) -> Iterator[None]:
    """Turn every error that is not meant for the user into damage of the file that is read.

    Raises
    ------
    UnforeseenDamageError
        Also for want of memory: a header may ask for any amount. The next run tries again.
    """
    try:
        yield
    except CatalogBuilderError:
        raise
    except Exception as error:  # whichever it is: parsers of five packages have no base in common
        raise UnforeseenDamageError(
            f"{url} cannot be read: {type(error).__name__} in {_place(error)}: {error}.",
            "Fetch the file again; if it is sound, report this message.",
        ) from error


def guarded(url: str, items: Generator[Item]) -> Iterator[Item]:
    """Yield what a reader of a file yields; see `unforeseen_as_damage`.

    Only what the reader raises is turned: errors of who takes the items never come by here.
    """
    with closing(items):
        while True:
            with unforeseen_as_damage(url):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item


def _place(error: Exception) -> str:
    """Return the last line of this program that an error came through, without folders."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    frame = own[-1]  # at least the guard's own
    return f"{frame.name} ({Path(frame.filename).name}:{frame.lineno})"
