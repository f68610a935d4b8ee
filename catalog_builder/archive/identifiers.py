"""Identifiers that are words, as the 64-bit keys that the program works with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.ground.errors import InputError

#: Keys lie in 1 ... this: `source_id >> 43` of each is a number that a pixel of level 8 has, so
#: that a run is cut into ranges of keys as it is into ranges of pixels. It is no place on the sky.
MOST: Final = 12 * 2**59 - 1
#: Bytes of a hash.
_BYTES: Final = 8
#: Identifiers that wait at least until they are put in order.
_WAITING: Final = 1 << 16


def key_of(text: bytes) -> int:
    """Return the key of an identifier; 0 for an empty one, which is none.

    It follows from the text alone: the BLAKE2b digest of its bytes (UTF-8, without blanks and NULs
    at the ends) of 8 bytes, as a number of little-endian order, modulo `MOST`, plus 1.
    """
    plain = plain_text(text)
    if not plain:
        return 0
    digest = hashlib.blake2b(plain, digest_size=_BYTES).digest()
    return 1 + int.from_bytes(digest, "little") % MOST


def plain_text(text: bytes) -> bytes:
    """Return an identifier without what a file fills it up with."""
    return text.strip(b" \0\t\r\n")


def keys_of(texts: Iterable[bytes | str]) -> NDArray[np.int64]:
    """Return the keys of identifiers, (n,); 0 for those that are empty."""
    made = [key_of(text.encode() if isinstance(text, str) else bytes(text)) for text in texts]
    return np.array(made, dtype=np.int64)


def as_texts(values: NDArray[Any], characters: int) -> tuple[NDArray[np.bytes_], NDArray[np.bool_]]:
    """Return identifiers as bytes, (n,) of ``S<characters>``, and which are longer than that."""
    plain = [
        plain_text(one.encode() if isinstance(one, str) else bytes(one or b""))
        for one in values.tolist()
    ]
    long = np.array([len(one) > characters for one in plain], dtype=bool)
    return np.array(plain or [b""], dtype=f"S{characters}")[: len(plain)], long


class NamesOfKeys:
    """The identifiers met so far: none may have the key of another one.

    Parameters
    ----------
    what : str
        What is identified, for the message.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._keys: list[NDArray[np.int64]] = []
        self._texts: list[NDArray[np.bytes_]] = []
        self._known = self._waiting = 0

    def add(self, keys: NDArray[np.int64], texts: NDArray[np.bytes_]) -> None:
        """Take in identifiers; a key of 0 is none."""
        named = keys != 0
        self._keys.append(keys[named])
        self._texts.append(texts[named])
        self._waiting += int(named.sum())
        # As many as are known: each is sorted a few times, and not with every block.
        if self._waiting > max(self._known, _WAITING):
            self._join()

    def texts_of(self, keys: NDArray[np.int64]) -> NDArray[np.bytes_]:
        """Return the identifiers of keys, empty where one was not met.

        Raises
        ------
        InputError
            If two identifiers have the same key.
        """
        known, texts = self._join()
        found = np.zeros(len(keys), texts.dtype)
        if len(known):
            place = np.searchsorted(known, keys).clip(max=len(known) - 1)
            hit = known[place] == keys
            found[hit] = texts[place[hit]]
        return found

    def refuse_one_key_for_two(self) -> None:
        """Raise InputError if two identifiers have the same key."""
        self._join()

    def _join(self) -> tuple[NDArray[np.int64], NDArray[np.bytes_]]:
        keys = np.concatenate([np.empty(0, np.int64), *self._keys])
        texts = np.concatenate([np.empty(0, "S1"), *self._texts])
        order = np.argsort(keys, kind="stable")
        keys, texts = keys[order], texts[order]
        new = np.ones(len(keys), bool)
        new[1:] = (keys[1:] != keys[:-1]) | (texts[1:] != texts[:-1])
        keys, texts = keys[new], texts[new]
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if twice.size:
            pair = sorted(texts[twice[0] : twice[0] + 2].tolist())
            one, other = (text.decode(errors="replace") for text in pair)
            raise InputError(
                f"{self._what} {one} and {other} have the same 64-bit key, {keys[twice[0]]}: they"
                " could not be told apart.",
                "That is rare: check that neither is damaged, and leave the rows of one out.",
            )
        self._keys, self._texts = [keys], [texts]
        self._known, self._waiting = len(keys), 0
        return keys, texts
