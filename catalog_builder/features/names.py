"""Identifiers that are words: no two may have one key, and the store keeps their letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.identifiers import NamesOfKeys
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import spelt

Columns = Mapping[str, NDArray[Any]]
#: Letters of one column of the store.
_LETTERS: Final = 8


class SpeltNames:
    """The identifiers of a piece's rows.

    Parameters
    ----------
    release : ReleaseSpec
        Says which columns of identifiers are words.
    """

    def __init__(self, release: ReleaseSpec) -> None:
        self._lengths = release.spelt
        self._known = {name: NamesOfKeys(f"The identifiers ({name})") for name in self._lengths}

    def add(self, columns: Columns) -> None:
        """Take in rows of any table.

        Raises
        ------
        InputError
            If two words have one key.
        """
        for name, known in self._known.items():
            if spelt(name) in columns:
                known.add(columns[name], columns[spelt(name)])

    def columns(self, sources: Columns) -> dict[str, NDArray[np.int64]]:
        """Return columns of the store with the letters of the sources' identifiers.

        Raises
        ------
        InputError
            If two words have one key.
        """
        made: dict[str, NDArray[np.int64]] = {}
        for name, known in self._known.items():
            made |= packed(name, known.texts_of(sources[name]), self._lengths[name])
        return made


def packed(name: str, texts: NDArray[np.bytes_], length: int) -> dict[str, NDArray[np.int64]]:
    """Return words as columns of eight letters each, as little-endian numbers."""
    count = -(-length // _LETTERS)
    words = np.ascontiguousarray(texts.astype(f"S{count * _LETTERS}"))
    numbers = words.view("<i8").reshape(len(texts), count).astype(np.int64)
    return {letters_column(name, place): numbers[:, place] for place in range(count)}


def unpacked(name: str, columns: Columns) -> NDArray[np.bytes_]:
    """Return the words that `packed` made columns of, as far as there are any."""
    parts: list[NDArray[np.int64]] = []
    while (column := letters_column(name, len(parts))) in columns:
        parts.append(np.asarray(columns[column], "<i8"))
    numbers = np.ascontiguousarray(np.stack(parts, axis=1))
    return numbers.view(f"S{len(parts) * _LETTERS}").reshape(-1)


def letters_column(name: str, place: int) -> str:
    """Return the name of a column of the store with eight letters of an identifier."""
    return f"{name}_letters_{place}"
