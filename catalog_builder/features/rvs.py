"""RVS mean spectra on the one model grid: 800 pixels of 0.03 nm, whatever grid the release has."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from catalog_builder.archive.release import GridSpec, NormalisationRule

#: Model grid: pixel centres in nm, vacuum, rest frame. The detector pixel is 0.0245 nm, so 0.03 nm
#: keeps nearly all the information of the 0.01 nm samples of DR3.
N_PIXELS = 800
PIXEL_WIDTH = 0.03
WAVELENGTHS: NDArray[np.float64] = np.round(846.01 + PIXEL_WIDTH * np.arange(N_PIXELS), 9)

#: Width of an RVS detector pixel, nm (Cropper et al. 2018, A&A 616, A5).
DETECTOR_PIXEL = 0.0245

#: Values of ``rvs_normalisation``.
ABSENT, PSEUDO_CONTINUUM, CONSTANT, UNKNOWN = range(4)
_CLASSES = {"pseudo_continuum": PSEUDO_CONTINUUM, "constant": CONSTANT}


@dataclass(frozen=True)
class ResampledSpectra:
    """Spectra on the model grid, shapes (n, 800); flux and error are 0 where the mask is False."""

    flux: NDArray[np.float32]
    flux_error: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class _Rebinning:
    """Sparse operators from the native grid to the model grid."""

    mean: scipy.sparse.csr_array
    #: One operator per lag k, on products ``e[j] * e[j + k]`` of neighbouring errors.
    variance: tuple[scipy.sparse.csr_array, ...]


def resample(
    flux: NDArray[np.float32],
    flux_error: NDArray[np.float32],
    grid: GridSpec,
    min_coverage: float,
) -> ResampledSpectra:
    """Bring spectra to the model grid, conserving flux.

    A model pixel is the mean of the native samples under it, weighted by the overlap of their
    intervals. Samples that are not finite, or whose error is not positive, are left out; a pixel
    with less than `min_coverage` of its width left is masked. Where the mask is True, flux is
    finite and its error is finite and positive.

    The native samples of DR3 are interpolated from wider detector pixels, so their errors are
    correlated. The correlation of two samples a distance d apart is taken as the overlap of two
    detector pixels, ``max(0, 1 - d / 0.0245 nm)``; the error of the mean follows from the full
    quadratic form, and is about 1.4 times what independent samples would give.

    Parameters
    ----------
    flux, flux_error : ndarray of shape (n, grid.count)
        Normalised spectra and their errors, dimensionless.
    grid : GridSpec
        The release's wavelengths, nm.
    min_coverage : float
        Between 0 and 1.

    Returns
    -------
    ResampledSpectra
    """
    operators = _rebinning(grid)
    # The archive marks samples without data by NaN, or by zero flux with zero error.
    good = np.isfinite(flux) & np.isfinite(flux_error) & (flux_error > 0)
    values = np.where(good, flux, 0).astype(np.float64)
    errors = np.where(good, flux_error, 0).astype(np.float64)

    coverage = _apply(operators.mean, good.astype(np.float64))
    mask = coverage >= max(min_coverage, 1e-9)
    norm = np.where(mask, coverage, 1.0)
    mean = _apply(operators.mean, values) / norm
    variance = np.zeros_like(mean)
    for lag, operator in enumerate(operators.variance):
        products = errors[:, : errors.shape[1] - lag] * errors[:, lag:]
        variance += _apply(operator, products)
    with np.errstate(over="ignore", under="ignore"):
        mean32 = mean.astype(np.float32)
        error32 = (np.sqrt(variance) / norm).astype(np.float32)
    # Absurd numbers may leave the range of float32 where their mean does not.
    mask &= np.isfinite(mean32) & np.isfinite(error32) & (error32 > 0)
    return ResampledSpectra(np.where(mask, mean32, 0), np.where(mask, error32, 0), mask)


def normalisation_class(
    values: NDArray[np.floating], present: NDArray[np.bool_], rule: NormalisationRule
) -> NDArray[np.uint8]:
    """Return how each spectrum was normalised.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The column that the rule names (G_RVS in mag for DR3), NaN where unknown.
    present : ndarray of bool, shape (n,)
        Which stars have a spectrum.
    rule : NormalisationRule
        From the release description.

    Returns
    -------
    ndarray of uint8, shape (n,)
        0 absent, 1 pseudo-continuum, 2 constant, 3 unknown.
    """
    known = np.where(values < rule.threshold, _CLASSES[rule.below], _CLASSES[rule.otherwise])
    classes = np.where(np.isfinite(values), known, UNKNOWN)
    return np.where(present, classes, ABSENT).astype(np.uint8)


def _apply(operator: scipy.sparse.csr_array, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ascontiguousarray((operator @ rows.T).T)


@functools.lru_cache(maxsize=4)
def _rebinning(grid: GridSpec) -> _Rebinning:
    native = grid.wavelengths()
    # Overlap of each native interval with each model interval, as a share of the model pixel.
    low = np.maximum.outer(WAVELENGTHS - PIXEL_WIDTH / 2, native - grid.step / 2)
    high = np.minimum.outer(WAVELENGTHS + PIXEL_WIDTH / 2, native + grid.step / 2)
    weights = np.clip(high - low, 0, None) / PIXEL_WIDTH
    weights[weights < 1e-9] = 0  # rounding of the interval ends
    operators = []
    for lag in range(int(np.ceil(DETECTOR_PIXEL / grid.step))):
        correlation = 1 - lag * grid.step / DETECTOR_PIXEL
        pairs = weights[:, : grid.count - lag] * weights[:, lag:]
        # Each pair of different samples occurs twice in the quadratic form.
        operators.append(scipy.sparse.csr_array(pairs * correlation * (1 if lag == 0 else 2)))
    return _Rebinning(scipy.sparse.csr_array(weights), tuple(operators))
