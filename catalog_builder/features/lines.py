"""Spectra of lines, brought from whatever grid the release has to the model grid of each."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.spectra import (
    CodeRule,
    FixedRule,
    LineSpectrum,
    Normalisation,
    ThresholdRule,
    edges_in_vacuum,
)
from catalog_builder.contract.grids import GridSpec, KnotGrid, Medium
from catalog_builder.features.kernels import rebin
from catalog_builder.features.steps import Samples, in_vacuum, take

#: Values of ``<name>_normalisation``.
ABSENT, PSEUDO_CONTINUUM, CONSTANT, UNKNOWN = range(4)
_CLASSES: Final[Mapping[Normalisation, int]] = {
    "pseudo_continuum": PSEUDO_CONTINUUM,
    "constant": CONSTANT,
}


@dataclass(frozen=True)
class ResampledSpectra:
    """Spectra on the model grid, shapes (n, p); flux and error are 0 where the mask is False."""

    flux: NDArray[np.float32]
    flux_error: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class _Rebinning:
    """Which native samples lie under each model pixel, and with which weights.

    Attributes
    ----------
    first : ndarray of int64, shape (p,)
        The first sample of each pixel; the k - 1 after it are samples, too.
    weights : ndarray of float64, shape (k, p)
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
    spectrum: LineSpectrum,
    min_coverage: float,
    edges: NDArray[np.float64] | None = None,
) -> ResampledSpectra:
    """Bring spectra to the model grid, conserving flux.

    A model pixel is the mean of the native samples under it, weighted by the overlap of their
    intervals, whose ends are taken to vacuum. Samples that are not finite, or whose error is not
    positive, are left out; a pixel with less than `min_coverage` of its width left is masked. Where
    the mask is True, flux is finite and its error is finite and positive.

    Where samples are interpolated from wider detector pixels, as those of DR3 are, their errors are
    correlated. The correlation of two samples a distance d apart is taken as the overlap of two
    detector pixels, ``max(0, 1 - d / correlation_length)``; the error of the mean follows from the
    full quadratic form, and for RVS is about 1.4 times what independent samples would give.

    The steps of the description come first, where it has any.

    Parameters
    ----------
    flux, flux_error : ndarray of shape (n, grid.count)
        Normalised spectra and their errors, dimensionless.
    spectrum : LineSpectrum
        Its native grid and medium, its model grid of p pixels, and the correlation length.
    min_coverage : float
        Between 0 and 1.
    edges : ndarray of float64, shape (2, m), optional
        Where samples begin and end, nm in vacuum, if they are not on the native grid.

    Returns
    -------
    ResampledSpectra
    """
    correlation = spectrum.correlation_length if edges is None else 0.0
    if spectrum.steps:
        flux, flux_error, correlation = _stepped(flux, flux_error, spectrum, edges)
    if edges is None:
        rebinning = _rebinning(spectrum.grid, spectrum.medium, spectrum.model_grid, correlation)
    else:
        step = float(np.median(edges[1] - edges[0]))
        rebinning = _between(edges, spectrum.model_grid, correlation, step)
    shape = (len(flux), spectrum.model_grid.count)
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


def _stepped(
    flux: NDArray[np.float32],
    flux_error: NDArray[np.float32],
    spectrum: LineSpectrum,
    edges: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Take the steps of a description; return flux, error, and how far errors are correlated."""
    own = edges is not None
    made = take(
        Samples(
            flux.astype(np.float64),
            flux_error.astype(np.float64),
            spectrum.grid.nanometres() if edges is None else edges.mean(axis=0),
            spectrum.resolution,
            0.0 if own else spectrum.correlation_length,
        ),
        in_vacuum(spectrum.steps, spectrum.medium) if own else spectrum.steps,
    )
    with np.errstate(over="ignore"):  # what leaves the range of float32 is not finite, and left out
        return (
            made.flux.astype(np.float32),
            made.error.astype(np.float32),
            made.correlation_length,
        )


def sig_to_noise(spectra: ResampledSpectra) -> NDArray[np.float32]:
    """Return the median of flux over error of each spectrum's usable pixels, shape (n,).

    NaN where there is no usable pixel.
    """
    result = np.full(len(spectra.flux), np.nan, np.float32)
    some = spectra.mask.any(axis=1)
    mask, flux = spectra.mask[some], spectra.flux[some].astype(np.float64)
    ratio = np.divide(flux, spectra.flux_error[some], out=np.full(flux.shape, np.nan), where=mask)
    limit = np.finfo(np.float32).max
    result[some] = np.nanmedian(ratio, axis=1).clip(-limit, limit)
    return result


def class_by_threshold(values: NDArray[np.floating], rule: ThresholdRule) -> NDArray[np.uint8]:
    """Return how spectra were normalised, told by a column; UNKNOWN where it is not finite.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The column that the rule names (G_RVS in mag for DR3).
    rule : ThresholdRule
        From the release description.
    """
    known = np.where(values < rule.threshold, _CLASSES[rule.below], _CLASSES[rule.otherwise])
    return np.where(np.isfinite(values), known, UNKNOWN).astype(np.uint8)


def class_by_code(codes: NDArray[Any], rule: CodeRule) -> NDArray[np.uint8]:
    """Return how spectra were normalised, told by a code; UNKNOWN where the rule has it not."""
    classes = np.full(codes.shape, UNKNOWN, np.uint8)
    for code, normalisation in rule.values.items():
        classes[codes == code] = _CLASSES[normalisation]
    return classes


def class_of_all(rule: FixedRule, count: int) -> NDArray[np.uint8]:
    """Return how spectra were normalised where that is the same of all, shape (count,)."""
    return np.full(count, _CLASSES[rule.fixed], np.uint8)


@functools.lru_cache(maxsize=16)
def _rebinning(
    grid: GridSpec | KnotGrid, medium: Medium, model: GridSpec, correlation: float
) -> _Rebinning:
    return _between(edges_in_vacuum(grid, medium), model, correlation, grid.step_nm)


def _between(
    edges: NDArray[np.float64], model: GridSpec, correlation: float, step: float
) -> _Rebinning:
    begin, end = edges
    centres, width = model.nanometres(), model.step_nm
    low, high = centres - width / 2, centres + width / 2
    # Samples that may lie under each pixel: some of them only touch it.
    start = np.searchsorted(end, low, side="right").clip(max=end.size - 1)
    most = int((np.searchsorted(begin, high, side="left") - start).max())
    samples = start + np.arange(max(1, min(most, end.size)))[:, None]
    inside = samples < end.size
    samples = np.minimum(samples, end.size - 1)
    overlap = np.minimum(high, end[samples]) - np.maximum(low, begin[samples])
    overlap = np.where(inside, np.clip(overlap, 0, None) / width, 0)
    overlap[overlap < 1e-9] = 0  # rounding of the interval ends
    reached = overlap > 0
    most = max(1, int(reached.sum(axis=0).max()))
    # At the grid's end the first one is moved back, so that all k are samples.
    first = np.minimum(start + reached.argmax(axis=0), end.size - most)
    weights = np.zeros((most, low.size))
    place = samples - first
    for row, target in zip(overlap, place, strict=True):
        used = np.flatnonzero(row)
        weights[target[used], used] = row[used]
    lags = np.arange(most)
    if correlation == 0:
        return _Rebinning(first, weights, (lags == 0).astype(np.float64))
    return _Rebinning(first, weights, np.clip(1 - lags * step / correlation, 0, None))
