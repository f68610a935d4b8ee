"""Labels by place on the sky: counts of fixed size, of which medians of any region are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.report.counted import PIXEL_LEVEL
from catalog_builder.report.histogram import Array, Axis, Counts, Histogram, quantiles
from catalog_builder.report.quantities import Quantities, Quantity

#: HEALPix, nested: level 4 for all stars, cells of 13 square degrees; level 3 for those with
#: labels, which are a few in a hundred.
LEVEL: Final = 4
LABELLED_LEVEL: Final = 3
#: Bins of a label; medians are read within them.
_BINS: Final = 50


def pixel_axis(level: int) -> Axis:
    """Return the pixels of a level."""
    pixels = 12 * 4**level
    return Axis(0.0, float(pixels), pixels)


def label_axis(quantity: Quantity) -> Axis:
    """Return the bins of a label; what lies beyond counts in the outermost."""
    return Axis(quantity.axis.low, quantity.axis.high, _BINS, clip=True)


class Places:
    """Histograms of pixel and label, which lie in a `Summary`, by label."""

    def __init__(self, shown: Quantities) -> None:
        self.labels = {
            name: Histogram(pixel_axis(LEVEL), label_axis(quantity))
            for name, quantity in shown.items()
        }

    @property
    def histograms(self) -> list[Histogram]:
        """Return all of them."""
        return list(self.labels.values())

    def add(
        self,
        pixels: NDArray[np.float64],
        block: Mapping[str, NDArray[Any]],
        inside: Mapping[str, NDArray[np.bool_]],
    ) -> None:
        """Add rows: pixels as `pixels_of` gives them, and who is inside the training range."""
        coarse = np.floor(pixels / 4 ** (PIXEL_LEVEL - LEVEL)) + 0.5
        for name, histogram in self.labels.items():
            histogram.add(coarse, block[name], where=inside[name])


def medians(counts: Counts, axis: Axis, least: int) -> tuple[Array, NDArray[np.int64]]:
    """Return the median in each pixel that has stars, (pixels,), and at which level it is taken.

    Of a pixel of fewer than `least` stars it is that of the smallest one around it that has enough:
    the level falls until there is one. NaN where no star is, or too few are even in twelve pixels.

    Parameters
    ----------
    counts : ndarray of int64, shape (12 * 4**level, bins)
    axis : Axis
        Of the bins.
    least : int
    """
    stars = counts.sum(axis=1)
    level = int(np.log2(len(counts) / 12)) // 2
    found = np.full(len(counts), np.nan)
    taken = np.full(len(counts), -1)
    for coarser in range(level + 1):
        by = 4**coarser
        together = counts.reshape(len(counts) // by, by, -1).sum(axis=1)
        middle = quantiles(together, axis, 0.5)[0]
        middle[together.sum(axis=1) < least] = np.nan
        fill = (stars > 0) & (taken < 0) & np.isfinite(np.repeat(middle, by))
        found[fill] = np.repeat(middle, by)[fill]
        taken[fill] = level - coarser
    return found, taken
