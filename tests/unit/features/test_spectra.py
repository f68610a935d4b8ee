"""Whatever numbers a spectrum holds, it is usable and sound, or has one reason not to be."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import load_release
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.spectra import convert

RELEASE = load_release("dr3")
RVS, XP_CONTINUOUS, XP_SAMPLED = RELEASE.readings
ODD = np.array([np.nan, np.inf, -np.inf, 0, -1, 1e-45, 3.4e38, -3.4e38, 1e-30], np.float32)


def invent(table, seed, rows=6):
    """Return sound spectra into which odd numbers are strewn: none, some or only odd ones."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, spec in RELEASE.tables[table].columns.items():
        if spec.length is None:
            continue
        values = rng.uniform(0.5, 1.5, (rows, spec.length)).astype(spec.dtype)
        share = rng.choice([0, 0.001, 0.5, 1], (rows, 1))
        odd = rng.random(values.shape) < share
        values[odd] = rng.choice(ODD[: rng.integers(1, ODD.size + 1)], int(odd.sum()))
        columns[name] = values
    return columns


@pytest.mark.parametrize("table", [RVS, XP_CONTINUOUS, XP_SAMPLED])
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), coverage=st.sampled_from([0.0, 0.5, 1.0]))
def test_each_row_is_sound_or_has_one_reason(table, seed, coverage):
    limits = IngestSettings(min_spectrum_coverage=coverage, min_pixel_coverage=coverage)
    (reading,) = RELEASE.readings[table]
    made = convert(reading, invent(table, seed), limits)
    reasons = np.sum(list(made.reasons.values()), axis=0)
    np.testing.assert_array_equal(reasons, (~made.usable).astype(int))
    assert all(np.isfinite(values).all() for values in made.rows.values())
    if table == RVS:
        mask = made.rows["rvs_mask"]
        assert (made.rows["rvs_flux_error"][mask] > 0).all()
        assert not made.rows["rvs_flux"][~mask].any()
        assert mask[made.usable].any(axis=1).all()
    else:
        assert (made.rows["xp_flux_error"][made.usable] > 0).all()
        assert (made.scalars["xp_flux_scale"][made.usable] > 0).all()
        assert np.isfinite(made.scalars["xp_flux_scale"][made.usable]).all()


def test_a_sound_spectrum_is_usable():
    rng = np.random.default_rng(0)
    flux = rng.uniform(1, 2, (3, 343)).astype(np.float32) * np.float32(1e-16)
    (reading,) = RELEASE.readings[XP_SAMPLED]
    made = convert(reading, {"flux": flux, "flux_error": flux / 10}, IngestSettings())
    assert made.usable.all()
    rebuilt = made.rows["xp_flux"] * made.scalars["xp_flux_scale"][:, None]
    np.testing.assert_allclose(rebuilt, flux, rtol=1e-6)


def test_a_faint_star_below_zero_in_the_window_has_no_scale():
    flux = np.full((1, 343), -1e-18, np.float32)
    (reading,) = RELEASE.readings[XP_SAMPLED]
    made = convert(reading, {"flux": flux, "flux_error": -flux}, IngestSettings())
    assert [r for r, wrong in made.reasons.items() if wrong[0]] == [RejectReason.NO_POSITIVE_FLUX]


def test_low_resolution_may_bring_its_own_sig_to_noise():
    (reading,) = RELEASE.readings[XP_SAMPLED]
    spectrum = reading.spectrum.model_copy(update={"sig_to_noise": "snr"})
    flux = np.full((2, 343), 1e-16, np.float32)
    columns = {"flux": flux, "flux_error": flux / 10, "snr": np.array([30.0, 1e300])}
    made = convert(replace(reading, spectrum=spectrum, own_noise=True), columns, IngestSettings())
    np.testing.assert_array_equal(made.scalars["xp_sig_to_noise"], np.float32([30, np.nan]))
