"""Identifiers that are words: by night, field and fibre of a spectrum, by place of a star."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.identifiers import keys_of
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.release_parts import STAR_ID
from catalog_builder.archive.tables import TableName
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.writing.tables import Block

_FIRST_NIGHT = datetime.date(2003, 4, 11)
#: The bit of a number in the simulation that says: the star has been observed before.
AGAIN = 1


@dataclass(frozen=True)
class Words:
    """Identifiers of a block of n stars, which was observed in one night and one field.

    Attributes
    ----------
    night, field : str
        Of all spectra.
    numbers : ndarray of int64, shape (n,)
        The simulation's own, rising.
    spectra, stars : ndarray of bytes, shape (n,)
        Words for the spectrum and for the star.
    """

    night: str
    field: str
    numbers: NDArray[np.int64]
    spectra: NDArray[np.bytes_]
    stars: NDArray[np.bytes_]

    @classmethod
    def of(cls, star: Stars, partition: int, block: int) -> Words:
        """Return the words of a block of a partition."""
        days = 7 * partition + block
        night = f"{_FIRST_NIGHT + datetime.timedelta(days=days):%Y%m%d}"
        name = f"{partition:04d}m{block:02d}"
        spectra = [f"{night}_{name}_{fibre:03d}" for fibre in range(len(star))]
        return cls(
            night,
            name,
            star.source_id,
            np.array(spectra, dtype="S32"),
            np.array([_place(*at) for at in zip(star.ra, star.dec, strict=True)], dtype="S32"),
        )

    def spelt(self, block: Block, release: ReleaseSpec) -> Block:
        """Return columns of a table with words in place of numbers."""
        at = np.searchsorted(self.numbers, block["source_id"])
        return {**block, "source_id": self._keyed(release)[at], STAR_ID: self.stars[at]}

    def told(self, star: Stars, release: ReleaseSpec) -> Stars:
        """Return the stars with the keys by which the program knows their rows."""
        return replace(star, source_id=keys_of(self._keyed(release).tolist()))

    def _keyed(self, release: ReleaseSpec) -> NDArray[np.bytes_]:
        """Return the words by which rows are joined: of stars, where their spectra are combined."""
        return self.stars if release.several_spectra == "combined" else self.spectra


def has_words(release: ReleaseSpec, table: TableName | None = None) -> bool:
    """Say whether a table, by default the source table, has words for identifiers."""
    return release.tables[table or release.source_table].columns["source_id"].is_text


def observed_again(rng: np.random.Generator, star: Stars, share: float) -> Stars:
    """Return stars of which a share is there a second time, next to the first."""
    chosen = rng.random(len(star)) < share
    rows = np.sort(np.concatenate([np.arange(len(star)), np.flatnonzero(chosen)]))
    second = np.concatenate([[False], rows[1:] == rows[:-1]])
    found = star.taken(rows)
    found.source_id = found.source_id | np.where(second, AGAIN, 0)
    return found


def same_again(columns: Block) -> Block:
    """Return columns of a block's stars that are those of the first row of each star."""
    ids = np.asarray(columns["source_id"], np.int64)
    first = np.arange(len(ids))
    # The first of two is the row before, unless it is in another block.
    second = np.flatnonzero((ids[1:] & AGAIN == AGAIN) & (ids[1:] ^ AGAIN == ids[:-1])) + 1
    first[second] -= 1
    return {
        name: values if name == "source_id" else values[first] for name, values in columns.items()
    }


def _place(ra: float, dec: float) -> str:
    """Return a name by place: ``J123456.7-123456``."""
    tenths = int(ra / 15 * 36_000) % 864_000
    seconds = int(abs(dec) * 3600)
    hours = f"{tenths // 36_000:02d}{tenths // 600 % 60:02d}{tenths % 600 / 10:04.1f}"
    degrees = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
    return f"J{hours}{'-' if dec < 0 else '+'}{degrees}"
