"""Spectra become what the archive's become, or are refused with the reason and a way out."""

import re

import numpy as np
import pytest
from astropy.table import Table

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.features import lines
from catalog_builder.ground.documents import parse_yaml
from catalog_builder.ground.errors import InputError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labelling.convert import Converter
from catalog_builder.labelling.files import GivenTable
from catalog_builder.labelling.stars import block_of, find_stars
from catalog_builder.labelling.told import Told
from catalog_builder.training.arrays import completed
from catalog_builder.training.design import Stars
from tests.unit.labelling.conftest import SOURCE, star, to_air


def found(converter, release, *tables):
    given = [GivenTable(f"file{i}", table) for i, table in enumerate(tables)]
    return find_stars(given, release, converter)


def only(converter, release, table):
    """Return the features of the one star of a table, or raise what it is refused with."""
    made = found(converter, release, table)
    if made.refused:
        raise made.refused[0]
    return block_of(made.stars, release)


def own(wave, **more):
    """A table of the star on another instrument's samples."""
    return Table({"wavelength": wave, "flux": star(wave), "flux_error": np.full(wave.size, 0.01)})


def test_the_archives_samples_become_what_an_ingest_makes(native, release, converter):
    block = only(converter(), release, native)
    spectrum = release.spectra["rvs"]
    flux, error = (np.asarray(native[name])[None] for name in ("flux", "flux_error"))
    wanted = lines.resample(flux, error, spectrum, 0.5)
    np.testing.assert_array_equal(block["rvs_flux"], wanted.flux)
    np.testing.assert_array_equal(block["rvs_flux_error"], wanted.flux_error)
    np.testing.assert_array_equal(block["rvs_mask"], wanted.mask)
    assert block["rvs_normalisation"][0] == lines.UNKNOWN  # its table has no G_RVS
    assert block["rvs_spec_sig_to_noise"][0] == pytest.approx(100, rel=0.01)
    assert [bool(block[f"has_{name}"][0]) for name in release.inputs.names] == [
        *(True, False, False, False)
    ]
    # And the network takes it as it is.
    Stars.from_block(completed(block, release.inputs), release.inputs)


def test_air_in_angstrom_and_not_normalised(native, release, converter, wave):
    table = Table({"wave": 10 * to_air(wave), "flux": 3e-13 * star(wave), "err": wave * 0 + 3e-15})
    table["wave"].unit = "Angstrom"
    table.meta["AIRORVAC"] = "air"
    block = only(converter(normalisation="none"), release, table)
    wanted = only(converter(), release, native)
    both = block["rvs_mask"] & wanted["rvs_mask"]
    assert both.mean() > 0.99
    difference = (block["rvs_flux"] / np.median(block["rvs_flux"]) - wanted["rvs_flux"])[both]
    assert np.abs(difference - np.median(difference)).max() < 0.02
    assert block["rvs_normalisation"][0] == lines.CONSTANT
    assert np.median(block["rvs_flux"][both]) == pytest.approx(1, abs=0.02)


def test_what_is_said_counts(native, release, converter, wave):
    told = converter(normalisation="continuum", medium="vacuum")
    assert only(told, release, own(wave))["rvs_normalisation"][0] == lines.PSEUDO_CONTINUUM
    table = native.copy()
    table["grvs_mag"] = 9.0
    table["rvs_spec_sig_to_noise"] = 77.0
    block = only(converter(), release, table)
    assert block["rvs_normalisation"][0] == lines.PSEUDO_CONTINUUM
    assert block["rvs_spec_sig_to_noise"][0] == 77.0


def test_errors_from_a_signal_to_noise_ratio(release, converter, wave):
    told = converter(normalisation="continuum", medium="vacuum")
    table = own(wave)
    table.remove_column("flux_error")
    with pytest.raises(InputError, match=r"file0: it has neither errors nor") as refusal:
        only(told, release, table)
    assert refusal.value.way_out == "Give a column flux_error or snr, or --snr."
    wanted = only(told, release, own(wave))["rvs_spec_sig_to_noise"][0]
    said = only(converter(**CONTINUUM, snr=100.0), release, table)["rvs_spec_sig_to_noise"][0]
    table.meta["SNR"] = 100.0
    header = only(told, release, table)["rvs_spec_sig_to_noise"][0]
    table["snr"] = 100.0
    noise = only(told, release, table)["rvs_spec_sig_to_noise"][0]
    assert [said, header, noise] == pytest.approx([wanted] * 3, rel=0.01)


CONTINUUM = {"normalisation": "continuum", "medium": "vacuum"}


@pytest.mark.parametrize(
    ("change", "told", "match", "way_out"),
    [
        ({}, {}, "air or vacuum.*nor how its flux", "--medium air.*--normalisation"),
        ({}, {"medium": "air"}, "nothing says how its flux", "--normalisation none"),
        ({}, {**CONTINUUM, "medium": "air"}, r"lie \+8\d km/s from", "--radial-velocity"),
        ({"velocity": 30.0}, CONTINUUM, r"lie \+(29|30|31) km/s from", "--radial-velocity"),
        ({"scale": 500.0}, CONTINUUM, "not normalised.*above 500", "--normalisation none"),
        ({"scale": -1.0}, {**CONTINUUM, "normalisation": "none"}, "not positive", "another"),
        ({"last": 855.0}, CONTINUUM, r"cover 3\d % of the 846.01 to 869.98 nm", "wavelengths"),
        ({"first": 880.0}, CONTINUUM, "cover 0 % of", "wavelengths"),
        ({"step": 60}, CONTINUUM, "samples are .* nm apart", "higher resolution"),
        ({}, {**CONTINUUM, "resolution": 4000.0}, "below the 11500", "higher resolution"),
        ({"turned": True}, CONTINUUM, "do not rise throughout", "source_id or name"),
        ({"nulls": True}, CONTINUUM, "it has no flux", "another"),
    ],
)
def test_what_the_model_would_misunderstand_is_refused(
    release, converter, wave, change, told, match, way_out
):
    table = own(wave[:: change.get("step", 1)])
    if "velocity" in change:
        table["wavelength"] *= 1 + change["velocity"] / 299_792.458
    if "scale" in change:
        table["flux"] *= change["scale"]
    if "nulls" in change:
        table["flux"][:] = np.nan
    if "first" in change:
        table["wavelength"] += change["first"] - table["wavelength"][0]
    if "last" in change:
        table = table[table["wavelength"] < change["last"]]
    if "turned" in change:
        table["wavelength"][100] = 900.0
    with pytest.raises(InputError, match=f"file0: .*{match}") as refusal:
        only(converter(**told), release, table)
    assert re.search(way_out, refusal.value.way_out)


def test_velocity_and_turned_samples(release, converter, wave):
    table = own(wave)
    wanted = only(converter(**CONTINUUM), release, table)["rvs_flux"]
    table["wavelength"] *= 1 + 30.0 / 299_792.458
    moved = converter(**CONTINUUM, radial_velocity=30.0)
    np.testing.assert_allclose(only(moved, release, table[::-1])["rvs_flux"], wanted, atol=1e-6)


def low_resolution(release, source):
    grid = release.spectra["xp"].grid.nanometres()
    flux = 1e-16 * np.exp(-(((grid - 600) / 200) ** 2))
    table = Table({"source_id": np.full(grid.size, source), "wavelength": grid, "flux": flux})
    table["flux_error"] = 1e-18
    return table


def test_spectra_of_one_source_are_one_star(native, release, converter):
    rvs = native.copy()
    rvs["source_id"] = SOURCE
    more = Table({"source_id": [SOURCE, 9], "parallax": [3.0, 1.0], "parallax_error": [0.1, 0.1]})
    for name, magnitude in (("g", 11.0), ("bp", 11.5), ("rp", 10.4)):
        more[f"phot_{name}_mean_mag"] = magnitude
    made = found(converter(), release, rvs, low_resolution(release, SOURCE), more)
    block = block_of(made.stars, release)
    assert block["source_id"].tolist() == [SOURCE]
    assert all(block[f"has_{name}"][0] for name in release.inputs.names)
    assert block["parallax_corrected"].shape == (1,)
    assert made.left_out == 1  # the star 9


def test_a_second_spectrum_is_another_row(native, release, converter):
    rvs = native.copy()
    rvs["source_id"] = SOURCE
    made = found(converter(), release, rvs, native, rvs, native)
    block = block_of(made.stars, release)
    assert block["source_id"].tolist() == [SOURCE, SOURCE, -3, -4]
    assert [star.name for star in made.stars] == [str(SOURCE)] * 2 + ["file1", "file3"]


def test_coefficients_count_before_samples(release, converter):
    rng = np.random.default_rng(0)
    row = {"source_id": [SOURCE]}
    for band in ("bp", "rp"):
        row[f"{band}_coefficients"] = [np.r_[1e5, 1e4, rng.normal(size=53)]]
        row[f"{band}_coefficient_errors"] = [np.full(55, 10.0)]
        # As a whole matrix, and as its triangle.
        matrix = np.eye(55).ravel() if band == "bp" else np.zeros(1485)
        row[f"{band}_coefficient_correlations"] = [matrix]
    coefficients = Table(row)
    first = found(converter(), release, low_resolution(release, SOURCE), coefficients)
    second = found(converter(), release, coefficients, low_resolution(release, SOURCE))
    alone = found(converter(), release, coefficients)
    flux = [block_of(each.stars, release)["xp_flux"] for each in (first, second, alone)]
    np.testing.assert_array_equal(flux[0], flux[1])
    np.testing.assert_array_equal(flux[0], flux[2])
    coefficients["bp_coefficients"][0] = np.nan
    (refusal,) = found(converter(), release, coefficients).refused
    assert f"star {SOURCE}" not in str(refusal)  # there is one row only
    assert "bands" in refusal.problem


def test_one_bad_spectrum_costs_the_others_nothing(native, release, converter):
    bad = native.copy()
    bad["flux_error"] = 0.0
    made = found(converter(), release, bad, native)
    assert [star.name for star in made.stars] == ["file1"]
    (refusal,) = made.refused
    assert refusal.problem.startswith("file0: ")


def test_a_spectrum_that_the_model_does_not_see(native, release):
    blind = Converter(release, ("xp",), Told())
    with pytest.raises(InputError, match="spectrum of RVS, which the model does not see"):
        only(blind, release, native)


def test_a_low_resolution_spectrum_on_other_samples(release, converter):
    table = low_resolution(release, SOURCE)[::2]
    with pytest.raises(InputError, match="samples are 4 nm apart") as refusal:
        only(converter(**CONTINUUM), release, table)
    assert "XP on the archive's samples" in refusal.value.way_out


def test_samples_without_wavelengths(release, converter, native):
    flux = np.asarray(native["flux"])[None]
    table = Table({"source_id": [SOURCE], "flux": flux, "flux_error": flux * 0 + 0.01})
    assert only(converter(), release, table)["has_rvs"][0]
    short = Table({"source_id": [SOURCE], "flux": flux[:, :2000], "flux_error": flux[:, :2000]})
    with pytest.raises(InputError, match="no wavelengths, and 2000 samples") as refusal:
        only(converter(), release, short)
    assert "column `wavelength`" in refusal.value.way_out


def test_a_release_whose_spectra_say_more_of_themselves(native, wave):
    """How they are normalised, and their S/N, in columns of their own table."""
    content = parse_yaml((schemas_dir() / "releases" / "dr3.yaml").read_text())
    content["spectra"]["rvs"] |= {
        "normalisation": {"code": "method", "values": {1: "pseudo_continuum", 2: "constant"}},
        "sig_to_noise": "own_noise",
    }
    columns = content["tables"]["rvs_mean_spectrum"]["columns"]
    columns |= {"method": {"dtype": "int16"}, "own_noise": {"dtype": "float32"}}
    release = ReleaseSpec.model_validate(content)
    told = Converter(release, release.inputs.names, Told(**CONTINUUM))
    silent = Converter(release, release.inputs.names, Told())
    table = native.copy()
    for method, noise, normalisation in ((2, 44.0, lines.CONSTANT), (0, np.nan, lines.UNKNOWN)):
        table["method"], table["own_noise"] = method, noise
        block = only(silent, release, table)
        assert block["rvs_normalisation"][0] == normalisation
        wanted = pytest.approx(100, rel=0.01) if np.isnan(noise) else noise
        assert block["rvs_sig_to_noise"][0] == wanted
    block = only(told, release, own(wave))
    assert block["rvs_normalisation"][0] == lines.PSEUDO_CONTINUUM
    assert block["rvs_sig_to_noise"][0] > 30


@pytest.mark.parametrize("told", [{"radial_velocity": 30.0}, {"medium": "air"}])
def test_what_is_told_of_lines_says_nothing_of_low_resolution(release, converter, told):
    """Both spectra of a star are given together, with one set of options."""
    wanted = only(converter(), release, low_resolution(release, SOURCE))
    block = only(converter(**told), release, low_resolution(release, SOURCE))
    np.testing.assert_array_equal(block["xp_flux"], wanted["xp_flux"])


def test_files_of_one_name_are_not_one_star(native, release, converter, wave):
    """As `a/spectrum.csv` and `b/spectrum.csv`: the second was left out, and nothing said so."""
    told = converter(normalisation="continuum")
    vacuum = own(wave)
    vacuum.meta["AIRORVAC"] = "vac"
    given = [GivenTable("spectrum.csv", table) for table in (native, vacuum)]
    made = find_stars(given, release, told)
    assert not made.refused
    assert [star.name for star in made.stars] == ["spectrum.csv", "spectrum.csv"]
