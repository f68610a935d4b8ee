"""Names of the XP grid, until all that uses them takes its grid from the contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog_builder.features.low_resolution import (
    Coefficients,
    SampledSpectra,
    sample_coefficients,
)

__all__ = ["SampledSpectra", "sample_continuous"]

WAVELENGTHS: NDArray[np.float64] = np.arange(336.0, 1021.0, 2.0)
N_SAMPLES = WAVELENGTHS.size


def sample_continuous(bp: Coefficients, rp: Coefficients, basis: str) -> SampledSpectra:
    """Sample the two bands of an XP spectrum."""
    return sample_coefficients({"bp": bp, "rp": rp}, basis)
