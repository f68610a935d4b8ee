"""Loops over samples that NumPy would go through many times over, in compiled code."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def _compiled(function: FunctionT) -> FunctionT:
    """Compile without the interpreter lock; keep the machine code where a cache can be written."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


@_compiled
def rebin(
    flux: Any,
    flux_error: Any,
    first: Any,
    weights: Any,
    correlation: Any,
    min_coverage: float,
    out_flux: Any,
    out_error: Any,
    out_mask: Any,
) -> None:
    """Average native samples under each model pixel; see :func:`catalog_builder.features.rvs`.

    Parameters
    ----------
    flux, flux_error : float32 (n, m)
        Native spectra.
    first : int64 (p,)
        The first sample under each pixel.
    weights : float64 (k, p)
        Of the k samples from there on; 0 where fewer are under it.
    correlation : float64 (k,)
        Of the errors of two samples, by distance.
    min_coverage : float
        A pixel with a smaller sum of usable weights is masked.
    out_flux, out_error : float32 (n, p)
        Out: 0 where masked.
    out_mask : bool (n, p)
        Out: True where usable.
    """
    samples, pixels, width = flux.shape[1], first.size, weights.shape[0]
    value, error = np.empty(samples), np.empty(samples)
    good = np.empty(samples)
    mean, coverage, variance = np.empty(pixels), np.empty(pixels), np.empty(pixels)
    for row in range(flux.shape[0]):
        for place in range(samples):
            f, e = flux[row, place], flux_error[row, place]
            # The archive marks samples without data by NaN, or by zero flux with zero error.
            usable = (abs(f) < np.inf) & (e > 0) & (e < np.inf)
            value[place] = f if usable else 0.0
            error[place] = e if usable else 0.0
            good[place] = 1.0 if usable else 0.0
        mean[:] = 0.0
        coverage[:] = 0.0
        variance[:] = 0.0
        # Pixels in the inner loops: those run on several at once.
        for i in range(width):
            for pixel in range(pixels):
                place = first[pixel] + i
                mean[pixel] += weights[i, pixel] * value[place]
                coverage[pixel] += weights[i, pixel] * good[place]
            for j in range(i + 1):
                # Each pair of different samples occurs twice in the quadratic form.
                share = correlation[i - j] * (1.0 if i == j else 2.0)
                if share == 0.0:
                    continue
                for pixel in range(pixels):
                    place = first[pixel]
                    pair = weights[i, pixel] * weights[j, pixel]
                    variance[pixel] += share * pair * error[place + i] * error[place + j]
        for pixel in range(pixels):
            covered = coverage[pixel] >= min_coverage
            norm = coverage[pixel] if covered else 1.0
            mean32 = np.float32(mean[pixel] / norm)
            error32 = np.float32(math.sqrt(variance[pixel]) / norm)
            # Absurd numbers may leave the range of float32 where their mean does not.
            covered = covered & (abs(mean32) < np.inf) & (error32 > 0) & (error32 < np.inf)
            out_flux[row, pixel] = mean32 if covered else np.float32(0)
            out_error[row, pixel] = error32 if covered else np.float32(0)
            out_mask[row, pixel] = covered


@_compiled
def error_products(
    errors: Any, correlations: Any, first: Any, second: Any, products: Any, largest: Any
) -> None:
    """Lay out what the variance of XP samples is linear in, relative to each star's largest error.

    Parameters
    ----------
    errors : float32 (n, k)
        Of the coefficients.
    correlations : float32 (n, k(k-1)/2)
        Strict lower triangle, row by row.
    first, second : int64 (k(k-1)/2,)
        Which errors a correlation is of.
    products : float32 (n, k + k(k-1)/2)
        Out: squares, then products of two errors and their correlation.
    largest : float64 (n,)
        Out: what errors were divided by.
    """
    k = errors.shape[1]
    scaled = np.empty(k, np.float32)
    for row in range(errors.shape[0]):
        top = 0.0
        for i in range(k):
            top = max(top, abs(errors[row, i]))
        # Where one is null the others do not matter: the row comes out null.
        top = top if 0 < top < np.inf else 1.0
        largest[row] = top
        for i in range(k):
            scaled[i] = errors[row, i] / top
            products[row, i] = scaled[i] * scaled[i]
        for pair in range(first.size):
            product = scaled[first[pair]] * scaled[second[pair]]
            products[row, k + pair] = product * correlations[row, pair]
