"""Loops over samples that NumPy would go through many times over, in compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from catalog_builder.ground.compiled import compiled


@compiled
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
    """Average native samples under each model pixel; see `catalog_builder.features.lines`.

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
    value, error = np.empty(samples, np.float32), np.empty(samples, np.float32)
    mean, coverage, variance = np.empty(pixels), np.empty(pixels), np.empty(pixels)
    spread = np.empty((width, pixels))
    for row in range(flux.shape[0]):
        for place in range(samples):
            f, e = flux[row, place], flux_error[row, place]
            # The archive marks samples without data by NaN, or by zero flux with zero error.
            usable = (abs(f) < np.inf) & (e > 0) & (e < np.inf)
            value[place] = f if usable else np.float32(0)
            error[place] = e if usable else np.float32(0)
        mean[:] = 0.0
        coverage[:] = 0.0
        variance[:] = 0.0
        # Pixels in the inner loops: those run on several at once. Each sample is fetched once.
        for i in range(width):
            for pixel in range(pixels):
                place = first[pixel] + i
                weight, e = weights[i, pixel], np.float64(error[place])
                mean[pixel] += weight * value[place]
                coverage[pixel] += weight if e > 0 else 0.0
                spread[i, pixel] = weight * e
            for j in range(i + 1):
                # Each pair of different samples occurs twice in the quadratic form.
                share = correlation[i - j] * (1.0 if i == j else 2.0)
                if share == 0.0:
                    continue
                for pixel in range(pixels):
                    variance[pixel] += share * spread[i, pixel] * spread[j, pixel]
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


@compiled
def error_products(errors: Any, correlations: Any, products: Any, largest: Any) -> None:
    """Lay out what the variance of samples is linear in, relative to each star's largest error.

    Parameters
    ----------
    errors : float32 (n, k)
        Of the coefficients.
    correlations : float32 (n, k(k-1)/2)
        Strict lower triangle, row by row.
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
        begin = 0
        for i in range(1, k):
            for j in range(i):
                product = scaled[i] * scaled[j]
                products[row, k + begin + j] = product * correlations[row, begin + j]
            begin += i


@compiled
def add_variance(relative: Any, unit: Any, largest: Any, start: int, variance: Any) -> None:
    """Add one band's variance to that of the samples it reaches.

    Parameters
    ----------
    relative : float32 (n, s)
        Variance in the units below.
    unit : float64 (s,), largest : float64 (n,)
        Unit of each sample's variance; largest error of each star.
    start : int
        The first of the samples.
    variance : float64 (n, m)
        Out: raised.
    """
    for row in range(relative.shape[0]):
        square = largest[row] * largest[row]
        for sample in range(relative.shape[1]):
            variance[row, start + sample] += relative[row, sample] * unit[sample] * square


@compiled
def scale_rows(
    flux: Any, flux_error: Any, scale: Any, out_flux: Any, out_error: Any, usable: Any
) -> None:
    """Divide spectra by their scale; those that are not sound to the last sample become zero.

    Parameters
    ----------
    flux, flux_error : float64 (n, m)
        Spectra.
    scale : float32 (n,)
        What they are divided by; NaN where unusable afterwards.
    out_flux, out_error : float32 (n, m)
        Out: 0 in unusable rows.
    usable : bool (n,)
        Out: the scale is positive, and all numbers are finite and all errors positive.
    """
    for row in range(flux.shape[0]):
        by = np.float64(scale[row])
        good = (by > 0) & (by < np.inf)
        for sample in range(flux.shape[1]):
            f = np.float32(flux[row, sample] / by)
            e = np.float32(flux_error[row, sample] / by)
            good &= (abs(f) < np.inf) & (e > 0) & (e < np.inf)
            out_flux[row, sample] = f
            out_error[row, sample] = e
        usable[row] = good
        if not good:
            scale[row] = np.nan
            out_flux[row, :] = 0
            out_error[row, :] = 0
