"""Holes in the sky and heaps of one value."""

import numpy as np
import pytest

from catalog_builder.report.counted import PIXEL_LEVEL
from catalog_builder.verdict.judging import Question, judge
from catalog_builder.verdict.rows import _holes
from catalog_builder.verdict.settings import CheckSettings

PIXELS = 12 * 4**PIXEL_LEVEL


def place_of(pixels):
    from astropy_healpix import HEALPix

    at = HEALPix(2**PIXEL_LEVEL, order="nested").healpix_to_lonlat(pixels)
    return at[0].deg, at[1].deg


def sky(mean, seed=1):
    """Return a sky that is denser to the plane of its equator, and thinner to one side."""
    ra, dec = place_of(np.arange(PIXELS))
    density = mean * (0.2 + 5 * np.exp(-np.abs(dec) / 8)) * (1 + 0.8 * np.cos(np.radians(ra)))
    return np.random.default_rng(seed).poisson(density)


def state(counts):
    numbers, tests = _holes(counts, CheckSettings())
    question = Question("sky", "Sky", "sources are", numbers, "few", among=tests)
    return judge(question, 0.001).state


@pytest.mark.parametrize("mean", [1, 10, 300])
def test_planes_slopes_and_edges_are_no_holes(mean):
    counts = sky(mean)
    assert state(counts) == "pass"
    ra, dec = place_of(np.arange(PIXELS))
    for part in (ra < 120, (dec > 20) & (dec < 60), (ra > 80) & (ra < 90)):
        assert state(np.where(part, counts, 0)) in {"pass", "not tested"}


@pytest.mark.parametrize("radius", [2, 3, 5, 8, 12])
def test_a_hole_of_any_size_is_found(radius):
    counts = sky(300)
    ra, dec = place_of(np.arange(PIXELS))
    for centre in ((200, 10), (33, -41), (100, 77)):
        cosine = np.sin(np.radians(dec)) * np.sin(np.radians(centre[1])) + np.cos(
            np.radians(dec)
        ) * np.cos(np.radians(centre[1])) * np.cos(np.radians(ra - centre[0]))
        hole = cosine > np.cos(np.radians(radius))
        assert state(np.where(hole, 0, counts)) == "fail", (radius, centre)


def test_a_dark_cloud_is_no_hole():
    counts = sky(60)
    counts[20000:20256] //= 3
    assert state(counts) == "pass"


def test_too_few_stars_cannot_tell():
    assert state(np.zeros(PIXELS, dtype=int)) == "not tested"
