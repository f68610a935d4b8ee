"""Stars of a user's files: their spectra, put together by id or name, as a feature block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.features.sources import SpectraOfSources, complete_sources
from catalog_builder.features.store import Block, arrays_of
from catalog_builder.ground.errors import InputError
from catalog_builder.labelling.convert import Converter
from catalog_builder.labelling.files import GivenTable
from catalog_builder.labelling.raw import RawSpectrum, StarTable, read_given
from catalog_builder.labelling.told import Made


@dataclass
class Star:
    """A star with the features of its spectra, by input, and what else its files say."""

    name: str
    source_id: int
    spectra: dict[str, Made] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)


@dataclass
class Found:
    """What a user's files hold: stars with spectra, or ids of stars; and what was refused."""

    stars: list[Star] = field(default_factory=list)
    tables: list[StarTable] = field(default_factory=list)
    refused: list[InputError] = field(default_factory=list)
    spectra: int = 0

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the tables without spectra; rows that have none are left out."""
        ids = np.concatenate([np.empty(0, np.int64), *(table.ids for table in self.tables)])
        known: NDArray[np.int64] = ids[ids != 0]
        return known

    @property
    def nameless(self) -> list[str]:
        """A sentence for each of their rows without an id."""
        return [
            f"{table.file}, row {row} has no source id."
            for table in self.tables
            for row in np.flatnonzero(table.ids == 0).tolist()
        ]

    @property
    def left_out(self) -> int:
        """How many of these have no spectra, where others have some."""
        known = [star.source_id for star in self.stars]
        return int(np.unique(self.ids[~np.isin(self.ids, [0, *known])]).size)


def find_stars(given: Iterable[GivenTable], release: ReleaseSpec, converter: Converter) -> Found:
    """Read all tables; what is wrong with one spectrum is noted, and costs the others nothing.

    Spectra of one source id, or else of one name, are one star's. A second one of the same input
    is another row, unless it comes from another of the archive's products: then the first product
    counts, as in the catalogue. Tables without spectra say more of the stars that have some.

    Raises
    ------
    InputError
        If a table is not understood as a whole.
    """
    found = Found()
    by_key: dict[int | str | tuple[int, str], list[Star]] = {}
    for number, each in enumerate(given):
        read = read_given(each, release)
        if isinstance(read, StarTable):
            found.tables.append(read)
            continue
        for raw in read:
            found.spectra += 1
            # Files of several folders may have one name, and are not one star's for that.
            key = raw.source_id or (raw.name if raw.named else (number, raw.name))
            try:
                _place(by_key.setdefault(key, []), raw, converter.make(raw))
            except InputError as error:
                found.refused.append(error)
    found.stars = [star for several in by_key.values() for star in several]
    for table in found.tables:
        _join(table, found.stars)
    return found


def _place(known: list[Star], raw: RawSpectrum, made: Made) -> None:
    """Give a spectrum to the first of a star's rows that wants one."""
    for star in known:
        other = star.spectra.get(made.input)
        if other is None or other.rank != made.rank:
            if other is None or made.rank < other.rank:
                star.spectra[made.input] = made
            star.beside = {**_known(raw.beside), **star.beside}
            return
    star = Star(raw.name, raw.source_id, {made.input: made}, _known(raw.beside))
    known.append(star)


def _known(beside: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is no null."""
    return {
        name: value
        for name, value in beside.items()
        if not (isinstance(value, float | np.floating) and np.isnan(value))
    }


def _join(table: StarTable, stars: Iterable[Star]) -> None:
    rows = {int(source): row for row, source in reversed(list(enumerate(table.ids))) if source}
    for star in stars:
        row = rows.get(star.source_id)
        if row is not None:
            beside = {name: values[row] for name, values in table.beside.items()}
            star.beside = {**_known(beside), **star.beside}


def block_of(stars: list[Star], release: ReleaseSpec) -> Block:
    """Return the feature block of stars, in their order.

    What is not known of a star is null, and its inputs without it absent. Stars without a source
    id have negative ones, each another.
    """
    count = len(stars)
    places = np.arange(count, dtype=np.int64)
    columns = {
        name: _column([star.beside.get(name) for star in stars], spec.numpy_dtype)
        for table in release.looked_up
        for name, spec in release.tables[table].columns.items()
        if name != "source_id"
    }
    owners = {
        name: np.array([i for i, star in enumerate(stars) if name in star.spectra], np.int64)
        for name in release.spectra
    }
    spectra = {
        name: SpectraOfSources(
            own,
            {
                scalar: [_column([stars[i].spectra[name].scalars[scalar] for i in own], dtype)]
                for scalar, dtype in release.scalars_of(name).items()
            },
        )
        for name, own in owners.items()
    }
    made = complete_sources(places, columns, spectra, release)
    rows = {f"{name}_row" for name in release.spectra}
    block: Block = {name: values for name, values in made.items() if name not in rows}
    for name, arrays in arrays_of(release.inputs).items():
        for array, (dtype, samples) in arrays.items():
            block[array] = np.zeros((count, samples), dtype)
            for i in owners[name]:
                block[array][i] = stars[i].spectra[name].rows[array]
    _say(block, stars, release)
    ids = np.array([star.source_id for star in stars], np.int64)
    block["source_id"] = np.where(ids > 0, ids, -1 - places)
    return block


def _say(block: Block, stars: list[Star], release: ReleaseSpec) -> None:
    """Put in what the user says of normalisation, and S/N that no table has."""
    for name, spectrum in release.inputs.lines.items():
        noise, classes = spectrum.sig_to_noise, block[f"{name}_normalisation"]
        for i, star in enumerate(stars):
            own = star.spectra.get(name)
            if own is None:
                continue
            if own.normalisation is not None:
                classes[i] = own.normalisation
            if noise is not None and not np.isfinite(block[noise][i]):
                block[noise][i] = own.sig_to_noise


def _column(values: list[Any], dtype: Any) -> NDArray[Any]:
    kind = np.dtype(dtype)
    null: Any = np.nan if kind.kind == "f" else 0
    return np.array([null if value is None else value for value in values], kind)
