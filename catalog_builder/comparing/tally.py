"""The differences of one label: counts of fixed size for any number of stars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.expected import (
    WITHIN_ONE,
    Line,
    lines_for,
    needed_correlation,
    pulls,
)
from catalog_builder.comparing.sides import Block
from catalog_builder.comparing.sketch import Sketch, sinh_axis
from catalog_builder.contract.labels import Label
from catalog_builder.report.histogram import Axis, Counts
from catalog_builder.report.quantities import Quantity

#: Bins of the scale of pulls, and where they end.
_PULL_SCALE, _PULL_MOST = 0.1, 1000.0
#: The correlation that would be needed; 0 and 1 are limits of bins.
_CORRELATION: Final = Axis(-1.0, 1.2, 440, clip=True)
#: The axis of differences is finest below this part of a label's resolution.
_FINEST: Final = 0.2


@dataclass(frozen=True)
class Shares:
    """Of the stars of a regime: how many are within 1 and beyond 3 expected differences."""

    within_1: float
    beyond_3: float


@dataclass(frozen=True)
class Numbers:
    """What is known of one label in one regime; NaN where there is no star.

    Attributes
    ----------
    stars : int
        Pairs with the label and its uncertainty on both sides.
    unchanged : int
        Of these, those with equal values.
    median, median_error, scatter : float
        Of new less old, in the label's unit; the scatter is 1.4826 times the median absolute
        deviation.
    sigma_old, sigma_new : float
        Median uncertainties.
    shares : dict of str to Shares
        By line of :mod:`catalog_builder.comparing.expected`.
    least_within_1 : float
        Share within 1 at a correlation of 1: there cannot be fewer.
    """

    stars: int
    unchanged: int
    median: float
    median_error: float
    scatter: float
    sigma_old: float
    sigma_new: float
    shares: dict[str, Shares]
    least_within_1: float

    @property
    def pull(self) -> float:
        """The median difference in units of the new uncertainty."""
        return self.median / self.sigma_new if self.sigma_new else math.nan


@dataclass
class Nulls:
    """Pairs by whether they have a value: on both sides, one, none."""

    both: int = 0
    lost: int = 0
    gained: int = 0
    neither: int = 0


class Tally:
    """Differences of one label.

    Parameters
    ----------
    quantity : Quantity
        The label.
    cells : int
        Regimes of all divisions; the first is of all stars.
    correlation : float
        Of the errors of both sides.
    """

    def __init__(self, quantity: Quantity, cells: int, correlation: float) -> None:
        self.label: Label = quantity.label
        self.correlation = correlation
        self.lines: tuple[Line, ...] = lines_for(correlation)
        self.nulls = Nulls()
        low, high = self.label.range
        axis = sinh_axis(_FINEST * self.label.resolution, high - low)
        self.difference = Sketch(axis, cells)
        self.sigma = {"old": Sketch(quantity.sigma, cells), "new": Sketch(quantity.sigma, cells)}
        self.pulls = {
            line.name: Sketch(sinh_axis(_PULL_SCALE, _PULL_MOST), 1) for line in self.lines
        }
        self.needed = Sketch(_CORRELATION, cells)
        self._known: dict[int, Numbers] = {}
        self._stars = np.zeros(cells, dtype=np.int64)
        self._unchanged = np.zeros(cells, dtype=np.int64)
        self._counts = {
            (line.name, limit): np.zeros(cells, dtype=np.int64)
            for line in self.lines
            for limit in (1, 3)
        }

    def add(self, old: Block, new: Block, cells: Sequence[Counts]) -> None:
        """Add pairs; one array of cells for each division, the first of zeros."""
        name = self.label.name
        self._known.clear()
        first, second = (block[name].astype(np.float64) for block in (old, new))
        sigma_old, sigma_new = (block[f"e_{name}"].astype(np.float64) for block in (old, new))
        self._count_nulls(np.isfinite(first), np.isfinite(second))
        difference = second - first
        used = np.isfinite(difference) & (sigma_old > 0) & (sigma_new > 0)
        used &= np.isfinite(sigma_old) & np.isfinite(sigma_new)
        difference, sigma_old, sigma_new = difference[used], sigma_old[used], sigma_new[used]
        chosen = [places[used] for places in cells]
        self.difference.add(chosen, difference)
        self.sigma["old"].add(chosen, sigma_old)
        self.sigma["new"].add(chosen, sigma_new)
        _count(self._stars, chosen)
        _count(self._unchanged, chosen, difference == 0)
        everything = chosen[:1]
        self.needed.add(chosen, needed_correlation(difference, sigma_old, sigma_new))
        for line in self.lines:
            pull = pulls(difference, line.variance(sigma_old, sigma_new))
            self.pulls[line.name].add(everything, np.clip(pull, -_PULL_MOST, _PULL_MOST))
            size = np.abs(pull)
            _count(self._counts[line.name, 1], chosen, size <= 1)
            _count(self._counts[line.name, 3], chosen, size > 3)

    def numbers(self, cell: int = 0) -> Numbers:
        """Return what is known of a regime."""
        if cell not in self._known:
            self._known[cell] = self._numbers(cell)
        return self._known[cell]

    def _numbers(self, cell: int) -> Numbers:
        stars, unchanged = int(self._stars[cell]), int(self._unchanged[cell])
        scatter = self.difference.scatter(cell) if 2 * unchanged <= stars else 0.0
        return Numbers(
            stars,
            unchanged,
            self.difference.median(cell),
            self.difference.median_error(cell),
            scatter,
            self.sigma["old"].median(cell),
            self.sigma["new"].median(cell),
            {
                line.name: Shares(
                    *(_share(self._counts[line.name, n][cell], stars) for n in (1, 3))
                )
                for line in self.lines
            },
            self._within(cell, 1.0),
        )

    def needed_correlation(self) -> tuple[float, float]:
        """Return the correlation at which 68 % of the differences are expected ones; its error."""
        total = int(self.needed.counts[0].sum())
        if not total:
            return math.nan, math.nan
        share, off = 1 - WITHIN_ONE, math.sqrt(WITHIN_ONE * (1 - WITHIN_ONE) / total)
        low, high = (self.needed.quantile(0, share + sign * off) for sign in (-1, 1))
        return self.needed.quantile(0, share), (high - low) / 2

    def _within(self, cell: int, rho: float) -> float:
        """Return the share of stars within one expected difference at any correlation."""
        counts, axis = self.needed.counts[cell], self.needed.axis
        total = int(counts.sum())
        if not total:
            return math.nan
        below = np.concatenate([[0], np.cumsum(counts)]) / total
        return 1.0 - float(np.interp(rho, axis.edges(), below))

    def _count_nulls(self, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> None:
        self.nulls.both += int(np.count_nonzero(first & second))
        self.nulls.lost += int(np.count_nonzero(first & ~second))
        self.nulls.gained += int(np.count_nonzero(~first & second))
        self.nulls.neither += int(np.count_nonzero(~first & ~second))


def _count(counts: Counts, cells: Sequence[Counts], where: NDArray[np.bool_] | None = None) -> None:
    for places in cells:
        counts += np.bincount(places if where is None else places[where], minlength=len(counts))


def _share(count: Any, whole: int) -> float:
    return int(count) / whole if whole else math.nan
