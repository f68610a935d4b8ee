"""Which sources of the archive are in the catalogue, by magnitude and colour: counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.features.cells import CellGrid

#: Places of the counts before those of the tiers.
SOURCES, REQUESTED, PUBLISHED, TIERS = 0, 1, 2, 3


@dataclass(frozen=True)
class Chosen:
    """Counts of the selection function, all of the sky together.

    Attributes
    ----------
    grid : CellGrid
        How cells are cut.
    tiers : tuple of str
        From the best to the last.
    counts : ndarray of int64, shape (magnitudes, colours, 3 + tiers)
        Sources of the archive, those that were asked for, those published, and of each tier; the
        last bin of either is that of unknown values.
    subset : bool
        Whether the archive held hardly a source that was not asked for.
    """

    grid: CellGrid
    tiers: tuple[str, ...]
    counts: NDArray[np.int64]
    subset: bool
