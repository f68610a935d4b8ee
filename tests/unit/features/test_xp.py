"""XP: coefficients to samples with the full covariance, and the flux scale."""

import numpy as np
import pytest

from catalog_builder.errors import ConfigError
from catalog_builder.features import xp


def random_bands(seed, stars=4):
    rng = np.random.default_rng(seed)
    bands = []
    for _ in range(2):
        root = rng.normal(size=(stars, 55, 55))
        covariance = root @ root.transpose(0, 2, 1) * 1e-4
        sigma = np.sqrt(np.einsum("nii->ni", covariance))
        correlation = covariance / (sigma[:, :, None] * sigma[:, None, :])
        lower = np.tril_indices(55, -1)
        bands.append((rng.normal(size=(stars, 55)), sigma, correlation[:, lower[0], lower[1]]))
    return bands


def test_errors_are_those_of_the_full_covariance():
    bp, rp = random_bands(3)
    sampled = xp.sample_continuous(bp, rp, "xp_dr3")
    expected = np.zeros((4, xp.N_SAMPLES))
    for (_, sigma, packed), matrix in ((bp, "bp"), (rp, "rp")):
        basis = xp._matrices("xp_dr3")[matrix]
        for star in range(4):
            lower = np.zeros((55, 55))
            lower[np.tril_indices(55, -1)] = packed[star]
            correlation = lower + lower.T + np.eye(55)
            covariance = sigma[star][:, None] * correlation * sigma[star]
            expected[star] += np.einsum("kj,kl,lj->j", basis, covariance, basis)
    # The products are taken in float32, the type of the errors in the archive and in the store.
    np.testing.assert_allclose(sampled.flux_error, np.sqrt(expected), rtol=5e-6)


def test_a_missing_band_leaves_no_number():
    bp, rp = random_bands(4, stars=2)
    for part in bp:
        part[1] = np.nan
    sampled = xp.sample_continuous(bp, rp, "xp_dr3")
    assert np.isfinite(sampled.flux[0]).all()
    assert np.isnan(sampled.flux[1]).all()
    scaled = xp.scale_spectra(sampled, (500, 900))
    assert not scaled.usable[1]
    assert np.isnan(scaled.scale[1])
    assert (scaled.flux[1] == 0).all()


def test_scale_is_the_mean_in_the_window():
    flux = np.tile(np.where(xp.WAVELENGTHS < 500, 10.0, 2.0), (2, 1)) * 1e-17
    flux[1] *= -1
    scaled = xp.scale_spectra(xp.SampledSpectra(flux, np.full_like(flux, 1e-18)), (500, 900))
    assert scaled.usable.tolist() == [True, False]  # a negative mean is no scale
    assert scaled.scale[0] == np.float32(2e-17)
    np.testing.assert_allclose(scaled.flux[0], np.where(xp.WAVELENGTHS < 500, 5.0, 1.0), rtol=1e-6)
    np.testing.assert_allclose(scaled.flux_error[0], 0.05, rtol=1e-6)


def test_an_unknown_basis_is_named():
    bp, rp = random_bands(5, stars=1)
    with pytest.raises(ConfigError, match="xp_dr9"):
        xp.sample_continuous(bp, rp, "xp_dr9")
