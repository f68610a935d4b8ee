"""A third spectrum, more magnitudes and joined tables are a change of the description alone."""

from __future__ import annotations

import re
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.features.census import CENSUS, COUNT, plan_census, plan_counts
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.stage import IngestContext, plan
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.runtime.tasks import run_task
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.simulate.writing.layout import file_name
from tests.unit.features.conftest import PAGE, RANGE, listed, lists


def balanced(result):
    return result.rows_in == result.rows_out + sum(result.rejected.values())


def test_inputs_follow_the_description(archive):
    inputs = archive.release.inputs
    assert inputs.names == ("rvs", "xp", "rave", "photometry", "near_infrared", "parallax")
    assert inputs.spectra["rvs"].sig_to_noise == "rvs_spec_sig_to_noise"
    assert inputs.spectra["rave"].sig_to_noise == "rave_sig_to_noise"
    assert inputs.spectra["xp"].sig_to_noise is None


def test_the_example_can_be_simulated(archive):
    for spec in archive.release.tables.values():
        assert file_name(spec, RANGE).endswith(".csv.gz")


def test_every_input_is_in_the_features(archive):
    result, store = archive.ingest()
    assert balanced(result)
    assert (result.rows_in, result.rows_out) == (5, 4)
    assert result.rejected == {"all_nan_spectrum": 1}
    assert result.notes["with"] == {
        "rvs": 1, "xp": 1, "rave": 3, "photometry": 4, "near_infrared": 2, "parallax": 4,
    }  # fmt: skip
    block = store.read(slice(None))
    np.testing.assert_array_equal(block["source_id"], [1, 2, 3, 5])
    np.testing.assert_array_equal(block["has_rave"], [True, True, False, True])
    # Code 2 is a constant, 1 a pseudo-continuum, and 9 none that is described.
    np.testing.assert_array_equal(block["rave_normalisation"], [2, 1, 0, 3])
    np.testing.assert_array_equal(block["rvs_normalisation"], [1, 0, 0, 0])
    np.testing.assert_array_equal(block["ks_mag"], np.float32([8.1, np.nan, 8.3, np.nan]))
    np.testing.assert_array_equal(block["has_near_infrared"], [True, False, True, False])
    assert block["rave_flux"].shape == block["rave_mask"].shape == (4, 700)
    assert block["rave_mask"][0].all()
    np.testing.assert_allclose(block["rave_flux"][0], 0.9, rtol=1e-6)
    assert not block["rave_mask"][2].any()
    # 0.05 nm hold 1.25 samples of 0.04 nm, whose errors are independent: about 0.027 each.
    assert 30 < block["rave_sig_to_noise"][0] < 40
    assert np.isnan(block["rave_sig_to_noise"][2])


def test_what_is_announced_and_not_there_is_counted_by_its_codes(archive):
    result, _ = archive.ingest()
    # Star 6 has code 2 and no row; star 3 has code 1, which announces nothing.
    assert result.notes["absent"] == {"rave_spectra": 1}
    assert result.notes["row_rejects"]["twomass"] == {"duplicate_source_id": 1}


def test_a_joined_table_that_cannot_be_read_costs_its_columns_only(archive):
    archive.path("twomass").write_bytes(b"\x89PNG\r\n\x1a\n no table")
    result, store = archive.ingest()
    assert balanced(result)
    assert result.rows_out == 4
    (incident,) = result.notes["file_rejects"].values()
    assert incident["table"] == "twomass"
    assert np.isnan(store.column("ks_mag")).all()
    assert not store.column("has_near_infrared").any()
    assert store.column("has_rave").sum() == 3


def test_a_joined_table_that_ends_early_gives_what_it_has(archive):
    lines = archive.path("twomass").read_bytes().splitlines(keepends=True)
    archive.path("twomass").write_bytes(b"".join(lines[:2]) + b'2,"7')
    result, store = archive.ingest()
    assert result.rows_out == 4
    np.testing.assert_array_equal(store.column("has_near_infrared"), [True, False, False, False])


def test_a_partition_without_a_file_of_a_joined_table_has_nulls(archive):
    archive.path("twomass").rename(archive.path("twomass").with_name("Twomass_000010-000011.csv"))
    result, store = archive.ingest()
    assert result.rows_out == 4
    assert not result.notes["file_rejects"]
    assert np.isnan(store.column("j_mag")).all()


def test_an_archive_without_a_joined_table_is_refused(archive):
    archive.path("twomass").unlink()
    with pytest.raises(InputError, match="holds no twomass"):
        _ = archive.partition


def test_who_is_lost_with_a_table_is_told_by_what_announces_it(archive):
    archive.path("rave_spectra").write_bytes(b"\x89PNG\r\n\x1a\n no table")
    result, _ = archive.ingest()
    assert balanced(result)
    # 1 has RVS; 2, 4, 5 and 6 are announced for RAVE and nothing else; 3 has XP.
    assert (result.rows_in, result.rows_out) == (6, 2)
    assert result.notes["counts"]["rave_spectra"] == "announced"
    # And without the table that announces it, it is unknown.
    archive.path("crossmatch").write_bytes(b"\x89PNG\r\n\x1a\n no table")
    result, _ = archive.ingest("again")
    assert (result.rows_in, result.rows_out) == (2, 2)
    assert result.notes["counts"] == {
        "rvs_mean_spectrum": "rows",
        "xp_sampled_mean_spectrum": "rows",
        "rave_spectra": "unknown",
    }


@pytest.mark.parametrize("spoilt", [(), ("rave_spectra",), ("rave_spectra", "crossmatch")])
def test_a_partition_in_quarantine_is_counted_by_all_that_announces(archive, spoilt):
    for name in spoilt:
        archive.path(name).write_bytes(b"\x89PNG\r\n\x1a\n no table")
    workdir = Workdir(archive.root / "work")
    workdir.create()
    context = IngestContext(workdir, archive.release, IngestSettings())
    tasks = plan([archive.partition], archive.release, IngestSettings())
    counts = [run_task(COUNT, context, workdir, task) for task in plan_counts(tasks, context)]
    (census,) = (run_task(CENSUS, context, workdir, task) for task in plan_census(tasks, counts))
    # Rows of 1, 2, 3, 4, 5; or of 1 and 3, and 1, 2, 4, 5, 6 announced; or of 1 and 3 alone.
    assert census.rows_in == (5, 6, 2)[len(spoilt)]
    how = ("rows", "announced", "unknown")[len(spoilt)]
    assert census.notes["counts"]["rave_spectra"] == how


def test_two_spectra_of_one_table(archive):
    spec = archive.description
    spec["tables"]["rave_spectra"]["columns"] |= {
        "red_flux": {"dtype": "float64", "length": 20},
        "red_error": {"dtype": "float64", "length": 20},
        "red_snr": {"dtype": "float64"},
    }
    spec["spectra"]["red"] = {
        "kind": "lines",
        "title": "red",
        "products": [{"table": "rave_spectra", "flux": "red_flux", "flux_error": "red_error"}],
        "grid": {"start": 900.0, "step": 1.0, "count": 20},
        "frame": "barycentric",
        "normalisation": {"fixed": "constant"},
        "sig_to_noise": "red_snr",
        "model_grid": {"start": 900.0, "step": 1.0, "count": 20},
    }
    rave, error = lists(912)
    both, none = lists(20, 2.0), listed(np.full(20, np.nan))
    archive.write(
        "rave_spectra",
        [
            {"source_id": n, "norm_flux": rave, "norm_error": error, "red_flux": red,
             "red_error": both[1], "red_snr": 10 * n}
            for n, red in ((1, both[0]), (2, none), (5, both[0]))
        ],
    )  # fmt: skip
    result, store = archive.ingest()
    assert result.notes["rows_read"]["rave_spectra"] == 3
    assert result.notes["with"]["rave"] == 3
    assert result.notes["with"]["red"] == 2
    assert result.notes["row_rejects"]["rave_spectra"] == {"all_nan_spectrum": 1}
    block = store.read(slice(None))
    np.testing.assert_array_equal(block["has_red"], [True, False, False, True])
    np.testing.assert_array_equal(block["red_sig_to_noise"], np.float32([10, np.nan, np.nan, 50]))
    np.testing.assert_array_equal(block["red_normalisation"], [2, 0, 0, 2])
    np.testing.assert_allclose(block["red_flux"][3], 2.0)


def test_the_threshold_and_the_magnitudes_may_be_of_a_joined_table(archive):
    archive.description["spectra"]["rave"] |= {
        "normalisation": {
            "column": "j_mag", "threshold": 11.0, "below": "constant",
            "otherwise": "pseudo_continuum",
        },
        "sig_to_noise": "h_mag",
    }  # fmt: skip
    assert archive.release.inputs.spectra["rave"].sig_to_noise == "h_mag"
    _, store = archive.ingest()
    np.testing.assert_array_equal(store.column("rave_normalisation"), [2, 1, 0, 3])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_code_may_be_zero_and_null(archive, ending):
    archive.description["tables"]["rave_spectra"]["columns"]["how"]["dtype"] = "float32"
    archive.description["tables"]["rave_spectra"]["formats"] = [ending]
    values = {0: "pseudo_continuum", 3: "constant"}
    archive.description["spectra"]["rave"]["normalisation"]["values"] = values
    flux, error = np.full(912, 0.9, "f4"), np.full(912, 0.03, "f4")
    codes = {1: 0, 2: 3, 3: None, 5: 4}
    if ending == "parquet":
        columns = {
            "source_id": pa.array(list(codes)),
            "norm_flux": pa.array([flux] * 4),
            "norm_error": pa.array([error] * 4),
            "cont_code": pa.array(list(codes.values()), pa.uint8()),
        }
        archive.path("rave_spectra").unlink()
        pq.write_table(pa.table(columns), archive.path("rave_spectra").with_suffix(".parquet"))
    else:
        archive.write(
            "rave_spectra",
            [
                {"source_id": n, "norm_flux": listed(flux), "norm_error": listed(error),
                 "cont_code": "" if code is None else code}
                for n, code in codes.items()
            ],
        )  # fmt: skip
    _, store = archive.ingest()
    np.testing.assert_array_equal(store.column("source_id"), [1, 2, 3, 5])
    np.testing.assert_array_equal(store.column("rave_normalisation"), [1, 2, 3, 3])


def test_a_release_without_a_parallax_has_none(archive):
    archive.description["parallax"] = False
    archive.description["parallax_zero_point"] = {"rule": "none"}
    result, store = archive.ingest()
    assert "parallax" not in result.notes["with"]
    assert "has_parallax" not in store.read(slice(0, 1))


@pytest.mark.parametrize("value", [0.0, 1e-44, "inf"])
def test_errors_of_magnitudes_follow_from_the_flux_over_its_error(archive, value):
    source = {"ra": 10.0, "dec": 20.0, "pmra": -3.25, "random_index": 0, "phot_g_mean_mag": 12.0}
    over = "phot_g_mean_flux_over_error"
    rows = [{"source_id": n, **source, over: 1085.7362} for n in range(1, 6)]
    rows[1][over], rows[2][over], rows[4][over] = "null", -3.0, value
    rows[2]["random_index"] = "null"
    archive.write("gaia_source", rows)
    _, store = archive.ingest()
    errors = store.column("phot_g_mean_mag_error")
    np.testing.assert_allclose(errors, [0.001, np.nan, np.nan, np.nan], rtol=1e-6)
    assert errors.dtype == np.float32
    assert np.isnan(store.column("phot_bp_mean_mag_error")).all()  # no such column in the file
    # Carried as it is; and what is 0 is not null.
    np.testing.assert_array_equal(store.column("pmra"), -3.25)
    np.testing.assert_array_equal(store.column("random_index"), [0.0, 0.0, np.nan, 0.0])


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({"phot_g_mean_mag": "nowhere"}, r"magnitude_errors\.phot_g_mean_mag names nowhere"),
        ({"nowhere": "phot_g_mean_flux_over_error"}, "magnitude_errors names nowhere"),
        ({"phot_g_mean_mag": "has_rvs"}, r"has_rvs\.dtype is bool, in which a null is 0"),
        ({"phot_g_mean_mag": "parallax"}, r"parallax\.unit is 'mas'"),
        ({"parallax": "phot_g_mean_flux_over_error"}, "parallax_error has the name of a feature"),
    ],
)
def test_errors_that_cannot_be_are_refused_by_their_key(archive, errors, words):
    archive.description["magnitude_errors"] = errors
    with pytest.raises((ConfigError, ValueError), match=words):
        _ = archive.release


def test_null_biases_fall_back_and_are_counted(archive):
    columns = archive.description["tables"]["gaia_source"]["columns"]
    inputs = archive.description["parallax_zero_point"]["inputs"]
    inputs["astrometric_params_solved"] = "astrometric_params"
    columns["astrometric_params"] = columns.pop("astrometric_params_solved")
    columns["bias"] = {"dtype": "float64", "unit": "mas"}
    archive.description["parallax_zero_point"] = {
        "rule": "column",
        "inputs": {"bias": "bias"},
        "fallback": {"rule": "lindegren2021", "inputs": inputs},
    }
    source = {"ra": 10.0, "dec": 20.0, "parallax": 1.5, "parallax_error": 0.1, "ecl_lat": 5.0}
    source |= {f"phot_{band}_mean_mag": 12.0 for band in ("g", "bp", "rp")}
    source |= {"nu_eff_used_in_astrometry": 1.5, "pseudocolour": 1.5, "astrometric_params": 2079}
    # By star: the release's own, none, none for there is no parallax; and others.
    own = {1: {"bias": -0.02}, 3: {"astrometric_params": 3, "parallax": "null"}}
    archive.write(
        "gaia_source", [{"source_id": n, **source, **own.get(n, {})} for n in range(1, 6)]
    )
    assert archive.release.inputs.parallax_fallback
    result, store = archive.ingest()
    np.testing.assert_array_equal(store.column("source_id"), [1, 2, 3, 5])
    np.testing.assert_array_equal(store.column("parallax_fallback"), [False, True, False, True])
    assert result.notes["parallax_fallback"] == 2
    corrected = store.column("parallax_corrected")
    assert corrected[0] == 1.52
    assert 1.5 < corrected[1] == corrected[3] < 1.6
    assert np.isnan(corrected[2])


def test_a_new_description_makes_features_anew_and_new_words_do_not(archive):
    def key():
        (task,) = plan([archive.partition], archive.release, IngestSettings())
        return task.key

    first, rave = key(), archive.description["spectra"]["rave"]
    archive.description["title"] = rave["title"] = "other words"
    archive.description["photometry"]["near_infrared"]["bands"]["j"]["meaning"] = "Another."
    index = {"magnitude": "ks", "colour": ["j", "ks"], "factor": 0.7}
    archive.description["photometry"]["near_infrared"]["reddening_free"] = index
    rave["low_sig_to_noise"] = 12.0
    assert key() == first
    rave["medium"] = "vacuum"
    assert key() != first


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("joined_tables", ["twomas"], r"joined_tables names twomas, which `tables` does not"),
        ("joined_tables", ["twomass", "gaia_source"], r"gaia_source is declared twice"),
        ("joined_tables", ["rave_spectra"], r"driving_tables names rave_spectra, which holds no"),
        ("driving_tables", ["gaia_source"], r"driving_tables names gaia_source"),
        ("driving_tables", ["twomas"], r"driving_tables names twomas, which `tables` does not"),
        ("driving_tables", ["rvs_mean_spectrum"], r"spectra\.xp has no product among driving"),
        ("spectra.rave.products.0.table", "ravee", r"rave\.products\.0\.table names ravee, which"),
        ("spectra.rave.products.0.flux", "flx", r"rave_spectra\.columns lacks flx, which spectra"),
        ("spectra.rave.products.0.announced_by.column", "x", r"0\.announced_by names crossmatch\."),
        ("spectra.rave.products.0.announced_by.values", [0], r"values has false or 0, which is"),
        ("spectra.rave.grid.count", 911, r"norm_flux\.length is 912, but the grid"),
        ("spectra.rave.grid.start", 1500.0, r"grid begins at 149\.98 nm; in air 200 nm is the l"),
        ("spectra.rave.model_grid.start", 900.0, r"model_grid, 900 to 934.95 nm, has no wav"),
        ("spectra.rave.normalisation.code", "nw", r"rave_spectra\.columns lacks nw"),
        ("spectra.rave.normalisation.values", {1: "spline"}, r"rave\.normalisation\.values\.1: "),
        ("spectra.rave.normalisation", {"colum": 1}, r"rave\.normalisation\.column: this key is m"),
        ("spectra.rave.kind", "line", r"spectra\.rave: .*'lines'"),
        ("spectra.rave.resolutio", 1, r"spectra\.rave\.resolutio: unknown key\. Allowed here: cor"),
        ("spectra.rave.sig_to_noise", "x", r"rave\.sig_to_noise names x, which is no column of ga"),
        ("spectra.rvs.normalisation.column", "x", r"rvs\.normalisation\.column names x, which is"),
        ("photometry.near_infrared.bands.j.column", "x", r"bands\.j\.column names x, which is no"),
        ("parallax_zero_point.inputs.ecl_lat", "x", r"point\.inputs\.ecl_lat names x, which is no"),
        ("tables.rave_spectra.columns.how.dtype", "bool", r"normalisation\.code is a column of"),
        ("spectra.rave.normalisation.values", {0: "constant"}, r"in which a null is 0, and"),
        ("tables.twomass.columns.rave_row", {"dtype": "int8"}, r"columns\.rave_row has the name"),
        ("tables.twomass.columns.ra", {"dtype": "float64"}, r"ra is declared twice"),
        ("tables.twomass.columns.j_mag", {"dtype": "float32", "length": 2}, r"j_mag has a length"),
        ("spectra.xp.scale_window", [1.0, 2.0], r"no sample of the grid lies in scale_window"),
        ("spectra.xp.products.0.bands", {"bp": 54, "rp": 55}, r"bp_coefficients\.length is 55"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_by_its_key(archive, path, value, message):
    *parents, last = path.split(".")
    place = archive.description
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    with pytest.raises(ConfigError, match=message) as refusal:
        _ = archive.release
    assert "Correct that key" in str(refusal.value.way_out)
    assert load_release("dr3").name == "dr3"


def keys_of(model):
    """Yield the keys of a part of a description, and of the parts in it."""
    for name, field in model.model_fields.items():
        yield name
        for part in parts_of(field.annotation):
            yield from keys_of(part)


def parts_of(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from parts_of(argument)


def test_every_key_is_documented():
    page = re.sub(r"```.*?```", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    told = {word for code in re.findall(r"`([^`]+)`", page) for word in re.findall(r"\w+", code)}
    keys = set(keys_of(ReleaseSpec))
    assert {"healpix_level", "scale_window", "announced_by", "colours"} <= keys
    assert keys <= told
