"""Names of the RVS grid, until all that uses them takes its grid from the contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog_builder.features.lines import ABSENT, CONSTANT, PSEUDO_CONTINUUM, UNKNOWN

__all__ = ["ABSENT", "CONSTANT", "PSEUDO_CONTINUUM", "UNKNOWN"]

N_PIXELS = 800
PIXEL_WIDTH = 0.03
WAVELENGTHS: NDArray[np.float64] = np.round(846.01 + PIXEL_WIDTH * np.arange(N_PIXELS), 9)
DETECTOR_PIXEL = 0.0245
