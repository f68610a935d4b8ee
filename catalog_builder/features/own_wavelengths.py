"""Spectra of lines whose files say at which wavelengths their samples lie."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.contract.grids import edges_between, to_vacuum
from catalog_builder.contract.units import parse_unit
from catalog_builder.features.lines import ResampledSpectra, resample


def resample_own(
    flux: NDArray[np.float32],
    flux_error: NDArray[np.float32],
    wavelength: NDArray[np.float64],
    spectrum: LineSpectrum,
    min_coverage: float,
) -> tuple[ResampledSpectra, NDArray[np.bool_]]:
    """Bring spectra to the model grid, each from the wavelengths of its own row.

    Rows with the same wavelengths, such as those of one file, are resampled together.

    Parameters
    ----------
    flux, flux_error : ndarray of shape (n, m)
        Spectra and their errors.
    wavelength : ndarray of float64, shape (n, m)
        In the unit of the spectrum's grid.
    spectrum : LineSpectrum
        The unit, the medium, and the model grid of p pixels.
    min_coverage : float
        As of `lines.resample`.

    Returns
    -------
    spectra : ResampledSpectra
        Nothing is usable where there are no wavelengths.
    known : ndarray of bool, shape (n,)
        Which rows have wavelengths: finite and rising.
    """
    known = np.isfinite(wavelength).all(axis=1) & (wavelength[:, 0] > 0)
    known &= (np.diff(wavelength, axis=1) > 0).all(axis=1)
    shape = (len(flux), spectrum.model_grid.count)
    made = ResampledSpectra(
        np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    )
    factor = float(parse_unit(spectrum.grid.unit).to("nm"))
    for rows in _same(wavelength, np.flatnonzero(known)):
        sides = edges_between(wavelength[rows[0]] * factor)
        edges = np.stack([to_vacuum(side, spectrum.medium) for side in sides])
        some = resample(flux[rows], flux_error[rows], spectrum, min_coverage, edges)
        made.flux[rows], made.flux_error[rows] = some.flux, some.flux_error
        made.mask[rows] = some.mask
    return made, known


def _same(wavelength: NDArray[np.float64], rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Return rows with the same wavelengths, all of them together."""
    found: dict[bytes, list[int]] = {}
    for row in rows.tolist():
        found.setdefault(wavelength[row].tobytes(), []).append(row)
    return (np.array(each) for each in found.values())
