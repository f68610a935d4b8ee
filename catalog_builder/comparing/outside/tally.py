"""Differences of one label between a catalogue and another table: counts of fixed size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.sketch import Sketch, sinh_axis
from catalog_builder.contract.labels import Label
from catalog_builder.report.histogram import Axis, Counts, Histogram
from catalog_builder.report.quantities import Quantity

Array = NDArray[np.float64]

#: The axis of differences is finest below this part of a label's resolution.
_FINEST: Final = 0.2
_PULL_SCALE, _PULL_MOST = 0.1, 1000.0
#: A straight line is put through differences within this many robust deviations of the median.
_WITHIN: Final = 4.0
_BINS_OF_PLANE: Final = 100


@dataclass(frozen=True)
class Numbers:
    """What is known of one label in one regime; NaN where there is no star.

    Attributes
    ----------
    stars : int
        With the label on both sides, and our uncertainty.
    median, median_error, scatter : float
        Of ours less theirs; the scatter is 1.4826 times the median absolute deviation.
    sigma, error : float
        Median of our uncertainties, and of their errors where they give some.
    with_error : int
        Stars for which they do; of these, all that follows.
    expected : float
        Median of the root of both squared.
    pull, pull_scatter : float
        Median and robust scatter of differences in units of the expected ones.
    within_1, beyond_3 : float
        Shares of stars within 1 and beyond 3 expected differences of 0.
    """

    stars: int
    median: float
    median_error: float
    scatter: float
    sigma: float
    error: float
    with_error: int
    expected: float
    pull: float
    pull_scatter: float
    within_1: float
    beyond_3: float


@dataclass(frozen=True)
class Slope:
    """A straight line through differences along an axis.

    Attributes
    ----------
    stars : int
    slope, error : float
        Per unit of the axis; NaN where there is no line.
    """

    stars: int
    slope: float
    error: float


class _Line:
    """Sums for a straight line."""

    def __init__(self) -> None:
        self._sums = np.zeros(6)

    def add(self, x: Array, y: Array) -> None:
        self._sums += [len(x), x.sum(), y.sum(), x @ x, x @ y, y @ y]

    def slope(self) -> Slope:
        n, x, y, xx, xy, yy = self._sums.tolist()
        if n < 3:
            return Slope(int(n), math.nan, math.nan)
        wide, both, tall = xx - x * x / n, xy - x * y / n, yy - y * y / n
        if wide <= 1e-9 * max(xx, 1e-30):
            return Slope(int(n), math.nan, math.nan)
        slope = both / wide
        left = max(tall - slope * both, 0.0) / (n - 2)
        return Slope(int(n), slope, math.sqrt(left / wide))


class FirstTally:
    """What must be known of a label before anything else: where its differences are."""

    def __init__(self, quantity: Quantity) -> None:
        self.label: Label = quantity.label
        self.difference = Sketch(difference_axis(self.label), 1)
        self._sigma = Sketch(quantity.sigma, 1)

    def add(self, difference: Array, sigma: Array) -> None:
        """Add pairs."""
        everything = [np.zeros(len(difference), dtype=np.int64)]
        self.difference.add(everything, difference)
        self._sigma.add(everything, sigma)

    @property
    def median(self) -> float:
        """The median difference."""
        return self.difference.median(0)

    @property
    def scatter(self) -> float:
        """The robust scatter."""
        return self.difference.scatter(0)

    @property
    def spread(self) -> float:
        """What is left of the scatter for the other table, where it gives no errors."""
        found = self.scatter**2 - self._sigma.median(0) ** 2
        return math.sqrt(found) if found > 0 else self.label.resolution / 10


class Tally:
    """Differences of one label in all regimes.

    Parameters
    ----------
    quantity : Quantity
    cells : int
        Regimes of all axes; the first is of all stars.
    lines : int
        Axes along which a slope is asked for.
    first : FirstTally
    """

    def __init__(self, quantity: Quantity, cells: int, lines: int, first: FirstTally) -> None:
        self.quantity, self.label = quantity, quantity.label
        self.first = first
        self.difference = Sketch(first.difference.axis, cells)
        self.pulls = Sketch(sinh_axis(_PULL_SCALE, _PULL_MOST), cells)
        self._sigma, self._error, self._expected = (Sketch(quantity.sigma, cells) for _ in range(3))
        self._within, self._beyond = (np.zeros(cells, dtype=np.int64) for _ in range(2))
        self._lines = [_Line() for _ in range(lines)]
        low, high = self.label.range
        axis = Axis(low, high, _BINS_OF_PLANE)
        #: Stars by their value and ours.
        self.plane = Histogram(axis, axis)
        self._known: dict[int, Numbers] = {}

    def add(
        self,
        ours: Array,
        theirs: Array,
        sigma: Array,
        error: Array,
        cells: Sequence[Counts],
        positions: Sequence[Array],
    ) -> None:
        """Add pairs that have the label: values, deviations, regimes, places along the axes."""
        self._known.clear()
        difference = ours - theirs
        self.difference.add(list(cells), difference)
        self._sigma.add(list(cells), sigma)
        self.plane.add(theirs, ours)
        given = np.isfinite(error) & (error > 0)
        chosen = [places[given] for places in cells]
        expected = np.hypot(sigma[given], error[given])
        pull = difference[given] / expected
        self.pulls.add(chosen, np.clip(pull, -_PULL_MOST, _PULL_MOST))
        self._error.add(chosen, error[given])
        self._expected.add(chosen, expected)
        for places in chosen:
            self._within += np.bincount(places[np.abs(pull) <= 1], minlength=len(self._within))
            self._beyond += np.bincount(places[np.abs(pull) > 3], minlength=len(self._beyond))
        near = np.abs(difference - self.first.median) <= _WITHIN * self.first.scatter
        for line, x in zip(self._lines, positions, strict=True):
            used = near & np.isfinite(x)
            line.add(x[used], difference[used])

    def numbers(self, cell: int = 0) -> Numbers:
        """Return what is known of a regime."""
        if cell not in self._known:
            self._known[cell] = self._numbers(cell)
        return self._known[cell]

    def slope(self, line: int) -> Slope:
        """Return the slope along one of the axes."""
        return self._lines[line].slope()

    def _numbers(self, cell: int) -> Numbers:
        given = int(self.pulls.counts[cell].sum())
        return Numbers(
            int(self.difference.counts[cell].sum()),
            self.difference.median(cell),
            self.difference.median_error(cell),
            self.difference.scatter(cell),
            self._sigma.median(cell),
            self._error.median(cell),
            given,
            self._expected.median(cell),
            self.pulls.median(cell),
            self.pulls.scatter(cell),
            int(self._within[cell]) / given if given else math.nan,
            int(self._beyond[cell]) / given if given else math.nan,
        )


def difference_axis(label: Label) -> Axis:
    """Return the axis of a label's differences."""
    low, high = label.range
    return sinh_axis(_FINEST * label.resolution, high - low)
