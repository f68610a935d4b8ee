"""Spectra of low resolution as the model sees them: flux and error on the samples, scaled.

The archive has samples, or coefficients of basis functions in bands, as DR3's XP spectra.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.matrices import BasisFile, name_of
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LowResolutionSpectrum
from catalog_builder.contract.grids import GridSpec
from catalog_builder.features.kernels import add_variance, error_products, scale_rows
from catalog_builder.features.matrices import WAVELENGTH, matrices_of
from catalog_builder.ground.errors import ConfigError

#: Coefficients (n, k), their errors (n, k) and correlations (n, k(k-1)/2) of one band.
Coefficients = tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]

#: Spectra whose products of errors stay in the processor's cache.
_ROWS_AT_ONCE = 256
#: Singular values of the variance's operator below this share of the largest are rounding.
_NOISE = 5e-7


@dataclass(frozen=True)
class SampledSpectra:
    """Flux and error, shapes (n, samples), in the unit of the release."""

    flux: NDArray[np.float64]
    flux_error: NDArray[np.float64]


@dataclass(frozen=True)
class ScaledSpectra:
    """Flux and error divided by the scale; ``usable`` says which rows are complete."""

    flux: NDArray[np.float32]
    flux_error: NDArray[np.float32]
    scale: NDArray[np.float32]
    usable: NDArray[np.bool_]


def sample_coefficients(
    bands: Mapping[str, Coefficients], basis: str | BasisFile
) -> SampledSpectra:
    """Sample spectra given as basis-function coefficients.

    Parameters
    ----------
    bands : mapping of str to tuple of (coefficients, errors, correlations)
        Shapes (n, k), (n, k) and (n, k(k-1)/2) of each band; the correlations are the strict lower
        triangle row by row. NaN where a band is missing.
    basis : str or BasisFile
        The release's matrices: a name in this folder, e.g. ``xp_dr3``, or a file.

    Returns
    -------
    SampledSpectra
        NaN in rows where a band is missing. The errors are those of the full covariance, the bands
        being independent. Published coefficient errors already include the ``standard_deviation``
        of the fit.

    Raises
    ------
    ConfigError
        If there are no such matrices.
    """
    matrices = matrices_of(basis)
    rows = len(next(iter(bands.values()))[0])
    flux = np.zeros((rows, matrices[WAVELENGTH].size))
    variance = np.zeros_like(flux)
    for band, (coefficients, errors, correlations) in bands.items():
        form = _quadratic_form(basis, band)
        with np.errstate(over="ignore", invalid="ignore"):  # such spectra are not usable
            flux[:, form.samples] += coefficients @ form.matrix
            _add_variance(errors, correlations, form, variance)
            flux[~np.isfinite(coefficients).all(axis=1)] = np.nan
    return SampledSpectra(flux, np.sqrt(np.maximum(variance, 0)))


def refuse_other_matrices(release: ReleaseSpec) -> None:
    """Refuse a release with coefficients for which there are no fitting matrices.

    Raises
    ------
    ConfigError
        See `refuse_other_basis`.
    """
    for name, spectrum in release.spectra.items():
        if isinstance(spectrum, LowResolutionSpectrum):
            refuse_other_basis(name, spectrum)


def refuse_other_basis(name: str, spectrum: LowResolutionSpectrum) -> None:
    """Refuse coefficients for which there are no matrices, or matrices of another shape.

    Raises
    ------
    ConfigError
        Naming the key of the release description, and what the matrices are of.
    """
    for place, product in enumerate(spectrum.products):
        if product.basis is None:
            continue
        key = f"spectra.{name}.products.{place}"
        called = name_of(product.basis)
        matrices = matrices_of(product.basis)
        sizes = {band: len(matrix) for band, matrix in matrices.items() if band != WAVELENGTH}
        if any(sizes.get(band) != count for band, count in product.bands.items()):
            raise ConfigError(
                f"{key}.bands is {dict(product.bands)}, but the matrices {called} are of {sizes}.",
                "Give bands and numbers of coefficients that the matrices have.",
            )
        samples, grid = matrices[WAVELENGTH], spectrum.grid.nanometres()
        if samples.shape != grid.shape or not np.allclose(samples, grid, rtol=0, atol=1e-6):
            raise ConfigError(
                f"spectra.{name}.grid has {grid.size} samples from {grid[0]:g} nm on, but the"
                f" matrices {called} give {samples.size}, from {samples[0]:g} to"
                f" {samples[-1]:g} nm.",
                "Give the grid of the matrices.",
            )


def scale_spectra(spectra: SampledSpectra, spectrum: LowResolutionSpectrum) -> ScaledSpectra:
    """Divide spectra by their mean flux in a window of wavelength.

    Parameters
    ----------
    spectra : SampledSpectra
        Shapes (n, samples).
    spectrum : LowResolutionSpectrum
        Its grid, and its window.

    Returns
    -------
    ScaledSpectra
        Rows with a sample that is not finite, an error that is not positive or a scale that is
        not positive are zero and not usable. In the others all numbers are finite, and errors and
        scales positive, also as float32.
    """
    inside = _window(spectrum.grid, spectrum.scale_window)
    with np.errstate(all="ignore"):  # what is absurd is found below
        scale = np.asarray(spectra.flux[:, inside].mean(axis=1, dtype=np.float64), np.float32)
    shape = spectra.flux.shape
    scaled = ScaledSpectra(
        np.empty(shape, np.float32), np.empty(shape, np.float32), scale, np.empty(len(scale), bool)
    )
    scale_rows(
        spectra.flux,
        spectra.flux_error,
        scaled.scale,
        scaled.flux,
        scaled.flux_error,
        scaled.usable,
    )
    return scaled


@functools.lru_cache(maxsize=16)
def _window(grid: GridSpec, window: tuple[float, float]) -> NDArray[np.bool_]:
    wavelengths = grid.nanometres()
    return (window[0] <= wavelengths) & (window[1] >= wavelengths)


@dataclass(frozen=True)
class _QuadraticForm:
    """What one band's coefficients and their errors are multiplied with.

    Attributes
    ----------
    samples : slice
        Where the band contributes: BP to 154 of the 343 samples of DR3, RP to 193.
    matrix : ndarray of shape (k, s)
        Of the flux.
    operator, samples_of : ndarray of float32, shapes (k + k(k-1)/2, r) and (r, s)
        Their product is that of the products of errors, scaled so that uncorrelated unit errors
        give variance 1.
    unit : ndarray of shape (s,)
        That scale, (W m-2 nm-1)^2.
    """

    samples: slice
    matrix: NDArray[np.float64]
    operator: NDArray[np.float32]
    samples_of: NDArray[np.float32]
    unit: NDArray[np.float64]


def _add_variance(
    errors: NDArray[np.float32],
    correlations: NDArray[np.float32],
    form: _QuadraticForm,
    variance: NDArray[np.float64],
) -> None:
    """Add the variance of each sample: ``diag(M^T D R D M)`` with ``D = diag(errors)``.

    The form is linear in the products of errors and correlations, so it is a matrix product for
    all stars instead of one k x k product for each. It is taken in float32, of errors divided by
    the largest of each star: the sigmas agree with those of float64 to 1e-5 and better.
    """
    products = np.empty((_ROWS_AT_ONCE, len(form.operator)), np.float32)
    largest = np.empty(_ROWS_AT_ONCE)
    for start in range(0, len(errors), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        count = len(errors[rows])
        error_products(errors[rows], correlations[rows], products[:count], largest[:count])
        relative = (products[:count] @ form.operator) @ form.samples_of
        add_variance(relative, form.unit, largest, form.samples.start, variance[rows])


@functools.lru_cache(maxsize=8)
def _quadratic_form(basis: str | BasisFile, band: str) -> _QuadraticForm:
    whole = matrices_of(basis)[band]
    reached = np.flatnonzero(whole.any(axis=0))
    samples = slice(int(reached[0]), int(reached[-1]) + 1)
    matrix = np.ascontiguousarray(whole[:, samples])
    first, second = np.tril_indices(matrix.shape[0], k=-1)
    operator = np.concatenate([matrix**2, 2 * matrix[first] * matrix[second]])
    unit = (matrix**2).sum(axis=0)
    unit[unit == 0] = 1.0
    # Products of smooth functions are smooth: a third to a half of the directions hold nothing
    # but the rounding of the published matrices, and the matrix product goes without them.
    left, strength, right = np.linalg.svd(operator / unit, full_matrices=False)
    kept = int((strength > _NOISE * strength[0]).sum())
    return _QuadraticForm(
        samples,
        matrix,
        (left[:, :kept] * strength[:kept]).astype(np.float32),
        right[:kept].astype(np.float32),
        unit,
    )
