"""What a model says of a user's own stars, in Python."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.table import QTable, Table
from numpy.typing import NDArray

from catalog_builder.contract.grids import Medium
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.labelling.convert import Converter
from catalog_builder.labelling.files import GivenTable, read_tables
from catalog_builder.labelling.labeller import Labelled, Labeller, Tell
from catalog_builder.labelling.stars import block_of, find_stars
from catalog_builder.labelling.told import Normalisation, Told

_NO_IDS: Final = np.empty(0, np.int64)


def predict(
    stars: str | Path | Table | int | Sequence[Any] | NDArray[np.integer[Any]],
    model: str | Path,
    *,
    archive: str | Path | None = None,
    workdir: str | Path | None = None,
    release: str | Path | None = None,
    medium: Medium | None = None,
    normalisation: Normalisation | None = None,
    radial_velocity: float | None = None,
    resolution: float | None = None,
    snr: float | None = None,
    tell: Tell | None = None,
) -> QTable:
    """Label stars by a model: by their source ids, or from their own spectra.

    Parameters
    ----------
    stars : path, Table or int, or a sequence of these
        Files (CSV, ECSV, FITS, VOTable, Parquet, also gzipped or in a ZIP) or tables with spectra,
        and tables that say more of their stars; or source ids, as numbers or in such a table.
    model : path
        Directory of a trained model.
    archive : path or URL, optional
        Where the files of stars are that are given by ids.
    workdir : path, optional
        A run's, whose feature stores have these stars, instead of an archive.
    release : str or path, optional
        What the archive, or the model's input, looks like: a name in ``schemas/releases`` or a
        YAML file. By default the model's own, or the workdir's.
    medium : {"vacuum", "air"}, optional
        What wavelengths refer to, where the file does not say.
    normalisation : {"continuum", "none"}, optional
        Whether flux was divided by its continuum. Needed for spectra that are not on the archive's
        samples.
    radial_velocity : float, optional
        Of the stars, km/s, where wavelengths are not at rest.
    resolution : float, optional
        Resolving power of the spectra, where it is larger than that of the model's: they are
        broadened.
    snr : float, optional
        Signal-to-noise ratio of a sample, for spectra whose files have neither it nor errors.
    tell : callable, optional
        Told what a reader should know: which model, whose spectra were refused. By default these
        are warnings.

    Returns
    -------
    astropy.table.QTable
        A row for each star: ``name``, then the columns of the catalogue. ``meta["refused"]`` has a
        sentence for each that got no row.

    Raises
    ------
    InputError
        If no star can be labelled, or a file is not understood.
    ModelError
        If the model is none, or does not fit the release.
    ConfigError
        If options contradict each other.

    Examples
    --------
    >>> table = predict("spectrum.fits", "MODEL", medium="air", normalisation="none")
    ... # doctest: +SKIP
    >>> table["teff", "e_teff", "quality_tier"]  # doctest: +SKIP
    """
    told = Told(medium, normalisation, radial_velocity, resolution, snr)
    say = tell or (lambda text: warnings.warn(text, stacklevel=3))
    return label(stars, Path(model), Place(archive, workdir, release), told, say)[0]


@dataclass(frozen=True)
class Place:
    """Where stars are that are given by ids, and what of; see `predict`."""

    archive: str | Path | None = None
    workdir: str | Path | None = None
    release: str | Path | None = None


def label(
    stars: Any, model: Path, place: Place, told: Told, say: Tell
) -> tuple[QTable, CatalogSchema]:
    """Return what `predict` does, and the schema of its columns."""
    _refuse_senseless(told, place)
    labeller = Labeller(model, place.release, place.workdir, say)
    given, ids = _given(stars)
    labelled = Labelled()
    if given:
        converter = Converter(labeller.release, labeller.seen, told)
        found = find_stars(given, labeller.release, converter)
        labelled.errors = found.refused
        labelled.refused += [str(error) for error in found.refused]
        if not found.spectra:
            ids = found.ids
            labelled.refused += found.nameless
        elif found.left_out:
            say(f"{found.left_out} stars of tables without spectra have none in other files")
        if found.stars:
            names = [star.name for star in found.stars]
            block = block_of(found.stars, labeller.release)
            for columns, failed in labeller.answers(block["source_id"], [block]):
                labelled.add(names, columns, failed)
    if ids.size:
        labeller.label_ids(_sorted_once(ids), place.archive, labelled)
    return labeller.table(labelled, ids), labeller.schema


def _refuse_senseless(told: Told, place: Place) -> None:
    if place.archive is not None and place.workdir is not None:
        raise ConfigError("Stars come from --archive or from --workdir.", "Give one of the two.")
    for name, value, words in (
        ("medium", told.medium, ("air", "vacuum")),
        ("normalisation", told.normalisation, ("continuum", "none")),
    ):
        if value not in {None, *words}:
            raise ConfigError(f"{name} is {value!r}.", f"Give {' or '.join(words)}.")
    velocity = told.radial_velocity
    if velocity is not None and not abs(velocity) < 3000.0:
        raise ConfigError(f"radial_velocity is {velocity:g} km/s.", "Give that of a star.")
    if told.resolution is not None and not 0 < told.resolution < 1e7:
        raise ConfigError(f"resolution is {told.resolution:g}.", "Give the resolving power.")
    if told.snr is not None and not 0 < told.snr < 1e6:
        raise ConfigError(f"snr is {told.snr:g}.", "Give flux over error of a sample.")


def _given(stars: Any) -> tuple[list[GivenTable], NDArray[np.int64]]:
    """Return the tables that were given, or the source ids."""
    one = isinstance(stars, str | Path | Table | int | np.integer)
    several = [stars] if one else list(stars)
    if several and all(isinstance(each, int | np.integer) for each in several):
        return [], np.array(several, np.int64)
    given: list[GivenTable] = []
    for number, each in enumerate(several):
        if isinstance(each, str | Path):
            given += read_tables(Path(each))
        elif isinstance(each, Table):
            given.append(GivenTable(f"table {number}", each))
        else:
            raise InputError(
                f"{each!r} is neither a file, nor a table, nor a source id.",
                "Give paths, astropy tables, or integers.",
            )
    if not given:
        raise InputError("No star was given.", "Give files, tables or source ids.")
    return given, _NO_IDS


def _sorted_once(ids: Iterable[int]) -> NDArray[np.int64]:
    return np.unique(np.asarray(ids, np.int64))
