"""The columns of the catalogue that say where in the Galaxy a star is, and how it moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.distance import LOWER, Distances, distances, prior_towards
from catalog_builder.galaxy.frames import Float, Sightlines, galactocentric, sightlines
from catalog_builder.galaxy.motions import NEEDED, velocities
from catalog_builder.galaxy.settings import GalaxySettings

#: The columns that are made here: of a position, and of a position and a parallax.
DIRECTION: Final = ("l", "b")
PLACE: Final = (
    *("distance", "distance_lower", "distance_upper"),
    *("galactocentric_radius", "galactocentric_radius_lower", "galactocentric_radius_upper"),
    "galactocentric_azimuth",
    *("galactocentric_height", "galactocentric_height_lower", "galactocentric_height_upper"),
)
#: What the distance is made of; without them there is none.
_PARALLAX: Final = ("parallax_corrected", "parallax_error")
_PARSECS: Final = 1000.0


def galactic_columns(
    block: Mapping[str, NDArray[Any]], settings: GalaxySettings
) -> dict[str, Float]:
    """Return Galactic coordinates, distances, Galactocentric places and velocities.

    Parameters
    ----------
    block : mapping of str to ndarray of shape (n,)
        With `ra`, `dec` (degrees, ICRS) and, for the distances, `parallax_corrected` and
        `parallax_error` (mas); for the velocities `motions.NEEDED` as well.
    settings : GalaxySettings
        Where the Sun is, and how it moves.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        By column of the catalogue: degrees, distances in pc, Galactocentric radius and height in
        kpc, velocities in km/s, the angular momentum in kpc km/s, with their 16 and 84 % quantiles;
        what is not known is NaN. Empty without `ra` and `dec`; `l` and `b` alone without a
        parallax; no velocities without proper motions and radial velocities.
    """
    if not {"ra", "dec"} <= block.keys():
        return {}
    to = sightlines(np.asarray(block["ra"], np.float64), np.asarray(block["dec"], np.float64))
    columns = {"l": to.longitude, "b": to.latitude}
    if not set(_PARALLAX) <= block.keys():
        return columns
    parallax, error = (np.asarray(block[name], np.float64) for name in _PARALLAX)
    found = distances(parallax, error, prior_towards(to))
    moving = set(NEEDED) <= block.keys()
    return {
        **columns,
        "distance": found.median * _PARSECS,
        "distance_lower": found.lower * _PARSECS,
        "distance_upper": found.upper * _PARSECS,
        **_places(to, found, settings),
        **(velocities(block, found, settings) if moving else {}),
    }


def _places(to: Sightlines, found: Distances, settings: GalaxySettings) -> dict[str, Float]:
    """Return radius, azimuth and height at the median distance, the first and last with quantiles.

    The radius has a minimum along a line of sight, so its quantiles are not those of the distance.
    """
    sun = settings.sun_radius, settings.sun_height
    x, y, z = galactocentric(to, found.median, *sun)
    along_x, along_y, along_z = galactocentric(to, found.points, *sun)
    radius = _spread(np.hypot(along_x, along_y))
    height = _spread(along_z)
    return {
        "galactocentric_radius": np.hypot(x, y),
        "galactocentric_radius_lower": radius[0],
        "galactocentric_radius_upper": radius[1],
        "galactocentric_azimuth": np.asarray(np.rad2deg(np.arctan2(y, x)) % 360.0),
        "galactocentric_height": z,
        "galactocentric_height_lower": height[0],
        "galactocentric_height_upper": height[1],
    }


def _spread(points: Float) -> Float:
    """Return the 16 and 84 % quantiles, (2, n), of points that are as likely as each other."""
    ordered = np.sort(points, axis=0)  # NaN throughout where a distance is null
    place = LOWER * len(ordered) - 0.5
    below, part = int(place), place - int(place)
    above = len(ordered) - 1 - below
    return np.stack(
        [
            (1.0 - part) * ordered[below] + part * ordered[below + 1],
            (1.0 - part) * ordered[above] + part * ordered[above - 1],
        ]
    )
