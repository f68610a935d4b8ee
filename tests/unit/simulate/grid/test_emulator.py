"""The emulator gives spectra inside its grid and refuses outside."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.ground.errors import InputError
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.grid.microturbulence import microturbulence

SUN = np.array([[5772.0, 4.44, 0.0, 0.0]])


def test_held_out_errors_are_within_what_the_docs_promise():
    about = emulator.load().about
    median, tail = about["rvs"]["held_out_rms_percent"]
    assert median <= 0.075
    assert tail <= 0.36
    median, tail = about["sed"]["held_out_rms_percent_trusted"]
    assert median <= 0.5
    assert tail <= 2.5


def test_file_is_small():
    assert emulator.EMULATOR_FILE.stat().st_size <= 6_000_000


def test_solar_spectrum_has_the_calcium_triplet_and_a_continuum_of_one():
    model = emulator.load()
    flux = model.rvs(SUN)[0]
    assert flux.shape == model.rvs_wavelength.shape
    for line in (850.035, 854.444, 866.452):
        core = flux[np.abs(model.rvs_wavelength - line) < 0.1]
        assert core.min() < 0.5
    assert 0.98 < np.percentile(flux, 95) < 1.01


def test_hotter_stars_are_brighter_and_bluer():
    labels = np.array([[4500.0, 4.5, 0.0, 0.0], [6500.0, 4.3, 0.0, 0.0]])
    model = emulator.load()
    cool, hot = model.sed(labels)
    blue, red = np.searchsorted(model.sed_wavelength, [450.0, 850.0])
    assert hot[blue] > cool[blue]
    assert hot[blue] - hot[red] > cool[blue] - cool[red]


@pytest.mark.parametrize(
    "labels",
    [
        [3300.0, 4.5, 0.0, 0.0],
        [9000.0, 4.0, 0.0, 0.0],
        [5000.0, 4.0, -3.0, 0.2],
        [5000.0, 2.5, 0.0, 0.6],
        [7000.0, 1.0, 0.0, 0.0],  # no such supergiants in the grid
    ],
)
def test_stars_outside_the_grid_are_refused(labels):
    with pytest.raises(InputError, match="outside the grid"):
        emulator.load().rvs(np.array([labels]))


def test_missing_file_names_the_way_out(tmp_path):
    with pytest.raises(InputError, match=r"builds\.emulator"):
        emulator.load(tmp_path / "none.npz")


def test_saving_and_loading_keeps_the_spectra(tmp_path):
    original = emulator.load()
    emulator.save(tmp_path / "copy.npz", original)
    copy = emulator.load(tmp_path / "copy.npz")
    np.testing.assert_array_equal(copy.rvs(SUN), original.rvs(SUN))
    np.testing.assert_array_equal(copy.sed(SUN), original.sed(SUN))


def test_microturbulence_of_sun_and_giant():
    labels = np.array([[5772.0, 4.44, 0.0, 0.0], [4500.0, 2.0, 0.0, 0.0]])
    sun, giant = microturbulence(labels)
    assert sun == pytest.approx(1.05, abs=0.1)
    assert giant == pytest.approx(1.25, abs=0.5)
    assert giant > sun
