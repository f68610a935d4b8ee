from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from catalog_builder.model.calibrate.factors import CURVES, LabelFactors
from catalog_builder.model.calibrate.fit import _Axis, _Likelihood, fit_label_factors
from catalog_builder.model.calibrate.metrics import GAUSSIAN_95

STARS = 40_000


def places_of(rng: np.random.Generator, sigma: np.ndarray) -> np.ndarray:
    brightness = rng.uniform(1.0, 2.5, len(sigma))
    teff, metallicity = rng.uniform(3500, 7000, len(sigma)), rng.uniform(-2, 0.5, len(sigma))
    gravity = np.zeros(len(sigma))  # the mixture has no curve along it
    return np.column_stack([brightness, teff, metallicity, np.log(sigma), gravity])


def within(residual, half_width, error, width):
    return np.abs(residual) <= np.hypot(half_width, width * error)


def test_factors_cover_long_tailed_errors_along_every_coordinate():
    rng = np.random.default_rng(5)
    true = rng.lognormal(size=STARS)
    # Sigma is wrong by factors that depend on S/N, Teff and on sigma; labels have their own errors.
    claimed = true**0.8
    places = places_of(rng, claimed)
    claimed = claimed / np.exp(0.5 * (places[:, 0] - 1.7) + (places[:, 1] - 5000.0) / 3000.0)
    places[:, 3] = np.log(claimed)
    error = rng.uniform(0.1, 1.0, STARS)
    residual = rng.standard_t(4, STARS) * true + rng.normal(size=STARS) * error
    half = np.arange(STARS) < STARS // 2
    fit = fit_label_factors(residual[half], claimed[half], error[half], places[half], 200)
    test = ~half
    sigma = claimed[test] * fit.sigma(places[test])
    interval = GAUSSIAN_95 * claimed[test] * fit.interval95(places[test])
    covered = within(residual[test], sigma, error[test], 1.0)
    covered_95 = within(residual[test], interval, error[test], GAUSSIAN_95)
    assert abs(covered.mean() - 0.683) < 0.012
    assert abs(covered_95.mean() - 0.95) < 0.006
    for coordinate in places[test].T[:CURVES]:
        third = np.digitize(coordinate, np.quantile(coordinate, [1 / 3, 2 / 3]))
        for number in range(3):
            assert abs(covered[third == number].mean() - 0.683) < 0.025
            assert abs(covered_95[third == number].mean() - 0.95) < 0.015
    # Longer tails than a Gaussian: the 95 % interval is wider than 1.96 sigma.
    assert np.median(interval / sigma) > 1.05 * GAUSSIAN_95


def test_few_stars_have_one_number_and_none_leave_sigma_as_it_is():
    rng = np.random.default_rng(6)
    sigma = np.ones(150)
    places = places_of(rng, sigma)
    residual = 2.0 * rng.normal(size=150)
    one = fit_label_factors(residual, sigma, 0 * sigma, places, 100)
    found = one.sigma(places)
    assert np.ptp(found) == 0.0
    assert abs(found[0] - 2.0) < 0.5
    residual[10:] = np.nan
    assert fit_label_factors(residual, sigma, 0 * sigma, places, 100) == LabelFactors()


def test_label_errors_that_explain_all_scatter_do_not_make_sigma_zero():
    sigma = np.ones(500)
    places = places_of(np.random.default_rng(7), sigma)
    fit = fit_label_factors(np.full(500, 0.1), sigma, sigma, places, 100)
    assert (fit.sigma(places) > 0).all()
    assert (fit.interval95(places) > 0).all()


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_errors_of_the_network_are_found_behind_those_of_the_labels(ratio):
    rng = np.random.default_rng(8)
    claimed = rng.lognormal(sigma=0.3, size=STARS)
    places = places_of(rng, claimed)
    own = rng.standard_t(5, STARS) * 0.7 * claimed
    error = np.full(STARS, ratio * np.std(own))
    residual = own + error * rng.normal(size=STARS)
    fit = fit_label_factors(residual, claimed, error, places, 200)
    covered = np.abs(own) <= claimed * fit.sigma(places)
    covered_95 = np.abs(own) <= GAUSSIAN_95 * claimed * fit.interval95(places)
    assert abs(covered.mean() - 0.683) < 0.03
    assert abs(covered_95.mean() - 0.95) < 0.015


def test_a_few_outliers_widen_neither_sigma_nor_interval():
    rng = np.random.default_rng(9)
    claimed = np.ones(20_000)
    places = places_of(rng, claimed)
    residual = rng.normal(size=20_000)
    residual[:100] *= 30.0
    fit = fit_label_factors(residual, claimed, 0 * claimed, places, 200)
    np.testing.assert_allclose(fit.sigma(places), 1.0, atol=0.15)
    np.testing.assert_allclose(fit.interval95(places), 1.0, atol=0.15)
    assert abs(np.median(fit.sigma(places)) - 1.0) < 0.03


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_wild_labels_in_numbers_leave_finite_factors(share):
    rng = np.random.default_rng(12)
    claimed = np.ones(5000)
    places = places_of(rng, claimed)
    residual = rng.normal(size=5000) * np.where(rng.random(5000) < share, 1e3, 1.0)
    fit = fit_label_factors(residual, claimed, 0 * claimed, places, 200)
    for factor in (fit.sigma, fit.interval95):
        assert np.isfinite(factor(places)).all()


def test_a_label_without_an_error_is_exact():
    rng = np.random.default_rng(10)
    claimed = np.ones(500)
    places = places_of(rng, claimed)
    residual = rng.normal(size=500)
    unknown = fit_label_factors(residual, claimed, np.full(500, np.nan), places, 200)
    assert unknown == fit_label_factors(residual, claimed, 0 * claimed, places, 200)


def test_the_gradient_is_that_of_the_value():
    rng = np.random.default_rng(11)
    places = places_of(rng, rng.lognormal(size=300))
    places[::7, 0] = np.nan
    axes = [_Axis.of(coordinate, 60) for coordinate in places.T]
    likelihood = _Likelihood(rng.chisquare(1, 300), rng.uniform(0, 2, 300), axes)
    at = rng.normal(scale=0.3, size=5 + sum(len(axis.knots) for axis in axes))
    wrong = check_grad(lambda x: likelihood(x)[0], lambda x: likelihood(x)[1], at)
    assert wrong < 1e-3 * np.linalg.norm(likelihood(at)[1])
