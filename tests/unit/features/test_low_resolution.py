"""Low resolution: coefficients to samples with the full covariance, and the flux scale."""

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.archive.spectra import LowResolutionSpectrum
from catalog_builder.features.low_resolution import (
    SampledSpectra,
    refuse_other_basis,
    sample_coefficients,
    scale_spectra,
)
from catalog_builder.features.matrices import matrices_of
from catalog_builder.ground.errors import ConfigError

XP = load_release("dr3").spectra["xp"]
WAVELENGTHS = XP.grid.wavelengths()


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
    sampled = sample_coefficients({"bp": bp, "rp": rp}, "xp_dr3")
    expected = np.zeros((4, XP.grid.count))
    for (_, sigma, packed), matrix in ((bp, "bp"), (rp, "rp")):
        basis = matrices_of("xp_dr3")[matrix]
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
    sampled = sample_coefficients({"bp": bp, "rp": rp}, "xp_dr3")
    assert np.isfinite(sampled.flux[0]).all()
    assert np.isnan(sampled.flux[1]).all()
    scaled = scale_spectra(sampled, XP)
    assert not scaled.usable[1]
    assert np.isnan(scaled.scale[1])
    assert (scaled.flux[1] == 0).all()


def test_scale_is_the_mean_in_the_window():
    flux = np.tile(np.where(WAVELENGTHS < 500, 10.0, 2.0), (2, 1)) * 1e-17
    flux[1] *= -1
    scaled = scale_spectra(SampledSpectra(flux, np.full_like(flux, 1e-18)), XP)
    assert scaled.usable.tolist() == [True, False]  # a negative mean is no scale
    assert scaled.scale[0] == np.float32(2e-17)
    np.testing.assert_allclose(scaled.flux[0], np.where(WAVELENGTHS < 500, 5.0, 1.0), rtol=1e-6)
    np.testing.assert_allclose(scaled.flux_error[0], 0.05, rtol=1e-6)


def test_one_band_alone_is_a_spectrum():
    bp, rp = random_bands(6)
    whole, part = (
        sample_coefficients(bands, "xp_dr3") for bands in ({"bp": bp, "rp": rp}, {"rp": rp})
    )
    blue = WAVELENGTHS < 600
    assert not part.flux[:, blue].any()
    np.testing.assert_array_equal(part.flux[:, WAVELENGTHS > 700], whole.flux[:, WAVELENGTHS > 700])


def other(**changes):
    content = XP.model_dump(mode="json")
    content["products"][0] |= changes.pop("product", {})
    return LowResolutionSpectrum.model_validate({**content, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"product": {"basis": "xp_dr9"}}, r"no matrices 'xp_dr9'"),
        ({"product": {"bands": {"bp": 54, "rp": 55}}}, r"xp\.products\.0\.bands is .*'bp': 54"),
        ({"product": {"bands": {"bp": 55, "ir": 55}}}, r"xp\.products\.0\.bands is .*'ir'"),
        ({"grid": {"start": 336.0, "step": 2.0, "count": 342}}, r"spectra\.xp\.grid has 342 "),
        ({"grid": {"start": 337.0, "step": 2.0, "count": 343}}, r"spectra\.xp\.grid .*from 337 "),
    ],
)
def test_coefficients_without_their_matrices_are_refused(changes, message):
    refuse_other_basis("xp", XP)
    with pytest.raises(ConfigError, match=message):
        refuse_other_basis("xp", other(**changes))


def test_a_grid_of_another_unit_has_the_same_window():
    flux = np.random.default_rng(1).uniform(1, 2, (3, 343))
    spectra = SampledSpectra(flux, flux / 10)
    angstrom = other(grid={"start": 3360.0, "step": 20.0, "count": 343, "unit": "Angstrom"})
    np.testing.assert_array_equal(
        scale_spectra(spectra, angstrom).scale, scale_spectra(spectra, XP).scale
    )
