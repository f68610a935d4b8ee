from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.model.select.gauge import Gauge


def ordinary(stars: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return two statistics whose ordinary size and width depend on the noise."""
    rng = np.random.default_rng(seed)
    noise = 10.0 ** rng.uniform(-2.5, -1.0, stars)
    first = np.exp(rng.normal(-np.log(noise), 0.3))
    second = rng.chisquare(5, stars)
    return np.stack([first, second], axis=1), noise


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_the_stated_share_of_other_ordinary_stars_is_beyond(rate):
    gauge = Gauge.fit(*ordinary(4000), rate)
    statistics, noise = ordinary(40_000, seed=1)
    beyond = gauge.ratio(statistics, noise) > 1.0
    assert np.mean(beyond) == pytest.approx(rate, rel=0.35)
    for low, high in ((0.0, 0.01), (0.01, 0.03), (0.03, 1.0)):
        part = (noise > low) & (noise <= high)
        assert np.mean(beyond[part]) == pytest.approx(rate, rel=0.6)


def test_spoilt_calibration_stars_do_not_raise_the_limit():
    statistics, noise = ordinary(4000)
    clean = Gauge.fit(statistics, noise, 0.01)
    statistics[::25, 0] *= 50.0
    spoilt = Gauge.fit(statistics, noise, 0.01)
    np.testing.assert_allclose(spoilt.limit, clean.limit, rtol=0.2)
    assert np.mean(spoilt.ratio(statistics[::25], noise[::25]) > 1.0) > 0.95


def test_one_odd_statistic_is_enough():
    gauge = Gauge.fit(*ordinary(2000), 0.01)
    middle, noise = np.array([[100.0, 4.4]]), np.array([0.01])
    assert gauge.ratio(middle, noise)[0] < 1.0
    for column in range(2):
        odd = middle.copy()
        odd[0, column] *= 30.0
        assert gauge.ratio(odd, noise)[0] > 1.0


def test_equal_noise_and_few_stars_make_one_knot():
    rng = np.random.default_rng(3)
    gauge = Gauge.fit(rng.chisquare(3, (300, 1)), np.full(300, 0.02), 0.01)
    assert len(gauge.knots) == 1
    assert np.mean(gauge.ratio(rng.chisquare(3, (3000, 1)), np.full(3000, 0.05)) > 1.0) < 0.05


def test_over_its_limit_is_the_same_stars_in_units_of_the_statistic():
    rng = np.random.default_rng(4)
    noise = 10.0 ** rng.uniform(-2.5, -1.0, 3000)
    chi_square = rng.chisquare(5, (3000, 1)) * noise[:, None] ** 0.3
    gauge = Gauge.fit(chi_square, noise, 0.01)
    over = gauge.over_limit(chi_square, noise)
    np.testing.assert_array_equal(over > 1.0, gauge.ratio(chi_square, noise) > 1.0)
    np.testing.assert_allclose(gauge.over_limit(3.0 * chi_square, noise), 3.0 * over)


def test_what_is_saved_is_what_is_read():
    gauge = Gauge.fit(*ordinary(500), 0.01)
    again = Gauge.from_arrays(gauge.arrays())
    statistics, noise = ordinary(50, seed=2)
    np.testing.assert_array_equal(again.ratio(statistics, noise), gauge.ratio(statistics, noise))
