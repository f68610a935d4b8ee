from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.calibrate.factors import (
    ANY_INPUTS,
    Curve,
    Factor,
    LabelFactors,
    Surface,
    coordinates,
    factors,
    fainter_twins,
    inputs_key,
)
from catalog_builder.model.calibrate.metrics import label_metrics, regime_names, regimes
from catalog_builder.model.settings import ModelSettings

SETTINGS, CONTRACT = ModelSettings(), default_contract()
INPUTS = CONTRACT.inputs


def test_unknown_coordinates_are_scaled_by_the_constant():
    factor = Factor(constant=np.log(2.0), curves=(Curve(knots=(1.0, 2.0), values=(0.0, 1.0)),))
    nowhere = np.full((1, 5), np.nan)
    np.testing.assert_allclose(factor(nowhere), 2.0)
    np.testing.assert_allclose(factor(np.full((1, 5), 1.5)), 2.0 * np.exp(0.5))
    np.testing.assert_allclose(factor(np.full((1, 5), 99.0)), 2.0 * np.e)


def test_a_surface_is_bilinear_between_its_knots_and_flat_beyond():
    surface = Surface(first=(0.0, 10.0, 20.0), second=(1.0, 3.0), values=(0, 2, 4, 6, 8, 0))
    first, second = np.array([5.0, 10.0, 20.0, 99.0, -9.0, np.nan]), np.array([2.0] * 5 + [1.0])
    np.testing.assert_allclose(surface(first, second), [3.0, 5.0, 4.0, 4.0, 1.0, 0.0])
    np.testing.assert_allclose(surface(np.array([10.0]), np.array([np.nan])), [0.0])
    np.testing.assert_allclose(Surface()(first, second), 0.0)


@pytest.mark.parametrize(
    ("sides", "values"), [(((0.0, 1.0), (0.0,)), (0.0,)), (((1.0, 0.0), (0.0,)), (0.0, 0.0))]
)
def test_a_surface_that_does_not_fit_its_knots_is_refused(sides, values):
    with pytest.raises(ValidationError, match="a surface needs"):
        Surface(first=sides[0], second=sides[1], values=values)


def test_a_factor_is_the_product_of_its_parts():
    factor = Factor(
        along_temperature=Curve(knots=(4000.0, 6000.0), values=(0.0, 1.0)),
        over_gravity=Surface(first=(4000.0, 6000.0), second=(1.0, 5.0), values=(0, 0, 0, 1)),
    )
    places = np.array([[np.nan, 6000.0, 0.0, 0.0, 5.0], [np.nan, 6000.0, 0.0, 0.0, np.nan]])
    np.testing.assert_allclose(factor(places), np.exp([2.0, 1.0]))


def test_every_subset_of_the_inputs_has_its_own_factors_and_others_share():
    def doubled(times: float) -> tuple[LabelFactors, ...]:
        return (LabelFactors(sigma=Factor(constant=np.log(times))),) * 5

    used = np.array([[True, True, False, False], [False, True, False, False], [False] * 4])
    calibration = {"rvs+xp": doubled(2.0), ANY_INPUTS: doubled(3.0)}
    assert inputs_key(used[0], INPUTS) == "rvs+xp"
    on_sigma, on_interval = factors(calibration, used, np.zeros((5, 3, 5)), INPUTS)
    np.testing.assert_allclose(on_sigma, np.repeat([[2.0], [3.0], [3.0]], 5, axis=1))
    np.testing.assert_allclose(on_interval, 1.0)
    np.testing.assert_allclose(factors({}, used, np.zeros((5, 3, 5)), INPUTS)[0], 1.0)


def test_coordinates_are_snr_with_rvs_and_xp_noise_or_g_without():
    block = {
        "rvs_spec_sig_to_noise": np.array([100.0, 0.0, 100.0, 100.0]),
        "phot_g_mean_mag": np.array([12.0, 13.0, 14.0, 15.0]),
        "xp_flux_error": np.full((4, 343), 0.01),
    }
    mean = np.array([[5000.0, 4.0, np.nan, 0.1, -0.5]] * 4)
    used = np.array([[True] * 4, [True] * 4, [False, True, False, False], [False] * 4])
    found = coordinates(block, mean, np.ones((4, 5)), used, CONTRACT)
    assert found.shape == (5, 4, 5)
    np.testing.assert_allclose(found[0][:, 0], [2.0, np.nan, -2.0, 15.0])
    np.testing.assert_allclose(found[0][:, 1:], [[5000.0, -0.5, 0.0, 4.0]] * 4)


def test_a_fainter_twin_is_as_noisy_as_its_errors_say():
    stars = 500
    block = {
        "source_id": np.arange(stars),
        "rvs_spec_sig_to_noise": np.full(stars, 100.0),
        "rvs_flux": np.ones((stars, 800), np.float32),
        "rvs_flux_error": np.full((stars, 800), 0.01, np.float32),
        "xp_flux": np.ones((stars, 343), np.float32),
        "xp_flux_error": np.full((stars, 343), 0.02, np.float32),
    }
    twins = fainter_twins(block, 2.0, INPUTS)
    for name, error in (("rvs", 0.01), ("xp", 0.02)):
        added = np.std(twins[f"{name}_flux"], axis=1)
        grown = np.sqrt(twins[f"{name}_flux_error"][:, 0] ** 2 - error**2)
        np.testing.assert_allclose(added, grown, rtol=0.2, atol=1e-5)
        assert 0.9 < (grown / error).mean() < 1.1
    growth = twins["rvs_flux_error"][:, 0] / 0.01
    np.testing.assert_allclose(twins["rvs_spec_sig_to_noise"], 100.0 / growth, rtol=1e-5)
    assert (block["rvs_flux"] == 1.0).all()
    again = fainter_twins(block, 2.0, INPUTS)
    assert all(np.array_equal(again[name], twins[name]) for name in block)


@pytest.mark.parametrize("values", [(1.0,), (1.0, np.nan)])
def test_a_damaged_curve_is_refused(values):
    with pytest.raises(ValidationError):
        Curve(knots=(0.0, 1.0), values=values)


def test_regimes_split_by_rvs_snr_else_by_g():
    names = regime_names(SETTINGS, INPUTS)
    block = {
        "rvs_spec_sig_to_noise": np.array([14.9, 15.0, np.nan, np.nan, 30.0]),
        "phot_g_mean_mag": np.array([12.0, 12.0, 12.0, np.nan, 18.0]),
    }
    used = np.zeros((5, 4), dtype=bool)
    used[:3, INPUTS.place("rvs")] = True
    assert [names[number] for number in regimes(block, used, SETTINGS, INPUTS)] == [
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
    metrics = label_metrics(
        mean,
        np.full_like(labels, 50.0),
        np.full_like(labels, 100.0),
        labels,
        0 * labels,
        declared=CONTRACT.labels,
    )
    assert list(metrics) == ["teff"]
    teff = metrics["teff"]
    assert teff["stars"] == 20_000
    np.testing.assert_allclose(teff["robust_scatter"], 50.0, rtol=0.03)
    np.testing.assert_allclose(teff["bias"], 10.0, atol=1.5)
    np.testing.assert_allclose(teff["rmse"], np.hypot(50.0, 10.0), rtol=0.03)
    np.testing.assert_allclose(teff["coverage_68"], 0.67, atol=0.02)
    np.testing.assert_allclose(teff["coverage_95"], 0.949, atol=0.01)
