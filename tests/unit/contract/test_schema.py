"""The declarations that ship, and what a wrong declaration is told."""

import json
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import xarray as xr
import yaml
from astropy.io.votable.ucd import check_ucd

from catalog_builder.comparing.schemas import compare_schemas
from catalog_builder.contract.flags import FlagSchema
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.agreed import default_contract, default_schema
from tests.contracts import added_since_1_1

SCHEMA = default_schema()
LABELS = SCHEMA.labels.names
RELEASED = Path(__file__).with_name("released-1.1.json")


def rewritten(tmp_path, change, name="catalog.yaml"):
    """Return a copy of a shipped schema file with a change applied to its content."""
    content = yaml.safe_load((schemas_dir() / name).read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def changed(change):
    """Return the schema with a change applied to what a catalogue's schema.json says."""
    content = SCHEMA.model_dump(mode="json", by_alias=True)
    change(content)
    return CatalogSchema.model_validate(content)


def dataset(rows=3):
    return xr.Dataset(
        {
            c.name: ("source", np.zeros(rows, dtype=c.numpy_dtype), c.attributes)
            for c in SCHEMA.columns
        }
    )


def test_what_was_released_is_still_so():
    """Names, order, dtypes, units, UCDs, descriptions, nulls, notes; bits and tiers."""
    released = json.loads(RELEASED.read_text(encoding="utf-8"))
    today = SCHEMA.model_dump(mode="json", by_alias=True)
    added = added_since_1_1(SCHEMA)
    kept = [column for column in today["columns"] if column["name"] not in added]
    assert kept == released["columns"]
    assert today["flags"]["tiers"] == released["flags"]["tiers"]
    # Two tests are called otherwise; nothing else of a bit may change.
    tests = ("test", "parameters")
    count = len(released["flags"]["bits"])
    for now, before in zip(today["flags"]["bits"][:count], released["flags"]["bits"], strict=True):
        assert {k: v for k, v in now.items() if k not in tests} == {
            k: v for k, v in before.items() if k not in tests
        }
    now = compare_schemas(CatalogSchema.model_validate(released), SCHEMA)
    more = [f"bit {bit.name}" for bit in SCHEMA.flags.bits[count:]]
    assert now == (True, (), tuple(sorted([*more, *(f"column {name}" for name in added)])))


def test_a_released_schema_keeps_its_digest():
    released = CatalogSchema.model_validate_json(RELEASED.read_text(encoding="utf-8"))
    assert released.digest == "8f8def7fba9e044a8f09cdeefa0c05f3ae5fe972ae3b1edb8d6c5164bc514128"
    assert released.said_contract is None
    assert released.or_else(default_contract()).labels.names == LABELS


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
        ("unit", "parsec per fortnight", "columns.teff.unit"),
        ("unit", "dex", "columns.teff.unit"),
        ("ucd", "phys.temperature.imagined", "columns.teff.ucd"),
        ("dtype", "float16", "columns.teff.dtype"),
        ("colour", "red", "columns.teff.colour"),
        ("name", "source_id", "declared twice"),
        ("description", "[\u03b1/M].", "columns.teff.description"),
        ("name", "{label.nam}", r"there is no {label.nam} here; there are label.name,"),
    ],
)
def test_a_wrong_declaration_is_refused_and_named(tmp_path, key, value, named):
    path = rewritten(
        tmp_path, lambda content: content["columns"][3]["columns"][0].update({key: value})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy suggests other units as a warning
        with pytest.raises(ConfigError) as caught:
            CatalogSchema.of(default_contract(), path)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"for": "planet"}, "for: planet: it is none of label, label_pair"),
        ({"unit": "K"}, "beside `columns` a template has unit"),
        ({"columns": [{"dtype": "int64"}]}, r"columns\.3\.name: Field required"),
    ],
)
def test_a_wrong_template_is_refused(tmp_path, change, said):
    path = rewritten(tmp_path, lambda content: content["columns"][3].update(change))
    with pytest.raises(ConfigError, match=said):
        CatalogSchema.of(default_contract(), path)


@pytest.mark.parametrize("text", ["", "- a list", "version: [", "version: '1.0'"])
def test_a_file_that_is_no_schema_is_a_config_error(tmp_path, text):
    path = tmp_path / "flags.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"flags\.yaml"):
        FlagSchema.of(default_contract(), path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("bit", 63), ("bit", 127), ("bit", 0), ("name", "rvs_used"), ("test", ""), ("sense", 1)],
)
def test_a_wrong_bit_is_refused(tmp_path, key, value):
    def change(content):
        plain = next(bit for bit in content["bits"] if bit["name"] == "not_predicted")
        plain.update({key: value})

    with pytest.raises(ConfigError, match=r"flags\.yaml"):
        FlagSchema.of(default_contract(), rewritten(tmp_path, change, "flags.yaml"))


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
    assert default_schema().digest == SCHEMA.digest
    path = rewritten(tmp_path, lambda c: c["columns"][0].update(description="Number."))
    assert CatalogSchema.of(default_contract(), path).digest != SCHEMA.digest


def test_a_schema_survives_json():
    text = SCHEMA.model_dump(mode="json", by_alias=True)
    assert CatalogSchema.model_validate(text) == SCHEMA


def test_additions_and_notes_are_compatible():
    def grow(content):
        new = {"name": "vbroad", "dtype": "float32", "ucd": "spect.line.broad", "description": "V."}
        content["columns"].insert(-1, new)
        content["columns"][3]["note"] = "Hot stars are rare."

    def reserve_a_bit(content):
        content["flags"]["bits"][18].update(status="reserved", test="", parameters={})

    assert compare_schemas(changed(reserve_a_bit), changed(grow)) == (True, (), ("column vbroad",))


def test_another_meaning_of_a_tier_breaks():
    def loosen(content):
        content["flags"]["tiers"][0]["largest_sigma"]["teff"] = 300.0

    found = compare_schemas(SCHEMA, changed(loosen))
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
def test_a_changed_column_is_incompatible(change, said):
    result = compare_schemas(SCHEMA, changed(change))
    assert not result.compatible
    assert any(said in problem for problem in result.breaking)


def without(name):
    """Return a change that takes a bit away, and out of the tiers."""

    def change(content):
        bits = content["flags"]["bits"]
        bits.remove(next(bit for bit in bits if bit["name"] == name))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("photometry_used"), "is gone"),
        (lambda c: c["flags"]["bits"][2].update(sentence="Something."), "number or sentence"),
        (lambda c: c["flags"]["bits"][11]["parameters"].update(threshold=1.0), "test has changed"),
        (lambda c: c["flags"]["bits"][11]["parameters"].update(spectrum="xp"), "test has changed"),
    ],
)
def test_a_changed_bit_is_incompatible(change, said):
    result = compare_schemas(SCHEMA, changed(change))
    assert not result.compatible
    assert any(said in problem for problem in result.breaking)


def test_a_withdrawn_bit_stays_withdrawn():
    def withdraw(content):
        content["flags"]["bits"][2].update(status="withdrawn", test="", parameters={})

    assert compare_schemas(SCHEMA, changed(withdraw)).compatible
    assert not compare_schemas(changed(withdraw), SCHEMA).compatible
