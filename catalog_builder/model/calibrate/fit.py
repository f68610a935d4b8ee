"""How wide the networks' own errors are, seen through the errors of the labels.

A calibration star's residual is the network's error plus the label's. Where the label's is the
larger one, no quantile of the residuals tells the network's: it has to be deconvolved. The
network's error in units of its sigma is described as a mixture of three Gaussians, a core, a tail
and a few outliers. A Gaussian label error widens each of them in quadrature, so the likelihood of
the residuals is written down exactly. The widths follow smooth curves along the coordinates of the
calibration, one set for all: a tail with curves of its own would be free to follow chance. Weights
and widths are those of the highest posterior probability.
The idea is that of extreme deconvolution (Bovy, Hogg & Roweis 2011, AnApS 5, 1657), in one
dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import erf, softmax

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.calibrate.factors import CURVES, Array, Curve, Factor, LabelFactors
from catalog_builder.model.calibrate.metrics import GAUSSIAN_95

# Share of a Gaussian within 1 sigma.
ONE_SIGMA = 0.682689492137086
_MOST_KNOTS = 14
# Knots reach into the ends of a distribution, for there is much to tell at S/N 200.
_EDGE = 0.005
# Fewer stars than this fix no width of a tail.
_LEAST_STARS = 40
# More add nothing: widths are then known to a part in a hundred, knot by knot.
_MOST_STARS = 60_000
# What is expected before any star is seen. Shares of core, tail and outliers; logarithms of the
# widths of tail and outliers over that of the core, and how far shares, these and the core's may be
# off. Where label errors are the larger part, the shape is what is expected.
_LOGITS = np.log(np.array([0.18, 0.02]) / 0.80)
_TAIL, _OUTLIERS = np.log(1.6), np.log(12.0)
_FREEDOM_OF_SHARES, _FREEDOM, _FREEDOM_OF_CORE = 0.2, 0.25, 2.0
# Log widths change by about 0.1 from one knot to the next. An axis as a whole is held near 0 by a
# tenth of that strength: its level is the constant's to tell.
_STEP, _LEVEL = 0.1, 0.01


def fit_label_factors(
    residual: Array, sigma: Array, label_error: Array, places: Array, least: int
) -> LabelFactors:
    """Fit the factors of one label and one subset of the inputs.

    Parameters
    ----------
    residual, sigma, label_error : numpy.ndarray
        (n,); stars with a NaN residual are left out, a label without an error is exact. The errors
        are believed: where a survey overstates them, sigma comes out too small.
    places : numpy.ndarray
        (n, 5), this label's part of `coordinates`.
    least : int
        Stars per knot of a curve.

    Returns
    -------
    LabelFactors
        Factors of 1 where there are fewer than 40 stars.

    Raises
    ------
    ModelError
        If no mixture can be found.
    """
    known = np.flatnonzero(np.isfinite(residual) & np.isfinite(sigma) & (sigma > 0))
    if len(known) < _LEAST_STARS:
        return LabelFactors()
    known = known[:: -(-len(known) // _MOST_STARS)]
    axes = [_Axis.of(coordinate[known], least) for coordinate in places.T[:CURVES]]
    fit = _Likelihood(
        (residual[known] / sigma[known]) ** 2,
        (np.nan_to_num(label_error[known]) / sigma[known]) ** 2,
        axes,
    ).maximum()
    return LabelFactors(
        sigma=_factor(fit, axes, ONE_SIGMA, 1.0),
        interval95=_factor(fit, axes, 0.95, GAUSSIAN_95),
    )


@dataclass(frozen=True)
class _Axis:
    """One coordinate of n stars as places between knots: straight lines run from knot to knot."""

    knots: Array
    left: NDArray[np.intp]
    of_left: Array
    of_right: Array

    @classmethod
    def of(cls, coordinate: Array, least: int) -> _Axis:
        known = np.isfinite(coordinate)
        count = min(_MOST_KNOTS, int(known.sum()) // least)
        shares = np.linspace(_EDGE, 1.0 - _EDGE, count)
        knots = np.unique(np.quantile(coordinate[known], shares)) if count > 1 else np.empty(0)
        if len(knots) < 2:
            nothing = np.zeros(0)
            return cls(nothing, nothing.astype(np.intp), nothing, nothing)
        inside = np.clip(np.where(known, coordinate, knots[0]), knots[0], knots[-1])
        left = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(knots) - 2)
        share = (inside - knots[left]) / (knots[left + 1] - knots[left])
        return cls(knots, left, (1.0 - share) * known, share * known)

    def curve(self, heights: Array) -> Array | float:
        """Return the curve at the stars, (n,)."""
        if not len(self.knots):
            return 0.0
        return heights[self.left] * self.of_left + heights[self.left + 1] * self.of_right

    def gather(self, slopes: Array) -> Array:
        """Return the sum over stars of their slopes, by knot: the transpose of `curve`."""
        size = len(self.knots)
        if not size:
            return np.empty(0)
        return np.asarray(
            np.bincount(self.left, slopes * self.of_left, size)
            + np.bincount(self.left + 1, slopes * self.of_right, size)
        )


class _Shape(NamedTuple):
    """The mixture: log width of the core, its curves, log ratios of the others to it, shares."""

    core: float
    heights: Array
    tail: float
    outliers: float
    logits: Array


class _Likelihood:
    """Minus the logarithm of the posterior probability of a mixture, and its gradient.

    Parameters
    ----------
    square, error : numpy.ndarray
        (n,) squares of the residuals and of the label errors, in units of sigma.
    axes : list of _Axis
        Of the coordinates.
    """

    def __init__(self, square: Array, error: Array, axes: list[_Axis]) -> None:
        self._square, self._error, self._axes = square, error, axes
        self._sizes = [len(axis.knots) for axis in axes]
        self._stiffness = _stiffness(self._sizes)

    def maximum(self) -> _Shape:
        """Return the most probable mixture."""
        # A Gaussian's median square is 0.455 of its variance.
        spread = np.median(self._square) / 0.455
        width = max(spread - np.median(self._error), 0.05 * spread, 1e-4)
        flat = np.zeros(sum(self._sizes))
        start = np.concatenate([[0.5 * np.log(width)], flat, [_TAIL, _OUTLIERS], _LOGITS])
        found = minimize(self, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
        if not np.isfinite(found.x).all():
            raise ModelError(
                "The calibration of sigma has no solution: some label errors are impossible.",
                "Look for labels or errors in the label survey that are far out of range.",
            )
        return self._shape(np.asarray(found.x))

    def _shape(self, numbers: Array) -> _Shape:
        tail, outliers = numbers[-4:-2]
        return _Shape(numbers[0], numbers[1:-4], tail, outliers, numbers[-2:])

    def __call__(self, numbers: Array) -> tuple[float, Array]:
        """Return the value at a mixture, and its gradient."""
        shape = self._shape(numbers)
        core = np.full(len(self._square), shape.core)
        for axis, part in zip(self._axes, _parts(shape.heights, self._sizes), strict=True):
            core += axis.curve(part)
        widths = np.array([0.0, shape.tail, shape.outliers])
        own = np.exp(2.0 * widths)[:, None] * np.exp(2.0 * core)
        variance = own + self._error
        share = self._square / variance
        weights = _weights(shape.logits)
        # Of the one that a star fits best, the exponential is 1: none of the sums is zero.
        nearest = share.min(axis=0)
        belongs = weights[:, None] / np.sqrt(variance) * np.exp(0.5 * (nearest - share))
        density = belongs.sum(axis=0)
        belongs /= density
        # Derivatives of a star's ln p by the logarithm of each Gaussian's width.
        slopes = belongs * (share - 1.0) * own / variance
        together = slopes.sum(axis=0)
        gradient = np.concatenate(
            [
                [together.sum()],
                *(axis.gather(together) for axis in self._axes),
                slopes[1:].sum(axis=1),
                (belongs.sum(axis=1) - weights * len(core))[1:],
            ]
        )
        prior, prior_gradient = self._prior(shape)
        likelihood = np.log(density).sum() - 0.5 * nearest.sum()
        return float(prior - likelihood), prior_gradient - gradient

    def _prior(self, shape: _Shape) -> tuple[float, Array]:
        off = np.array([shape.core, shape.tail - _TAIL, shape.outliers - _OUTLIERS])
        slope = off / np.array([_FREEDOM_OF_CORE, _FREEDOM, _FREEDOM]) ** 2
        curved = self._stiffness @ shape.heights
        shares = shape.logits - _LOGITS
        towards = shares / _FREEDOM_OF_SHARES**2
        value = 0.5 * (off @ slope + shape.heights @ curved + shares @ towards)
        return float(value), np.concatenate([slope[:1], curved, slope[1:], towards])


def _stiffness(sizes: list[int]) -> Array:
    """Return the matrix that makes of the knots' heights how unlikely their steps are."""
    matrix = np.zeros((sum(sizes), sum(sizes)))
    start = 0
    for size in sizes:
        steps = np.diff(np.eye(size), axis=0)
        part = slice(start, start + size)
        matrix[part, part] = (steps.T @ steps + _LEVEL * np.eye(size)) / _STEP**2
        start += size
    return matrix


def _weights(logits: Array) -> Array:
    return np.asarray(softmax(np.concatenate([[0.0], logits])))


def _factor(shape: _Shape, axes: list[_Axis], share: float, width: float) -> Factor:
    """Return the factor with which `width` sigmas hold a share of the networks' own errors."""
    parts = _parts(shape.heights, [len(axis.knots) for axis in axes])
    curves = [
        Curve(knots=tuple(axis.knots.tolist()), values=tuple(part.tolist()))
        for axis, part in zip(axes, parts, strict=True)
    ]
    constant = shape.core + _quantile(shape, share) - np.log(width)
    return Factor(constant=float(constant), curves=tuple(curves))


def _parts(heights: Array, sizes: list[int]) -> list[Array]:
    ends = accumulate(sizes)
    return [heights[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _quantile(shape: _Shape, share: float) -> float:
    """Return ln of the half width, in widths of the core, that holds a share of the mixture."""
    weights = _weights(shape.logits)
    widths = np.array([0.0, shape.tail, shape.outliers])

    def missing(half: float) -> float:
        return float(weights @ erf(np.exp(half - widths) / np.sqrt(2.0))) - share

    return float(brentq(missing, widths.min() - 5.0, widths.max() + 5.0))
