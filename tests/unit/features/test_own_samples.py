"""Samples that say more of themselves: their own wavelengths, their own S/N, a raster of knots."""

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from catalog_builder.archive.products import Product
from catalog_builder.archive.release import load_release
from catalog_builder.archive.spectra import LineSpectrum, Reading
from catalog_builder.contract.grids import GridSpec, KnotGrid
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.spectra import convert
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir

COUNT = 200
REGULAR = {"start": 850.0, "step": 0.05, "count": COUNT}
SETTINGS = IngestSettings()


def reading(grid=REGULAR, **product):
    spectrum = LineSpectrum.model_validate(
        {
            "kind": "lines", "title": "Arm", "products": [{"table": "arm", **product}],
            "grid": grid, "frame": "rest", "medium": "air",
            "normalisation": {"fixed": "pseudo_continuum"},
            "model_grid": {"start": 851.0, "step": 0.1, "count": 70},
        }
    )  # fmt: skip
    return Reading("arm", spectrum, spectrum.products[0], own_noise=True)


def flux_at(wavelength):
    return (1 - 0.5 * np.exp(-0.5 * ((wavelength - 855) / 0.4) ** 2)).astype(np.float32)


def test_the_noise_of_each_sample_is_an_error_or_a_ratio():
    rng = np.random.default_rng(1)
    flux = rng.uniform(0.5, 1.0, (3, COUNT)).astype(np.float32)
    ratio = rng.uniform(20, 40, flux.shape).astype(np.float32)
    ratio[1, 50:80] = 0
    ratio[2] = np.nan
    error = np.where(ratio > 0, flux / np.where(ratio > 0, ratio, 1), 0).astype(np.float32)
    plain = convert(reading(), {"flux": flux, "flux_error": error}, SETTINGS)
    made = convert(
        reading(samples_sig_to_noise="snr"), {"flux": flux, "snr": ratio}, SETTINGS
    )  # fmt: skip
    for name, values in plain.rows.items():
        np.testing.assert_allclose(made.rows[name], values, rtol=1e-6)
    np.testing.assert_array_equal(made.usable, [True, True, False])
    assert not made.rows["arm_mask"][1].all()
    assert made.reasons["negative_or_zero_errors"][2]


def test_wavelengths_of_the_rows_count_and_not_the_grid():
    regular = GridSpec(**REGULAR).nanometres()
    shifted = regular - 0.3 + 0.001 * np.arange(COUNT)
    wavelength = np.stack([regular, shifted, regular, regular[::-1], np.full(COUNT, np.nan)])
    flux = flux_at(wavelength)
    columns = {"flux": flux, "flux_error": np.full_like(flux, 0.02), "wave": wavelength}
    made = convert(reading(wavelength="wave"), columns, SETTINGS)
    on_grid = convert(reading(), columns, SETTINGS)
    np.testing.assert_allclose(made.rows["arm_flux"][0], on_grid.rows["arm_flux"][0], atol=2e-7)
    np.testing.assert_array_equal(made.rows["arm_flux"][2], made.rows["arm_flux"][0])
    # The same star on another raster is the same on the model's pixels.
    np.testing.assert_allclose(made.rows["arm_flux"][1], made.rows["arm_flux"][0], atol=5e-3)
    assert np.abs(on_grid.rows["arm_flux"][1] - on_grid.rows["arm_flux"][0]).max() > 0.1
    np.testing.assert_array_equal(made.usable, [True, True, True, False, False])
    np.testing.assert_array_equal(made.reasons["no_wavelengths"], [0, 0, 0, 1, 0])
    assert made.reasons["all_nan_spectrum"][4]


def test_knots_are_joined_by_straight_lines():
    grid = KnotGrid(knots=((0, 5000.0), (10, 5010.0), (20.5, 5041.5), (30, 5060.5)), count=31,
                    unit="Angstrom")  # fmt: skip
    wavelengths = grid.nanometres()
    np.testing.assert_allclose(wavelengths[[0, 1, 10, 11, 21, 30]],
                               [500, 500.1, 501, 501.3, 504.25, 506.05], rtol=1e-12)  # fmt: skip
    assert (np.diff(wavelengths) > 0).all()
    straight = KnotGrid(knots=((0, 850.0), (COUNT - 1, 850.0 + 0.05 * (COUNT - 1))), count=COUNT)
    flux = flux_at(straight.nanometres())[None]
    columns = {"flux": flux, "flux_error": np.full_like(flux, 0.02)}
    knots = convert(reading(straight.model_dump()), columns, SETTINGS)
    regular = convert(reading(), columns, SETTINGS)
    for name, values in regular.rows.items():
        np.testing.assert_allclose(knots.rows[name], values, rtol=1e-5)


@pytest.mark.parametrize(
    ("knots", "message"),
    [
        (((0, 5.0), (10, 4.0)), "do not increase"),
        (((0, 5.0), (9, 6.0)), "samples 0 to 10"),
        (((0, 5.0),), "at least 2"),
    ],
)
def test_knots_that_are_no_grid_are_refused(knots, message):
    with pytest.raises(ValidationError, match=message):
        KnotGrid(knots=knots, count=11)


def test_the_raster_of_three_arms_is_that_of_the_survey():
    spectra = load_release("4most-lrs").spectra
    assert [spectrum.grid.count for spectrum in spectra.values()] == [6144] * 3
    ends = [spectrum.grid.nanometres()[[0, -1]] for spectrum in spectra.values()]
    np.testing.assert_allclose(ends, [[367.6, 555.3], [522.2, 722.8], [688.7, 952.2]], atol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float32", "unit": "nm"}, "wavelengths are float64"),
        ({"dtype": "float64", "unit": "Angstrom"}, "grid.unit is 'nm'"),
        (None, "lacks wave, which spectra.rave uses"),
    ],
)
def test_a_column_of_wavelengths_is_one(tmp_path, change, message):
    content = yaml.safe_load((schemas_dir() / "releases/rave-dr6.yaml").read_text())
    content["spectra"]["rave"]["products"][0]["wavelength"] = "wave"
    if change is not None:
        content["tables"]["spectra"]["columns"]["wave"] = change | {"length": 912}
    file = tmp_path / "described.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message):
        load_release(file)


def test_coefficients_have_no_samples():
    with pytest.raises(ValidationError, match="have no column snr"):
        Product(
            table="xp", holds="coefficients", bands={"bp": 3}, basis="xp_dr3",
            samples_sig_to_noise="snr",
        )  # fmt: skip
