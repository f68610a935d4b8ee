"""Histograms of fixed size: all that the report keeps of a catalogue of any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Values = NDArray[Any]


@dataclass(frozen=True)
class Axis:
    """Bins of equal width, or of equal ratio.

    Attributes
    ----------
    low, high : float
        Limits, in the unit of the values; the upper one is excluded.
    bins : int
        Number of bins.
    log : bool
        Bins of equal ratio; values that are not positive are then in no bin.
    clip : bool
        Finite values beyond the limits are counted in the outermost bins instead of nowhere.
    """

    low: float
    high: float
    bins: int
    log: bool = False
    clip: bool = False

    def edges(self) -> Array:
        """Return the limits of the bins, shape (bins + 1,)."""
        return self.value(np.arange(self.bins + 1, dtype=np.float64))

    def centres(self) -> Array:
        """Return the middle of each bin, the geometric one if ``log``, shape (bins,)."""
        return self.value(np.arange(self.bins) + 0.5)

    def value(self, position: NDArray[Any]) -> Array:
        """Return the value at a position counted in bins from the lower limit."""
        share = np.asarray(position, dtype=np.float64) / self.bins
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** share)
        return np.asarray(self.low + (self.high - self.low) * share)

    def cells(self, values: Values) -> Counts:
        """Return the bin of each value, -1 for none, shape as given."""
        numbers = np.asarray(values, dtype=np.float64)
        if self.log:
            positive = np.where(numbers > 0, numbers, np.nan)
            share = np.log(positive / self.low) / np.log(self.high / self.low)
        else:
            share = (numbers - self.low) / (self.high - self.low)
        finite = np.isfinite(share)
        position = np.where(finite, np.floor(share * self.bins), -1.0)
        if self.clip:
            return np.where(finite, np.clip(position, 0, self.bins - 1), -1).astype(np.int64)
        return np.where((position >= 0) & (position < self.bins), position, -1).astype(np.int64)

    def merged(self, factor: int) -> Axis:
        """Return the axis with this many bins made one."""
        return Axis(self.low, self.high, self.bins // factor, self.log, self.clip)


class Histogram:
    """Counts of stars in the cells of one or more axes, added block by block.

    Parameters
    ----------
    *axes : Axis

    Attributes
    ----------
    counts : ndarray of int64, shape (bins of each axis, in order)
    beyond : int
        Stars with finite values that lie beyond the axes.
    """

    def __init__(self, *axes: Axis) -> None:
        self.axes = axes
        self.counts: Counts = np.zeros([axis.bins for axis in axes], dtype=np.int64)
        self.beyond = 0

    def add(self, *values: Values, where: NDArray[np.bool_] | None = None) -> None:
        """Count the stars of a block, one array of shape (n,) per axis; NaN counts nowhere."""
        self._place(values, where)

    @property
    def stars(self) -> int:
        """Number of stars in the cells."""
        return int(self.counts.sum())

    def _place(
        self, values: tuple[Values, ...], where: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.bool_], Counts]:
        """Count, and return which stars have a cell, and the flat cells of these."""
        finite = np.logical_and.reduce([np.isfinite(v) for v in values])
        if where is not None:
            finite &= where
        cells = [axis.cells(v) for axis, v in zip(self.axes, values, strict=True)]
        inside = finite & np.logical_and.reduce([cell >= 0 for cell in cells])
        flat = np.asarray(
            np.ravel_multi_index(tuple(cell[inside] for cell in cells), self.counts.shape)
        )
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        self.beyond += int(np.count_nonzero(finite)) - len(flat)
        return inside, flat


class MeanMap(Histogram):
    """A histogram that also sums a third quantity per cell, for its mean."""

    def __init__(self, *axes: Axis) -> None:
        super().__init__(*axes)
        self.sums: Array = np.zeros(self.counts.shape)

    def add_weighted(self, *values: Values, weight: Values, where: NDArray[np.bool_]) -> None:
        """Count the stars of a block whose weight is finite, and sum their weights."""
        inside, flat = self._place(values, where & np.isfinite(weight))
        weights = np.asarray(weight, dtype=np.float64)[inside]
        sums = np.bincount(flat, weights=weights, minlength=self.sums.size)
        self.sums += sums.reshape(self.sums.shape)


def merge(counts: NDArray[Any], factor: int) -> NDArray[Any]:
    """Sum ``factor`` neighbouring bins along every axis; it must divide their numbers."""
    for axis in range(counts.ndim):
        shape = counts.shape
        split = (*shape[:axis], shape[axis] // factor, factor, *shape[axis + 1 :])
        counts = counts.reshape(split).sum(axis=axis + 1)
    return counts


def merge_factor(counts: Counts, wanted: float, factors: tuple[int, ...] = (1, 2, 5)) -> int:
    """Return the least factor by which occupied cells hold ``wanted`` stars on average.

    Few stars need large cells to show a density at all; many stars deserve small ones.
    """
    for factor in factors:
        merged = merge(counts, factor)
        if merged.sum() >= wanted * np.count_nonzero(merged):
            return factor
    return factors[-1]


def quantiles(counts: Counts, axis: Axis, *shares: float) -> Array:
    """Return quantiles of binned values, linear within a bin.

    Parameters
    ----------
    counts : ndarray of int, shape (..., bins)
        Numbers of stars per bin of ``axis``.
    axis : Axis
        What the last dimension counts.
    *shares : float
        Between 0 and 1.

    Returns
    -------
    ndarray of float, shape (len(shares), ...)
        NaN where there is no star.
    """
    cumulative = np.cumsum(counts, axis=-1)
    total = cumulative[..., -1]
    result = np.full((len(shares), *total.shape), np.nan)
    for number, share in enumerate(shares):
        wanted = share * total
        cell = np.minimum((cumulative < wanted[..., None]).sum(axis=-1), axis.bins - 1)
        upto = np.take_along_axis(cumulative, cell[..., None], axis=-1)[..., 0]
        held = np.take_along_axis(counts, cell[..., None], axis=-1)[..., 0]
        within = np.clip((wanted - (upto - held)) / np.maximum(held, 1), 0.0, 1.0)
        result[number] = np.where(total > 0, axis.value(cell + within), np.nan)
    return result


def window(counts: Counts, left_out: float) -> tuple[int, int]:
    """Return the bins that hold all stars but for this share on each side, and one bin around.

    Parameters
    ----------
    counts : ndarray of int64, shape (bins,)
    left_out : float
        Between 0 and 0.5.

    Returns
    -------
    first, stop : int
        As of a slice; all bins if there is no star.
    """
    total = int(counts.sum())
    if not total:
        return 0, len(counts)
    cumulative = np.cumsum(counts)
    first = int(np.searchsorted(cumulative, left_out * total, side="right"))
    last = int(np.searchsorted(cumulative, (1 - left_out) * total, side="left"))
    return max(first - 1, 0), min(last + 2, len(counts))


def span(low: float, high: float) -> str:
    """Return the limits of a bin in print; what rounding leaves of zero is 0."""
    ends = (f"{round(float(end), 9) + 0.0:.4g}" for end in (low, high))
    return " … ".join(ends).replace("-", "−")
