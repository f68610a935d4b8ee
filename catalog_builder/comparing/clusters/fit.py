"""Mean, scatter and trend of one label in one cluster, and in all of them together.

Stars of a cluster share an abundance, up to an intrinsic scatter s: the values have the variance
sigma^2 + s^2. Mean and s are those of the greatest likelihood. Members that are none are left out:
those further than `_CUT` from the median, in the root of sigma^2 and the robust scatter squared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A cluster of fewer stars has no scatter to speak of.
LEAST_STARS: Final = 5
_CUT: Final = 4.0
_GAUSSIAN: Final = 1.4826
_STEPS: Final = 400
_HALF: Final = 0.5
#: Of 2 ln L, where 95 % of one side are below.
_UPPER: Final = 2.71


@dataclass(frozen=True)
class Fit:
    """One label in one cluster.

    Attributes
    ----------
    stars, strays : int
        Used, and left out for being too far from the others.
    mean, mean_error : float
    scatter : float
        Robust: 1.4826 times the median absolute deviation.
    sigma : float
        Median uncertainty.
    chi2 : float
        Reduced, around the weighted mean; 1 is what sigma says, give or take `chi2_error`.
    chi2_error : float
    intrinsic, intrinsic_low, intrinsic_high : float
        Intrinsic scatter of the greatest likelihood, and its 68 % interval.
    intrinsic_upper : float
        95 % are below.
    slope, slope_error : float
        Along the temperature, per 1000 K.
    """

    stars: int
    strays: int
    mean: float
    mean_error: float
    scatter: float
    sigma: float
    chi2: float
    chi2_error: float
    intrinsic: float
    intrinsic_low: float
    intrinsic_high: float
    intrinsic_upper: float
    slope: float
    slope_error: float


def fit(values: Array, sigma: Array, temperature: Array) -> Fit | None:
    """Fit one label in one cluster; None where there are too few stars."""
    used = np.isfinite(values) & np.isfinite(sigma) & (sigma > 0)
    values, sigma, temperature = values[used], sigma[used], temperature[used]
    if len(values) < LEAST_STARS:
        return None
    middle = float(np.median(values))
    robust = _GAUSSIAN * float(np.median(np.abs(values - middle)))
    kept = np.abs(values - middle) <= _CUT * np.hypot(sigma, robust)
    strays = int(np.count_nonzero(~kept))
    values, sigma, temperature = values[kept], sigma[kept], temperature[kept]
    if len(values) < LEAST_STARS:
        return None
    centre = float(np.average(values, weights=1 / sigma**2))
    freedom = len(values) - 1
    best, low, high, upper = _intrinsic(values, sigma)
    weights = 1.0 / (sigma**2 + best**2)
    slope, slope_error = _slope(temperature / 1000.0, values, weights)
    return Fit(
        len(values),
        strays,
        float(np.average(values, weights=weights)),
        1.0 / math.sqrt(float(weights.sum())),
        robust,
        float(np.median(sigma)),
        float(np.sum(((values - centre) / sigma) ** 2)) / freedom,
        math.sqrt(2.0 / freedom),
        best,
        low,
        high,
        upper,
        slope,
        slope_error,
    )


@dataclass(frozen=True)
class Pooled:
    """One label in all clusters together.

    Attributes
    ----------
    clusters, stars : int
    factor, factor_error : float
        What sigma would have to be multiplied with, were all clusters without intrinsic scatter.
    intrinsic : float
        Median of the clusters' intrinsic scatters.
    slope, slope_error : float
        Along the temperature, per 1000 K, each cluster about its own mean; the error is from the
        clusters' own slopes if they scatter more than their errors.
    """

    clusters: int
    stars: int
    factor: float
    factor_error: float
    intrinsic: float
    slope: float
    slope_error: float


def pool(fits: Sequence[Fit]) -> Pooled | None:
    """Put the clusters together; None where there is none."""
    if not fits:
        return None
    freedom = sum(each.stars - 1 for each in fits)
    factor = math.sqrt(sum(each.chi2 * (each.stars - 1) for each in fits) / freedom)
    sloped = [each for each in fits if math.isfinite(each.slope_error) and each.slope_error > 0]
    slope = error = math.nan
    if sloped:
        weights = np.array([each.slope_error**-2 for each in sloped])
        slopes = np.array([each.slope for each in sloped])
        slope, error = float(np.average(slopes, weights=weights)), float(weights.sum() ** -0.5)
        if len(sloped) > 1:
            spread = float(np.sum(weights * (slopes - slope) ** 2)) / (len(sloped) - 1)
            error *= math.sqrt(max(spread, 1.0))
    return Pooled(
        len(fits),
        sum(each.stars for each in fits),
        factor,
        factor / math.sqrt(2.0 * freedom),
        float(np.median([each.intrinsic for each in fits])),
        slope,
        error,
    )


def _intrinsic(values: Array, sigma: Array) -> tuple[float, float, float, float]:
    """Return the intrinsic scatter of the greatest likelihood, its interval, and an upper limit."""
    most = 4.0 * max(float(np.std(values)), float(np.median(sigma)))
    grid = np.linspace(0.0, most, _STEPS)
    variance = sigma[:, None] ** 2 + grid**2
    mean = np.sum(values[:, None] / variance, axis=0) / np.sum(1 / variance, axis=0)
    terms = (values[:, None] - mean) ** 2 / variance + np.log(variance)
    # Of the likelihood that has the mean integrated out, or s would come out too small.
    twice = -np.sum(terms, axis=0) - np.log(np.sum(1 / variance, axis=0))
    best = int(np.argmax(twice))
    inside = np.flatnonzero(twice >= twice[best] - 2 * _HALF)
    below = np.flatnonzero(twice >= twice[best] - _UPPER)
    return tuple(float(grid[at]) for at in (best, inside[0], inside[-1], below[-1]))  # type: ignore[return-value]


def _slope(x: Array, y: Array, weights: Array) -> tuple[float, float]:
    known = np.isfinite(x)
    x, y, weights = x[known], y[known], weights[known]
    if len(x) < LEAST_STARS:
        return math.nan, math.nan
    across = x - np.average(x, weights=weights)
    wide = float(np.sum(weights * across**2))
    if wide <= 0:
        return math.nan, math.nan
    up = y - np.average(y, weights=weights)
    return float(np.sum(weights * across * up)) / wide, wide**-0.5
