"""Learning absolute magnitudes from parallaxes, in the parallaxes' own space.

What is made likely is each parallax, given the star's magnitude, its labels and its direction: the
same posterior that distances are read off, asked for what it has not seen. Parallaxes are Gaussian
where distances and magnitudes made of them are not, so that stars with noisy and negative ones
count too, and no cut in their quality selects the near and bright ones (Luri et al. 2018, A&A 616,
A9; Leung & Bovy 2019, MNRAS 489, 2079).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from catalog_builder.galaxy.relation import Relation, polynomial, scaled, scatter_of

Float = NDArray[np.float64]

#: Stars with a parallax of at least `GOOD` errors, below which nothing is learnt.
LEAST_STARS: Final = 300
GOOD: Final = 5.0
#: 5 / ln 10: a magnitude's relative change of the distance.
_PER_MAGNITUDE: Final = 5.0 / np.log(10.0)
# Points of integrals over the absolute magnitude: six deviations to both sides.
_STEPS: Final = np.linspace(-6.0, 6.0, 33)
_GAUSS = np.polynomial.hermite_e.hermegauss(16)
# Above such a parallax over error what it says of a magnitude is nearly a Gaussian.
_NARROW: Final = 4.0
#: Beliefs beforehand: of coefficients, mag; of those of ln(scatter); of how much is carried, that
#: it is all; of the share of strangers. Stars that teach are bright. A scatter that fits them as
#: well as what is carried, but does not grow as spectra get worse, is too small for others.
_CONSTANT, _COEFFICIENT, _SHAPE, _CARRIED = 30.0, 3.0, 0.5, 0.05
_SCATTER: Final = (float(np.log(0.15)), 1.0)
_SHARE: Final = (-3.5, 1.0)
#: Deviation of strangers beside that of the others, mag.
APART: Final = 1.0
_SIMPLE: Final = 1
# The labels' part of the scatter follows from the slopes, which are found with it.
_ROUNDS, _STEPS_UP, _HALVINGS, _ENOUGH = 3, 30, 12, 0.02


class Labelled(NamedTuple):
    """Stars that teach.

    Attributes
    ----------
    labels, covariance : ndarray of shape (n, l) and (n, l, l)
        What the spectra alone say.
    magnitude, noise : ndarray of shape (n,)
        Apparent, free of reddening, mag, and its variance.
    parallax, error : ndarray of shape (n,)
        mas, the zero point subtracted.
    prior : ndarray of shape (n, 4)
        Of the distance (`distance.prior_towards`).
    """

    labels: Float
    covariance: Float
    magnitude: Float
    noise: Float
    parallax: Float
    error: Float
    prior: Float

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Labelled:
        """Return some of the stars."""
        return Labelled(*(values[rows] for values in self))

    def known(self) -> NDArray[np.bool_]:
        """Return which stars have all of it, (n,)."""
        has = [np.isfinite(values.reshape(len(values), -1)).all(axis=1) for values in self]
        return np.asarray(np.logical_and.reduce([*has, self.error > 0, self.prior[:, 0] > 0]))


@dataclass(frozen=True)
class Axes:
    """Labels as the relation sees them, and the terms of its polynomials."""

    names: tuple[str, ...]
    learnt_as: tuple[str, ...]
    #: Of each label: the highest power that it has in a term.
    powers: tuple[int, ...]

    def terms(self, degree: int) -> tuple[tuple[int, ...], ...]:
        """Return the powers of each label in each term up to a degree, the constant first."""
        found: list[tuple[int, ...]] = [()]
        for power in self.powers:
            found = [(*one, p) for one in found for p in range(min(power, degree) + 1)]
        return tuple(
            sorted((one for one in found if sum(one) <= degree), key=lambda one: (sum(one), one))
        )


def learn(stars: Labelled, axes: Axes, index: dict[str, float]) -> Relation | None:
    """Learn absolute magnitudes; None where good parallaxes are too few."""
    stars = stars.take(stars.known())
    good = stars.parallax > GOOD * stars.error
    if good.sum() < LEAST_STARS:
        return None
    return _Fit(stars, axes).relation(index)


class _Fit:
    """The stars' terms, and the likelihood of their parallaxes."""

    def __init__(self, stars: Labelled, axes: Axes) -> None:
        self.stars, self.axes = stars, axes
        neutral = np.zeros(len(axes.names))
        free = np.full(len(axes.names), np.inf)
        raw, _ = scaled(stars.labels, axes.learnt_as, neutral, neutral + 1.0, -free, free)
        self.centre = np.median(raw, axis=0)
        self.scale = np.maximum(raw.std(axis=0), 1e-6)
        spread = (raw - self.centre) / self.scale
        # The last few stars at either end hold no polynomial.
        self.lowest, self.highest = np.quantile(spread, [0.003, 0.997], axis=0)
        values, self.unit = scaled(
            stars.labels, axes.learnt_as, self.centre, self.scale, self.lowest, self.highest
        )
        self.terms = axes.terms(max(axes.powers))
        self.design, self.slopes = polynomial(values, self.terms)
        # The scatter's shape is simpler.
        self.simple = np.array([sum(one) <= _SIMPLE for one in self.terms])
        shape = np.where(np.arange(self.simple.sum()) > 0, _SHAPE, _SCATTER[1])
        size = np.where(np.arange(len(self.terms)) > 0, _COEFFICIENT, _CONSTANT)
        self.width = np.concatenate([size, shape, [_CARRIED, _SHARE[1]]])
        self.expected = np.zeros(len(self.width))
        self.expected[len(self.terms)] = _SCATTER[0]
        self.expected[-1] = _SHARE[0]

    def relation(self, index: dict[str, float]) -> Relation:
        terms = len(self.terms)
        found = np.concatenate([self._start(), np.zeros(self.simple.sum()), [0.0, _SHARE[0]]])
        found[terms] = _SCATTER[0]
        for _ in range(_ROUNDS):
            found = self._climb(found, self._carried(found[:terms]))
        scatter = np.zeros(terms)
        scatter[self.simple] = found[terms:-2]
        axes = self.axes
        return Relation(
            index=index,
            labels=axes.names,
            learnt_as=axes.learnt_as,
            centre=tuple(self.centre.tolist()),
            scale=tuple(self.scale.tolist()),
            lowest=tuple(self.lowest.tolist()),
            highest=tuple(self.highest.tolist()),
            terms=self.terms,
            magnitude=tuple(found[:terms].tolist()),
            scatter=tuple(scatter.tolist()),
            carried=float(np.exp(found[-2])),
            share=float(0.5 * expit(found[-1])),
            apart=APART,
            stars=len(self.stars.parallax),
        )

    def _climb(self, found: Float, carried: Float) -> Float:
        """Return better coefficients: steps by the scores' own products, halved until they help."""
        cost, gradient, curvature = self._cost(found, carried)
        for _ in range(_STEPS_UP):
            step = np.linalg.solve(curvature, gradient)
            for _ in range(_HALVINGS):
                tried = self._cost(found - step, carried)
                if tried[0] < cost:
                    break
                step = 0.5 * step
            else:
                return found
            gained, found = cost - tried[0], found - step
            cost, gradient, curvature = tried
            if gained < _ENOUGH:
                break
        return found

    def _start(self) -> Float:
        """Return coefficients from the good parallaxes alone, as if they had no errors."""
        stars = self.stars
        good = stars.parallax > GOOD * stars.error
        absolute = stars.magnitude[good] + 5.0 * np.log10(stars.parallax[good] / 100.0)
        design = self.design[good]
        ridge = np.eye(design.shape[1]) * 0.1
        weight = np.ones(len(absolute))
        for _ in range(5):
            normal = design.T @ (design * weight[:, None]) + ridge
            found = np.linalg.solve(normal, design.T @ (absolute * weight))
            off = np.abs(absolute - design @ found)
            weight = 1.0 / np.maximum(1.0, off / (1.5 * np.median(off) + 1e-3))
        return np.asarray(found)

    def _carried(self, coefficients: Float) -> Float:
        gradient = np.einsum("ntl,t->nl", self.slopes, coefficients) / self.unit
        found = np.einsum("ni,nij,nj->n", gradient, self.stars.covariance, gradient)
        return np.asarray(np.maximum(found, 0.0))

    def _cost(self, found: Float, carried: Float) -> tuple[float, Float, Float]:
        """Return minus the log of the posterior of the coefficients, its gradient and curvature."""
        terms = len(self.terms)
        simple = self.design[:, self.simple]
        logarithm = simple @ found[terms:-2]
        own = scatter_of(logarithm) ** 2
        free = np.abs(np.log(own) - 2.0 * logarithm) < 1e-9  # not at a limit
        more = np.exp(np.clip(found[-2], -5.0, 3.0)) * carried
        share = 0.5 * expit(found[-1])
        log, by_mean, by_variance, by_share = likelihood(
            self.stars, self.design @ found[:terms], own + more + self.stars.noise, share
        )
        scores = np.column_stack(
            [
                self.design * by_mean[:, None],
                simple * (by_variance * np.where(free, 2.0 * own, 0.0))[:, None],
                by_variance * more,
                by_share * share * (1.0 - 2.0 * share),
            ]
        )
        off, width = found - self.expected, self.width
        cost = -log.sum() + 0.5 * ((off / width) ** 2).sum()
        if not np.isfinite(cost):
            return np.inf, scores[0], np.eye(len(found))
        return (
            float(cost),
            off / width**2 - scores.sum(axis=0),
            scores.T @ scores + np.diag(width**-2.0),
        )


def likelihood(
    stars: Labelled, mean: Float, variance: Float, share: float
) -> tuple[Float, Float, Float, Float]:
    """Return the log-likelihood of each parallax, and its slopes along mean, variance and share."""
    parts = [_Part.of(stars, mean, variance + apart**2) for apart in (0.0, APART)]
    weights = np.log([1.0 - share, share])
    with_it = np.stack([part.with_it + w for part, w in zip(parts, weights, strict=True)])
    without = np.stack([part.without + w for part, w in zip(parts, weights, strict=True)])
    log_with, log_without = (np.logaddexp(*each) for each in (with_it, without))
    in_with, in_without = np.exp(with_it - log_with), np.exp(without - log_without)
    by_mean, by_variance = np.zeros((2, len(mean)))
    for number, part in enumerate(parts):
        by_mean += in_with[number] * part.off_with - in_without[number] * part.off_without
        by_variance += in_with[number] * part.wide_with - in_without[number] * part.wide_without
    by_share = (in_with - in_without)[1] / share - (in_with - in_without)[0] / (1.0 - share)
    return log_with - log_without, by_mean, by_variance, by_share


class _Part(NamedTuple):
    """Integrals over the absolute magnitude with a parallax and without, and their slopes."""

    with_it: Float
    without: Float
    off_with: Float
    off_without: Float
    wide_with: Float
    wide_without: Float

    @classmethod
    def of(cls, stars: Labelled, mean: Float, variance: Float) -> _Part:
        deviation = np.sqrt(variance)
        nodes, weights = _GAUSS
        log, off, wide = _integral(
            _density(stars, mean[:, None] + deviation[:, None] * nodes)
            + np.log(weights / np.sqrt(2.0 * np.pi)),
            mean, deviation, mean[:, None] + deviation[:, None] * nodes,
        )  # fmt: skip
        centre, width = _where(stars, mean, variance)
        at = centre[:, None] + width[:, None] * _STEPS
        step = width * (_STEPS[1] - _STEPS[0])
        away = (at - mean[:, None]) / deviation[:, None]
        parallax = 10.0 ** (0.2 * (at - stars.magnitude[:, None]) + 2.0)
        missed = (stars.parallax[:, None] - parallax) / stars.error[:, None]
        density = (
            _density(stars, at)
            - 0.5 * (away**2 + missed**2)
            + np.log(step / (deviation * np.sqrt(2.0 * np.pi)))[:, None]
        )
        log_with, off_with, wide_with = _integral(density, mean, deviation, at)
        log_with = log_with - np.log(stars.error)
        return cls(log_with, log, off_with, off, wide_with, wide)


def _density(stars: Labelled, magnitude: Float) -> Float:
    """Return the log of the density of stars per magnitude at absolute magnitudes, (n, k)."""
    x = (stars.magnitude[:, None] - magnitude - 10.0) / _PER_MAGNITUDE
    near, far, share = (stars.prior[:, [column]] for column in range(3))
    r, ratio = np.exp(x), (far / near) ** 3
    fading = (1.0 - share) * ratio * np.exp(-r * (1.0 / near - 1.0 / far))
    return np.asarray(3.0 * x - r / far + np.log(share + fading + 1e-300))


def _integral(log: Float, mean: Float, deviation: Float, at: Float) -> tuple[Float, Float, Float]:
    """Return the log of a sum over k, and its slopes along mean and variance of a Gaussian."""
    top = log.max(axis=1, keepdims=True)
    parts = np.exp(log - top)
    total = parts.sum(axis=1)
    away = (at - mean[:, None]) / deviation[:, None]
    off = (parts * away).sum(axis=1) / total
    square = (parts * away**2).sum(axis=1) / total
    return top[:, 0] + np.log(total), off / deviation, 0.5 * (square - 1.0) / deviation**2


def _where(stars: Labelled, mean: Float, variance: Float) -> tuple[Float, Float]:
    """Return where integrals with the parallax are centred, and how wide they are."""
    narrow = stars.parallax > _NARROW * stars.error
    parallax = np.where(narrow, stars.parallax, 1.0)
    said = stars.magnitude + 5.0 * np.log10(parallax / 100.0)
    error = _PER_MAGNITUDE * stars.error / parallax
    weight = np.where(narrow, variance / (variance + error**2), 0.0)
    centre = mean + weight * (said - mean)
    # Far from what labels say, the parallax's own form counts.
    return centre, np.sqrt(variance * (1.0 - weight))
