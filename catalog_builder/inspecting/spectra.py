"""What samples and coefficients say of how they were normalised, and whether bands are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: A spectrum with less signal says nothing about how it was normalised.
LEAST_SIGNAL: Final = 15.0
#: How far from 1 the median of a spectrum may lie that was divided by a constant: rounding and
#: the continuum's shape, and noise, which moves the median of a spectrum with lines.
_FROM_ONE, _FROM_NOISE = 0.004, 0.2
#: An eigenvalue of a correlation matrix below this is no rounding of single precision.
_NEGATIVE: Final = -1e-3


@dataclass(frozen=True)
class Medians:
    """Spectra of lines: their medians, and what the noise allows to say of them.

    Attributes
    ----------
    median, upper, sig_to_noise : ndarray of shape (n,)
        Median and 90th percentile of the flux, and median of flux over error. NaN where nothing.
    """

    median: Float
    upper: Float
    sig_to_noise: Float

    @classmethod
    def of(cls, flux: Float, error: Float) -> Medians:
        """Take them from samples, shapes (n, m)."""
        if not len(flux):
            return cls(*np.empty((3, 0)))
        empty = np.asarray(~np.isfinite(flux).any(axis=1))
        filled = np.where(empty[:, None], 0.0, flux)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(np.isfinite(flux) & (error > 0), flux / error, np.nan)
        ratio[~np.isfinite(ratio).any(axis=1)] = 0.0
        found = [
            np.nanmedian(filled, axis=1),
            np.nanpercentile(filled, 90, axis=1),
            np.nanmedian(ratio, axis=1),
        ]
        return cls(*(np.where(empty, np.nan, values) for values in found))

    @property
    def telling(self) -> NDArray[np.bool_]:
        """Which spectra have enough signal to tell."""
        return np.asarray(np.isfinite(self.median) & (self.sig_to_noise >= LEAST_SIGNAL))

    @property
    def at_one(self) -> NDArray[np.bool_]:
        """Which medians are 1, as of spectra that were divided by a constant."""
        with np.errstate(divide="ignore", invalid="ignore"):
            allowed = _FROM_ONE + _FROM_NOISE / self.sig_to_noise
        return np.asarray(np.abs(self.median - 1.0) < allowed)


def share_of_broken_matrices(correlations: Float) -> float:
    """Return the share of rows whose correlations are of no positive definite matrix.

    Parameters
    ----------
    correlations : ndarray of shape (n, k(k-1)/2)
        The strict lower triangle, row by row.

    Returns
    -------
    float
        NaN where no row is complete.
    """
    whole = correlations[np.isfinite(correlations).all(axis=1)]
    if not len(whole):
        return float("nan")
    size = int((1 + np.sqrt(1 + 8 * whole.shape[1])) // 2)
    lower = np.tril_indices(size, k=-1)
    matrices = np.zeros((len(whole), size, size))
    matrices[:, lower[0], lower[1]] = whole
    matrices += matrices.transpose(0, 2, 1) + np.eye(size)
    return float((np.linalg.eigvalsh(matrices).min(axis=1) < _NEGATIVE).mean())


def colour_agreement(first: Float, second: Float, colour: Float) -> tuple[float, int]:
    """Compare the ratio of two bands' coefficients with a colour of the photometry.

    Parameters
    ----------
    first, second : ndarray of shape (n, k)
        Coefficients of two bands.
    colour : ndarray of shape (n,)
        Magnitude of the first minus that of the second.

    Returns
    -------
    float, int
        Correlation of the two colours, 1 where they agree and -1 where the bands are swapped; and
        of how many stars. NaN where it cannot be told.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = -2.5 * np.log10(np.sqrt((first**2).sum(axis=1)) / np.sqrt((second**2).sum(axis=1)))
    return rank_correlation(ratio, colour)


def rank_correlation(first: Float, second: Float) -> tuple[float, int]:
    """Return the correlation of the ranks of two quantities, and of how many stars.

    NaN where it cannot be told: of less than three, or where one is always the same.
    """
    good = np.isfinite(first) & np.isfinite(second)
    if good.sum() < 3 or np.ptp(first[good]) == 0 or np.ptp(second[good]) == 0:
        return float("nan"), int(good.sum())
    return float(np.corrcoef(_ranks(first[good]), _ranks(second[good]))[0, 1]), int(good.sum())


def _ranks(values: Float) -> Float:
    return np.argsort(np.argsort(values)).astype(np.float64)
