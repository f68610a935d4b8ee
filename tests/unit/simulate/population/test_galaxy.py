"""Coordinates, density, dust, and the census made of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from catalog_builder.simulate.population import census, galaxy


def test_galactic_coordinates_of_known_places():
    # Galactic centre and north galactic pole.
    lon, b = galaxy.galactic(np.array([266.40499, 192.85948]), np.array([-28.93617, 27.12825]))
    assert min(lon[0], 360.0 - lon[0]) < 1e-3
    assert abs(b[0]) < 1e-3
    assert b[1] == pytest.approx(90.0, abs=1e-3)


def test_ecliptic_latitude_of_the_pole_and_the_equinox():
    latitude = galaxy.ecliptic_latitude(np.array([270.0, 0.0]), np.array([66.5607089, 0.0]))
    np.testing.assert_allclose(latitude, [90.0, 0.0], atol=1e-4)


def test_extinction_grows_with_distance_and_towards_the_plane():
    lon, d = np.full(3, 90.0), np.array([0.5, 2.0, 2.0])
    near, far, high = galaxy.extinction(lon, np.array([0.0, 0.0, 45.0]), d)
    assert 0.2 < near < 0.6
    assert far > 2.0 * near
    assert high < 0.3 * far


def test_extinction_curve_is_one_at_550_nm_and_falls_to_the_red():
    curve = galaxy.extinction_curve(np.array([400.0, 550.0, 700.0, 909.0, 910.0, 1050.0]))
    assert curve[1] == pytest.approx(1.0, abs=0.02)
    assert np.all(np.diff(curve) < 0.01)
    assert curve[3] == pytest.approx(curve[4], abs=0.02)


def test_partition_ranges_cover_the_sky_once():
    ranges = census.partition_ranges(20, 8)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 12 * 4**8 - 1
    assert all(b[0] == a[1] + 1 for a, b in pairwise(ranges))
    # Crowded ranges are small: equal numbers, not equal areas.
    sizes = [last - first + 1 for first, last in ranges]
    assert max(sizes) > 2 * min(sizes)


def test_draws_stay_in_their_range_and_depend_on_the_seed_only():
    first, last = census.partition_ranges(12, 8)[5]
    one = census.draw(np.random.default_rng(3), first, last, 8, 300)
    two = census.draw(np.random.default_rng(3), first, last, 8, 300)
    np.testing.assert_array_equal(one.pixel, two.pixel)
    np.testing.assert_array_equal(one.distance, two.distance)
    assert np.all((one.pixel >> 8 >= first) & (one.pixel >> 8 <= last))
    assert np.all(np.diff(one.pixel) >= 0)


def test_faint_stars_thin_out():
    chance = census.selection(np.array([4.0, 10.0, 12.0, 14.0, 16.0, 17.0]))
    assert chance[0] == 0.0
    assert chance[1] == chance[2] == 1.0
    assert 0.0 < chance[4] < chance[3] < 0.2
    assert chance[5] == 0.0
