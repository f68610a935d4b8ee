"""Velocities in the Galaxy: beside astropy's, and their intervals beside drawn samples."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Galactocentric, SkyCoord

from catalog_builder.galaxy.columns import DIRECTION, PLACE, galactic_columns
from catalog_builder.galaxy.distance import distances, prior_towards
from catalog_builder.galaxy.frames import directions, sightlines
from catalog_builder.galaxy.motions import CORRELATIONS, MOTION, NEEDED, VELOCITIES
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.labels.agreed import default_schema

SUN = GalaxySettings()
KM_S = u.km / u.s


def moving(n, seed=3, **given):
    """Return a block of stars everywhere; what is given holds for all of them."""
    rng = np.random.default_rng(seed)
    block = {
        "ra": rng.uniform(0, 360, n),
        "dec": np.rad2deg(np.arcsin(rng.uniform(-1, 1, n))),
        "parallax_corrected": 1.0 / rng.uniform(0.1, 6.0, n),
        "parallax_error": np.full(n, np.float32(0.02)),
        "pmra": rng.normal(0, 10, n),
        "pmdec": rng.normal(0, 10, n),
        "pmra_error": np.full(n, np.float32(0.03)),
        "pmdec_error": np.full(n, np.float32(0.02)),
        "radial_velocity": rng.normal(0, 60, n).astype(np.float32),
        "radial_velocity_error": np.full(n, np.float32(1.5)),
    }
    return block | {name: np.full(n, value) for name, value in given.items()}


def by_astropy(block, distance):
    """Return v_R, v_phi, v_z, L_z of astropy's own frame, with its default Sun."""
    frame = Galactocentric(
        galcen_distance=SUN.sun_radius * u.kpc,
        z_sun=SUN.sun_height * u.kpc,
        galcen_v_sun=u.Quantity(SUN.sun_velocity, KM_S),
    )
    stars = SkyCoord(
        block["ra"] * u.deg,
        block["dec"] * u.deg,
        distance=distance * u.pc,
        pm_ra_cosdec=block["pmra"] * u.mas / u.yr,
        pm_dec=block["pmdec"] * u.mas / u.yr,
        radial_velocity=block["radial_velocity"] * KM_S,
    ).transform_to(frame)
    x, y = stars.x.to_value(u.kpc), stars.y.to_value(u.kpc)
    vx, vy, vz = (v.to_value(KM_S) for v in (stars.v_x, stars.v_y, stars.v_z))
    radius = np.hypot(x, y)
    turning = y * vx - x * vy  # astropy's angle falls in the direction of rotation
    return (x * vx + y * vy) / radius, turning / radius, vz, turning


def test_velocities_are_those_of_astropy():
    block = moving(300)
    found = galactic_columns(block, SUN)
    # astropy has the centre 0.07 degrees beside l = b = 0, and a roll of some arcseconds.
    for name, theirs, off in zip(
        VELOCITIES, by_astropy(block, found["distance"]), (0.01, 0.01, 0.01, 0.05), strict=True
    ):
        np.testing.assert_allclose(found[name], theirs, atol=off)


def test_the_sun_is_that_of_astropy():
    theirs = Galactocentric()  # of version 4.0 of its defaults
    speed = theirs.galcen_v_sun
    vector = speed.xyz if hasattr(speed, "xyz") else speed.d_xyz  # before astropy 8
    assert vector.to_value(KM_S) == pytest.approx(SUN.sun_velocity)
    assert theirs.galcen_distance.to_value(u.kpc) == SUN.sun_radius


def test_a_star_that_moves_with_the_sun_has_the_suns_velocity():
    still = dict.fromkeys(("pmra", "pmdec", "radial_velocity"), 0.0)
    block = moving(5, parallax_corrected=100.0, **still)
    found = galactic_columns(block, SUN)
    for name, expected in zip(VELOCITIES, (-12.9, 245.6, 7.78, 245.6 * 8.122), strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=2e-3, atol=0.4)


def test_the_columns_are_those_that_are_declared():
    made = tuple(galactic_columns(moving(2), SUN))
    assert made == (*DIRECTION, *PLACE, *MOTION)
    assert {*MOTION, *NEEDED, *CORRELATIONS} <= {column.name for column in default_schema().columns}


@pytest.mark.parametrize("error", [0.02, 0.06, 0.12])
def test_intervals_are_those_of_samples(error):
    """Of a posterior that is drawn: distance, then proper motions that go with it."""
    rng = np.random.default_rng(5)
    block = moving(12, parallax_error=np.float32(error))
    block["parallax_corrected"] = rng.uniform(0.3, 1.0, 12)
    for name, value in zip(CORRELATIONS, (0.4, -0.5, 0.3), strict=True):
        block[name] = np.full(12, np.float32(value))
    found = galactic_columns(block, SUN)
    known = np.isfinite(found["distance"])
    assert known.sum() >= 4
    for star in np.flatnonzero(known):
        of_star = {name: values[star : star + 1] for name, values in block.items()}
        for name, drawn in zip(VELOCITIES, _drawn(of_star, rng), strict=True):
            low, high = np.quantile(drawn, [0.158655, 0.841345])
            width = high - low
            assert found[f"{name}_lower"][star] == pytest.approx(low, abs=0.03 * width), name
            assert found[f"{name}_upper"][star] == pytest.approx(high, abs=0.03 * width), name


def _drawn(star, rng, n=40_000):
    """Return samples, (n,) each, of the four quantities of one star, by astropy's frame."""
    to = sightlines(star["ra"], star["dec"])
    error = np.asarray(star["parallax_error"], np.float64)
    found = distances(star["parallax_corrected"], error, prior_towards(to))
    points = found.points[:, 0]
    levels = (np.arange(len(points)) + 0.5) / len(points)
    distance = np.interp(rng.random(n), levels, points)
    sigmas = np.array([error[0], star["pmra_error"][0], star["pmdec_error"][0]], np.float64)
    both, with_a, with_d = (float(star[name][0]) for name in CORRELATIONS)
    matrix = np.array([[1, with_a, with_d], [with_a, 1, both], [with_d, both, 1]])
    covariance = matrix * sigmas * sigmas[:, None]
    gain = covariance[1:, 0] / covariance[0, 0]
    rest = covariance[1:, 1:] - np.outer(gain, covariance[0, 1:])
    off = gain[:, None] * (1.0 / distance - star["parallax_corrected"])
    off = off + np.linalg.cholesky(rest) @ rng.standard_normal((2, n))
    speed = rng.standard_normal(n) * star["radial_velocity_error"] + star["radial_velocity"]
    samples = {"ra": np.full(n, star["ra"]), "dec": np.full(n, star["dec"])}
    samples |= {"pmra": star["pmra"] + off[0], "pmdec": star["pmdec"] + off[1]}
    return by_astropy({**samples, "radial_velocity": speed}, distance * 1000.0)


@pytest.mark.parametrize("name", [*NEEDED, "ra", "parallax_corrected"])
def test_without_a_measurement_or_its_error_there_is_no_velocity(name):
    block = moving(3)
    block[name] = block[name].copy()
    block[name][1] = np.nan
    found = galactic_columns(block, SUN)
    for column in MOTION:
        assert np.isnan(found[column][1])
        assert np.isfinite(found[column][[0, 2]]).all()


def test_errors_of_zero_and_correlations_that_are_null():
    found = galactic_columns(moving(2, radial_velocity_error=0.0), SUN)
    assert np.isnan(found["angular_momentum_z"]).all()
    without = galactic_columns(moving(2), SUN)
    null = galactic_columns(moving(2, pmra_pmdec_corr=np.nan), SUN)
    for column in MOTION:
        np.testing.assert_array_equal(without[column], null[column])
    extreme = galactic_columns(moving(2, pmra_pmdec_corr=-1.0, parallax_pmra_corr=1.0), SUN)
    assert all(np.isfinite(extreme[column]).all() for column in MOTION)


def test_without_the_columns_there_are_none_and_no_stars_are_no_trouble():
    block = moving(2)
    del block["radial_velocity_error"]
    assert set(galactic_columns(block, SUN)) == {*DIRECTION, *PLACE}
    assert all(len(values) == 0 for values in galactic_columns(moving(0), SUN).values())


@pytest.mark.parametrize(
    "name", ["pmra", "pmdec_error", "radial_velocity", "radial_velocity_error"]
)
def test_what_overflows_is_null(name):
    block = moving(2)
    block[name] = np.array([1e300, 1.0])
    found = galactic_columns(block, SUN)
    for column in MOTION:
        np.testing.assert_array_equal(np.isnan(found[column]), [True, False])


def test_directions_are_perpendicular():
    axes = np.stack(directions(np.array([10.0, 200.0, 359.0]), np.array([-80.0, 0.5, 45.0])))
    np.testing.assert_allclose(
        np.einsum("ikn,jkn->nij", axes, axes), np.tile(np.eye(3), (3, 1, 1)), atol=1e-8
    )
