"""Masks, continua and convolution: what a description's `steps` do to spectra of lines.

Every function takes spectra (n, m) with their errors on samples of any spacing, and returns new
ones; NaN is a sample without a measurement.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtr

from catalog_builder.contract.grids import Medium, to_vacuum
from catalog_builder.contract.steps import Continuum, Convolve, Mask, Step

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Full width at half maximum over sigma, of a Gaussian.
FWHM: Final = 2.3548200450309493
#: Sigmas to which a Gaussian reaches.
_REACH: Final = 5.0
#: Width of a triangle with the area of a Gaussian's autocorrelation, in sigmas of the Gaussian.
_TRIANGLE: Final = 2.0 * np.sqrt(np.pi)
#: A broadened sample with less than this share of its weight on measurements is none.
_LEAST_WEIGHT: Final = 0.5


@dataclass(frozen=True)
class Samples:
    """Spectra on the same samples.

    Attributes
    ----------
    flux, error : ndarray of float64, shape (n, m)
        NaN where there is no measurement.
    wavelength : ndarray of float64, shape (m,)
        nm, rising; any medium.
    resolution : float, optional
        Resolving power.
    correlation_length : float
        Distance, nm, at which the errors of two samples are independent; 0 of independent samples.
    """

    flux: Float
    error: Float
    wavelength: Float
    resolution: float | None = None
    correlation_length: float = 0.0

    @property
    def usable(self) -> Bool:
        """Where there is a measurement, (n, m)."""
        return np.asarray(np.isfinite(self.flux) & np.isfinite(self.error) & (self.error > 0))


def take(samples: Samples, steps: tuple[Step, ...]) -> Samples:
    """Take steps in their order."""
    for one in steps:
        if isinstance(one, Mask):
            samples = mask(samples, one)
        elif isinstance(one, Continuum):
            samples = normalise(samples, one)
        else:
            samples = convolve(samples, one)
    return samples


def in_vacuum(steps: tuple[Step, ...], medium: Medium) -> tuple[Step, ...]:
    """Return steps for samples in vacuum, of steps for another medium."""
    found: list[Step] = []
    for one in steps:
        if isinstance(one, Mask):
            ends = to_vacuum(np.array(one.ranges), medium).tolist()
            found.append(one.model_copy(update={"ranges": tuple(map(tuple, ends))}))
        else:
            found.append(one)
    return tuple(found)


def mask(samples: Samples, step: Mask) -> Samples:
    """Leave out samples whose centres are within ranges, both ends included."""
    at = samples.wavelength
    out = np.any([(at >= low) & (at <= high) for low, high in step.ranges], axis=0)
    flux, error = samples.flux.copy(), samples.error.copy()
    flux[:, out] = np.nan
    error[:, out] = np.nan
    return _with(samples, flux, error)


def normalise(samples: Samples, step: Continuum) -> Samples:
    """Divide spectra and errors by their continua.

    The error of the continuum itself is small beside that of a sample and left out. A spectrum
    whose continuum is not positive everywhere, or that has fewer than two samples for each term of
    the polynomial, has no measurement afterwards.
    """
    fitted = continuum(samples, step)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        usable = samples.usable
        flux = np.where(usable, samples.flux / fitted, np.nan)
        error = np.where(usable, samples.error / fitted, np.nan)
    return _with(samples, flux, error)


def continuum(samples: Samples, step: Continuum) -> Float:
    """Return the continua (n, m) of spectra; NaN of those that have none."""
    usable = samples.usable
    # In units of each spectrum's own flux, so that the fit is the same at any scale.
    scale = _typical(samples.flux, usable)
    flux = np.where(usable, samples.flux, 0.0) / scale
    basis = _basis(samples.wavelength, step.degree)
    used = usable
    for _ in range(step.rounds):
        fit = _fitted(flux, used, basis)
        left = flux - fit
        count = np.maximum(used.sum(axis=1), 1)
        spread = np.sqrt((np.where(used, left, 0.0) ** 2).sum(axis=1) / count)[:, None]
        kept = usable & (left >= -step.below * spread) & (left <= step.above * spread)
        # A fit needs twice as many samples as it has terms; with fewer the last one stays.
        kept = np.where((kept.sum(axis=1) >= 2 * basis.shape[1])[:, None], kept, used)
        if np.array_equal(kept, used):
            break
        used = kept
    fit = _fitted(flux, used, basis)
    sound = (usable.sum(axis=1) >= 2 * basis.shape[1]) & ((fit > 0) | ~usable).all(axis=1)
    return np.where(sound[:, None] & (fit > 0), fit * scale, np.nan)


def convolve(samples: Samples, step: Convolve) -> Samples:
    """Broaden spectra by the Gaussian that is missing to a lower resolving power.

    Widths add in quadrature. Each sample becomes the mean of those around it, weighted by the part
    of the Gaussian over each one's interval, so that samples may be spaced in any way. The errors
    are those of that mean; the errors of neighbours are correlated afterwards, which
    `correlation_length` then says.
    """
    if samples.resolution is None or samples.resolution <= step.resolution:
        return samples
    share = float(np.sqrt(step.resolution**-2 - samples.resolution**-2)) / FWHM
    weights = _gaussian(tuple(samples.wavelength.tolist()), share)
    usable = samples.usable
    weight = usable @ weights.T
    good = usable & (weight >= _LEAST_WEIGHT)
    divisor = np.where(good, weight, 1.0)
    flux = np.where(usable, samples.flux, 0.0) @ weights.T / divisor
    error = np.sqrt(_variance(weights, samples)) / divisor
    middle = float(np.median(samples.wavelength))
    return Samples(
        np.where(good, flux, np.nan),
        np.where(good, error, np.nan),
        samples.wavelength,
        step.resolution,
        float(np.hypot(samples.correlation_length, _TRIANGLE * share * middle)),
    )


def _with(samples: Samples, flux: Float, error: Float) -> Samples:
    return Samples(flux, error, samples.wavelength, samples.resolution, samples.correlation_length)


def _typical(flux: Float, usable: Bool) -> Float:
    """Return a positive number of the size of each spectrum's flux, (n, 1)."""
    size = np.where(usable, np.abs(flux), 0.0).sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
    return np.where((size > 0) & np.isfinite(size), size, 1.0)[:, None]


def _basis(wavelength: Float, degree: int) -> Float:
    """Chebyshev polynomials (m, k) over the range of wavelengths."""
    low, high = wavelength[0], wavelength[-1]
    return np.polynomial.chebyshev.chebvander(2 * (wavelength - low) / (high - low) - 1, degree)


def _fitted(flux: Float, used: Bool, basis: Float) -> Float:
    """Least-squares fits (n, m) to the used samples of each spectrum."""
    terms = basis.shape[1]
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    left = (used.astype(np.float64) @ products).reshape(-1, terms, terms)
    # A spectrum with too few samples still has a solution; it is not used.
    left = left + 1e-10 * np.maximum(used.sum(axis=1), 1)[:, None, None] * np.eye(terms)
    right = np.where(used, flux, 0.0) @ basis
    return np.asarray(np.linalg.solve(left, right[..., None])[..., 0] @ basis.T)


@functools.lru_cache(maxsize=8)
def _gaussian(wavelength: tuple[float, ...], share: float) -> sparse.csr_array:
    """Weights (m, m) of each sample in each broadened one; rows sum to 1.

    `share` is sigma as a share of the wavelength.
    """
    at = np.array(wavelength)
    middle = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    # The interval of a sample is a box, and broadens as well: by its width over the root of 12.
    box = np.diff(edges) ** 2 / 12
    sigma = np.sqrt(np.maximum((at * share) ** 2 - box, (1e-3 * at * share) ** 2))
    first = np.searchsorted(edges, at - _REACH * sigma).clip(1) - 1
    last = np.searchsorted(edges, at + _REACH * sigma).clip(max=at.size)
    width = int((last - first).max())
    columns = first[:, None] + np.arange(width)
    inside = columns < last[:, None]
    columns = np.minimum(columns, at.size - 1)
    upper = (edges[columns + 1] - at[:, None]) / sigma[:, None]
    lower = (edges[columns] - at[:, None]) / sigma[:, None]
    values = np.where(inside, ndtr(upper) - ndtr(lower), 0.0)
    values /= values.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(at.size), width)
    made = sparse.coo_array((values.ravel(), (rows, columns.ravel())), shape=(at.size,) * 2)
    return made.tocsr()


def _variance(weights: sparse.csr_array, samples: Samples) -> Float:
    """Variances (n, m) of broadened samples, before they are divided by their weight."""
    error = np.where(samples.usable, samples.error, 0.0)
    variance = error**2 @ weights.power(2).T
    step = float(np.median(np.diff(samples.wavelength)))
    reach = int(np.ceil(samples.correlation_length / step)) if samples.correlation_length else 0
    for lag in range(1, reach):
        likeness = 1.0 - lag * step / samples.correlation_length
        if likeness <= 0:
            break
        both = weights[:, :-lag].multiply(weights[:, lag:]).tocsr()
        variance += 2 * likeness * ((error[:, :-lag] * error[:, lag:]) @ both.T)
    return np.asarray(variance)
