"""Columns become labels as a mapping says: cuts, sentinels, scales, calibrations, ranges."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from catalog_builder.comparing.outside.front import profiles
from catalog_builder.comparing.outside.mapping import OtherTable, load_mapping, refuse_other_units
from catalog_builder.comparing.outside.stars import OtherStars
from catalog_builder.contract.labels import known_labels
from catalog_builder.ground.errors import ConfigError, InputError

WANTED = ("teff", "logg", "m_h", "alpha_m", "fe_h")
TEFF = {"column": "t", "unit": "K"}


def stars_of(tmp_path, rows, wanted=WANTED, calibration=None, **said):
    path = tmp_path / "o.parquet"
    count = len(next(iter(rows.values())))
    parquet.write_table(pa.table({"source_id": np.arange(1, count + 1), **rows}), path)
    mapping = OtherTable.model_validate(
        {"name": "x", "title": "x", "labels": {"teff": TEFF}} | said
    )
    other = OtherStars([path], mapping, wanted, mapping.calibration(calibration))
    (block,) = other.blocks()
    return block, other.read


@pytest.mark.parametrize(
    ("test", "column", "kept"),
    [
        ({"minimum": 2}, [1.0, 2.0, np.nan], [2]),
        ({"maximum": 2}, [1.0, 3.0, np.nan], [1, 3]),
        ({"equals": [0]}, [0, 1, 0], [1, 3]),
        ({"equals": ["ok", "fine"]}, ["ok", "bad", "fine"], [1, 3]),
        ({"no_bit_of": [1, 40]}, [1, 2, 1 << 40], [1]),
        ({"no_bit_of": [1]}, [0, None, -9999], [1]),
        ({"no_bit_of": [0, 63]}, [0, 1, 2], [1, 3]),
        ({"characters": [2, 3], "largest": 1}, ["9110", "0020", "01"], [1]),
        ({"characters": [1, 2], "largest": 9}, ["", None, "9x"], []),
    ],
)
def test_cuts(test, column, kept, tmp_path):
    cut = {"name": "bad", "because": "It is.", "column": "flag", **test}
    rows = {"t": [5000.0] * 3, "flag": column}
    block, read = stars_of(tmp_path, rows, cuts=[cut], null_values=[-9999.0])
    assert block.ids.tolist() == kept
    assert read.rejected["bad"] == 3 - len(kept)


@pytest.mark.parametrize(
    ("column", "test"),
    [("source_id", {"minimum": 1}), ("source_id", {"equals": ["a"]}), ("t", {"equals": ["a"]})],
)
def test_a_cut_reads_no_column_otherwise_than_it_is_read(column, test, tmp_path):
    """Ids became floats, and most of them others'."""
    cut = {"name": "bad", "because": "It is.", "column": column, **test}
    with pytest.raises(InputError, match=f"the cut bad reads {column} as"):
        stars_of(tmp_path, {"t": [5000.0]}, cuts=[cut])


def test_a_cut_may_cost_one_label(tmp_path):
    cut = {"name": "bad", "because": "It is.", "column": "f", "equals": [0], "rejects": ["logg"]}
    labels = {"teff": TEFF, "logg": {"column": "g", "unit": "dex"}}
    rows = {"t": [5000.0, 5000.0, np.nan], "g": [1.0, 2.0, 3.0], "f": [0, 1, 1]}
    block, read = stars_of(tmp_path, rows, cuts=[cut], labels=labels)
    assert block.ids.tolist() == [1, 2]
    np.testing.assert_equal(block.values["logg"], [1.0, np.nan])
    assert read.rejected["no_label"] == 1
    assert read.nulled["logg: bad"] == 2


def test_an_optional_cut_is_passed_over_and_any_other_is_not(tmp_path):
    cut = {"name": "bad", "because": "It is.", "column": "none", "equals": [0]}
    block, _ = stars_of(tmp_path, {"t": [1.0]}, cuts=[cut | {"optional": True}])
    assert block.ids.tolist() == [1]
    with pytest.raises(InputError, match="has no column none"):
        stars_of(tmp_path, {"t": [1.0]}, cuts=[cut])


def test_values_become_ours(tmp_path):
    labels = {
        "teff": {"column": "lt", "unit": "K", "logarithm": True, "error": "elt"},
        "logg": {"column": "g", "unit": "dex", "scale": 2, "offset": 1, "error": "eg"},
        "m_h": {"column": ["nope", "M"], "unit": "dex", "lower": "ml", "upper": "mu"},
    }
    rows = {
        "lt": [np.log10(5000.0), -9999.0],
        "elt": [0.01, 0.01],
        "g": [1.5, 2.0],
        "eg": [0.1, 0.0],
        "m": [0.1, 0.2],
        "ml": [0.0, 0.2],
        "mu": [0.3, 0.1],
    }
    block, _ = stars_of(tmp_path, rows, labels=labels, null_values=[-9999.0])
    np.testing.assert_allclose(block.values["teff"], [5000.0, np.nan])
    np.testing.assert_allclose(block.errors["teff"][0], 5000 * np.log(10) * 0.01)
    np.testing.assert_allclose(block.values["logg"], [4.0, 5.0])
    np.testing.assert_allclose(block.errors["logg"], [0.2, np.nan])
    np.testing.assert_allclose(block.errors["m_h"], [0.15, np.nan])


def test_values_beyond_their_range_are_none(tmp_path):
    labels = {"teff": TEFF | {"minimum": 4000, "maximum": 6000}}
    block, read = stars_of(tmp_path, {"t": [3000.0, 5000.0, 7000.0]}, labels=labels)
    assert block.ids.tolist() == [2]
    assert read.nulled["teff: outside its range"] == 2


def test_sentinels_of_four_byte_numbers_are_known(tmp_path):
    rows = {"t": pa.array([-9999.99, 5000.0], pa.float32())}
    block, _ = stars_of(tmp_path, rows, null_values=[-9999.99])
    assert block.ids.tolist() == [2]


def test_the_calibration_of_gsp_spec(tmp_path):
    """By hand, from the coefficients of Recio-Blanco et al. 2023 at log g = 4."""
    mapping = load_mapping("gsp-spec").model_dump(mode="json")
    rows = {"teff_gspspec": [5000.0] * 2, "logg_gspspec": [4.0, 0.5], "mh_gspspec": [0.0] * 2}
    rows |= {"alphafe_gspspec": [0.1] * 2, "flags_gspspec": ["0" * 41] * 2}
    block, _ = stars_of(tmp_path, rows, calibration="recio-blanco-2023", **mapping)
    assert block.values["logg"][0] == pytest.approx(4 + 0.4496 - 4 * 0.0036 - 16 * 0.0224)
    assert block.values["m_h"][0] == pytest.approx(0.274 - 0.5492 - 0.08 + 0.3072)
    added = -0.5809 + 4 * 0.7018 - 16 * 0.2402 + 64 * 0.0239
    np.testing.assert_allclose(block.values["alpha_m"], [0.1 + added, np.nan])


def test_gsp_spec_leaves_out_what_its_flags_reject(tmp_path):
    mapping = load_mapping("gsp-spec").model_dump(mode="json")
    flags = ["0" * 41, "8" * 41, "000000000000" + "9" + "0" * 28, "0" * 13 + "9" * 28, None]
    rows = {"teff_gspspec": [5000.0] * 4 + [np.nan], "flags_gspspec": flags}
    block, read = stars_of(tmp_path, rows, wanted=("teff",), **mapping)
    assert block.ids.tolist() == [1, 2, 4]
    assert read.rejected == {"no_source_id": 0, "no_label": 1, "flagged_9": 1}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({"t": ["5000", "hot"]}, "column t holds string"),
        ({"t": [[1.0], [2.0]]}, "column t holds list"),
        ({"t": [1.0, 2.0], "source_id": [1.5, 2.5]}, "floating-point"),
    ],
)
def test_columns_of_another_kind_are_refused(rows, words, tmp_path):
    with pytest.raises(InputError, match=words):
        stars_of(tmp_path, rows)


def test_ids_may_be_written_out(tmp_path):
    ids = ["Gaia DR3 4295806720", "12", "", None, "1.5", "99999999999999999999"]
    block, read = stars_of(tmp_path, {"source_id": ids, "t": [1.0] * 6})
    assert block.ids.tolist() == [4295806720, 12]
    assert read.rejected["no_source_id"] == 4


@pytest.mark.parametrize("name", sorted(profiles()))
def test_every_profile_is_right(name):
    mapping = profiles()[name]
    refuse_other_units(mapping, known_labels().values())
    assert mapping.name == name
    assert mapping.cite or name == "simulated-truth"
    assert mapping.checked
    if mapping.survey is None:
        assert {*mapping.labels} <= {*WANTED}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"labels": {"teff": TEFF | {"lower": "a"}}}, "an interval needs lower and upper"),
        ({"labels": {"teff": TEFF | {"scale": 0}}}, "scale is 0"),
        ({"labels": {}}, "give labels, or the name of a survey"),
        ({"cuts": [{"name": "a", "because": "b", "column": "c"}]}, "give one test"),
        ({"calibrations": {"k": {"title": "t", "cite": "c", "labels": {
            "logg": {"of": "logg", "coefficients": [1]}}}}}, "needs logg"),
        ({"surprise": 1}, "Extra inputs"),
        ({"files": ["/etc"]}, "'/etc' is no pattern of files in a folder"),
        ({"files": ["a", "../*"]}, "no pattern"),
        ({"files": [""]}, "no pattern"),
    ],
)  # fmt: skip
def test_a_wrong_mapping_is_refused(wrong, words):
    said = {"name": "x", "title": "x", "labels": {"teff": TEFF}}
    with pytest.raises(ValueError, match=words):
        OtherTable.model_validate(said | wrong)


def test_other_units_are_refused():
    mapping = OtherTable.model_validate(
        {"name": "x", "title": "x", "labels": {"teff": {"column": "t", "unit": "mK"}}}
    )
    with pytest.raises(ConfigError, match=r"labels.teff.unit is 'mK'"):
        refuse_other_units(mapping, known_labels().values())


def test_a_calibration_that_there_is_not():
    with pytest.raises(ConfigError, match="Known of it: recio-blanco-2023"):
        load_mapping("gsp-spec").calibration("best")
