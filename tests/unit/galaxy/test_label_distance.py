"""Distances by parallax, labels and magnitudes: beside a quadrature, and beside the truth."""

import numpy as np
import pytest

from catalog_builder.galaxy import distance as plain
from catalog_builder.galaxy import label_distance as dist
from catalog_builder.galaxy.distance import LOWER, distances, exponential
from catalog_builder.galaxy.label_distance import label_distances
from catalog_builder.galaxy.learn import learn
from catalog_builder.galaxy.relation import Absolute
from tests.unit.galaxy.skies import AXES, INDEX, draw

NAN = np.nan


def of_one(parallax, error, scale, apparent, absolute):
    """Return distances with one scale for each star's prior."""
    one, two, three, four = (np.array(values) for values in (parallax, error, scale, apparent))
    return label_distances(one, two, exponential(three), four, absolute)


def by_quadrature(parallax, error, scale, modulus, deviation, share, levels):
    x = np.linspace(np.log(1e-3), np.log(300.0), 1_000_001)
    density = 3 * x - np.exp(x) / scale
    if np.isfinite(parallax):
        density = density - 0.5 * ((parallax - np.exp(-x)) / error) ** 2
    away = modulus - (10 + 5 * x / np.log(10))
    wide = np.hypot(deviation, 1.0)
    told = (1 - share) * np.exp(-0.5 * (away / deviation) ** 2) / deviation
    told = told + share * np.exp(-0.5 * (away / wide) ** 2) / wide
    shares = np.cumsum(np.exp(density - density.max()) * told)
    return np.exp(np.interp(levels, shares / shares[-1], x))


@pytest.mark.parametrize(
    ("parallax", "error", "modulus", "deviation"),
    [
        (10.0, 0.02, 5.1, 0.3),
        (1.0, 0.1, 10.1, 0.1),
        (1.0, 0.3, 10.6, 0.03),
        (0.2, 0.2, 13.0, 0.5),
        (-0.5, 0.3, 12.0, 0.2),
        (2.0, 0.1, 11.5, 0.1),  # they contradict each other: a stranger
        (0.1, 0.02, 12.0, 2.0),
        (NAN, 0.1, 9.0, 0.2),
        (0.4, NAN, 14.0, 0.05),
        (0.4, 0.0, 14.0, 0.05),
    ],
)
def test_quantiles_are_those_of_a_quadrature(parallax, error, modulus, deviation, monkeypatch):
    monkeypatch.setattr(dist, "WIDEST", 99.0)
    told = Absolute(np.array([4.0]), np.array([deviation**2]), 0.02, 1.0)
    found = of_one([parallax], [error], [1.35], [modulus + 4.0], told)
    known = parallax if error > 0 else NAN
    true = by_quadrature(known, error, 1.35, modulus, deviation, 0.02, [LOWER, 0.5, 1 - LOWER])
    np.testing.assert_allclose(np.ravel(found), true, atol=0.01 * (true[2] - true[0]))


def test_labels_that_say_nothing_leave_the_distance_of_the_parallax():
    rng = np.random.default_rng(3)
    parallax, error = rng.uniform(0.3, 3.0, 50), np.full(50, 0.1)
    told = Absolute(np.full(50, 4.0), np.full(50, 1e6), 0.0, 1.0)
    ours = of_one(parallax, error, np.full(50, 1.35), np.full(50, 14.0), told)
    theirs = distances(parallax, error, exponential(np.full(50, 1.35)))
    for one, other in zip(ours, (theirs.lower, theirs.median, theirs.upper), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3)


@pytest.mark.parametrize(
    ("magnitude", "mean", "variance", "scale"),
    [(NAN, 4.0, 0.1, 1.0), (14.0, NAN, 0.1, 1.0), (14.0, 4.0, NAN, 1.0), (14.0, 4.0, 0.0, 1.0),
     (14.0, 4.0, np.inf, 1.0), (14.0, 4.0, 0.1, NAN), (np.inf, 4.0, 0.1, 1.0)],
)  # fmt: skip
def test_what_is_not_known_is_null(magnitude, mean, variance, scale):
    told = Absolute(np.array([mean, 4.0]), np.array([variance, 0.1]), 0.02, 1.0)
    found = of_one([1.0, 1.0], [0.1, 0.1], [scale, 1.0], [magnitude, 14.0], told)
    assert np.isnan([each[0] for each in found]).all()
    assert np.isfinite([each[1] for each in found]).all()


def test_neither_labels_nor_a_parallax_that_say_something_give_no_distance():
    told = Absolute(np.array([4.0]), np.array([9.0]), 0.02, 1.0)
    found = of_one([NAN], [NAN], [1.35], [14.5], told)
    assert np.isnan(found.median[0])


def test_the_interval_holds_68_percent_and_is_narrower_than_that_of_the_parallax(monkeypatch):
    monkeypatch.setattr(dist, "WIDEST", 99.0)
    monkeypatch.setattr(plain, "WIDEST", 99.0)
    taught = learn(draw(3000).stars, AXES, INDEX)
    stars, distance, _ = draw(20_000, seed=9, faintest=1.0)
    told = taught.absolute(stars.labels, stars.covariance)
    ours = label_distances(stars.parallax, stars.error, stars.prior, stars.magnitude, told)
    theirs = distances(stars.parallax, stars.error, stars.prior)
    inside = (ours.lower < distance) & (distance < ours.upper)
    ratio = stars.parallax / stars.error
    for low, high in ((-99, 1), (1, 3), (3, 5), (5, 10), (10, 30), (30, 1e9)):
        some = (ratio >= low) & (ratio < high)
        assert some.sum() > 250
        assert abs(inside[some].mean() - 0.683) < 0.05, (low, high)
    few = ratio < 5
    off, before = (np.abs(np.log(one.median / distance)) for one in (ours, theirs))
    assert np.median(off[few]) < 0.5 * np.median(before[few])
    # What labels say of a good parallax's star is little, and no harm.
    assert np.median(off[~few]) < 1.02 * np.median(before[~few])
    # A parallax held back changes nothing of that.
    nothing = np.full(len(distance), NAN)
    blind = label_distances(nothing, stars.error, stars.prior, stars.magnitude, told)
    assert abs(((blind.lower < distance) & (distance < blind.upper)).mean() - 0.683) < 0.02
