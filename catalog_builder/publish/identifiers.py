"""The table beside a catalogue that says which words its 64-bit keys stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.identifiers import NamesOfKeys
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.columns import Column
from catalog_builder.contract.side_table import IDENTIFIERS, SideTable
from catalog_builder.features.names import unpacked
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.errors import StoreError

#: How a key follows from its word, said of its column.
RULE: Final = (
    "1 + BLAKE2b-64 of the word's bytes (UTF-8, without blanks at the ends; digest of 8 bytes,"
    " little-endian) modulo 12 * 2**59 - 1"
)
_ASCII: Final = 128
_UCDS: Final = {"source_id": "meta.id;meta.main"}


def identifiers_table(release: ReleaseSpec) -> SideTable | None:
    """Return the declaration of the table; None of a release whose identifiers are numbers.

    Parameters
    ----------
    release : ReleaseSpec
        Says which identifiers are words, and what they are called.

    Returns
    -------
    SideTable or None
        Of each identifier two columns: its key, and behind that its word.
    """
    if not release.spelt:
        return None
    columns: list[Column] = []
    for name, characters in release.spelt.items():
        native = release.tables[release.source_table].native_names(name)[0]
        word = _free_name(native, {*release.spelt, *(column.name for column in columns)})
        ucd, called = _UCDS.get(name, "meta.id"), native.encode("ascii", "replace").decode()
        columns += [
            Column(
                name=name,
                dtype="int64",
                ucd=ucd,
                description=f"64-bit key of {word}. That of the catalogue: {RULE}.",
            ),
            Column(
                name=word,
                dtype=f"str{characters}",
                ucd="meta.id",
                description=f"Identifier in the archive. There it is called {called}.",
            ),
        ]
    title = "The words that the catalogue's 64-bit keys stand for"
    return SideTable(name=IDENTIFIERS, title=title, columns=tuple(columns))


def _free_name(native: str, taken: set[str]) -> str:
    """Return a name for a column of words, as near as may be to that in the archive."""
    plain = re.sub("[^a-z0-9_]", "_", native.lower())
    name = plain if plain[0].isalpha() else f"id_{plain}"
    return f"{name}_text" if name in taken else name


def words_for(
    stores: Iterable[Path], table: SideTable, ids: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return the rows of the table for the stars of a chunk, without their ids.

    Parameters
    ----------
    stores : iterable of Path
        Features of the partitions that they are in.
    table : SideTable
        Of `identifiers_table`.
    ids : ndarray of int64, shape (n,)
        ``source_id`` of the chunk's rows; they increase, so that no two of them are the same.

    Returns
    -------
    dict of str to ndarray of shape (n,)

    Raises
    ------
    InputError
        If two words among these rows have the same key.
    StoreError
        If a row has no word.
    """
    names, keys = table.names[1::2], table.names[0::2]
    found: dict[str, NDArray[Any]] = {
        column.name: np.zeros(len(ids), column.numpy_dtype) for column in table.columns[1:]
    }
    known = np.zeros(len(ids), bool)
    for path in stores:
        store = FeatureStore(path)
        there = store.column("source_id")
        place = np.searchsorted(ids, there).clip(max=len(ids) - 1)
        hit = ids[place] == there
        wanted = [name for name in store.names if name.split("_letters_")[0] in keys]
        place, columns = place[hit], {name: store.column(name)[hit] for name in wanted}
        known[place] = True
        for key, name in zip(keys, names, strict=True):
            found[name][place] = _readable(unpacked(key, columns))
            if key in found:
                found[key][place] = columns[key]
    if not known.all():
        raise StoreError(
            f"The row {ids[~known][0]} of the catalogue is in no store of features.",
            "Give the same command again; if it stays, this is a defect.",
        )
    for key, name in zip(keys, names, strict=True):
        if key in found:  # those of the ids cannot be the same: ingest refused them
            met = NamesOfKeys(f"The identifiers ({key})")
            met.add(found[key], found[name])
            met.refuse_one_key_for_two()
    return found


def _readable(words: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """Return words with ``?`` for what is not UTF-8, in place of which there can be no text."""
    if words.size == 0 or np.ascontiguousarray(words).view(np.uint8).max() < _ASCII:
        return words
    plain = [one.decode(errors="replace").replace("\ufffd", "?") for one in words.tolist()]
    return np.array([one.encode() for one in plain], words.dtype)
