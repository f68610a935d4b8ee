from __future__ import annotations

import numpy as np

from catalog_builder.model.calibration import (
    label_metrics,
    regime_names,
    regimes,
    sigma_scales,
)
from catalog_builder.model.settings import ModelSettings

SETTINGS = ModelSettings(min_regime_stars=100)


def test_scaled_sigma_covers_heteroscedastic_errors_in_every_regime():
    rng = np.random.default_rng(5)
    stars = 40_000
    regime = rng.integers(0, 3, stars)
    true_sigma = rng.lognormal(size=(stars, 5))
    # Sigma is wrong by a factor that depends on the regime; labels have errors of their own.
    claimed = true_sigma / np.array([0.5, 1.3, 4.0])[regime][:, None]
    error = rng.uniform(0.1, 1.0, size=(stars, 5))
    residual = rng.normal(size=(stars, 5)) * np.hypot(true_sigma, error)
    half = np.arange(stars) < stars // 2
    scales = sigma_scales(residual[half], claimed[half], error[half], regime[half], SETTINGS)
    np.testing.assert_allclose(scales[:3], [[0.5] * 5, [1.3] * 5, [4.0] * 5], rtol=0.06)
    calibrated = claimed[~half] * scales[regime[~half]]
    within = np.abs(residual[~half]) <= np.hypot(calibrated, error[~half])
    np.testing.assert_allclose(within.mean(axis=0), 0.683, atol=0.015)


def test_a_regime_with_few_stars_takes_the_scale_of_its_kind():
    rng = np.random.default_rng(6)
    without = len(SETTINGS.rvs_snr_edges) + 2
    regime = np.repeat([0, 1, without], [1000, 5, 1000])
    true = np.where(regime < without, 2.0, 5.0)[:, None]
    residual = rng.normal(size=(len(regime), 5)) * true
    scales = sigma_scales(residual, np.ones_like(residual), 0 * residual, regime, SETTINGS)
    np.testing.assert_allclose(scales[:without], 2.0, rtol=0.15)
    np.testing.assert_allclose(scales[without:], 5.0, rtol=0.15)


def test_no_calibration_star_leaves_sigma_as_it_is():
    nothing = np.full((10, 5), np.nan)
    scales = sigma_scales(nothing, nothing, nothing, np.zeros(10, dtype=np.int64), SETTINGS)
    assert (scales == 1.0).all()


def test_label_errors_that_explain_all_scatter_do_not_make_sigma_zero():
    residual = np.full((500, 5), 0.1)
    scales = sigma_scales(
        residual, np.ones_like(residual), np.ones_like(residual), np.zeros(500, int), SETTINGS
    )
    assert (scales > 0).all()


def test_regimes_split_by_rvs_snr_else_by_g():
    names = regime_names(SETTINGS)
    block = {
        "rvs_spec_sig_to_noise": np.array([14.9, 15.0, np.nan, np.nan, 30.0]),
        "phot_g_mean_mag": np.array([12.0, 12.0, 12.0, np.nan, 18.0]),
    }
    used = np.array([True, True, True, False, False])
    assert [names[number] for number in regimes(block, used, SETTINGS)] == [
        "with RVS, rvs_spec_sig_to_noise < 15",
        "with RVS, 15 <= rvs_spec_sig_to_noise < 25",
        "with RVS, rvs_spec_sig_to_noise unknown",
        "without RVS, phot_g_mean_mag unknown",
        "without RVS, phot_g_mean_mag >= 17",
    ]


def test_metrics_of_a_known_scatter():
    rng = np.random.default_rng(7)
    labels = np.full((20_000, 5), np.nan)
    labels[:, 0] = rng.normal(5000.0, 500.0, 20_000)
    mean = labels + 10.0 + 50.0 * rng.normal(size=labels.shape)
    metrics = label_metrics(mean, np.full_like(labels, 50.0), labels, np.zeros_like(labels))
    assert list(metrics) == ["teff"]
    teff = metrics["teff"]
    assert teff["stars"] == 20_000
    np.testing.assert_allclose(teff["robust_scatter"], 50.0, rtol=0.03)
    np.testing.assert_allclose(teff["bias"], 10.0, atol=1.5)
    np.testing.assert_allclose(teff["rmse"], np.hypot(50.0, 10.0), rtol=0.03)
    np.testing.assert_allclose(teff["coverage_68"], 0.67, atol=0.02)
