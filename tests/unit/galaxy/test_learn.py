"""Absolute magnitudes learnt from parallaxes, in their own space."""

import numpy as np
import pytest

from catalog_builder.galaxy import learn as learning
from catalog_builder.galaxy.learn import APART, Axes, Labelled, learn, likelihood
from tests.unit.galaxy.skies import AXES, INDEX, SCATTER, absolute, draw


@pytest.fixture(scope="module")
def taught():
    return learn(draw(4000).stars, AXES, INDEX)


def test_terms_have_the_powers_that_their_labels_may_have():
    terms = Axes(("a", "b", "c"), ("value",) * 3, (2, 1, 0)).terms(2)
    assert terms == ((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (2, 0, 0))


def test_magnitudes_are_those_that_the_stars_have(taught):
    teff, logg = (values.ravel() for values in np.meshgrid([4500, 5000, 5500], [1.5, 2.5, 3.5, 4]))
    labels = np.column_stack([teff, logg]).astype(float)
    found = taught.absolute(labels, np.zeros((len(labels), 2, 2)))
    np.testing.assert_allclose(found.mean, absolute(teff, logg), atol=0.07)
    # The scatter is learnt beside what the labels' errors make, which is as large.
    assert np.sqrt(found.variance).mean() == pytest.approx(SCATTER, abs=0.04)
    np.testing.assert_allclose(np.sqrt(found.variance), SCATTER, atol=0.07)
    assert 0.005 < taught.share < 0.06
    assert 0.6 < taught.carried < 1.6


def test_noisy_parallaxes_do_not_bias_them(taught):
    # A third of them is negative or within two errors of zero.
    noisy = draw(4000, seed=6, faintest=3.0)
    poor = noisy.stars.parallax < 2 * noisy.stars.error
    assert poor.mean() > 0.3
    found = learn(noisy.stars, AXES, INDEX)
    labels = noisy.stars.labels
    covariance = np.zeros((len(labels), 2, 2))
    off = found.absolute(labels, covariance).mean - taught.absolute(labels, covariance).mean
    assert abs(np.median(off)) < 0.04


def test_the_same_stars_teach_the_same(taught):
    assert learn(draw(4000).stars, AXES, INDEX) == taught


def test_stars_without_a_label_or_a_parallax_do_not_count(taught):
    stars = draw(4000).stars
    none = Labelled(*(np.full_like(values[:50], np.nan) for values in stars))
    more = Labelled(*(np.concatenate([a, b]) for a, b in zip(stars, none, strict=True)))
    assert learn(more, AXES, INDEX) == taught


def test_too_few_good_parallaxes_teach_nothing():
    assert learn(draw(250).stars, AXES, INDEX) is None
    stars = draw(2000).stars
    assert learn(stars._replace(error=100.0 * stars.error), AXES, INDEX) is None


def test_the_likelihood_is_that_of_an_integral_and_its_slopes_its_differences():
    stars = draw(30, faintest=1.0).stars
    stars.prior[::2] = [0.6, 4.4, 0.5, 9.0]
    mean = absolute(*stars.labels.T) + 0.3
    variance, share = np.full(30, 0.06), 0.03
    found, *slopes = likelihood(stars, mean, variance, share)
    at = mean[:, None] + np.linspace(-9, 9, 20_001)
    x = (stars.magnitude[:, None] - at - 10.0) * np.log(10) / 5
    near, far, more = (stars.prior[:, [column]] for column in range(3))
    fading = (1 - more) * np.exp(-np.exp(x) / near) / near**3
    density = np.exp(3 * x) * (fading + more * np.exp(-np.exp(x) / far) / far**3)
    both = np.zeros(1)
    for weight, wide in ((1 - share, variance), (share, variance + APART**2)):
        gauss = np.exp(-0.5 * (at - mean[:, None]) ** 2 / wide[:, None]) / np.sqrt(wide)[:, None]
        both = both + weight * gauss
    missed = (stars.parallax[:, None] - np.exp(-x)) / stars.error[:, None]
    seen = (density * both * np.exp(-0.5 * missed**2)).sum(axis=1) / stars.error
    np.testing.assert_allclose(found, np.log(seen / (density * both).sum(axis=1)), atol=1e-4)
    step = 1e-5
    for slope, (mean_off, variance_off, share_off) in zip(slopes, np.eye(3) * step, strict=True):
        above = likelihood(stars, mean + mean_off, variance + variance_off, share + share_off)[0]
        below = likelihood(stars, mean - mean_off, variance - variance_off, share - share_off)[0]
        np.testing.assert_allclose(slope, (above - below) / (2 * step), rtol=1e-3, atol=1e-3)


def test_a_climb_that_cannot_help_ends_where_it_began(monkeypatch):
    monkeypatch.setattr(learning, "_HALVINGS", 0)
    assert learn(draw(1000).stars, AXES, INDEX) is not None
