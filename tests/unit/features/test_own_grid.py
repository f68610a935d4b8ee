"""Spectra of any samples are brought to the model grid as the archive's are."""

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.features.lines import resample
from catalog_builder.features.own_grid import (
    LIGHT,
    OwnSamples,
    archive_sig_to_noise,
    covered,
    resample_own,
)

SPECTRUM = load_release("dr3").spectra["rvs"]
MODEL = SPECTRUM.model_grid.nanometres()


def test_on_the_archives_grid_it_is_the_archives_resampling():
    flux = 1 + 0.1 * np.random.default_rng(0).normal(size=(1, 2401)).astype(np.float32)
    flux[0, 100:110] = np.nan
    error = np.full_like(flux, 0.01)
    error[0, 500] = -1.0
    independent = SPECTRUM.model_copy(update={"correlation_length": 0.0})
    wanted = resample(flux, error, independent, 0.5)
    samples = OwnSamples(SPECTRUM.grid.nanometres(), flux[0].astype(float), error[0].astype(float))
    made = resample_own(samples, SPECTRUM, 0.5)
    np.testing.assert_array_equal(made.mask, wanted.mask)
    np.testing.assert_allclose(made.flux, wanted.flux, rtol=1e-6)
    np.testing.assert_allclose(made.flux_error, wanted.flux_error, rtol=1e-6)


def line(wave, width=0.01):
    return 1 - 0.6 * np.exp(-0.5 * ((wave - 860.0) / width) ** 2)


def test_lines_are_broadened_to_what_the_model_knows():
    wave = np.linspace(844, 872, 14_000)
    samples = OwnSamples(wave, line(wave), np.full(wave.size, 0.01), resolution=1e5)
    depth = 1 - resample_own(samples, SPECTRUM, 0.5).flux[0].astype(float)
    middle = (depth * MODEL).sum() / depth.sum()
    width = np.sqrt((depth * (MODEL - middle) ** 2).sum() / depth.sum())
    missing = 860 * np.sqrt(SPECTRUM.resolution**-2 - 1e-10) / 2.3548
    assert middle == pytest.approx(860.0, abs=1e-4)
    assert width == pytest.approx(np.sqrt(missing**2 + 0.01**2 + 0.03**2 / 12), rel=0.01)
    assert depth.sum() * 0.03 == pytest.approx(0.6 * 0.01 * np.sqrt(2 * np.pi), rel=1e-3)


def test_a_velocity_is_taken_out():
    wave = np.linspace(844, 872, 14_000)
    moved = OwnSamples(wave * (1 + 50 / LIGHT), line(wave), np.ones(wave.size), velocity=50.0)
    still = OwnSamples(wave, line(wave), np.ones(wave.size))
    flux = [resample_own(each, SPECTRUM, 0.5).flux for each in (moved, still)]
    np.testing.assert_allclose(*flux, atol=1e-6)


def test_the_noise_is_that_of_the_light_in_a_pixel():
    rng = np.random.default_rng(1)
    wave = np.arange(843, 873, 0.007)
    scatter, said = [], []
    for _ in range(20):
        samples = OwnSamples(wave, rng.normal(1, 0.02, wave.size), np.full(wave.size, 0.02))
        made = resample_own(samples, SPECTRUM, 0.5)
        scatter.append(made.flux[0].std())
        said.append(made.flux_error[0].mean())
    assert np.mean(scatter) == pytest.approx(np.mean(said), rel=0.02)


def test_sig_to_noise_is_counted_as_in_the_archive():
    """As the median of flux over error of its own samples."""
    flux, error = np.full((1, 2401), 1, np.float32), np.full((1, 2401), 0.02, np.float32)
    assert archive_sig_to_noise(resample(flux, error, SPECTRUM, 0.5), SPECTRUM) == pytest.approx(50)


def test_what_of_the_grid_is_covered():
    wave = np.arange(840.0, 858.0, 0.01)
    half = OwnSamples(wave, np.ones(wave.size), np.ones(wave.size))
    assert covered(half, SPECTRUM.model_grid) == pytest.approx(0.5, abs=0.01)
    made = resample_own(half, SPECTRUM, 0.5)
    assert made.mask[0, MODEL < 857.9].all()
    assert not made.mask[0, MODEL > 858.1].any()
    assert (made.flux[~made.mask] == 0).all()
