"""How stars move: an ellipsoid of velocities for each population, and what of it can be seen."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.frames import Sightlines, directions, galactocentric, tilted
from catalog_builder.simulate.population.galaxy import POPULATIONS, R_SUN, Z_SUN
from catalog_builder.simulate.population.truth import Stars

Float = NDArray[np.float64]

#: Velocity of the Sun towards the centre, rotation and the northern pole, km/s (Drimmel & Poggio
#: 2018, RNAAS 2, 210).
SUN_VELOCITY: Final = (12.9, 245.6, 7.78)
#: Speed of a circular orbit at every radius: that of the Sun without its own 12.24 km/s
#: (Schoenrich, Binney & Dehnen 2010, MNRAS 403, 1829).
CIRCULAR: Final = SUN_VELOCITY[1] - 12.24
#: Dispersions towards R, phi and z, and how far the mean rotation lags behind, km/s (Bensby,
#: Feltzing & Lundstrom 2003, A&A 410, 527, table 1). The same everywhere.
DISPERSIONS: Final = {
    "thin": (35.0, 20.0, 16.0),
    "thick": (67.0, 38.0, 35.0),
    "halo": (160.0, 90.0, 90.0),
}
LAGS: Final = {"thin": 15.0, "thick": 46.0, "halo": 220.0}
#: km/s of 1 mas/yr at 1 kpc: an astronomical unit in a Julian year.
_KM_S: Final = 149597870.7 / (365.25 * 86400.0)


def set_moving(rng: np.random.Generator, star: Stars) -> None:
    """Draw the velocities of stars, in place; their distances are final.

    Parameters
    ----------
    rng : numpy.random.Generator
        Used for nothing else.
    star : Stars
        Gets velocities in the Galaxy, proper motions and radial velocities.
    """
    width, lag = np.empty((len(star), 3)), np.empty(len(star))
    for population in POPULATIONS:
        mine = star.population == population
        width[mine], lag[mine] = DISPERSIONS[population], LAGS[population]
    drawn = width * rng.standard_normal(width.shape)
    drawn[:, 1] += CIRCULAR - lag
    sight, east, north = directions(star.ra, star.dec)
    x, y, _ = galactocentric(Sightlines(*sight), star.distance, R_SUN, Z_SUN)
    outwards = np.hypot(x, y)
    along = np.stack(
        [
            (x * drawn[:, 0] + y * drawn[:, 1]) / outwards,
            (y * drawn[:, 0] - x * drawn[:, 1]) / outwards,
            drawn[:, 2],
        ]
    ) - np.array(SUN_VELOCITY).reshape(3, 1)
    seen = [np.sum(along * tilted(axis, R_SUN, Z_SUN), axis=0) for axis in (sight, east, north)]
    star.galactocentric_velocity_radial = drawn[:, 0]
    star.galactocentric_velocity_azimuthal = drawn[:, 1]
    star.galactocentric_velocity_vertical = drawn[:, 2]
    star.true_radial_velocity = seen[0]
    star.true_pmra, star.true_pmdec = (one / (_KM_S * star.distance) for one in seen[1:])
