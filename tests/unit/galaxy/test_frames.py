"""Directions and places, beside astropy's."""

import astropy.units as u
import numpy as np
from astropy.coordinates import Galactic, Galactocentric, SkyCoord

from catalog_builder.galaxy.frames import galactocentric, sightlines

RNG = np.random.default_rng(3)
RA, DEC = RNG.uniform(0, 360, 500), np.rad2deg(np.arcsin(RNG.uniform(-1, 1, 500)))


def test_galactic_coordinates_are_those_of_astropy():
    to = sightlines(RA, DEC)
    theirs = SkyCoord(RA * u.deg, DEC * u.deg).galactic
    ours = SkyCoord(to.longitude * u.deg, to.latitude * u.deg, frame=Galactic())
    # astropy goes by way of FK5, whose axes are 25 mas from those of the ICRS.
    assert ours.separation(theirs).max() < 30 * u.mas


def test_no_position_gives_no_direction():
    to = sightlines(np.array([np.nan, 10.0]), np.array([5.0, np.nan]))
    assert np.isnan(to.longitude).all()
    assert np.isnan(to.latitude).all()


def test_places_are_those_of_astropy():
    distance = RNG.uniform(0.1, 12.0, 500)
    to = sightlines(RA, DEC)
    x, y, z = galactocentric(to, distance, 8.122, 0.0208)
    frame = Galactocentric(
        # The centre that the Galactic frame has by definition: l = b = 0.
        galcen_coord=SkyCoord(0 * u.deg, 0 * u.deg, frame="galactic").icrs,
        galcen_distance=np.hypot(8.122, 0.0) * u.kpc,
        z_sun=20.8 * u.pc,
    )
    theirs = SkyCoord(RA * u.deg, DEC * u.deg, distance=distance * u.kpc).transform_to(frame)
    for ours, name in ((x, "x"), (y, "y"), (z, "z")):
        # astropy rolls the frame by the angle between the two definitions of the pole.
        np.testing.assert_allclose(ours, getattr(theirs, name).to_value(u.kpc), atol=2e-3)


def test_the_sun_and_the_centre_are_where_they_should_be():
    to = sightlines(np.array([266.405]), np.array([-28.936]))  # l = b = 0
    x, y, z = galactocentric(to, np.array([0.0]), 8.0, 0.02)
    assert np.hypot(x, z) == 8.0
    assert z == 0.02
    x, y, z = galactocentric(to, np.array([8.0]), 8.0, 0.02)
    np.testing.assert_allclose([x, y, z], 0.0, atol=1e-3)
