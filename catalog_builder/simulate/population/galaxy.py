"""The Milky Way as a few smooth functions: coordinates, stellar density and dust.

Numbers are round values of the literature (Bland-Hawthorn & Gerhard 2016, ARA&A 54, 529, for scale
lengths and heights); nothing here is fitted. The thick disc and the halo are more frequent than in
the solar neighbourhood's census, so that a small sky still has stars of every kind.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.frames import TO_GALACTIC

Float = NDArray[np.float64]

R_SUN: Final = 8.2  # kpc
Z_SUN: Final = 0.02  # kpc
POPULATIONS: Final = ("thin", "thick", "halo")

_OBLIQUITY = np.deg2rad(23.4392911)


def unit_vectors(ra: Float, dec: Float) -> Float:
    """ICRS unit vectors (n, 3) of positions in degrees."""
    a, d = np.deg2rad(ra), np.deg2rad(dec)
    return np.column_stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def galactic(ra: Float, dec: Float) -> tuple[Float, Float]:
    """Galactic longitude and latitude [deg]."""
    x, y, z = TO_GALACTIC @ unit_vectors(ra, dec).T
    return np.rad2deg(np.arctan2(y, x)) % 360.0, np.rad2deg(np.arcsin(z))


def ecliptic_latitude(ra: Float, dec: Float) -> Float:
    """Ecliptic latitude [deg], J2000 obliquity."""
    _, y, z = unit_vectors(ra, dec).T
    sine = np.cos(_OBLIQUITY) * z - np.sin(_OBLIQUITY) * y
    return np.asarray(np.rad2deg(np.arcsin(sine)))


def galactocentric(l: Float, b: Float, distance: Float) -> tuple[Float, Float]:  # noqa: E741
    """Galactocentric cylindrical radius and height [kpc] of a heliocentric distance [kpc]."""
    lon, lat = np.deg2rad(l), np.deg2rad(b)
    in_plane = distance * np.cos(lat)
    radius = np.hypot(R_SUN - in_plane * np.cos(lon), in_plane * np.sin(lon))
    return radius, distance * np.sin(lat) + Z_SUN


def densities(radius: Float, height: Float) -> Float:
    """Stellar density of thin disc, thick disc and halo, stacked first; thin at the Sun is 1."""
    flare = 0.30 * np.exp(np.clip(radius - R_SUN, -4.0, 8.0) / 9.0)
    # A flaring disc keeps its surface density, so its midplane density falls as it thickens.
    thin = np.exp(-(radius - R_SUN) / 3.0 - np.abs(height) / flare) * 0.30 / flare
    thick = 0.12 * np.exp(-(radius - R_SUN) / 2.0 - np.abs(height) / 0.85)
    spherical = np.sqrt(radius**2 + (height / 0.7) ** 2 + 0.5**2)
    halo = 0.012 * (spherical / R_SUN) ** -2.8
    return np.stack([thin, thick, halo])


def extinction(l: Float, b: Float, distance: Float) -> Float:  # noqa: E741
    """Smooth extinction A0 [mag] at 550 nm along lines of sight.

    Parameters
    ----------
    l, b : numpy.ndarray
        (n,) galactic coordinates [deg].
    distance : numpy.ndarray
        (n,) kpc.

    Returns
    -------
    numpy.ndarray
        (n,): the integral of a disc of dust with scale height 0.11 kpc, scale length 4 kpc and
        0.8 mag/kpc at the Sun.
    """
    nodes, weights = np.polynomial.legendre.leggauss(24)
    # Most dust lies near: quadratic spacing of the nodes.
    part = (0.5 * (nodes + 1.0)) ** 2
    slope = 0.5 * weights * 2.0 * np.sqrt(part)
    total = np.zeros_like(distance)
    for fraction, weight in zip(part, slope, strict=True):
        radius, height = galactocentric(l, b, distance * fraction)
        dust = np.exp(-(radius - R_SUN) / 4.0 - np.abs(height) / 0.11)
        # Little dust within 4 kpc of the centre.
        total += weight * np.where(radius < 4.0, 0.5, 1.0) * np.minimum(dust, 3.0)
    return 0.8 * distance * total


def extinction_curve(wavelength: Float) -> Float:
    """A(wavelength) / A(550 nm) for R_V = 3.1 (Cardelli, Clayton & Mathis 1989, O'Donnell 1994).

    Parameters
    ----------
    wavelength : numpy.ndarray
        nm, 303 to 3300.
    """
    x = 1000.0 / wavelength
    y = x - 1.82
    # O'Donnell 1994, ApJ 422, 158, for 1.1 <= x <= 3.3.
    a_optical = np.polynomial.polynomial.polyval(
        y, [1.0, 0.104, -0.609, 0.701, 1.137, -1.718, -0.827, 1.647, -0.505]
    )
    b_optical = np.polynomial.polynomial.polyval(
        y, [0.0, 1.952, 2.908, -3.989, -7.985, 11.102, 5.491, -10.805, 3.347]
    )
    # Cardelli et al. 1989, ApJ 345, 245, for 0.3 <= x < 1.1.
    a = np.where(x >= 1.1, a_optical, 0.574 * x**1.61)
    b = np.where(x >= 1.1, b_optical, -0.527 * x**1.61)
    return np.asarray(a + b / 3.1)
