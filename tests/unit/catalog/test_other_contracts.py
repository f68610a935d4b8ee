"""Catalogues of other labels and inputs: sealed, validated, opened, cleaned, told apart."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from catalog_builder import open_catalog, open_table
from catalog_builder.catalog.open import schema_of
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.cli.program import app  # with its commands
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.labels.agreed import default_schema
from tests.contracts import FOUR, SIX, THIRTY, THREE_SPECTRA

ROWS = 23


def small(contract):
    """Return the schema of a contract with the columns of some labels only."""
    schema = CatalogSchema.of(contract)
    shown = {"teff", "m_h", "alpha_m", *contract.labels.names[-2:]}
    kept = [c for c in schema.all_columns if shown.issuperset(schema.labels_of(c.name))]
    return schema.model_copy(update={"all_columns": tuple(kept)})


@pytest.fixture(scope="module")
def published(publish_rows, tmp_path_factory):
    """Return a function that seals a catalogue of a contract; some masks can be given."""

    def make(contract, **changed):
        schema = small(contract)
        target = tmp_path_factory.mktemp("other") / "dr3" / "v1"
        return publish_rows(target, schema, ROWS, **changed)

    return make


@pytest.fixture(scope="module")
def six(published):
    return published(SIX)


@pytest.mark.parametrize("contract", [FOUR, THREE_SPECTRA], ids=["four labels", "three spectra"])
def test_a_catalogue_says_what_it_is_about(published, contract):
    target = published(contract)
    assert validate_catalog(target) == []
    schema = schema_of(target)
    assert (schema.labels, schema.inputs) == (contract.labels, contract.inputs)
    opened = open_catalog(target)
    assert tuple(opened.attrs["columns"]) == schema.names
    assert {*opened.variables} == {*schema.names}
    assert open_table(target).colnames == [column.name for column in schema.all_columns]


def test_bits_beyond_the_first_mask_are_validated_and_cleaned(published):
    schema = CatalogSchema.of(THIRTY)
    outside, absent = (
        next(b for b in reversed(schema.flags.bits) if b.name.endswith(f"_{what}"))
        for what in ("outside_range", "not_available")
    )
    last = absent.name.removesuffix("_not_available")
    assert absent.column == "flags_2"
    # The last label is null in row 4; another lies outside of its range in row 3.
    masks = {name: np.full(ROWS, 15 * (name == "flags")) for name in schema.flags.columns}
    masks["flags"][::5] |= schema.flags["m_h_not_available"].mask
    masks[absent.column][4] |= absent.mask
    masks[outside.column][3] |= outside.mask
    values = {name: np.full(ROWS, 0.3) for name in (last, f"e_{last}", f"e95_{last}")}
    values |= {f"e_{last}_{part}": np.full(ROWS, 0.3) for part in ("aleatoric", "epistemic")}
    for column in values.values():
        column[4] = np.nan
    target = published(THIRTY, **masks, **values)
    assert validate_catalog(target) == []
    doubted = outside.name.removesuffix("_outside_range")
    plain, clean = open_catalog(target), open_catalog(target, clean=True)
    for name in (doubted, f"e95_{doubted}"):
        assert np.isfinite(plain[name].values[3])
        assert np.isnan(clean[name].values[3])
    assert np.isfinite(clean["teff"].values).all()
    digits = open_table(target, ["training_range"])["training_range"]
    assert len(digits[0]) == 32
    assert (digits[3][29], digits[4][29]) == ("1" if doubted == last else "0", "9")


def test_a_bit_of_the_second_mask_that_nobody_declared_is_found(published):
    schema = CatalogSchema.of(THIRTY)
    unused = np.zeros(ROWS, dtype=np.int64)
    unused[7] = 1 << 50
    assert not schema.flags.declared_masks["flags_2"] & 1 << 50
    with pytest.raises(CatalogueError, match="flags_2, row 7: an undeclared bit is set"):
        published(THIRTY, flags_2=unused)


@pytest.mark.parametrize("opened", [lambda f: open_catalog(f, clean=True), open_table])
def test_a_sixth_label_is_there_however_it_is_opened(six, opened):
    assert "mg_fe" in set(map(str, opened(six).columns if opened is open_table else opened(six)))
    assert schema_of(six).labels_of("corr_alpha_m_mg_fe") == ("alpha_m", "mg_fe")
    assert schema_of(six).labels_of("corr_mg_fe_alpha_m") == ()


def test_a_fits_file_beside_its_schema_can_be_cleaned(six):
    table = open_table(six / "catalog.fits", clean=True)
    assert "mg_fe" in table.colnames


def test_what_is_copied_away_from_its_schema_is_read_but_not_cleaned(six, tmp_path):
    fits = shutil.copy(six / "catalog.fits", tmp_path / "c.fits")
    store = shutil.copytree(six / "catalog.zarr", tmp_path / "c.zarr")
    assert "mg_fe" in open_table(fits).colnames
    assert "mg_fe" in open_catalog(store)
    for path in (fits, store):
        with pytest.raises(CatalogueError, match=r"what the flags mean for the columns mg_fe"):
            open_table(path, clean=True)


def test_describe_prints_a_catalogues_own_schema(six):
    told = CliRunner().invoke(app, ["describe", str(six)])
    assert told.exit_code == 0
    assert "Magnesium abundance [Mg/Fe]" in told.stdout
    today = CliRunner().invoke(app, ["describe"])
    assert today.stdout == default_schema().describe() + "\n"
    both = CliRunner().invoke(app, ["describe", str(six), "--survey", "apogee-dr17"])
    assert both.exit_code != 0
