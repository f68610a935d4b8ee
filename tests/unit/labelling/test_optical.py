"""Nine real spectra (Gaia FGK benchmark stars) in somebody else's form, as HR10 has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.contract.steps import Convolve
from catalog_builder.features.own_grid import LIGHT, OwnSamples, resample_own
from catalog_builder.features.steps import Samples, convolve
from catalog_builder.labelling.files import read_tables

FOLDER = Path(__file__).parents[4] / "shared/data/other-surveys/benchmark-optical"
FILES = sorted(FOLDER.glob("*.fits")) if FOLDER.is_dir() else []
pytestmark = pytest.mark.skipif(not FILES, reason="the real spectra are not here")


@pytest.fixture(scope="module")
def hr10():
    """HR10 with a continuum, for spectra that nobody has normalised to it."""
    content = load_release("ges-giraffe").spectra["hr10"].model_dump()
    content["steps"] = [
        {"step": "continuum", "method": "clipped_chebyshev", "degree": 4, "below": 0.8}
    ]
    return LineSpectrum.model_validate(content)


def read(file):
    (given,) = read_tables(file)
    table = given.table
    near = (table["wavelength"] > 531.0) & (table["wavelength"] < 564.0)
    flux = np.asarray(table["flux"][near], float)
    error = (
        np.asarray(table["flux_error"][near], float)
        if "flux_error" in table.colnames
        else np.full(flux.shape, 0.01 * np.median(flux))
    )
    return OwnSamples(
        np.asarray(table["wavelength"][near], float), flux, error, "air", resolution=47_000.0
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_read_normalised_degraded_and_shifted(file, hr10):
    own = read(file)
    assert 0.0009 < np.median(np.diff(own.wavelength)) < 0.0011
    whole = resample_own(own, hr10, 0.5)
    flux = whole.flux[0][whole.mask[0]]
    assert whole.mask.mean() > 0.95
    # Most of a normalised spectrum lies just below 1, whatever its unit was; lines are in it.
    assert 0.93 < np.percentile(flux, 90) < 1.08
    assert flux.min() < 0.75

    # The same at HR10's own resolving power: nothing is left to be broadened.
    samples = Samples(own.flux[None], own.error[None], own.wavelength, 47_000.0)
    at_hr10 = convolve(samples, Convolve(step="convolve", resolution=hr10.model_resolution))
    degraded = replace(
        own, flux=at_hr10.flux[0], error=at_hr10.error[0], resolution=hr10.model_resolution
    )
    again = resample_own(degraded, hr10, 0.5)
    both = whole.mask & again.mask
    assert np.std((whole.flux - again.flux)[both]) < 0.01

    # The same from a star that comes nearer by 60 km/s, whose velocity is told.
    shifted = replace(own, wavelength=own.wavelength * (1 - 60 / LIGHT), velocity=-60.0)
    moved = resample_own(shifted, hr10, 0.5)
    both = whole.mask & moved.mask
    assert np.std((whole.flux - moved.flux)[both]) < 0.01
    untold = resample_own(replace(shifted, velocity=0.0), hr10, 0.5)
    assert np.std((whole.flux - untold.flux)[whole.mask & untold.mask]) > 0.03
