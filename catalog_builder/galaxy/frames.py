"""Galactic and Galactocentric coordinates, of many stars at once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: Rotation from ICRS to Galactic coordinates (ESA 1997, The Hipparcos Catalogue, volume 1, 1.5.3).
TO_GALACTIC: Final = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [+0.4941094279, -0.4448296300, +0.7469822445],
        [-0.8676661490, -0.1980763734, +0.4559837762],
    ]
)


class Sightlines(NamedTuple):
    """Unit vectors in the Galactic frame: to the centre, to l = 90 deg, to the northern pole."""

    x: Float
    y: Float
    z: Float

    @property
    def longitude(self) -> Float:
        """Galactic longitude l, degrees from 0 to 360."""
        return np.asarray(np.rad2deg(np.arctan2(self.y, self.x)) % 360.0)

    @property
    def latitude(self) -> Float:
        """Galactic latitude b, degrees."""
        return np.asarray(np.rad2deg(np.arctan2(self.z, np.hypot(self.x, self.y))))


def sightlines(ra: Float, dec: Float) -> Sightlines:
    """Return the directions of positions, (n,) degrees in ICRS, NaN where they are."""
    alpha, delta = np.deg2rad(ra), np.deg2rad(dec)
    icrs = np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)])
    return Sightlines(*(TO_GALACTIC @ icrs))


def directions(ra: Float, dec: Float) -> tuple[Float, Float, Float]:
    """Return unit vectors, (3, n) each in the Galactic frame, at positions in degrees in ICRS.

    The direction itself, that of rising right ascension, and that of rising declination.
    """
    alpha, delta = np.deg2rad(ra), np.deg2rad(dec)
    east = np.stack([-np.sin(alpha), np.cos(alpha), np.zeros_like(alpha)])
    north = np.stack(
        [-np.sin(delta) * np.cos(alpha), -np.sin(delta) * np.sin(alpha), np.cos(delta)]
    )
    return np.stack(sightlines(ra, dec)), TO_GALACTIC @ east, TO_GALACTIC @ north


def tilted(vectors: Float, sun_radius: float, sun_height: float) -> Float:
    """Turn vectors, (3, n) in the Galactic frame, into the axes of the Galactocentric one."""
    sine = sun_height / sun_radius
    cosine = np.sqrt(1.0 - sine**2)
    x, y, z = vectors
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x])


def galactocentric(
    to: Sightlines, distance: Float, sun_radius: float, sun_height: float
) -> tuple[Float, Float, Float]:
    """Return Cartesian Galactocentric coordinates as astropy's frame has them.

    x points from the Sun's side to the centre, so that the Sun is at negative x; z to the northern
    pole. The plane is tilted so that the Sun is above it and the centre in it.

    Parameters
    ----------
    to : Sightlines
        Directions of n stars.
    distance : ndarray of shape (n,) or (k, n)
        Heliocentric, kpc.
    sun_radius, sun_height : float
        The Sun's distance from the centre and height above the plane, kpc.

    Returns
    -------
    tuple of ndarray
        x, y, z in kpc, of the shape of `distance`.
    """
    sine = sun_height / sun_radius
    cosine = np.sqrt(1.0 - sine**2)
    along = distance * to.x - sun_radius
    x = cosine * along + sine * distance * to.z
    z = cosine * distance * to.z - sine * along
    return x, distance * to.y, z
