"""How far off some answers are: the bins of differences and pulls, and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.report.histogram import Axis, Counts, quantiles
from catalog_builder.report.quantities import Quantity

#: Difference over its expected deviation; a whole number of bins in 1.
PULL: Final = Axis(-8.0, 8.0, 160, clip=True)
#: The inverse hyperbolic sine of a difference over the least sigma: bins of 7 % where it is large.
SCALED: Final = Axis(-10.0, 10.0, 300, clip=True)
#: Bins of it that are one on the sky, where there are many places.
MERGED: Final = 3
_COARSE: Final = SCALED.merged(MERGED)
#: Bins along a label, and along sigma.
ALONG, SIGMAS = 40, 25


@dataclass(frozen=True)
class Measured:
    """How far off some answers are.

    Attributes
    ----------
    quantity : Quantity
        The label.
    pulls, differences : ndarray of int64
        Counts in the bins of each.
    within_68, within_95 : int
        Stars within one sigma, and within the interval.
    """

    quantity: Quantity
    pulls: Counts
    differences: Counts
    within_68: int
    within_95: int

    @property
    def stars(self) -> int:
        """How many."""
        return int(self.pulls.sum())

    @property
    def bias(self) -> float:
        """Median difference."""
        return float(self._quantiles(0.5)[0])

    @property
    def scatter(self) -> float:
        """1.4826 times half the distance of the quartiles, which is the deviation of a Gaussian."""
        low, high = self._quantiles(0.25, 0.75)
        return float(high - low) * _QUARTILES

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """16, 50 and 84 % of the differences."""
        low, middle, high = self._quantiles(0.16, 0.5, 0.84)
        return float(low), float(middle), float(high)

    @property
    def pull_scatter(self) -> float:
        """The same as `scatter`, of the pulls."""
        low, high = quantiles(self.pulls, PULL, 0.25, 0.75)
        return float(high - low) * _QUARTILES

    def pull(self, *shares: float) -> NDArray[np.float64]:
        """Return quantiles of the pulls."""
        return quantiles(self.pulls, PULL, *shares)

    def _quantiles(self, *shares: float) -> NDArray[np.float64]:
        return np.sinh(quantiles(self.differences, SCALED, *shares)) * scale(self.quantity)


#: Half the distance of the quartiles of a Gaussian is 0.6745 deviations.
_QUARTILES: Final = 0.7413011092528009


def along(quantity: Quantity) -> Axis:
    """Return the bins along a label."""
    return Axis(quantity.axis.low, quantity.axis.high, ALONG, clip=True)


def sigmas(quantity: Quantity) -> Axis:
    """Return the bins along a label's sigma."""
    return Axis(quantity.sigma.low, quantity.sigma.high, SIGMAS, log=True, clip=True)


def residual_axis() -> Axis:
    """Return the bins of `Labelled.sky`: the inverse hyperbolic sine of difference over scale."""
    return _COARSE


def scale(quantity: Quantity) -> float:
    """Return the difference below which bins are of equal width."""
    return float(quantity.sigma.low)
