"""RVS resampling: flux is conserved, masks are respected, errors know their correlation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.archive.spectra import ThresholdRule as NormalisationRule
from catalog_builder.contract.grids import GridSpec
from catalog_builder.features import rvs

DR3 = GridSpec(start=846.0, step=0.01, count=2401)
DR4_LIKE = GridSpec(start=846.0, step=0.025, count=961)


@pytest.mark.parametrize(
    ("grid", "tolerance"),
    # A sample counts as constant over its width: of a coarse grid, the line keeps its steps.
    [(DR3, 2e-6), (DR4_LIKE, 0.1 * 0.025 / 8)],
)
def test_a_straight_line_stays_one(grid, tolerance):
    line = (1.0 + 0.1 * (grid.wavelengths() - 846.0)).astype(np.float32)[None]
    spectra = rvs.resample(line, np.full_like(line, 0.01), grid, 0.5)
    expected = 1.0 + 0.1 * (rvs.WAVELENGTHS - 846.0)
    inner = slice(2, -2)  # the outermost pixel of a coarse grid is only partly covered
    assert spectra.mask[:, inner].all()
    np.testing.assert_allclose(spectra.flux[0, inner], expected[inner], atol=tolerance)


@given(seed=st.integers(0, 2**32 - 1))
def test_flux_is_conserved_on_the_fine_grid(seed):
    flux = np.random.default_rng(seed).uniform(0, 2, (3, DR3.count)).astype(np.float32)
    spectra = rvs.resample(flux, np.full_like(flux, 0.1), DR3, 0.5)
    # 0.03 nm holds exactly three samples of 0.01 nm; the last sample lies beyond the model grid.
    np.testing.assert_allclose(
        spectra.flux, flux[:, :2400].reshape(3, 800, 3).mean(axis=2), rtol=1e-5
    )


def test_samples_without_data_are_left_out_and_empty_pixels_masked():
    flux = np.ones((1, DR3.count), np.float32)
    error = np.full_like(flux, 0.02)
    flux[0, :6], error[0, :6] = 0.0, 0.0  # how the archive marks edges
    flux[0, 30], error[0, 31] = np.nan, np.nan
    flux[0, 60] = np.inf
    spectra = rvs.resample(flux, error, DR3, 0.5)
    assert not spectra.mask[0, :2].any()
    assert not spectra.mask[0, 10]  # one good sample of three is less than half
    assert spectra.mask[0, 20]
    assert (spectra.flux[0, ~spectra.mask[0]] == 0).all()
    np.testing.assert_allclose(spectra.flux[0, spectra.mask[0]], 1.0)


def test_error_of_the_mean_follows_the_correlated_noise():
    """Draw noise with the assumed correlation, resample it, compare its scatter with the error."""
    rng = np.random.default_rng(1)
    fine = rng.normal(size=(400, DR3.count * 50 + 200))
    # A moving mean over 2.45 native samples (122 or 123 sub-samples) has the assumed correlation.
    kernel = np.ones(122) / np.sqrt(122)
    noise = np.stack([np.convolve(row, kernel, "valid")[: DR3.count * 50 : 50] for row in fine])
    flux = (1 + 0.05 * noise).astype(np.float32)
    spectra = rvs.resample(flux, np.full_like(flux, 0.05), DR3, 0.5)
    ratio = spectra.flux.std(axis=0) / spectra.flux_error.mean(axis=0)
    assert abs(np.median(ratio) - 1) < 0.02
    independent = 0.05 / np.sqrt(3)
    assert spectra.flux_error.mean() > 1.3 * independent


def test_normalisation_class_needs_a_spectrum_and_a_magnitude():
    rule = NormalisationRule(
        column="grvs_mag", threshold=12.0, below="pseudo_continuum", otherwise="constant"
    )
    values = np.array([11.0, 12.0, np.nan, 11.0])
    present = np.array([True, True, True, False])
    classes = rvs.normalisation_class(values, present, rule)
    assert classes.tolist() == [rvs.PSEUDO_CONTINUUM, rvs.CONSTANT, rvs.UNKNOWN, rvs.ABSENT]
