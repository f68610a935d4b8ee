"""The correlation of errors is measured on stars whose labels neither release made."""

import numpy as np
import pytest

from catalog_builder.comparing.correlation import LEAST_STARS, Estimate, estimate
from catalog_builder.comparing.expected import WITHIN_ONE, correlated


def answers(rho, stars=20_000, seed=3, label_error=0.5, stated=1.0, offset=0.0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 5, stars)
    sigma = rng.uniform(0.5, 2.0, (2, stars))
    common, own = rng.normal(size=stars), rng.normal(size=(2, stars))
    errors = sigma * (np.sqrt(rho) * common + np.sqrt(1 - rho) * own)
    label = truth + label_error * rng.normal(size=stars)
    old, new = (
        np.column_stack([truth + e + offset, stated * s])
        for e, s in zip(errors, sigma, strict=True)
    )
    return old, new, label, np.full(stars, label_error)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("label_error", [0.05, 1.0])
def test_a_planted_correlation_is_found_within_its_error(rho, label_error):
    found = estimate(*answers(rho, label_error=label_error))
    assert abs(found.correlation - rho) < 3.5 * found.error
    assert found.error < 0.03


@pytest.mark.parametrize("stated", [0.6, 1.6])
def test_it_does_not_take_the_uncertainties_for_right(stated):
    found = estimate(*answers(0.5, stated=stated))
    assert abs(found.correlation - 0.5) < 3.5 * found.error


def test_nothing_but_errors_of_labels_measures_nothing():
    old, new, label, _ = answers(0.5, label_error=0.5)
    assert np.isnan(estimate(old, new, label, np.full(len(label), 5.0)).correlation)


def test_a_shift_against_the_survey_is_no_correlation():
    found = estimate(*answers(0.0, offset=3.0))
    assert abs(found.correlation) < 3.5 * found.error


def test_outliers_do_not_count():
    old, new, label, error = answers(0.2)
    label[::100] += 300
    found = estimate(old, new, label, error)
    assert abs(found.correlation - 0.2) < 3.5 * found.error


def test_as_many_differences_as_a_sigma_promises_are_within_it_when_tails_are_long():
    rng = np.random.default_rng(4)
    sigma = np.exp(0.4 * rng.normal(size=(2, 20_000)))
    common, own = rng.normal(size=20_000), rng.standard_t(3, size=(2, 20_000))
    errors = sigma * (common + 0.3 * own)
    # The deviations that 68 % of these errors are within; half of that is stated.
    stated = 0.5 * sigma * np.quantile(np.abs(errors / sigma), WITHIN_ONE, axis=1)[:, None]
    label = 0.2 * rng.normal(size=20_000)
    old, new = (np.column_stack([e, s]) for e, s in zip(errors, stated, strict=True))
    found = estimate(old, new, label, np.full(20_000, 0.2))
    expected = correlated(found.correlation)(*(2 * stated))
    share = np.mean((errors[1] - errors[0]) ** 2 < expected)
    assert abs(share - WITHIN_ONE) < 0.01


def test_few_stars_and_impossible_numbers_are_not_adopted():
    few = estimate(*answers(0.5, stars=LEAST_STARS - 1))
    assert few.adopted == 0
    assert np.isnan(estimate(*answers(0.5, stars=2)).correlation)
    assert Estimate(1000, -0.2, 0.1).adopted == 0
    assert Estimate(1000, 1.3, 0.1).adopted == 0.99
    assert Estimate(1000, 0.5, 0.1).adopted == 0.5
    nulls = [values * np.nan for values in answers(0.5)]
    assert estimate(*nulls).stars == 0
