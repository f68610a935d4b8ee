"""Labels, spectra, bands and tables that only a description names are simulated."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from astropy.table import Table

from catalog_builder.archive.marks import KEYWORD
from catalog_builder.archive.release import load_release
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.survey import load_survey
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import infrared
from catalog_builder.simulate.score import read_truth
from catalog_builder.simulate.sky import plan_sky, simulate
from tests.unit.simulate.descriptions import (
    GRID,
    description,
    save,
    with_mg_fe,
    with_third_spectrum_and_infrared,
    without_fe_h,
)

STARS, SEED = 240, 5


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    out = tmp_path_factory.mktemp("plain") / "sky"
    return out, simulate("dr3", STARS, SEED, out)


@pytest.fixture(scope="module")
def wider(tmp_path_factory):
    """A sky with a sixth label, a third spectrum, J, H, Ks; its folder, summary and release."""
    folder = tmp_path_factory.mktemp("wider")
    release = save(with_third_spectrum_and_infrared(), folder / "wider.yaml")
    survey = save(with_mg_fe(), folder / "survey.yaml")
    made = simulate(release, STARS, SEED, folder / "sky", survey=survey)
    return folder / "sky", made, load_release(release), load_survey(survey)


def _read(folder, name):
    return [
        Table.read(file, format="ascii.ecsv", fill_values=[("null", "0")])
        for file in sorted((folder / name).glob("*.csv.gz"))
    ]


def _column(tables, name):
    return np.concatenate([np.ma.filled(table[name], np.nan) for table in tables])


def _spectra(tables, name):
    return np.concatenate([np.stack([np.asarray(cell, float) for cell in t[name]]) for t in tables])


def _labels(sky):
    return fits.getdata(next((sky / "apogee").glob("*.fits")))


def test_whatever_is_more_changes_no_other_byte(plain, wider):
    same = 0
    for file in sorted(plain[0].rglob("*.gz")):
        twin = wider[0] / file.relative_to(plain[0])
        assert file.read_bytes() == twin.read_bytes(), file.name
        same += 1
    assert same > 20
    before, after = (read_truth(sky[0] / "truth") for sky in (plain, wider))
    warts = before["wart"], after["wart"]
    assert before.drop("wart").equals(after.select(before.columns).drop("wart"))
    # The sixth label has defects of its own.
    assert warts[0].equals(warts[1].str.replace(r"\+?apogee_mg_fe_missing", ""))
    old, new = _labels(plain[0]), _labels(wider[0])
    assert set(new.dtype.names) - set(old.dtype.names) == {"MG_FE", "MG_FE_ERR"}
    for name in old.dtype.names:
        np.testing.assert_array_equal(old[name], new[name], err_msg=name)


def test_a_sixth_label_is_in_truth_and_file_with_honest_errors(wider):
    truth, rows = read_truth(wider[0] / "truth"), _labels(wider[0])
    known = truth["alpha_m"].is_not_nan()
    scatter = (truth["mg_fe"] - 1.05 * truth["alpha_m"]).filter(known)
    assert scatter.std() == pytest.approx(0.03, rel=0.2)
    assert truth["mg_fe"].is_nan().sum() == (~known).sum()

    at = np.searchsorted(truth["source_id"].to_numpy(), rows["GAIAEDR3_SOURCE_ID"])
    pull = (rows["MG_FE"] - truth["mg_fe"].to_numpy()[at]) / rows["MG_FE_ERR"]
    given = np.isfinite(pull) & (rows["MG_FE"] > -9000)
    assert 0.7 < pull[given].std() < 1.3
    assert 0 < (~given).sum() < 0.2 * len(rows)
    gone = truth["wart"].str.contains("apogee_mg_fe_missing")
    assert gone.sum() > 0


def test_a_survey_without_iron_has_no_column_of_it(plain, tmp_path):
    survey = save(without_fe_h(), tmp_path / "survey.yaml")
    simulate("dr3", STARS, SEED, tmp_path / "sky", survey=survey)
    rows = _labels(tmp_path / "sky")
    assert not [name for name in rows.dtype.names if name.startswith("FE_H")]
    before = _labels(plain[0])
    # Duplicates may differ: a defect of iron bars a star from being one.
    ids = set(rows["GAIAEDR3_SOURCE_ID"])
    assert ids == set(before["GAIAEDR3_SOURCE_ID"])
    truth = read_truth(tmp_path / "sky/truth")
    assert not truth["wart"].str.contains("fe_h").any()
    assert truth["fe_h"].equals(read_truth(plain[0] / "truth")["fe_h"])


def test_another_survey_gets_its_own_columns(tmp_path):
    simulate("dr3", STARS, SEED, tmp_path / "sky", survey="apogee-dr19")
    with fits.open(tmp_path / "sky/apogee/astraAllStarASPCAP-0.6.0.fits") as hdus:
        hdus.verify("exception")
        rows = hdus[2].data
        assert {"gaia_dr3_source_id", "snr", "m_h_atm", "e_m_h_atm", "result_flags"} <= set(
            rows.dtype.names
        )
        assert "TEFF" not in rows.dtype.names
        assert np.nanmedian(rows["teff"]) > 3000


def test_a_third_spectrum_lies_in_its_own_table(wider):
    sky, made, _, _ = wider
    truth = read_truth(sky / "truth")
    files = _read(sky, "other/other_spectrum")
    assert all(table.meta[KEYWORD] for table in files)
    source_id = _column(files, "source_id")
    has = truth.filter(pl.col("has_hr"))
    np.testing.assert_array_equal(source_id, has["source_id"].to_numpy())
    assert 0.3 * STARS < len(source_id) < 0.6 * STARS
    assert made.rows["other_spectrum"] == len(source_id)
    about = json.loads((sky / "SIMULATED.json").read_text())
    assert about["rows"]["other_spectrum"] == len(source_id)

    flux, error = _spectra(files, "depth"), _spectra(files, "depth_error")
    assert flux.shape == (len(source_id), GRID["count"])
    # Published S/N is that of the published flux, and stands where the description says.
    measured = np.median(flux / error, axis=1)
    np.testing.assert_allclose(measured, has["hr_sig_to_noise"], rtol=0.05)
    assert set(np.unique(_column(files, "way"))) == {1, 2}


def test_two_spectra_share_a_table_row_by_row(tmp_path):
    content = with_third_spectrum_and_infrared()
    first = content["spectra"]["hr"]
    product = {"table": "other_spectrum", "flux": "second", "flux_error": "second_error"}
    content["spectra"]["hr_2"] = {**first, "title": "HR 2", "products": [product]}
    content["spectra"]["hr_2"] |= {"normalisation": {"fixed": "constant"}, "sig_to_noise": None}
    columns = content["tables"]["other_spectrum"]["columns"]
    columns |= {"second": columns["depth"], "second_error": columns["depth"]}
    release = save(content, tmp_path / "two.yaml")
    simulate(release, STARS, SEED, tmp_path / "sky")
    files = sorted((tmp_path / "sky" / "other" / "other_spectrum").glob("*.csv.gz"))
    table = pl.concat([pl.read_csv(file, comment_prefix="#", null_values="null") for file in files])
    assert table["source_id"].is_sorted(descending=False)
    assert table["source_id"].is_unique().all()
    depth, second = (table[name].is_not_null().to_numpy() for name in ("depth", "second"))
    assert (table["depth_error"].is_not_null().to_numpy() == depth).all()
    assert (depth | second).all()
    assert (depth & second).any()
    assert (depth & ~second).any()
    assert (~depth & second).any()


def test_its_lines_are_where_air_has_them_and_as_wide_as_its_resolution(wider):
    sky, _, release, _ = wider
    files = _read(sky, "other/other_spectrum")
    truth = read_truth(sky / "truth").filter(pl.col("has_hr"))
    good = ((truth["anomaly"] == "") & (truth["teff"] < 6000) & (truth["vsini"] < 8)).to_numpy()
    flux = _spectra(files, "depth")[good]
    air = release.spectra["hr"].grid.nanometres()
    # Ca II 854.2 nm in air: the mean of the deepest samples.
    window = np.abs(air - 854.209) < 0.35
    depth = np.clip(1.0 - flux[:, window], 0.0, None) ** 4
    centre = (depth * air[window]).sum(axis=1) / depth.sum(axis=1)
    assert np.median(centre) == pytest.approx(854.209, abs=0.01)
    # Beside spectra of the same stars at 11 500 every feature is shallower.
    model = emulator.load()
    labels = np.column_stack(
        [truth[n].to_numpy()[good] for n in ("teff", "logg", "fe_h", "alpha_m")]
    )
    sharp = model.rvs(labels[model.trusted(labels)])
    at = to_vacuum(air, "air")
    sharp = np.stack([np.interp(at, model.rvs_wavelength, one) for one in sharp])
    rough = [np.abs(np.diff(np.mean(one, axis=0))).sum() for one in (flux, sharp)]
    assert 0.5 < rough[0] / rough[1] < 0.95


def test_joined_tables_hold_only_the_stars_that_they_have(wider):
    sky = wider[0]
    truth = read_truth(sky / "truth")
    other = _read(sky, "other/other_survey")
    assert set(_column(other, "source_id")) == set(truth.filter(pl.col("has_hr"))["source_id"])
    assert set(_column(other, "arm")) == {3}
    np.testing.assert_allclose(
        _column(other, "hr_snr"), truth.filter(pl.col("has_hr"))["hr_sig_to_noise"], rtol=1e-6
    )
    tmass = _read(sky, "other/tmass")
    found = truth.filter(pl.col("ks_m").is_not_nan())
    assert set(_column(tmass, "source_id")) == set(found["source_id"])
    assert 0.85 * STARS < len(found) < STARS
    names = {name for name in tmass[0].colnames if name != "source_id"}
    assert names == {"j_m", "h_m", "ks_m"}


def test_magnitudes_are_those_of_real_stars_of_the_same_colour(wider):
    truth = read_truth(wider[0] / "truth").filter(
        pl.col("ks_m").is_not_nan() & pl.col("bp_rp").is_not_nan() & (pl.col("a_0") < 0.5)
    )
    # Of other real stars, with their dust: documentation of Gaia DR3, section 5.5.1.
    colour = truth["bp_rp"].to_numpy()
    for band, terms in (
        ("ks_m", (-0.0981, 2.089, -0.1579)),
        ("j_m", (0.01798, 1.389, -0.09338)),
        ("h_m", (-0.1048, 2.011, -0.1758)),
    ):
        expected = terms[0] + terms[1] * colour + terms[2] * colour**2
        difference = (truth["phot_g_mean_mag"] - truth[band]).to_numpy() - expected
        assert abs(np.median(difference)) < 0.08, band
        assert 1.4826 * np.median(np.abs(difference - np.median(difference))) < 0.10, band


def test_the_relation_says_what_it_rests_on():
    relation = infrared.load()
    assert relation.stars > 3000
    assert all(0.01 < band.scatter < 0.05 for band in relation.bands.values())
    assert relation.band("ks_m") == relation.band("nothing", "k") == "ks"
    assert relation.band("u") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": {**GRID, "start": 8600.0, "count": 801}}, "spectra.hr cannot .*: it has"),
        ({"resolution": 26200}, "spectra.hr cannot be simulated: its resolving power 26200"),
        (
            {"normalisation": {"column": "arm", "threshold": 1, "below": "constant",
                               "otherwise": "constant"}},
            "told from arm",
        ),
    ],
)  # fmt: skip
def test_a_spectrum_that_cannot_be_simulated_is_refused_by_name(tmp_path, change, message):
    release = with_third_spectrum_and_infrared()
    release["spectra"]["hr"] |= change
    release["tables"]["other_survey"]["columns"]["arm"]["dtype"] = "float32"
    for name in ("depth", "depth_error"):
        length = release["spectra"]["hr"]["grid"]["count"]
        release["tables"]["other_spectrum"]["columns"][name]["length"] = length
    with pytest.raises(ConfigError, match=message):
        plan_sky(save(release, tmp_path / "r.yaml"), STARS, SEED, tmp_path / "sky")


def test_another_instrument_of_low_resolution_is_refused_by_name(tmp_path):
    release = description("releases", "dr3")
    release["spectra"]["prism"] = {**release["spectra"]["xp"], "title": "prism"}
    with pytest.raises(ConfigError, match=r"spectra\.prism cannot be simulated"):
        plan_sky(save(release, tmp_path / "r.yaml"), STARS, SEED, tmp_path / "sky")


def test_a_band_without_a_relation_is_refused_by_name(tmp_path):
    release = with_third_spectrum_and_infrared()
    bands = release["photometry"]["tmass"]["bands"]
    bands["u"] = {"column": "u_m", "title": "u"}
    release["photometry"]["tmass"]["colours"].append(["u", "j"])
    release["tables"]["tmass"]["columns"]["u_m"] = {"dtype": "float32"}
    with pytest.raises(ConfigError, match=r"photometry\.tmass has the band u in the column u_m"):
        plan_sky(save(release, tmp_path / "r.yaml"), STARS, SEED, tmp_path / "sky")


def test_a_label_that_cannot_be_made_is_refused_by_name(tmp_path):
    survey = with_mg_fe()
    declared = {
        "name": "age", "title": "Age", "short": "age", "meaning": "", "ucd": "time.age",
        "tex": "age", "html": "age", "range": [0.0, 14.0], "resolution": 0.1,
        "sigma_range": [0.01, 10.0],
    }  # fmt: skip
    survey["labels"]["age"] = {**survey["labels"].pop("mg_fe"), "unit": ""}
    for simulated, message in (
        (None, "no `simulated`"),
        ({"terms": {"mass": 1.0}}, "cannot be simulated from mass"),
        ({"terms": {"age": 1.0}}, "cannot be simulated from age"),
    ):
        survey["declares"] = [{**declared, "simulated": simulated}]
        path = save(survey, tmp_path / "s.yaml")
        with pytest.raises(ConfigError, match=message):
            plan_sky("dr3", STARS, SEED, tmp_path / "sky", survey=path)
