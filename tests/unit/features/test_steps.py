"""Masks, continua and convolution keep what they must keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import TypeAdapter, ValidationError

from catalog_builder.archive.release import load_release
from catalog_builder.contract.steps import Step, resolution_after
from catalog_builder.features.lines import resample
from catalog_builder.features.steps import FWHM, Samples, take

STEP = TypeAdapter(Step)
CONTINUUM = STEP.validate_python(
    {"step": "continuum", "method": "clipped_chebyshev", "degree": 3, "below": 1.5, "above": 3.0}
)
TO_7500 = STEP.validate_python({"step": "convolve", "resolution": 7500})
#: A grid with equal steps, one with equal steps of the logarithm, one of neither.
GRIDS = {
    "linear": np.linspace(842.0, 878.0, 901),
    "logarithmic": np.geomspace(842.0, 878.0, 901),
    "uneven": 842.0 + 36.0 * np.linspace(0, 1, 901) ** 1.2,
}


def lines(wavelength, resolution=20_000.0, depths=(0.3, 0.6, 0.1), at=(850.0, 854.4, 866.5)):
    """Return a continuum of 1 with Gaussian lines as wide as the resolving power."""
    flux = np.ones_like(wavelength)
    for depth, centre in zip(depths, at, strict=True):
        sigma = centre / resolution / FWHM
        flux -= depth * np.exp(-0.5 * ((wavelength - centre) / sigma) ** 2)
    return flux


def samples(wavelength, flux, error=0.01, **more):
    flux = np.atleast_2d(flux)
    return Samples(flux, np.full(flux.shape, error), wavelength, resolution=20_000.0, **more)


@pytest.mark.parametrize("wavelength", GRIDS.values(), ids=GRIDS)
def test_convolution_keeps_equivalent_widths_and_makes_the_width_asked_for(wavelength):
    # Lines as sharp as 4 000, so that all grids sample them.
    before = replace(samples(wavelength, lines(wavelength, 4000)), resolution=4000.0)
    to = STEP.validate_python({"step": "convolve", "resolution": 2000})
    after = take(before, (to,))
    assert after.resolution == 2000
    areas = [np.trapezoid(1 - one.flux[0], wavelength) for one in (before, after)]
    assert areas[1] == pytest.approx(areas[0], rel=2e-3)
    wanted = lines(wavelength, 2000, depths=(0.15, 0.3, 0.05))
    np.testing.assert_allclose(after.flux[0], wanted, atol=4e-3)
    even = take(replace(before, flux=np.full_like(before.flux, 0.7)), (to,))
    np.testing.assert_allclose(even.flux, 0.7, rtol=1e-12)


def test_two_convolutions_are_one():
    first = STEP.validate_python({"step": "convolve", "resolution": 12_000})
    wavelength = GRIDS["linear"]
    before = samples(wavelength, lines(wavelength, 8000))
    once, twice = (take(before, steps).flux for steps in ((TO_7500,), (first, TO_7500)))
    np.testing.assert_allclose(twice, once, atol=3e-3)


@pytest.mark.parametrize("correlation", [0.0, 0.1])
def test_the_errors_of_broadened_samples_are_those_of_their_scatter(correlation):
    wavelength = GRIDS["linear"]
    rng, step = np.random.default_rng(1), wavelength[1] - wavelength[0]
    noise = rng.standard_normal((3000, wavelength.size + 40))
    if correlation:
        # Overlapping boxes: their likeness falls in a straight line to 0 at the correlation length.
        wide = round(correlation / step * 10)
        fine = rng.standard_normal((3000, (wavelength.size + 40) * 10)).cumsum(axis=1)
        noise = (fine[:, wide:] - fine[:, :-wide])[:, : (wavelength.size + 20) * 10 : 10]
        noise /= np.sqrt(wide)
    error = 0.02
    before = samples(
        wavelength, 1 + error * noise[:, : wavelength.size], error, correlation_length=correlation
    )
    after = take(before, (STEP.validate_python({"step": "convolve", "resolution": 5000}),))
    middle = slice(100, 800)
    told, seen = after.error[0, middle].mean(), after.flux[:, middle].std(axis=0).mean()
    assert told == pytest.approx(seen, rel=0.02)
    assert told < 0.8 * error
    # And what the model's pixels make of it: the mean of twenty samples.
    pixel = after.flux[:, 400:420].mean(axis=1).std()
    lags = np.abs(np.subtract.outer(np.arange(20), np.arange(20))) * step
    likeness = np.clip(1 - lags / after.correlation_length, 0, None)
    assert told * np.sqrt(likeness.mean()) == pytest.approx(pixel, rel=0.1)


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-18, 1e6),
    noise=arrays.arrays(np.float64, (2, 901), elements=st.floats(-0.03, 0.03)),
)
def test_normalising_does_not_know_the_unit(scale, noise):
    wavelength = GRIDS["linear"]
    flux = np.stack([lines(wavelength)] * 2) + noise
    one, other = (
        take(samples(wavelength, flux * by, 0.01 * by), (CONTINUUM,)) for by in (1, scale)
    )
    np.testing.assert_allclose(one.flux, other.flux, rtol=1e-6)
    np.testing.assert_allclose(one.error, other.error, rtol=1e-6)
    np.testing.assert_allclose(one.flux / one.error, flux / 0.01, rtol=1e-9)


def test_a_continuum_is_found_under_lines_and_noise():
    wavelength = GRIDS["uneven"]
    x = (wavelength - 860) / 18
    true = 5e-15 * (1 + 0.3 * x - 0.2 * x**2)
    rng = np.random.default_rng(2)
    clean = np.stack([lines(wavelength, 5000)] * 50)
    noisy = (clean + 0.02 * rng.standard_normal(clean.shape)) * true
    made = take(samples(wavelength, noisy, 1e-16), (CONTINUUM,))
    off = made.flux - clean
    assert abs(np.median(off)) < 0.01
    assert off.mean(axis=0).std() < 0.01


def test_a_continuum_that_is_not_positive_or_known_leaves_no_measurement():
    wavelength = GRIDS["linear"]
    flux = np.ones((3, wavelength.size))
    flux[0] = -1.0
    flux[1, 6:] = np.nan
    made = take(samples(wavelength, flux), (CONTINUUM,))
    assert made.usable.any(axis=1).tolist() == [False, False, True]


def test_masked_samples_are_left_out_of_what_follows():
    wavelength = GRIDS["linear"]
    masked = STEP.validate_python({"step": "mask", "ranges": [[846.0, 864.0], [870.0, 871.0]]})
    spoilt = lines(wavelength)
    inside = (wavelength >= 846) & (wavelength <= 864)
    spoilt[inside] = 1.1
    made = take(samples(wavelength, spoilt), (masked, CONTINUUM, TO_7500))
    clean = take(samples(wavelength, lines(wavelength)), (masked, CONTINUUM, TO_7500))
    assert not made.usable[0, inside].any()
    np.testing.assert_array_equal(made.flux, clean.flux)
    # In the other order the spoilt samples are in the continuum already.
    late = take(samples(wavelength, spoilt), (CONTINUUM, masked, TO_7500))
    assert np.nanmax(np.abs(late.flux - clean.flux)) > 0.01


def test_steps_of_a_description_are_taken_before_the_model_grid():
    content = load_release("dr3").spectra["rvs"].model_dump()
    plain = load_release("dr3").spectra["rvs"]
    stepped = type(plain).model_validate(
        content
        | {
            "steps": [
                {"step": "continuum", "method": "clipped_chebyshev", "degree": 2},
                {"step": "convolve", "resolution": 7500},
            ]
        }
    )
    assert (plain.model_resolution, stepped.model_resolution) == (11500, 7500)
    assert "steps" not in plain.model_dump()
    wavelength = plain.grid.nanometres()
    flux = np.float32(3e-15) * lines(wavelength, 11500).astype(np.float32)[None]
    error = np.full_like(flux, 3e-17)
    made = resample(flux, error, stepped, 0.5)
    assert made.mask.all()
    assert np.median(made.flux) == pytest.approx(1, abs=0.01)
    sharp = resample(flux / np.float32(3e-15), error / np.float32(3e-15), plain, 0.5)
    assert made.flux.min() > sharp.flux.min() + 0.05


def test_a_step_that_cannot_be_taken_is_refused():
    with pytest.raises(ValueError, match="above the 5000"):
        resolution_after((TO_7500,), 5000.0)
    with pytest.raises(ValueError, match="not given"):
        resolution_after((TO_7500,), None)
    with pytest.raises(ValidationError, match="no wavelength"):
        STEP.validate_python({"step": "mask", "ranges": [[862.0, 860.0]]})
