"""How simulated stars move, and what is measured of it."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.galaxy.columns import galactic_columns
from catalog_builder.galaxy.motions import VELOCITIES
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.simulate.instruments import motion
from catalog_builder.simulate.instruments.photometry import astrometry
from catalog_builder.simulate.population.galaxy import R_SUN, Z_SUN, ecliptic_latitude
from catalog_builder.simulate.population.motion import (
    CIRCULAR,
    DISPERSIONS,
    LAGS,
    SUN_VELOCITY,
    set_moving,
)
from catalog_builder.simulate.population.streams import streams
from catalog_builder.simulate.population.truth import draw_stars

SUN = GalaxySettings(
    sun_radius=R_SUN,
    sun_height=Z_SUN,
    **dict(zip(("sun_velocity_x", "sun_velocity_y", "sun_velocity_z"), SUN_VELOCITY, strict=True)),
)


@pytest.fixture(scope="module")
def moving():
    """Return 6 000 stars that move, and what is measured of them."""
    release = load_release("dr3")
    star = draw_stars(np.random.default_rng(4), release, 0, 786431, 6000)
    set_moving(np.random.default_rng(5), star)
    n = len(star)
    sky = astrometry(
        np.random.default_rng(6),
        np.random.default_rng(7).uniform(8.0, 16.0, n),
        np.full(n, 1.0),
        ecliptic_latitude(star.ra, star.dec),
        star.distance,
        release.parallax_zero_point,
    )
    grvs = np.random.default_rng(8).uniform(6.0, 15.0, n)
    return star, sky, grvs, motion.measure(streams(1, 0, 0), star, sky, grvs)


def test_populations_have_their_ellipsoids(moving):
    star, *_ = moving
    for population, width in DISPERSIONS.items():
        mine = star.population == population
        drawn = np.stack([getattr(star, name)[mine] for name in VELOCITIES[:3]])
        off = 4.0 / np.sqrt(mine.sum())
        np.testing.assert_allclose(drawn.std(axis=1), width, rtol=off)
        means = (0.0, CIRCULAR - LAGS[population], 0.0)
        assert (np.abs(drawn.mean(axis=1) - means) < off * np.array(width)).all()


def test_what_could_be_seen_gives_the_velocities_back(moving):
    star, *_ = moving
    block = {
        "ra": star.ra,
        "dec": star.dec,
        "parallax_corrected": 1.0 / star.distance,
        "parallax_error": np.full(len(star), 1e-5),
        **{name: getattr(star, f"true_{name}") for name in ("pmra", "pmdec", "radial_velocity")},
        **{f"{name}_error": np.full(len(star), 0.01) for name in ("pmra", "pmdec")},
        "radial_velocity_error": np.full(len(star), 0.1),
    }
    found = galactic_columns(block, SUN)
    for name in VELOCITIES[:3]:
        # The median of a posterior is not quite the reciprocal of the parallax.
        np.testing.assert_allclose(found[name], getattr(star, name), atol=0.3, rtol=3e-3)


def test_measurements_are_off_by_their_errors(moving):
    star, sky, grvs, seen = moving
    for name in ("pmra", "pmdec", "radial_velocity"):
        pulls = (getattr(seen, name) - getattr(star, f"true_{name}")) / getattr(
            seen, f"{name}_error"
        )
        assert np.nanstd(pulls) == pytest.approx(1.0, abs=0.03)
    solved = np.isfinite(sky.parallax)
    np.testing.assert_array_equal(np.isfinite(seen.pmra), solved)
    np.testing.assert_array_equal(np.isfinite(seen.pmra_pmdec_corr), solved)
    given = np.isfinite(seen.radial_velocity)
    np.testing.assert_array_equal(np.isfinite(seen.radial_velocity_error), given)
    assert not given[grvs > motion.FAINTEST_GRVS].any()
    for g, error in ((12.0, 1.3), (13.9, 6.1)):
        near = given & (np.abs(grvs - g) < 0.1)
        assert np.median(seen.radial_velocity_error[near]) == pytest.approx(error, rel=0.15)


def test_errors_correlate_as_they_say(moving):
    star, sky, _, seen = moving
    pulls = {
        "parallax": (sky.parallax - 1.0 / star.distance - sky.offset) / sky.parallax_error,
        "pmra": (seen.pmra - star.true_pmra) / seen.pmra_error,
        "pmdec": (seen.pmdec - star.true_pmdec) / seen.pmdec_error,
    }
    for one, other in (("parallax", "pmra"), ("parallax", "pmdec"), ("pmra", "pmdec")):
        said = getattr(seen, f"{one}_{other}_corr")
        for low, high in ((-0.6, -0.2), (-0.1, 0.1), (0.2, 0.6)):
            mine = (said > low) & (said < high)
            product = np.mean(pulls[one][mine] * pulls[other][mine])
            assert product == pytest.approx(said[mine].mean(), abs=4.0 / np.sqrt(mine.sum()))


def test_a_later_release_measures_better_and_shares_the_noise(moving):
    star, _, _, seen = moving
    share = np.full(len(star), 0.5)
    again = motion.measure_again(streams(2, 0, 0), star, seen, share)
    for name, factor in (("pmra", 0.5**1.5), ("pmdec", 0.5**1.5), ("radial_velocity", 0.5**0.5)):
        old, new = (
            (getattr(each, name) - getattr(star, f"true_{name}")) / getattr(each, f"{name}_error")
            for each in (seen, again)
        )
        known = np.isfinite(old)
        assert new[known].std() == pytest.approx(1.0, abs=0.03)
        assert np.corrcoef(old[known], new[known])[0, 1] == pytest.approx(factor, abs=0.05)
