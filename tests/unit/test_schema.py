"""The declarations that ship, and what a wrong declaration is told."""

import warnings

import astropy.units as u
import numpy as np
import pytest
import xarray as xr
import yaml
from astropy.io.votable.ucd import check_ucd

from catalog_builder.catalog.diff import diff
from catalog_builder.errors import ConfigError
from catalog_builder.resources import schemas_dir
from catalog_builder.schema import LABELS, CatalogSchema, FlagSchema

SCHEMA = CatalogSchema.load()


def rewritten(tmp_path, change, name="catalog.yaml"):
    """Return a copy of a shipped schema file with a change applied to its content."""
    content = yaml.safe_load((schemas_dir() / name).read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def dataset(rows=3):
    return xr.Dataset(
        {
            c.name: ("source", np.zeros(rows, dtype=c.numpy_dtype), c.attributes)
            for c in SCHEMA.columns
        }
    )


def test_the_published_order():
    assert SCHEMA.names[:13] == (
        *("source_id", "ra", "dec", "teff", "e_teff", "logg", "e_logg", "m_h", "e_m_h"),
        *("alpha_m", "e_alpha_m", "fe_h", "e_fe_h"),
    )
    assert SCHEMA.names[-1] == SCHEMA.all_columns[-1].name == "flags"
    assert SCHEMA["flags"].dtype == SCHEMA["source_id"].dtype == "int64"


def test_each_pair_of_labels_has_a_correlation():
    pairs = {f"corr_{a}_{b}" for i, a in enumerate(LABELS) for b in LABELS[i + 1 :]}
    assert pairs == {name for name in SCHEMA.names if name.startswith("corr_")}


@pytest.mark.parametrize("column", SCHEMA.all_columns, ids=lambda c: c.name)
def test_units_and_ucds_are_standard(column):
    assert check_ucd(column.ucd, check_controlled_vocabulary=True)
    unit = column.unit.removeprefix("log(").removesuffix(")")
    assert u.Unit(unit, format="vounit") == u.Unit(unit, format="fits")
    assert column.description.isascii()  # a FITS card holds nothing else
    assert len(column.title) < len(column.description)


def test_errors_have_the_unit_of_their_label():
    for label in LABELS:
        for name in (f"e_{label}", f"e_{label}_aleatoric", f"e_{label}_epistemic"):
            assert SCHEMA[name].unit == SCHEMA[label].unit
            assert SCHEMA[name].ucd == f"stat.error;{SCHEMA[label].ucd}"


def test_every_float_says_when_it_is_null():
    assert {c.name for c in SCHEMA.columns if c.nullable and not c.null_meaning} == set()


def test_a_dataset_as_declared_passes():
    assert SCHEMA.validate_dataset(dataset()) == []


def test_a_dataset_is_told_every_difference():
    wrong = dataset().drop_vars("logg").assign(extra=("source", np.zeros(3)))
    wrong["teff"].attrs["units"] = "Angstrom"
    wrong["fe_h"] = wrong["fe_h"].astype("float64")
    found = {(m.column, m.problem) for m in SCHEMA.validate_dataset(wrong)}
    assert found == {
        ("logg", "missing"),
        ("extra", "not in the schema"),
        ("teff", "units is 'Angstrom', declared 'K'"),
        ("fe_h", "dtype float64, declared float32"),
    }


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("unit", "parsec per fortnight", "columns.3.unit"),
        ("unit", "dex", "columns.3.unit"),
        ("ucd", "phys.temperature.imagined", "columns.3.ucd"),
        ("dtype", "float16", "columns.3.dtype"),
        ("colour", "red", "columns.3.colour"),
        ("name", "source_id", "declared twice"),
    ],
)
def test_a_wrong_declaration_is_refused_and_named(tmp_path, key, value, named):
    path = rewritten(tmp_path, lambda content: content["columns"][3].update({key: value}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy suggests other units as a warning
        with pytest.raises(ConfigError) as caught:
            CatalogSchema.load(path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a list", "version: [", "version: '1.0'"])
def test_a_file_that_is_no_schema_is_a_config_error(tmp_path, text):
    path = tmp_path / "flags.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"flags\.yaml"):
        FlagSchema.load(path)


@pytest.mark.parametrize(
    ("key", "value"), [("bit", 63), ("bit", 0), ("name", "rvs_used"), ("test", ""), ("sense", 1)]
)
def test_a_wrong_bit_is_refused(tmp_path, key, value):
    path = rewritten(tmp_path, lambda c: c["bits"][1].update({key: value}), "flags.yaml")
    with pytest.raises(ConfigError):
        FlagSchema.load(path)


def test_unknown_names_are_answered_with_the_way_out():
    with pytest.raises(ConfigError, match="describe"):
        SCHEMA["tef"]
    with pytest.raises(ConfigError, match="xp_used"):
        SCHEMA.flags["xp"]


def test_description_in_words_names_everything():
    text = SCHEMA.describe()
    for column in SCHEMA.all_columns:
        assert column.name in text
        assert column.description in text
    assert all(bit.sentence in text for bit in SCHEMA.flags.bits)


def test_the_digest_follows_the_content(tmp_path):
    assert CatalogSchema.load().digest == SCHEMA.digest
    path = rewritten(tmp_path, lambda c: c["columns"][3].update(description="Heat."))
    assert CatalogSchema.load(path).digest != SCHEMA.digest


def test_a_schema_survives_json():
    text = SCHEMA.model_dump(mode="json", by_alias=True)
    assert CatalogSchema.model_validate(text) == SCHEMA


def test_additions_and_notes_are_compatible(tmp_path):
    def grow(content):
        new = {"name": "vbroad", "dtype": "float32", "ucd": "spect.line.broad", "description": "V."}
        content["columns"].insert(-1, new)
        content["columns"][3]["note"] = "Hot stars are rare."

    def reserve_a_bit(content):
        bit = content["bits"][18]
        bit.update(status="reserved", test="", parameters={})

    reserved = CatalogSchema.load(flags=rewritten(tmp_path, reserve_a_bit, "flags.yaml"))
    new = CatalogSchema.load(rewritten(tmp_path, grow))
    assert diff(reserved, new) == (True, (), ("column vbroad",))


def test_another_meaning_of_a_tier_breaks(tmp_path):
    def loosen(content):
        content["tiers"][0]["largest_sigma"]["teff"] = 300.0

    found = diff(SCHEMA, CatalogSchema.load(flags=rewritten(tmp_path, loosen, "flags.yaml")))
    assert found == (False, ("tier 1 (gold) is gone or has changed",), ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["columns"].pop(3), "teff is gone"),
        (lambda c: c["columns"][3].update(unit="mas"), "teff: unit was 'K', now 'mas'"),
        (lambda c: c["columns"][3].update(description="Another heat."), "teff: description was"),
        (lambda c: c["columns"].insert(5, c["columns"].pop(3)), "another order"),
    ],
)
def test_a_changed_column_is_incompatible(tmp_path, change, said):
    result = diff(SCHEMA, CatalogSchema.load(rewritten(tmp_path, change)))
    assert not result.compatible
    assert any(said in problem for problem in result.breaking)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["bits"].pop(2), "is gone"),
        (lambda c: c["bits"][2].update(sentence="Something else."), "number or sentence"),
        (lambda c: c["bits"][11]["parameters"].update(threshold=15.0), "test has changed"),
    ],
)
def test_a_changed_bit_is_incompatible(tmp_path, change, said):
    new = CatalogSchema.load(flags=rewritten(tmp_path, change, "flags.yaml"))
    result = diff(SCHEMA, new)
    assert not result.compatible
    assert any(said in problem for problem in result.breaking)


def test_a_withdrawn_bit_stays_withdrawn(tmp_path):
    def withdraw(content):
        content["bits"][2] = {
            "bit": 2,
            "name": "photometry_used",
            "sentence": content["bits"][2]["sentence"],
            "status": "withdrawn",
        }

    withdrawn = CatalogSchema.load(flags=rewritten(tmp_path, withdraw, "flags.yaml"))
    assert diff(SCHEMA, withdrawn).compatible
    assert not diff(withdrawn, SCHEMA).compatible
