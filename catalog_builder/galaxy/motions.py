"""Velocities in the Galaxy, from distances, proper motions and radial velocities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.distance import Distances
from catalog_builder.galaxy.frames import Float, directions, tilted
from catalog_builder.galaxy.motion_kernels import QUANTITIES, velocity_quantiles
from catalog_builder.galaxy.settings import GalaxySettings

#: What velocities are made of, beside a distance; without them there are none.
NEEDED: Final = (
    *("radial_velocity", "radial_velocity_error"),
    *("pmra", "pmra_error", "pmdec", "pmdec_error"),
)
#: Of proper motions and parallax, 0 where they are not known.
CORRELATIONS: Final = ("pmra_pmdec_corr", "parallax_pmra_corr", "parallax_pmdec_corr")
#: In the order of the kernel.
VELOCITIES: Final = (
    "galactocentric_velocity_radial",
    "galactocentric_velocity_azimuthal",
    "galactocentric_velocity_vertical",
    "angular_momentum_z",
)
ENDINGS: Final = ("", "_lower", "_upper")
#: The columns that are made here.
MOTION: Final = tuple(f"{name}{ending}" for name in VELOCITIES for ending in ENDINGS)


def velocities(
    block: Mapping[str, NDArray[Any]], found: Distances, settings: GalaxySettings
) -> dict[str, Float]:
    """Return Galactocentric velocities.

    Parameters
    ----------
    block : mapping of str to ndarray of shape (n,)
        With positions, corrected parallaxes and `NEEDED`; correlations of proper motions and
        parallax where they are known: without them they are 0.
    found : Distances
        Of the same stars.
    settings : GalaxySettings
        Where the Sun is, and how it moves.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        By column, in the order of `MOTION`: km/s, the angular momentum in kpc km/s. The value is at
        the median distance, with the measurements as they are; the ends of the 68 % interval are
        quantiles over the posterior of the distance and the errors of the measurements, together
        with their correlations. NaN where a distance, a measurement or an error is not known.
    """
    rows = np.flatnonzero(_known(block, found))

    def of_rows(*names: str) -> Float:
        return np.stack([np.asarray(block[name], np.float64)[rows] for name in names])

    sun = settings.sun_radius, settings.sun_height
    made = np.empty((QUANTITIES, len(ENDINGS), len(rows)))
    velocity_quantiles(
        np.ascontiguousarray(found.points[:, rows]),
        found.median[rows],
        of_rows("parallax_corrected", "parallax_error"),
        np.stack([tilted(vectors, *sun) for vectors in directions(*of_rows("ra", "dec"))]),
        np.array([[-np.sqrt(sun[0] ** 2 - sun[1] ** 2), 0.0, sun[1]], settings.sun_velocity]),
        of_rows(*NEEDED[::2]),
        of_rows(*NEEDED[1::2]),
        np.stack([_correlation(block, name, rows) for name in CORRELATIONS]),
        made,
    )
    # What overflows is no velocity.
    with np.errstate(over="ignore"):
        made[:, :, ~np.isfinite(made.astype(np.float32)).all(axis=(0, 1))] = np.nan
    out = np.full((QUANTITIES, len(ENDINGS), len(found.median)), np.nan)
    out[:, :, rows] = made
    return dict(zip(MOTION, out.reshape(len(MOTION), -1), strict=True))


def _known(block: Mapping[str, NDArray[Any]], found: Distances) -> NDArray[np.bool_]:
    """Say which stars have all measurements, with errors, and a distance."""
    known = np.isfinite(found.median)
    for name in NEEDED:
        known &= np.isfinite(block[name])
    for name in NEEDED[1::2]:
        known &= np.asarray(block[name]) > 0
    return known


def _correlation(block: Mapping[str, NDArray[Any]], name: str, rows: NDArray[np.intp]) -> Float:
    """Return correlations, 0 where they are not known."""
    if name not in block:
        return np.zeros(len(rows))
    return np.clip(np.nan_to_num(np.asarray(block[name], np.float64)[rows]), -1.0, 1.0)
