"""Spectra of lines on grids of their own, brought to the model grid.

The archive's spectra are on one regular grid (`lines`). Others may have any samples, another
resolving power, and the star's velocity in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.contract.grids import GridSpec, Medium, to_vacuum
from catalog_builder.contract.steps import Convolve
from catalog_builder.features.lines import ResampledSpectra, resample, sig_to_noise
from catalog_builder.features.steps import FWHM, Samples, in_vacuum, take

Float = NDArray[np.float64]

#: Light's way in a second, km.
LIGHT: Final = 299_792.458
#: Sigmas of a broadened sample that reach into a pixel.
_REACH: Final = 5.0
#: Model pixels whose weights are held at a time.
_PIXELS: Final = 50


@dataclass(frozen=True)
class OwnSamples:
    """Samples of one spectrum, m each.

    Attributes
    ----------
    wavelength : ndarray of float64
        Rising, nm.
    flux, error : ndarray of float64
        NaN where there is no measurement.
    medium : {"vacuum", "air"}
        What the wavelengths refer to.
    velocity : float
        Of the star, km/s, positive if it recedes; 0 where the wavelengths are at rest.
    resolution : float, optional
        Resolving power; that of the model's spectra where not given.
    """

    wavelength: Float
    flux: Float
    error: Float
    medium: Medium = "vacuum"
    velocity: float = 0.0
    resolution: float | None = None

    def edges(self) -> tuple[Float, Float]:
        """Return where samples begin and end, nm in vacuum at rest: half way to the next one."""
        middle = (self.wavelength[1:] + self.wavelength[:-1]) / 2
        first = 2 * self.wavelength[0] - middle[0]
        last = 2 * self.wavelength[-1] - middle[-1]
        edges = to_vacuum(np.concatenate([[first], middle, [last]]), self.medium)
        edges = edges / (1 + self.velocity / LIGHT)
        return edges[:-1], edges[1:]


def resample_own(
    samples: OwnSamples, spectrum: LineSpectrum, min_coverage: float
) -> ResampledSpectra:
    """Bring one spectrum to the model grid, conserving flux; shapes (1, p).

    A model pixel is the mean of what lies under it, as in `lines.resample`, with samples that are
    independent of each other. Where the spectrum's resolving power is larger than the model's,
    lines are broadened by the Gaussian that is missing.

    Parameters
    ----------
    samples : OwnSamples
        The spectrum.
    spectrum : LineSpectrum
        The model grid, and the resolving power that its spectra have.
    min_coverage : float
        A pixel with less than this share of usable samples is masked.
    """
    begin, end = samples.edges()
    samples = _stepped(samples, (begin + end) / 2, spectrum)
    good = np.isfinite(samples.flux) & np.isfinite(samples.error) & (samples.error > 0)
    grid = spectrum.model_grid
    centres, half = grid.nanometres(), grid.step_nm / 2
    sigma = _missing_sigma(spectrum, samples.resolution) * float(centres.mean())
    flux, error, mask = np.zeros(grid.count), np.zeros(grid.count), np.zeros(grid.count, bool)
    for first in range(0, grid.count, _PIXELS):
        pixels = slice(first, first + _PIXELS)
        low, high = centres[pixels] - half, centres[pixels] + half
        near = slice(*_between(begin, end, low[0] - _REACH * sigma, high[-1] + _REACH * sigma))
        weights = _weights(begin[near], end[near], low, high, sigma) * good[near]
        share = weights.sum(axis=1)
        used = share >= max(min_coverage, 1e-9)
        total = np.where(used, share, 1.0)
        known = np.where(good[near], samples.flux[near], 0.0)
        noise = np.where(good[near], samples.error[near], 0.0)
        flux[pixels] = np.where(used, weights @ known / total, 0.0)
        error[pixels] = np.where(used, np.sqrt(weights**2 @ noise**2) / total, 0.0)
        mask[pixels] = used
    with np.errstate(over="ignore"):
        flux32, error32 = flux.astype(np.float32), error.astype(np.float32)
    mask &= np.isfinite(flux32) & np.isfinite(error32) & (error32 > 0)
    return ResampledSpectra(
        np.where(mask, flux32, 0)[None], np.where(mask, error32, 0)[None], mask[None]
    )


def _stepped(samples: OwnSamples, centres: Float, spectrum: LineSpectrum) -> OwnSamples:
    """Take the steps of the model's spectra but the convolution, which is made on the way.

    `centres` are those of the samples in vacuum at rest.
    """
    known = tuple(one for one in spectrum.steps if not isinstance(one, Convolve))
    steps = in_vacuum(known, spectrum.medium)
    if not steps:
        return samples
    made = take(Samples(samples.flux[None], samples.error[None], centres), steps)
    return replace(samples, flux=made.flux[0], error=made.error[0])


def archive_sig_to_noise(spectra: ResampledSpectra, spectrum: LineSpectrum) -> float:
    """Return the S/N that the archive would give the first of some spectra on the model grid.

    The archive's is of its own samples, which are finer than model pixels and not independent of
    each other: an even spectrum on its grid says by which factor a model pixel's is larger.
    """
    even = np.ones((1, spectrum.grid.count), np.float32)
    of_pixels = float(sig_to_noise(resample(even, even, spectrum, 0.5))[0])
    return float(sig_to_noise(spectra)[0]) / of_pixels


def covered(samples: OwnSamples, grid: GridSpec) -> float:
    """Return which share of a model grid lies between the first and the last sample."""
    begin, end = samples.edges()
    centres = grid.nanometres()
    return float(((centres >= begin[0]) & (centres <= end[-1])).mean())


def _missing_sigma(spectrum: LineSpectrum, resolution: float | None) -> float:
    """Return the width, as a share of the wavelength, that brings lines to the model's."""
    wanted = spectrum.model_resolution
    if resolution is None or wanted is None or resolution <= wanted:
        return 0.0
    return float(np.sqrt(wanted**-2 - resolution**-2)) / FWHM


def _between(begin: Float, end: Float, low: float, high: float) -> tuple[int, int]:
    first = int(np.searchsorted(end, low, side="right"))
    return first, max(first, int(np.searchsorted(begin, high, side="left")))


def _weights(begin: Float, end: Float, low: Float, high: Float, sigma: float) -> Float:
    """Return the share of each pixel, (p, m), that is light of each sample, broadened."""

    def until(place: Float) -> Float:
        low_part, high_part = (_ramp(place[None, :] - edge[:, None], sigma) for edge in (low, high))
        return np.asarray((low_part - high_part) / (high - low)[:, None])

    return np.asarray(until(end) - until(begin))


def _ramp(x: Float, sigma: float) -> Float:
    """Return the integral of a step at 0 that is broadened."""
    if sigma == 0.0:
        return np.maximum(x, 0.0)
    t = x / sigma
    return np.asarray(sigma * (t * ndtr(t) + np.exp(-0.5 * t**2) / np.sqrt(2 * np.pi)))
