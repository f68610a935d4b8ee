"""Magnitudes that stand in each other's place are seen, and stars of any kind pass."""

from itertools import combinations

import numpy as np
import pytest

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.finding import Looked
from catalog_builder.inspecting.magnitudes import check_magnitudes
from catalog_builder.inspecting.raw import RawTable
from catalog_builder.inspecting.view import TableView, View
from tests.unit.inspecting.conftest import described, gate

GAIA = "gaia_source"
NU_EFF = "nu_eff_used_in_astrometry"
#: Wavelengths, micrometres, of what the descriptions call so.
LIES = {
    **{"phot_bp_mean_mag": 0.51, "phot_rp_mean_mag": 0.78},
    **{"j_mag": 1.24, "h_mag": 1.66, "ks_mag": 2.16, "w1_mag": 3.4, "w2_mag": 4.6},
}
#: Stars of kinds that a survey may be made for: kelvins.
KINDS = {
    "of all kinds": (3600.0, 9000.0),
    "hot": (12_000.0, 45_000.0),
    "cool": (2900.0, 3800.0),
    "like the Sun": (5400.0, 6300.0),
    "white dwarfs": (6000.0, 60_000.0),
}


def vega(temperature, micrometres):
    """Return the magnitude of bodies, of one of 9 600 K 0."""
    planck = 1 / np.expm1(14_388 / (micrometres * temperature))
    return -2.5 * np.log10(planck * np.expm1(14_388 / (micrometres * 9600.0)))


def stars(kind="of all kinds", count=200):
    """Return magnitudes by column, of bodies behind a little dust."""
    rng = np.random.default_rng(7)
    temperature = rng.uniform(*KINDS[kind], count)
    dust, far = rng.gamma(1.0, 0.1, count), rng.uniform(8, 15, count)
    made = {
        column: far + vega(temperature, at) + dust / at + rng.normal(0, 0.01, count)
        for column, at in LIES.items()
    }
    bp, rp = made["phot_bp_mean_mag"], made["phot_rp_mean_mag"]
    made["phot_g_mean_mag"] = -2.5 * np.log10((10 ** (-0.4 * bp) + 10 ** (-0.4 * rp)) / 2)
    made[NU_EFF] = 1.6 - 0.2 * (bp - rp)
    return made


def swapped(columns, one, other):
    return columns | {one: columns[other], other: columns[one]}


def findings(release, columns):
    """Return what is found of stars with spectra of the first driving table."""
    ids = np.arange(1, 1 + len(next(iter(columns.values()))))
    table, driving = release.source_table, release.driving_tables[0]
    file = FileRef("/archive/stars.csv", 1)
    raw = RawTable(file.url, "text", {}, {}, {name: [] for name in columns})
    tables = {
        table: TableView(file, raw, columns={"source_id": ids, **columns}),
        driving: TableView(file, raw, ids=ids),
    }
    looked = Looked()
    partition = Partition("000000-003111", 0, 3111, {})
    check_magnitudes(View(partition, tables), release, looked)
    return looked


BP, G, RP = (f"phot_{band}_mean_mag" for band in ("bp", "g", "rp"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["dr3", "rave-dr6"])
def test_stars_of_any_kind_pass(kind, name):
    assert findings(load_release(name), stars(kind)).findings == []


@pytest.mark.parametrize("kind", KINDS)
def test_with_wavenumbers_any_stars_tell(kind):
    (found,) = findings(load_release("dr3"), swapped(stars(kind), BP, RP)).findings[-1:]
    assert found.line == "photometry.photometry.bands"
    assert f"magnitudes {BP} and {RP} are swapped" in found.problem
    assert "tables.gaia_source.columns" in found.way_out


def test_without_them_stars_that_are_bluer_than_any_body_tell():
    columns = swapped(stars(), BP, RP)
    del columns[NU_EFF]
    (found,) = findings(load_release("dr3"), columns).findings
    assert "bluer in bp - rp than the hottest body (-0.88 mag)" in found.problem


@pytest.mark.parametrize("two", list(combinations((BP, G, RP), 2)))
def test_each_two_of_three_that_are_exchanged_are_seen(two):
    found = findings(load_release("dr3"), swapped(stars(), *two)).findings
    assert {each.line for each in found} == {"photometry.photometry.bands"}
    assert all("swapped" in each.problem for each in found)


def test_of_two_groups_the_one_that_runs_against_the_other_is_named():
    (found,) = findings(load_release("rave-dr6"), swapped(stars(), "j_mag", "ks_mag")).findings
    assert found.line == "photometry.infrared.bands"
    assert "j - ks (median -" in found.problem
    assert "magnitudes j_mag and ks_mag are swapped" in found.problem


def test_bands_whose_place_is_not_told_and_few_stars_tell_nothing(tmp_path):
    def untold(content):
        for band in content["photometry"]["photometry"]["bands"].values():
            band["ucd"] = "phot.mag"

    release, columns = described(tmp_path, untold), swapped(stars(), BP, RP)
    assert findings(release, columns).facts == {}
    few = {name: values[:40] for name, values in columns.items()}
    assert findings(load_release("dr3"), few).findings == []


def test_the_whole_is_not_between_blue_parts_alone(tmp_path):
    def johnson(content):
        bands = content["photometry"]["photometry"]["bands"]
        for name, word in (("bp", "B"), ("rp", "V")):
            bands[name]["ucd"] = f"phot.mag;em.opt.{word}"

    columns = {BP: [13.2, 16.9] * 40, RP: [12.5, 15.4] * 40, G: [12.3, 14.2] * 40}  # G, M dwarfs
    columns = {name: np.array(values) for name, values in columns.items()}
    assert findings(described(tmp_path, johnson), columns).findings == []


@pytest.mark.parametrize("no_number", [99.999, -999.0, np.inf, -np.inf])
@pytest.mark.parametrize("bands", [(BP,), (RP,), (BP, RP)])
def test_numbers_for_none_are_no_colours(bands, no_number):
    columns = stars()
    for name in bands:
        columns[name][:60] = no_number
    looked = findings(load_release("dr3"), columns)
    assert looked.findings == []
    if len(bands) == 1 or np.isinf(no_number):
        assert looked.facts["photometry.photometry.bands (bp - rp)"].endswith("of 140 stars")


def without_xp(content):
    del content["spectra"]["xp"]
    content["driving_tables"] = ["rvs_mean_spectrum"]


def exchange(content):
    without_xp(content)
    bands = content["photometry"]["photometry"]["bands"]
    bands["bp"]["column"], bands["rp"]["column"] = RP, BP


def rename(content):
    without_xp(content)
    columns = content["tables"][GAIA]["columns"]
    columns[BP]["names"], columns[RP]["names"] = [RP], [BP]


def no_zero_point(content):
    rename(content)
    content["parallax_zero_point"] = {"rule": "none"}


@pytest.mark.parametrize("change", [exchange, rename, no_zero_point])
def test_an_archive_without_low_resolution_spectra_is_refused(change, sky, tmp_path):
    with pytest.raises(InputError, match=r"magnitudes .* are swapped"):
        gate(sky, described(tmp_path, change)).refuse()


def test_it_passes_as_it_is(sky, tmp_path):
    report = gate(sky, described(tmp_path, without_xp))
    assert report.findings == []
    assert report.facts["photometry.photometry.bands (bp - rp)"].startswith("median +")
