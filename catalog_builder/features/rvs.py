"""RVS mean spectra on the one model grid: 800 pixels of 0.03 nm, whatever grid the release has."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.spectra import ThresholdRule as NormalisationRule
from catalog_builder.contract.grids import GridSpec
from catalog_builder.features.kernels import rebin

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
    """Which native samples lie under each model pixel, and with which weights.

    Attributes
    ----------
    first : ndarray of int64, shape (800,)
        The first sample of each pixel; the k - 1 after it are samples, too.
    weights : ndarray of float64, shape (k, 800)
        Overlap of sample and pixel, as a share of the pixel's width.
    correlation : ndarray of float64, shape (k,)
        Correlation of the errors of two samples by the distance of their numbers.
    """

    first: NDArray[np.int64]
    weights: NDArray[np.float64]
    correlation: NDArray[np.float64]


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
    rebinning = _rebinning(grid)
    shape = (len(flux), N_PIXELS)
    spectra = ResampledSpectra(
        np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.bool_)
    )
    rebin(
        flux,
        flux_error,
        rebinning.first,
        rebinning.weights,
        rebinning.correlation,
        max(min_coverage, 1e-9),
        spectra.flux,
        spectra.flux_error,
        spectra.mask,
    )
    return spectra


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


@functools.lru_cache(maxsize=4)
def _rebinning(grid: GridSpec) -> _Rebinning:
    native = grid.wavelengths()
    # Overlap of each native interval with each model interval, as a share of the model pixel.
    low = np.maximum.outer(WAVELENGTHS - PIXEL_WIDTH / 2, native - grid.step / 2)
    high = np.minimum.outer(WAVELENGTHS + PIXEL_WIDTH / 2, native + grid.step / 2)
    overlap = np.clip(high - low, 0, None) / PIXEL_WIDTH
    overlap[overlap < 1e-9] = 0  # rounding of the interval ends
    reached = overlap > 0
    width = max(1, int(reached.sum(axis=1).max()))
    # At the grid's end the first one is moved back, so that all k are samples.
    first = np.minimum(reached.argmax(axis=1), native.size - width)
    weights = np.ascontiguousarray(overlap[np.arange(N_PIXELS), first + np.arange(width)[:, None]])
    lags = np.arange(width)
    correlation = np.clip(1 - lags * grid.step / DETECTOR_PIXEL, 0, None)
    return _Rebinning(first, weights, correlation)
