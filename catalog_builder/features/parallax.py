"""The parallax zero point."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ParallaxZeroPoint


def zero_point(
    rule: ParallaxZeroPoint, columns: Mapping[str, NDArray[np.generic]], rows: int
) -> NDArray[np.float64]:
    """Return the zero point to subtract from each parallax.

    Parameters
    ----------
    rule : ParallaxZeroPoint
        From the release description: Lindegren et al. 2021 (A&A 649, A4), a column, or none.
    columns : mapping of str to ndarray of shape (n,)
        Canonical columns of the source table.
    rows : int
        n.

    Returns
    -------
    ndarray of float64, shape (n,)
        In mas; NaN where an input is missing or outside the range of the calibration.
    """
    if rule.rule == "none":
        return np.zeros(rows)
    inputs = {name: np.asarray(columns[column]) for name, column in rule.inputs.items()}
    if rule.rule == "column":
        return inputs["bias"].astype(np.float64)
    return _lindegren2021(**{name: values.astype(np.float64) for name, values in inputs.items()})


def _lindegren2021(
    phot_g_mean_mag: NDArray[np.float64],
    nu_eff_used_in_astrometry: NDArray[np.float64],
    pseudocolour: NDArray[np.float64],
    ecl_lat: NDArray[np.float64],
    astrometric_params_solved: NDArray[np.float64],
) -> NDArray[np.float64]:
    result = np.full(phot_g_mean_mag.shape, np.nan)
    solved = np.isin(astrometric_params_solved, (31, 95))  # parallax given: 5 or 6 parameters
    if solved.any():
        # Without warnings the library returns NaN outside the range of its calibration.
        result[solved] = _tables().get_zpt(
            phot_g_mean_mag[solved],
            nu_eff_used_in_astrometry[solved],
            pseudocolour[solved],
            ecl_lat[solved],
            astrometric_params_solved[solved],
            _warnings=False,
        )
    return result


@functools.cache
def _tables() -> ModuleType:
    from zero_point import zpt

    zpt.load_tables()
    module: ModuleType = zpt
    return module
