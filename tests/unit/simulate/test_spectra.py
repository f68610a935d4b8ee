"""RVS and XP spectra as the archive publishes them."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.features.low_resolution import sample_coefficients
from catalog_builder.simulate.grid import emulator, line_profiles
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import photometry, rvs, xp

SUN = np.array([[5772.0, 4.44, 0.0, 0.0]])
SAMPLES = np.round(846.0 + 0.01 * np.arange(2401), 2)


def _solar_flux(distance_kpc=0.3, n=1):
    model = emulator.load()
    one = np.ones(n)
    surface = np.repeat(model.sed(SUN).astype(np.float64), n, axis=0)
    flux = photometry.received(surface, one, distance_kpc * one, 0.0 * one)
    return photometry.sampled_flux(flux, model.sed_wavelength)


def test_broadening_keeps_equivalent_widths_and_a_shift_moves_lines():
    step = 1e-5
    depth = np.zeros((1, 1000))
    depth[0, 500] = 1.0
    wide = line_profiles.convolve_velocity(depth, step, vsini=np.array([40.0]))
    assert wide.sum() == pytest.approx(1.0, abs=1e-6)
    assert wide.max() < 0.1
    velocity = 20 * step * line_profiles.SPEED_OF_LIGHT
    moved = line_profiles.convolve_velocity(depth, step, shift=np.array([velocity]))
    assert np.argmax(moved) == 520


def test_rotation_profile_has_the_width_of_vsini():
    step = 1e-6
    depth = np.zeros((1, 4000))
    depth[0, 2000] = 1.0
    profile = line_profiles.convolve_velocity(depth, step, vsini=np.array([100.0]))[0]
    velocity = (np.arange(4000) - 2000) * step * line_profiles.SPEED_OF_LIGHT
    inside = np.abs(velocity) < 100.0
    assert profile[inside].sum() == pytest.approx(1.0, abs=0.01)


def test_noise_is_correlated_and_has_the_published_signal_to_noise():
    rng = np.random.default_rng(0)
    flux = np.ones((200, 2401))
    wanted = np.full(200, 20.0)
    noise, error = rvs.noise(rng, flux, wanted)
    assert np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1] > 0.5
    published = flux + noise
    np.testing.assert_allclose(np.median(published / error, axis=1), wanted, rtol=1e-5)
    pull = noise / error
    assert np.std(pull) == pytest.approx(1.0, abs=0.05)
    # Beyond the detector pixel the noise is independent.
    assert abs(np.corrcoef(noise[:, :-8].ravel(), noise[:, 8:].ravel())[0, 1]) < 0.02


def test_errors_do_not_hold_the_spectrum_without_its_noise():
    rng = np.random.default_rng(0)
    line = 1.0 - 0.4 * np.exp(-(((SAMPLES - 854.4) / 0.1) ** 2))
    flux = np.repeat(line[None], 50, axis=0)
    noise, error = rvs.noise(rng, flux, np.full(50, 15.0))
    # What the errors say of the flux, sample by sample, is as noisy as the flux itself.
    implied = (error / error.mean(axis=1, keepdims=True)) ** 2
    noisy = flux + noise
    away = np.abs(SAMPLES - 854.4) > 1.0
    assert np.corrcoef(implied[:, away].ravel(), noisy[:, away].ravel())[0, 1] > 0.9


def test_normalisation_by_a_constant_sets_the_median_to_one():
    rng = np.random.default_rng(0)
    flux = np.repeat(1.0 - 0.3 * np.exp(-(((SAMPLES - 854.2) / 0.2) ** 2))[None], 5, axis=0)
    done = rvs.constant(rng, flux, SAMPLES, np.full(5, 0.1))
    np.testing.assert_allclose(np.median(done, axis=1), 1.0, atol=1e-12)
    fitted = rvs.pseudo_continuum(rng, flux, SAMPLES)
    assert np.all(np.abs(np.percentile(fitted, 90, axis=1) - 1.0) < 0.03)


def test_emission_spikes_and_hot_stars_change_the_spectrum_where_they_should():
    flux = np.ones((2, 2401))
    active = rvs.emission(flux, SAMPLES, np.array([0.5, 0.2]))
    assert active[0].max() == pytest.approx(1.5, abs=0.01)
    assert active[:, SAMPLES > 868.0].max() < 1.001
    spiky = np.ones((3, 2401), dtype=np.float32)
    rvs.spikes(np.random.default_rng(0), spiky, np.array([1]))
    assert np.all(spiky[[0, 2]] == 1.0)
    assert spiky[1].max() > 1.4
    hot = rvs.hot_star(SAMPLES, np.array([9000.0]), np.array([150.0]))
    assert hot.shape == (1, 2401)
    assert 0.6 < hot.min() < 0.85
    # Paschen 13, the strongest inside the window.
    assert SAMPLES[np.argmin(hot[0])] == pytest.approx(866.74, abs=0.02)


def test_edges_are_lost_in_flux_and_error_alike():
    flux = np.ones((500, 2401), dtype=np.float32)
    error = np.full_like(flux, 0.1)
    rvs.empty_edges(np.random.default_rng(0), flux, error)
    lost = np.isnan(flux)
    np.testing.assert_array_equal(lost, np.isnan(error))
    assert 0.3 < lost.any(axis=1).mean() < 0.7
    assert not lost[:, 31:-31].any()


def test_magnitudes_of_the_sun():
    g, bp, rp = instrument.load().magnitudes(_solar_flux(0.01))[0]
    assert g == pytest.approx(photometry.SUN_G, abs=0.01)
    # Casagrande & VandenBerg 2018: G_BP - G_RP = 0.82 for the Sun.
    assert bp - rp == pytest.approx(0.82, abs=0.07)


def test_coefficients_return_the_spectrum_they_were_made_from():
    rng = np.random.default_rng(0)
    flux = _solar_flux(0.03)
    band = {name: xp.coefficients(rng, flux, np.ones(1), name) for name in instrument.BANDS}
    sampled = xp.sampled(band["bp"], band["rp"])
    wavelength = instrument.load().wavelength
    inside = (wavelength >= 400.0) & (wavelength <= 900.0)
    ratio = sampled.flux[:, inside] / flux[:, inside] - 1.0
    assert np.sqrt(np.mean(ratio**2)) < 0.03


def test_coefficient_errors_are_honest_and_correlated():
    rng = np.random.default_rng(0)
    flux = _solar_flux(1.0, n=1500)
    measured = xp.coefficients(rng, flux, np.ones(1500), "bp")
    pull = (measured.values - flux @ instrument.load().bp.inverse) / measured.errors
    assert np.std(pull) == pytest.approx(1.0, abs=0.03)
    found = np.corrcoef(pull.T)[np.tril_indices(55, k=-1)]
    published = measured.correlations.mean(axis=0)
    assert np.corrcoef(found, published)[0, 1] > 0.9


def test_fainter_stars_have_larger_relative_errors():
    rng = np.random.default_rng(0)
    near = xp.coefficients(rng, _solar_flux(0.1), np.ones(1), "rp")
    far = xp.coefficients(rng, _solar_flux(1.5), np.ones(1), "rp")
    relative = [one.errors[0, 0] / one.values[0, 0] for one in (near, far)]
    assert relative[1] > 3.0 * relative[0]


def test_every_correlation_matrix_is_positive_definite():
    measured = xp.coefficients(np.random.default_rng(0), _solar_flux(1.0, 5), np.ones(5), "bp")
    rows, columns = np.tril_indices(55, k=-1)
    for triangle in measured.correlations:
        full = np.eye(55)
        full[rows, columns] = full[columns, rows] = triangle
        assert np.linalg.eigvalsh(full).min() > 0.0


def test_sampled_errors_come_from_the_same_function_as_in_the_pipeline():
    rng = np.random.default_rng(0)
    bp, rp = (xp.coefficients(rng, _solar_flux(), np.ones(1), band) for band in instrument.BANDS)
    bands = {
        name: (band.values, band.errors, band.correlations)
        for name, band in (("bp", bp), ("rp", rp))
    }
    again = sample_coefficients(bands, "xp_dr3")
    np.testing.assert_array_equal(xp.sampled(bp, rp).flux_error, again.flux_error)
