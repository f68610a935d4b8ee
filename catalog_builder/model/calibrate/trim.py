"""What the mixture leaves: a last correction of sigma along temperature, and with gravity.

The mixture of `calibrate.fit` has one shape for all stars: shares of core, tail and outliers. Where
labels are wrong more often, or errors are more like a Gaussian's than elsewhere, its curves cannot
make sigma hold 68.3 % and the interval 95 %. So these shares are counted, about knots along the
predicted temperature and then on a coarse grid of temperature and gravity, and what is missing is
made good, less what chance would make of nothing: a share that is off by less than its own error
is left as it is. So a count of few stars is believed little, and so is one where the labels' errors
are most of the scatter, for it hardly depends on the networks' own.

Only stars as they were observed are counted. How many knots there are was chosen on stars that had
been left out: docs/edges.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog_builder.model.calibrate.factors import (
    GRAVITY,
    TEMPERATURE,
    Array,
    Curve,
    Factor,
    LabelFactors,
    Surface,
)
from catalog_builder.model.calibrate.fit import ONE_SIGMA
from catalog_builder.model.calibrate.metrics import GAUSSIAN_95

#: Knots along the temperature, and those of the grid.
_ALONG: Final = (40,)
_GRID: Final = (10, 6)
#: In what steps are even: of the temperature its logarithm, of the gravity itself.
_EVEN: Final[tuple[Callable[[Array], Array], ...]] = (
    # Networks that learnt little may answer with temperatures below 0.
    lambda rising: np.log(rising) if rising[0] > 0.0 else rising,
    np.asarray,
)
#: Stars beyond the outermost knots, and about a knot that is counted.
_BEYOND: Final = 60
_FEWEST: Final = 20
#: With fewer stars nothing is corrected.
_LEAST_STARS: Final = 500
# No correction goes further: sigma is not made much smaller on the word of labels alone.
_SMALLEST, _LARGEST = -0.5, 3.0


class _Aim(NamedTuple):
    """A share of the stars, and the number of sigmas that should hold it."""

    share: float
    width: float


_SIGMA: Final = _Aim(ONE_SIGMA, 1.0)
_INTERVAL: Final = _Aim(0.95, GAUSSIAN_95)


def trimmed(
    factors: LabelFactors, residual: Array, sigma: Array, label_error: Array, places: Array
) -> LabelFactors:
    """Return the factors of one label with their last correction.

    Parameters
    ----------
    factors : LabelFactors
        From `fit_label_factors`.
    residual, sigma, label_error, places : numpy.ndarray
        As there, of the stars as observed.
    """
    known = np.isfinite(residual) & np.isfinite(sigma) & (sigma > 0)
    known &= np.isfinite(places[:, TEMPERATURE])
    if known.sum() < _LEAST_STARS:
        return factors
    off, error = np.abs(residual[known]), np.nan_to_num(label_error[known])
    stars = _Stars(off, sigma[known], error, places[known])
    return LabelFactors(
        sigma=stars.corrected(factors.sigma, _SIGMA),
        interval95=stars.corrected(factors.interval95, _INTERVAL),
    )


@dataclass(frozen=True)
class _Stars:
    """Stars of which shares are counted, as in `trimmed`; `off` is positive."""

    off: Array
    sigma: Array
    error: Array
    places: Array

    def corrected(self, factor: Factor, aim: _Aim) -> Factor:
        temperature, gravity = self.places[:, TEMPERATURE], self.places[:, GRAVITY]
        line = _Grid.of([temperature], _ALONG)
        curve = Curve(knots=line.side(0), values=self._missing(factor, aim, line))
        bent = factor.model_copy(update={"along_temperature": curve})
        grid = _Grid.of([temperature, gravity], _GRID)
        values = self._missing(bent, aim, grid)
        surface = Surface(first=grid.side(0), second=grid.side(1), values=values)
        return bent.model_copy(update={"over_gravity": surface})

    def _missing(self, factor: Factor, aim: _Aim, grid: _Grid) -> tuple[float, ...]:
        """Return the logarithms that are missing at the knots of a grid."""
        half = aim.width * self.sigma * factor(self.places)
        square = self.off**2 - (aim.width * self.error) ** 2
        # A star is within c half widths, and the label's error, from this ln c on.
        enough = np.full(len(half), -np.inf)
        np.log(square / half**2, out=enough, where=square > 0.0)
        enough *= 0.5
        order = np.argsort(enough)
        rising = enough[order]
        return tuple(_missing_at(rising, weight[order], aim) for weight in grid.weights())


def _missing_at(enough: Array, weight: Array, aim: _Aim) -> float:
    """Return what is missing about one knot: of rising `enough`, each with a weight."""
    held = np.cumsum(weight)
    whole = held[-1]
    if whole < _FEWEST:
        return 0.0
    of_labels, share = _share(enough, held, -np.inf), _share(enough, held, 0.0)
    off = aim.share - share
    if of_labels >= aim.share or off == 0.0:
        return 0.0  # labels' errors explain all
    # Stars that their label's error alone holds tell nothing of sigma, and are not counted.
    stars = whole**2 / np.sum(weight**2) * (1.0 - of_labels / aim.share)
    variance = aim.share * (1.0 - aim.share) / stars
    # James & Stein 1961: of a square, what chance adds to it is taken off.
    believed = max(0.0, 1.0 - variance / off**2)
    if believed == 0.0:
        return 0.0
    place = np.searchsorted(held, (share + believed * off) * whole)
    return float(np.clip(enough[min(place, len(enough) - 1)], _SMALLEST, _LARGEST))


def _share(enough: Array, held: Array, upto: float) -> float:
    """Return the share of the weights up to a value."""
    place = np.searchsorted(enough, upto, side="right")
    return float(held[place - 1] / held[-1]) if place else 0.0


@dataclass(frozen=True)
class _Grid:
    """Knots on each of some sides, and the shares in which each star belongs to those around it.

    Attributes
    ----------
    sides : list of numpy.ndarray
        Knots of each; one side without any makes a grid without knots.
    index, share : numpy.ndarray
        (n, k): numbers of knots, the last side's running fastest, and shares; 0 without a place.
    """

    sides: list[Array]
    index: NDArray[np.intp]
    share: Array

    @classmethod
    def of(cls, coordinates: Sequence[Array], counts: Sequence[int]) -> _Grid:
        known = np.asarray(np.isfinite(np.stack(coordinates)).all(axis=0))
        sides = [
            _knots(each[known], count, even)
            for each, count, even in zip(coordinates, counts, _EVEN, strict=False)
        ]
        if min(map(len, sides)) < 2:
            nothing = np.empty((len(known), 0))
            return cls([np.empty(0)] * len(sides), nothing.astype(np.intp), nothing)
        index, share = np.zeros((len(known), 1), dtype=np.intp), known[:, None].astype(np.float64)
        for coordinate, knots in zip(coordinates, sides, strict=True):
            near, part = _between(np.where(known, coordinate, knots[0]), knots)
            index = (index[:, :, None] * len(knots) + near[:, None, :]).reshape(len(known), -1)
            share = (share[:, :, None] * part[:, None, :]).reshape(len(known), -1)
        return cls(sides, index, share)

    def side(self, number: int) -> tuple[float, ...]:
        return tuple(self.sides[number].tolist())

    def weights(self) -> Iterator[Array]:
        """Yield, for each knot, how much each star belongs to it, (n,)."""
        for knot in range(int(np.prod([len(side) for side in self.sides]))):
            yield ((self.index == knot) * self.share).sum(axis=1)


def _knots(values: Array, count: int, even: Callable[[Array], Array]) -> Array:
    """Return knots half way between those at even steps and those with even numbers of stars.

    By steps alone most would lie where there is no star, by numbers none among the rare ones.
    """
    beyond = _BEYOND / max(len(values), 1)
    if beyond >= 0.5:
        return np.empty(0)
    shares = np.linspace(beyond, 1.0 - beyond, 1001)
    found = np.quantile(values, shares)
    steps = even(found)
    if not steps[-1] > steps[0]:
        return np.empty(0)
    steps = (steps - steps[0]) / (steps[-1] - steps[0])
    ranks = np.linspace(0.0, 1.0, len(shares))
    return np.unique(np.interp(np.linspace(0.0, 1.0, count), 0.5 * (steps + ranks), found))


def _between(values: Array, knots: Array) -> tuple[NDArray[np.intp], Array]:
    """Return the two knots about each value, (n, 2), and the shares in which it belongs to them."""
    inside = np.clip(values, knots[0], knots[-1])
    left = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(knots) - 2)
    right = (inside - knots[left]) / (knots[left + 1] - knots[left])
    return np.stack([left, left + 1], axis=1), np.stack([1.0 - right, right], axis=1)
