from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.model.calibrate.factors import GRAVITY, TEMPERATURE, LabelFactors
from catalog_builder.model.calibrate.fit import ONE_SIGMA, fit_label_factors
from catalog_builder.model.calibrate.metrics import GAUSSIAN_95
from catalog_builder.model.calibrate.trim import trimmed

STARS = 16_000


def places_of(rng: np.random.Generator, stars: int = STARS) -> np.ndarray:
    """Return places with few hot stars, as in a survey."""
    teff = rng.choice([4500.0, 9000.0], stars, p=[0.9, 0.1]) + rng.uniform(-1000.0, 1000.0, stars)
    nothing = np.zeros(stars)
    return np.column_stack([nothing, teff, nothing, nothing, rng.uniform(0.5, 5.0, stars)])


def shares(factors: LabelFactors, residual, error, places) -> tuple[np.ndarray, np.ndarray]:
    """Return who is within sigma and within the interval, of networks that claim 1."""
    half = np.abs(residual)
    within = half <= np.hypot(factors.sigma(places), error)
    interval = GAUSSIAN_95 * factors.interval95(places)
    return within, half <= np.hypot(interval, GAUSSIAN_95 * error)


def test_wrong_labels_of_hot_stars_widen_their_interval_and_no_other():
    claimed, none, half = np.ones(STARS), np.zeros(STARS), np.arange(STARS) < STARS // 2
    held = []
    for seed in range(6):  # of one sample's 800 hot stars a share is known to 2 %
        rng = np.random.default_rng(seed)
        places, residual = places_of(rng), rng.normal(size=STARS)
        hot = places[:, TEMPERATURE] > 8000.0
        residual[hot & (rng.uniform(size=STARS) < 0.15)] += 20.0
        smooth = fit_label_factors(residual[half], claimed[half], none[half], places[half], 200)
        made = trimmed(smooth, residual[half], claimed[half], none[half], places[half])
        both = [shares(one, residual[~half], none[~half], places[~half]) for one in (smooth, made)]
        warm = hot[~half]
        held.append([[share[who].mean() for who in (warm, ~warm)] for one in both for share in one])
    _, before_95, within, within_95 = np.mean(held, axis=0)
    # Without it the interval is too narrow for the hot stars, and too wide for all others.
    assert before_95[0] < 0.9
    assert before_95[1] > 0.96
    np.testing.assert_allclose(within_95, 0.95, atol=0.01)
    np.testing.assert_allclose(within, ONE_SIGMA, atol=0.02)


def test_what_depends_on_temperature_and_gravity_together_is_made_good():
    rng = np.random.default_rng(2)
    places, claimed, none = places_of(rng), np.ones(STARS), np.zeros(STARS)
    giants = (places[:, GRAVITY] < 2.5) & (places[:, TEMPERATURE] < 4500.0)
    residual = rng.normal(size=STARS) * np.where(giants, 1.4, 1.0)
    half = np.arange(STARS) < STARS // 2
    smooth = fit_label_factors(residual[half], claimed[half], none[half], places[half], 200)
    made = trimmed(smooth, residual[half], claimed[half], none[half], places[half])
    test = (residual[~half], none[~half], places[~half])
    before, after = (shares(one, *test)[0][giants[~half]].mean() for one in (smooth, made))
    assert before < 0.63
    assert after > 0.5 * (before + 0.683)


def test_labels_as_uncertain_as_the_networks_do_not_spoil_sigma():
    rng = np.random.default_rng(3)
    places, claimed, error = places_of(rng), np.ones(STARS), np.full(STARS, 1.2)
    own = rng.normal(size=STARS)
    half = np.arange(STARS) < STARS // 2
    residual = own + error * rng.normal(size=STARS)
    smooth = fit_label_factors(residual[half], claimed[half], error[half], places[half], 200)
    made = trimmed(smooth, residual[half], claimed[half], error[half], places[half])
    # Against the truth, which has no error.
    within, within_95 = shares(made, own[~half], np.zeros(STARS // 2), places[~half])
    assert abs(within.mean() - 0.683) < 0.03
    assert abs(within_95.mean() - 0.95) < 0.015
    assert np.std(np.log(made.sigma(places))) < 0.08


def test_labels_whose_errors_explain_all_scatter_correct_nothing():
    places = places_of(np.random.default_rng(4))
    plain = LabelFactors()
    made = trimmed(plain, np.full(STARS, 0.1), np.ones(STARS), np.ones(STARS), places)
    np.testing.assert_array_equal(made.sigma(places), 1.0)
    np.testing.assert_array_equal(made.interval95(places), 1.0)


@pytest.mark.parametrize("stars", [0, 300])
def test_few_stars_correct_nothing(stars):
    rng = np.random.default_rng(5)
    places, plain = places_of(rng, stars), LabelFactors()
    residual = 3.0 * rng.normal(size=stars)
    assert trimmed(plain, residual, np.ones(stars), np.zeros(stars), places) is plain


def test_without_a_temperature_nothing_is_corrected_and_without_a_gravity_the_curve_alone():
    rng = np.random.default_rng(6)
    places, plain, ones = places_of(rng), LabelFactors(), np.ones(STARS)
    residual = np.where(places[:, TEMPERATURE] > 7000.0, 2.0, 1.0) * rng.normal(size=STARS)
    places[:, GRAVITY] = np.nan
    made = trimmed(plain, residual, ones, 0.0 * ones, places)
    assert made.sigma.over_gravity.values == ()
    assert abs(np.median(made.sigma(places[places[:, TEMPERATURE] > 8000.0])) - 2.0) < 0.2
    places[:, TEMPERATURE] = np.nan
    assert trimmed(plain, residual, ones, 0.0 * ones, places) is plain


def test_temperatures_that_are_none_are_no_end_of_a_training():
    rng = np.random.default_rng(8)
    places, ones = places_of(rng), np.ones(STARS)
    residual = np.where(places[:, TEMPERATURE] > 7000.0, 2.0, 1.0) * rng.normal(size=STARS)
    for lowest in (0.0, -800.0):
        places[:200, TEMPERATURE] = lowest
        made = trimmed(LabelFactors(), residual, ones, 0.0 * ones, places)
        assert made.sigma.along_temperature.knots[0] == lowest
        assert abs(np.median(made.sigma(places[places[:, TEMPERATURE] > 8000.0])) - 2.0) < 0.2


def test_a_model_and_two_corrections_have_room_for_their_knots():
    rng, ones = np.random.default_rng(9), np.ones(STARS)
    made = []
    for _ in range(3):
        places = places_of(rng)
        made.append(trimmed(LabelFactors(), 2.0 * rng.normal(size=STARS), ones, 0 * ones, places))
    all_three = made[0].corrected(made[1]).corrected(made[2]).sigma
    assert len(all_three.along_temperature.knots) > 2 * len(made[0].sigma.along_temperature.knots)


def test_one_temperature_for_all_corrects_nothing():
    rng = np.random.default_rng(7)
    places, ones = places_of(rng), np.ones(STARS)
    places[:, TEMPERATURE] = 5000.0
    made = trimmed(LabelFactors(), rng.normal(size=STARS), ones, 0.0 * ones, places)
    np.testing.assert_array_equal(made.sigma(places), 1.0)
