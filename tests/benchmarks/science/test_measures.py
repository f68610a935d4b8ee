"""The measures of the science benchmarks, on numbers whose answer is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tests.benchmarks.science.measures import bins_of, bootstrap, compare, wilson


def test_honest_sigmas_cover_what_they_say():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.5, 2.0, 20_000)
    true = rng.normal(size=20_000)
    found = compare(true + sigma * rng.normal(size=20_000) + 0.3, sigma, 2 * sigma, true)
    assert found["n"] == 20_000
    assert found["bias"] == pytest.approx(0.3, abs=0.03)
    honest = compare(true + sigma * rng.normal(size=20_000), sigma, 1.96 * sigma, true)
    assert honest["cover_68_low"] < 0.6827 < honest["cover_68_high"]
    assert honest["cover_95_low"] < 0.95 < honest["cover_95_high"]


def test_stars_without_a_value_are_left_out():
    values = np.array([1.0, np.nan, 3.0])
    assert compare(values, np.ones(3), np.ones(3), np.zeros(3))["n"] == 2
    assert compare(values * np.nan, np.ones(3), np.ones(3), np.zeros(3)) == {"n": 0}


def test_the_interval_of_a_share_is_wilson_s():
    # Wilson (1927) for 10 of 100, as in standard tables.
    assert wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    low, high = wilson(0, 50)
    assert low == pytest.approx(0.0, abs=1e-12)
    assert high > 0.05


def test_the_bootstrap_interval_holds_the_error_of_a_mean():
    values = np.random.default_rng(1).normal(size=(400, 1))
    low, high = bootstrap(values, np.mean, seed=0)
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_a_cell_misses_its_aim_and_misses_it_surely_when_its_interval_does():
    rng = np.random.default_rng(0)
    true = np.zeros(4000)
    found = rng.normal(size=4000)
    met = compare(found, np.ones(4000), np.full(4000, 1.96), true)
    assert met["missed"] == met["surely_missed"] == []
    small = compare(found, np.full(4000, 0.8), np.full(4000, 1.96), true)
    assert small["missed"] == small["surely_missed"] == ["cover_68"]
    few = compare(found[:20], np.full(20, 3.0), np.full(20, 1.96), true[:20])
    assert "cover_68" in few["missed"]


def test_bins_are_of_predicted_values_and_only_rvs_stars_have_a_signal_to_noise():
    frame = pl.DataFrame(
        {
            "rvs_spec_sig_to_noise": [20.0, 30.0, 20.0],
            "all.teff": [4000.0, 5000.0, 6000.0],
            "all.m_h": [-1.0, 0.0, 0.1],
            "has_rvs": [True, True, False],
        }
    )
    rows = {(kind, name): inside.tolist() for kind, name, inside in bins_of(frame)}
    assert rows["S/N", "15 to 25"] == [True, False, False]
    assert rows["Teff", "< 4600"] == [True, False, False]
    assert rows["[M/H]", ">= -0.2"] == [False, True, True]
