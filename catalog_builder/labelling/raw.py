"""The spectra of a user's tables as they stand there, and what is said beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.grids import Medium
from catalog_builder.ground.errors import InputError
from catalog_builder.labelling import columns as of
from catalog_builder.labelling.files import GivenTable

Float = NDArray[np.float64]

_LOGARITHMS: Final = ("loglam", "log_wavelength", "log_lambda")


@dataclass(frozen=True)
class RawSpectrum:
    """A spectrum as a file has it.

    Attributes
    ----------
    where : str
        File and row, for sentences.
    name : str
        What the star is called.
    source_id : int
        0 where it has none.
    arrays : dict of str to ndarray
        ``flux`` and, where there are such, ``wavelength`` (nm) and ``flux_error``; or coefficients
        by the columns of the archive.
    medium : {"vacuum", "air"} or None
        As the file says.
    beside : dict of str to scalar
        Columns that the release's tables have too, by canonical name.
    sig_to_noise : float
        As the file says; NaN where it does not.
    flux_unit : str
        Empty where it is not said.
    named : bool
        Whether the star has an id or a name: if not, `name` is the file's and the row's.
    """

    where: str
    name: str
    source_id: int
    arrays: Mapping[str, Float]
    medium: Medium | None
    beside: Mapping[str, Any]
    sig_to_noise: float = np.nan
    flux_unit: str = ""
    named: bool = True


@dataclass(frozen=True)
class StarTable:
    """A table without spectra: ids, and what else is known of each star.

    Attributes
    ----------
    file : str
    ids : ndarray of int64, shape (n,)
    beside : dict of str to ndarray of shape (n,)
        Columns that the release's tables have too.
    """

    file: str
    ids: NDArray[np.int64]
    beside: Mapping[str, NDArray[Any]]


def read_given(given: GivenTable, release: ReleaseSpec) -> list[RawSpectrum] | StarTable:
    """Return the spectra of a table, or its stars if it has none.

    Raises
    ------
    InputError
        If it has neither, or a column holds what it should not.
    """
    table, file = given.table, given.name
    ids = of.ids_of(table, file, release)
    coefficients = _coefficients(table, release)
    flux = of.find(table, of.FLUXES)
    if coefficients or flux is not None:
        rows = _Rows(table, file, ids, release)
        try:
            if coefficients:
                return list(rows.spectra({name: of.cells(table, name) for name in coefficients}))
            return list(_samples(table, str(flux), rows))
        except ValueError as error:  # a cell that is no number
            raise InputError(f"{file}: {error}.", "Correct the file.") from error
    if ids is None:
        raise InputError(
            f"{file} has neither spectra (a column flux) nor stars (a column source_id); it has"
            f" {', '.join(table.colnames[:30])}.",
            "Name its columns so: wavelength, flux, flux_error; or source_id.",
        )
    return StarTable(file, ids, of.archive_columns(table, release, file))


class _Rows:
    """What all rows of a table say beside their spectra."""

    def __init__(
        self, table: Table, file: str, ids: NDArray[np.int64] | None, release: ReleaseSpec
    ) -> None:
        self.file, self.count = file, len(table)
        self.one_id, self.one_noise = (
            of.id_of_file(file, table.meta, release),
            of.noise_of(table.meta),
        )
        self.ids = np.full(self.count, self.one_id, np.int64) if ids is None else ids
        self.names = of.names_of(table)
        self.beside = of.archive_columns(table, release, file)
        noise = of.find(table, of.NOISES)
        self.noise = None if noise is None else of.cells(table, noise)
        self.medium: Medium | None = None
        self.flux_unit = ""

    def key(self, row: int) -> tuple[int, str]:
        """Return by what rows of one star are known."""
        return int(self.ids[row]), self.names[row] if self.names else ""

    def spectra(
        self, arrays: Mapping[str, Sequence[Float] | NDArray[Any]]
    ) -> Iterator[RawSpectrum]:
        """Yield a spectrum for each row, of cells with arrays."""
        for row in range(self.count):
            own = {name: np.atleast_1d(values[row]) for name, values in arrays.items()}
            yield self.spectrum(np.array([row]), own, f"row {row}")

    def spectrum(
        self, group: NDArray[np.intp], arrays: Mapping[str, Float], place: str
    ) -> RawSpectrum:
        """Return the spectrum of some rows, with what is said in the first of them."""
        row = int(group[0])
        source, name = self.key(row)
        star = name or (str(source) if source else "")
        alone = self.count == 1 or place == ""
        where = self.file if alone else f"{self.file}, {f'star {star}' if star else place}"
        return RawSpectrum(
            where=where,
            name=star or (self.file if alone else f"{self.file} {place}"),
            source_id=source,
            arrays=arrays,
            medium=self.medium,
            beside={column: values[row] for column, values in self.beside.items()},
            sig_to_noise=self._noise_of(group),
            flux_unit=self.flux_unit,
            named=bool(star),
        )

    def _noise_of(self, group: NDArray[np.intp]) -> float:
        """Return the median S/N of some rows, or the header's; NaN where it is not said."""
        if self.noise is None:
            return self.one_noise
        said = np.concatenate([np.atleast_1d(self.noise[row]) for row in group])
        said = said[np.isfinite(said)]
        return float(np.median(said)) if said.size else float("nan")


def _samples(table: Table, flux: str, rows: _Rows) -> Iterator[RawSpectrum]:
    found: dict[str, Any] = {"flux": of.cells(table, flux)}
    wave = of.find(table, (*of.WAVELENGTHS, *_LOGARITHMS))
    error = of.find(table, of.ERRORS)
    inverse = of.find(table, ("ivar", "invvar", "inverse_variance"))
    rows.medium, rows.flux_unit = of.medium_of(table, wave), of.unit_of(table, flux)
    if wave is not None:
        found["wavelength"] = of.cells(table, wave)
    if error is not None:
        found["flux_error"] = of.cells(table, error)
    elif inverse is not None:
        found["flux_error"] = of.cells(table, inverse)
    is_inverse, is_log = error is None and inverse is not None, False
    unit = "" if wave is None else of.unit_of(table, wave)
    if wave is not None and wave.lower() in _LOGARITHMS:
        is_log, unit = True, "" if unit.lower().startswith(("log", "dex")) else unit

    def finished(raw: dict[str, Float]) -> dict[str, Float]:
        if "wavelength" in raw:
            waves = 10.0 ** raw["wavelength"] if is_log else raw["wavelength"]
            raw["wavelength"] = of.in_nanometres(waves, unit, rows.file)
        if is_inverse:
            with np.errstate(divide="ignore", invalid="ignore"):
                raw["flux_error"] = 1.0 / np.sqrt(raw["flux_error"])
        return raw

    if isinstance(found["flux"], list):
        for row in range(rows.count):
            own = {name: np.asarray(values[row], np.float64) for name, values in found.items()}
            yield rows.spectrum(np.array([row]), finished(own), f"row {row}")
        return
    if any(isinstance(values, list) for values in found.values()):
        raise InputError(
            f"{rows.file}: {flux} has one number a row, another of its columns several.",
            "Give all in the same way.",
        )
    for number, group in enumerate(_groups(rows)):
        own = {name: values[group] for name, values in found.items()}
        place = "" if len(group) == rows.count else f"spectrum {number}"
        yield rows.spectrum(group, finished(own), place)


def _groups(rows: _Rows) -> list[NDArray[np.intp]]:
    """Return the rows of each star, in the order in which stars come."""
    _, codes = np.unique(rows.ids, return_inverse=True)
    if rows.names is not None:
        names, named = np.unique(rows.names, return_inverse=True)
        codes = codes * len(names) + named
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return [groups[code] for code in np.argsort(first)]


def _coefficients(table: Table, release: ReleaseSpec) -> list[str]:
    """Return the columns of the first product of coefficients that a table has all columns of."""
    for readings in release.readings.values():
        for reading in readings:
            if reading.product.holds == "coefficients":
                names = reading.product.lengths(reading.spectrum.grid.count)
                if all(name in table.colnames for name in names):
                    return list(names)
    return []
