"""Leaves of a HATS collection: they cover the sky, hold so many rows, and know their neighbours."""

import numpy as np
import pytest
from astropy_healpix.healpy import ang2pix, pix2ang

from catalog_builder.catalog.exports._hats_leaves import (
    FINEST,
    MARGIN,
    Leaves,
    beside,
    ids_of_places,
    index_of,
    plan_leaves,
)

SHIFT = 2 * (FINEST - 12)


def ids_of(pixels):
    return np.sort((np.asarray(pixels, dtype=np.int64) << 35) + np.arange(len(pixels)))


@pytest.fixture
def crowded():
    """Ids of which half are in one pixel of order 5, and the rest all over the sky."""
    rng = np.random.default_rng(1)
    one = (3000 << 14) + rng.integers(0, 1 << 14, 20_000)
    return ids_of(np.concatenate([one, rng.integers(0, 12 << 24, 20_000)]))


def test_leaves_cover_the_sky_once(crowded):
    leaves = plan_leaves(crowded[::100].tolist(), leaf_rows=2_000, step=100)
    sizes = 4 ** (FINEST - leaves.order)
    assert leaves.first[0] == 0
    np.testing.assert_array_equal(np.cumsum(sizes)[:-1], leaves.first[1:])
    assert int(np.sum(sizes)) == 12 * 4**FINEST
    assert len({leaves.name(leaf) for leaf in range(len(leaves.first))}) == len(leaves.first)


@pytest.mark.parametrize("offset", [0, 1, 99])
def test_no_leaf_gets_more_rows_than_it_may(crowded, offset):
    """Whatever lies between the rows that were looked at."""
    ids = crowded[offset:]
    leaves = plan_leaves(ids[::100].tolist(), leaf_rows=2_000, step=100)
    counts = np.bincount(leaves.of((ids >> 35) << SHIFT))
    assert counts.max() <= 2_000
    assert counts.max() > 500
    assert set(leaves.order) >= {2, 7}


def test_few_stars_are_twelve_leaves():
    leaves = plan_leaves([4 << 35])
    assert leaves.order.tolist() == [0] * 12


def test_more_stars_in_a_small_pixel_than_may_be_are_one_leaf():
    leaves = plan_leaves([5 << 35] * 100, leaf_rows=100, step=10)
    assert leaves.order.max() == 10


def test_the_index_is_that_of_the_position():
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0, 360, 1000), np.degrees(np.arcsin(rng.uniform(-1, 1, 1000)))
    index = index_of(np.zeros(1000, dtype=np.int64), ra, dec)
    lon, lat = pix2ang(1 << FINEST, index, nest=True, lonlat=True)
    assert np.abs(lat - dec).max() < 1e-6
    assert np.abs((lon - ra + 180) % 360 - 180)[np.abs(dec) < 80].max() < 1e-6
    np.testing.assert_array_equal(index >> SHIFT, ang2pix(4096, ra, dec, nest=True, lonlat=True))


def test_a_star_without_a_position_lies_where_its_id_says():
    ids = np.array([(7 << 35) + 3, (8 << 35) + 1])
    index = index_of(ids, np.array([np.nan, 10.0]), np.array([20.0, np.nan]))
    assert index.tolist() == [7 << SHIFT, 8 << SHIFT]


def _around(ra, dec, radius, count):
    """Return points at a distance in arcseconds, by rotation of vectors."""
    lon, lat, angle = np.radians(ra), np.radians(dec), np.linspace(0, 2 * np.pi, count)
    star = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.cross(star, east)
    r = np.radians(radius / 3600)
    turn = np.outer(np.cos(angle), east) + np.outer(np.sin(angle), north)
    x, y, z = (np.cos(r) * star + np.sin(r) * turn).T
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(np.clip(z, -1, 1)))


def _met(leaves, ra, dec, radius):
    """Return the leaves of many points of a disc."""
    found = set()
    for share in (0.2, 0.5, 0.8, 0.95, 1.0):
        points = _around(ra, dec, share * radius, 180)
        found |= set(leaves.of(index_of(np.zeros(180, dtype=np.int64), *points)).tolist())
    return found


def test_a_margin_has_every_star_near_by_and_none_far_away():
    """Stars at corners of pixels, where up to four leaves meet, at the poles and at RA 0."""
    rng = np.random.default_rng(3)
    first = np.arange(12 * 4**6, dtype=np.int64) << 2 * (FINEST - 6)
    leaves = Leaves(first, np.full(len(first), 6))
    corner = rng.choice(first, 60)
    lon, lat = pix2ang(1 << FINEST, corner, nest=True, lonlat=True)
    ra = np.concatenate([lon, [0.0, 120.0, 45.0, 0.0, 359.999]])
    dec = np.concatenate([lat, [90.0, -90.0, 89.9999, 0.0, 0.0]])
    ra = np.repeat(ra, 4) + rng.normal(0, 10, 4 * len(ra)) / 3600
    dec = np.clip(np.repeat(dec, 4) + rng.normal(0, 10, 4 * len(dec)) / 3600, -90, 90)
    ra %= 360
    index = index_of(np.zeros(len(ra), dtype=np.int64), ra, dec)
    rows, leaf = beside(leaves, index, ra, dec)
    assert np.all(np.diff(leaf) >= 0)
    found = set(zip(rows.tolist(), leaf.tolist(), strict=True))
    assert len(found) == len(rows) > 100
    for row in range(len(ra)):
        own = int(leaves.of(index[row : row + 1])[0])
        mine = {one for star, one in found if star == row}
        assert _met(leaves, ra[row], dec[row], MARGIN) - {own} <= mine
        assert mine <= _met(leaves, ra[row], dec[row], 2.001 * MARGIN) - {own}


def test_only_stars_at_an_edge_are_looked_at(monkeypatch):
    leaves = plan_leaves([0])
    ra, dec = np.array([45.0, 45.0]), np.array([0.5, 40.0])
    index = index_of(np.zeros(2, dtype=np.int64), ra, dec)
    rows, _ = beside(leaves, index, ra, dec)
    assert len(rows) == 0


def test_stars_whose_ids_say_no_place_are_planned_by_their_places():
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(10, 20, 400), rng.uniform(-5, 5, 400)
    ra[7] = np.nan
    ids = ids_of_places(ra, dec)
    assert len(ids) == 399
    assert list(ids) == sorted(ids)
    leaves = plan_leaves(ids, leaf_rows=64, step=1)
    index = index_of(rng.integers(1, 2**62, 399), *(np.delete(one, 7) for one in (ra, dec)))
    counts = np.bincount(leaves.of(index), minlength=len(leaves.first))
    assert counts.max() <= 64
    # Where nobody is, leaves stay large.
    assert leaves.order.min() <= 1
