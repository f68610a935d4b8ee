"""Resampling of lines: flux is conserved, masks are respected, errors know their correlation."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.archive.release import load_release
from catalog_builder.archive.spectra import (
    CodeRule,
    FixedRule,
    LineSpectrum,
    ThresholdRule,
    edges_in_vacuum,
)
from catalog_builder.contract.grids import GridSpec
from catalog_builder.features import lines

RVS = load_release("dr3").spectra["rvs"]
DR3 = RVS.grid
DR4_LIKE = GridSpec(start=846.0, step=0.025, count=961)
PIXELS = RVS.model_grid.wavelengths()
BENCHMARKS = Path(__file__).parents[4] / "shared/data/other-surveys/benchmark-optical"


def spectrum(**changes):
    return LineSpectrum.model_validate({**RVS.model_dump(), **changes})


@pytest.mark.parametrize(
    ("grid", "tolerance"),
    # A sample counts as constant over its width: of a coarse grid, the line keeps its steps.
    [(DR3, 2e-6), (DR4_LIKE, 0.1 * 0.025 / 8)],
)
def test_a_straight_line_stays_one(grid, tolerance):
    line = (1.0 + 0.1 * (grid.wavelengths() - 846.0)).astype(np.float32)[None]
    spectra = lines.resample(line, np.full_like(line, 0.01), spectrum(grid=grid), 0.5)
    expected = 1.0 + 0.1 * (PIXELS - 846.0)
    inner = slice(2, -2)  # the outermost pixel of a coarse grid is only partly covered
    assert spectra.mask[:, inner].all()
    np.testing.assert_allclose(spectra.flux[0, inner], expected[inner], atol=tolerance)


@given(seed=st.integers(0, 2**32 - 1))
def test_flux_is_conserved_on_the_fine_grid(seed):
    flux = np.random.default_rng(seed).uniform(0, 2, (3, DR3.count)).astype(np.float32)
    spectra = lines.resample(flux, np.full_like(flux, 0.1), RVS, 0.5)
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
    spectra = lines.resample(flux, error, RVS, 0.5)
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
    spectra = lines.resample(flux, np.full_like(flux, 0.05), RVS, 0.5)
    ratio = spectra.flux.std(axis=0) / spectra.flux_error.mean(axis=0)
    assert abs(np.median(ratio) - 1) < 0.02
    independent = 0.05 / np.sqrt(3)
    assert spectra.flux_error.mean() > 1.3 * independent


def independent_overlap(native, model):
    """Return the share of each model pixel that each native sample covers, the plain way."""
    (begin, end), (low, high) = native, model
    shared = np.minimum.outer(high, end) - np.maximum.outer(low, begin)
    return np.clip(shared, 0, None) / (high - low)[:, None]


@pytest.mark.parametrize(
    ("grid", "medium", "model"),
    [
        (DR3, "vacuum", RVS.model_grid),
        ({"start": 8410.0, "step": 0.4, "count": 963, "unit": "Angstrom"}, "air", RVS.model_grid),
        # Beyond the native grid on both sides, and with pixels finer than its samples.
        ({"start": 850.0, "step": 0.07, "count": 60}, "air", {**RVS.model_grid.model_dump()}),
        (DR4_LIKE, "vacuum", {"start": 8480.0, "step": 1.1, "count": 50, "unit": "Angstrom"}),
        (DR4_LIKE, "vacuum", {"start": 848.0, "step": 30.0, "count": 16}),
    ],
)
def test_pixels_are_means_of_the_samples_under_them(grid, medium, model):
    described = spectrum(grid=grid, medium=medium, model_grid=model, correlation_length=0.0)
    rng = np.random.default_rng(5)
    flux = rng.uniform(0.2, 1.2, (2, described.grid.count)).astype(np.float32)
    error = rng.uniform(0.01, 0.02, flux.shape).astype(np.float32)
    made = lines.resample(flux, error, described, 0.5)
    share = independent_overlap(
        edges_in_vacuum(described.grid, medium), edges_in_vacuum(described.model_grid, "vacuum")
    )
    covered = share.sum(axis=1)
    assert (covered >= 0.5).sum() > 0
    np.testing.assert_array_equal(made.mask, np.broadcast_to(covered >= 0.5, made.mask.shape))
    weights = share[covered >= 0.5] / covered[covered >= 0.5, None]
    np.testing.assert_allclose(made.flux[:, covered >= 0.5], flux @ weights.T, rtol=2e-6)
    expected = np.sqrt((error.astype(float) ** 2) @ (weights**2).T)
    np.testing.assert_allclose(made.flux_error[:, covered >= 0.5], expected, rtol=2e-6)


def test_lines_of_air_come_to_their_wavelengths_in_vacuum():
    # Ca II 8542.09 in air is 8544.44 in vacuum (NIST), 2.35 Angstrom or 78 model pixels further on.
    grid = {"start": 8410.0, "step": 0.4, "count": 963, "unit": "Angstrom"}
    described = spectrum(grid=grid, medium="air")
    wavelength = described.grid.wavelengths()
    flux = 1 - 0.5 * np.exp(-0.5 * ((wavelength - 8542.09) / 1.0) ** 2)
    made = lines.resample(
        flux[None].astype(np.float32), np.full((1, flux.size), 0.01, np.float32), described, 0.5
    )
    depth = np.where(made.mask[0], 1 - made.flux[0], 0)
    assert abs((depth * PIXELS).sum() / depth.sum() - 854.444) < 0.001


def test_the_rule_by_threshold_needs_a_magnitude():
    rule = ThresholdRule(
        column="grvs_mag", threshold=12.0, below="pseudo_continuum", otherwise="constant"
    )
    classes = lines.class_by_threshold(np.array([11.0, 12.0, np.nan]), rule)
    assert classes.tolist() == [lines.PSEUDO_CONTINUUM, lines.CONSTANT, lines.UNKNOWN]


def test_the_rule_by_code_knows_its_codes_only():
    rule = CodeRule(code="how", values={1: "constant", 7: "pseudo_continuum"})
    classes = lines.class_by_code(np.array([7, 1, 0, 2], np.int16), rule)
    assert classes.tolist() == [
        lines.PSEUDO_CONTINUUM, lines.CONSTANT, lines.UNKNOWN, lines.UNKNOWN,
    ]  # fmt: skip


def test_one_rule_for_all():
    assert lines.class_of_all(FixedRule(fixed="constant"), 2).tolist() == [lines.CONSTANT] * 2


def test_sig_to_noise_is_the_median_of_usable_pixels():
    flux = np.array([[1, 2, 3, 9], [5, 5, 5, 5]], np.float32)
    mask = np.array([[True, True, True, False], [False] * 4])
    error = np.where(mask, np.float32(0.5), np.float32(0))
    found = lines.sig_to_noise(lines.ResampledSpectra(flux, error, mask))
    np.testing.assert_array_equal(found, np.array([4, np.nan], np.float32))


def test_the_real_sun_has_h_alpha_at_its_wavelength_in_vacuum():
    """An atlas of 200 000 samples in air; H alpha is at 656.279 nm there, and 656.461 in vacuum."""
    if not BENCHMARKS.is_dir():
        pytest.skip("the real files are not beside this checkout")
    with fits.open(BENCHMARKS / "ATLAS.Sun_47000.fits") as file:
        flux, error = (np.array(hdu.data, np.float32)[None] for hdu in file)
        start, step = file[0].header["CRVAL1"], file[0].header["CDELT1"]
    grid = {"start": start, "step": step, "count": flux.size}
    model = {"start": 655.0, "step": 0.02, "count": 150}
    sun = spectrum(grid=grid, medium="air", model_grid=model, resolution=47000)
    made = lines.resample(flux, np.maximum(error, 1e-4), sun, 0.5)
    assert made.mask.all()
    wavelength = sun.model_grid.wavelengths()
    core = np.abs(wavelength - wavelength[made.flux[0].argmin()]) < 0.05
    depth = 1 - made.flux[0, core]
    assert abs((depth * wavelength[core]).sum() / depth.sum() - 656.461) < 0.004
