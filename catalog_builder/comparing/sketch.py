"""Medians and scatters of differences, from counts in bins of stated width.

Differences of labels run from a thousandth of an uncertainty to thousands of them. Bins that are
equal in asinh(x / scale) are as wide as `STEP` of the scale near 0, and as `STEP` of the value far
from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.report.histogram import Array, Axis, Counts, quantiles

#: Width of a bin, in the scale near 0, in the value far from it.
STEP: Final = 0.01
#: Makes a deviation of a median absolute one, for errors of a Gaussian.
_GAUSSIAN: Final = 1.4826
#: Halvings of an interval of bins when a median absolute deviation is looked for.
_HALVINGS: Final = 40


@dataclass(frozen=True)
class SinhAxis(Axis):
    """Bins of equal width in asinh(value / scale); 0 is the middle of the middle one."""

    scale: float = 1.0

    def value(self, position: NDArray[Any]) -> Array:
        """Return the value at a position counted in bins from the lower limit."""
        return self.scale * np.sinh(super().value(position))

    def cells(self, values: NDArray[Any]) -> Counts:
        """Return the bin of each value, -1 for none, shape as given."""
        return super().cells(np.arcsinh(np.asarray(values, dtype=np.float64) / self.scale))


def sinh_axis(scale: float, most: float) -> SinhAxis:
    """Return an axis from ``-most`` to ``most``; what lies beyond is in the outermost bins."""
    half = math.ceil(math.asinh(most / scale) / STEP)
    reach = (half + 0.5) * STEP
    return SinhAxis(-reach, reach, 2 * half + 1, clip=True, scale=scale)


class Sketch:
    """Counts of values in bins, for each of some cells (regimes).

    Parameters
    ----------
    axis : Axis
    cells : int
    """

    def __init__(self, axis: Axis, cells: int) -> None:
        self.axis = axis
        self.counts: Counts = np.zeros((cells, axis.bins), dtype=np.int64)

    def add(self, cells: list[Counts], values: NDArray[Any]) -> None:
        """Count finite values, each in its cell of each list, which is as long as the values."""
        bins, size = self.axis.cells(values), self.axis.bins
        for places in cells:
            flat = (places * size + bins)[bins >= 0]
            first = int(places.min()) if len(places) else 0
            found = np.bincount(flat - first * size)
            rows = -(-len(found) // size)
            found = np.pad(found, (0, rows * size - len(found))).reshape(rows, size)
            self.counts[first : first + rows] += found

    def quantile(self, cell: int, share: float) -> float:
        """Return a quantile of a cell's values, NaN where there is none."""
        return float(quantiles(self.counts[cell], self.axis, min(max(share, 0.0), 1.0))[0])

    def median(self, cell: int) -> float:
        """Return the median of a cell."""
        return self.quantile(cell, 0.5)

    def median_error(self, cell: int) -> float:
        """Return the error of the median, whatever the distribution.

        The number of values below the true median is binomial, with a deviation of sqrt(n) / 2:
        two of them are the quantiles 0.5 +- 1 / sqrt(n), less noisy than those of one.
        """
        total = int(self.counts[cell].sum())
        if not total:
            return math.nan
        off = 1.0 / math.sqrt(total)
        return (self.quantile(cell, 0.5 + off) - self.quantile(cell, 0.5 - off)) / 4

    def scatter(self, cell: int) -> float:
        """Return the robust scatter: 1.4826 times the median absolute deviation."""
        counts = self.counts[cell]
        total = int(counts.sum())
        if not total:
            return math.nan
        edges = self.axis.value(np.arange(self.axis.bins + 1))
        below = np.concatenate([[0], np.cumsum(counts)]) / total
        middle, low, high = self.median(cell), 0.0, float(edges[-1] - edges[0])
        for _ in range(_HALVINGS):
            half = (low + high) / 2
            upper, lower = np.interp([middle + half, middle - half], edges, below)
            low, high = (half, high) if upper - lower < 0.5 else (low, half)
        return _GAUSSIAN * (low + high) / 2
