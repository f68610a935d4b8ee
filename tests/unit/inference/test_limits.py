"""A catalogue that lacks too many of its sources is not published."""

from pathlib import Path

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import ClusterError, ConfigError, ModelError
from catalog_builder.inference.limits import refuse_lost_predictions, refuse_other_columns
from catalog_builder.labels.agreed import default_contract, default_schema
from tests.contracts import THIRTY, THREE_SPECTRA


def books(**rejected):
    return {"requested": 100, "published": 100 - sum(rejected.values()), "rejected": rejected}


@pytest.mark.parametrize(
    "rejected",
    [
        {},
        {"bad_number": 50},  # ingest has looked at it
        {"prediction_failed": 10},
        {"bad_number": 4, "prediction_failed": 3, "partition_not_predicted": 3},
    ],
)
def test_so_few_that_it_goes_on(rejected):
    refuse_lost_predictions(books(**rejected), Path("model"), 0.1)


@pytest.mark.parametrize(
    ("rejected", "error", "words"),
    [
        ({"prediction_failed": 11}, ModelError, "11 of 100 .* To 11 the model m gives no finite"),
        ({"bad_number": 10, "prediction_failed": 1}, ModelError, "with the 10 rejected before"),
        ({"partition_not_predicted": 11}, ClusterError, "11 of 100"),
        ({"partition_not_predicted": 6, "prediction_failed": 5}, ClusterError, "11 of 100"),
    ],
)
def test_so_many_that_it_stops(rejected, error, words):
    with pytest.raises(error, match=words) as refusal:
        refuse_lost_predictions(books(**rejected), Path("m"), 0.1)
    assert refusal.value.way_out


def test_columns_that_nothing_fills_are_null_or_named_before_a_run():
    release = load_release("dr3")
    for contract in (default_contract(), THIRTY, THREE_SPECTRA):
        assert refuse_other_columns(CatalogSchema.of(contract), release) == []
    table = release.tables["gaia_source"]
    columns = {name: one for name, one in table.columns.items() if name not in {"ruwe", "dec"}}
    tables = {**release.tables, "gaia_source": table.model_copy(update={"columns": columns})}
    lesser = release.model_copy(update={"tables": tables})
    assert refuse_other_columns(default_schema(), lesser) == ["dec", "ruwe"]
    # Without its own columns, velocities are null as they are for stars that have none.
    columns = {name: one for name, one in table.columns.items() if not name.startswith("pm")}
    tables = {**release.tables, "gaia_source": table.model_copy(update={"columns": columns})}
    still = release.model_copy(update={"tables": tables, "magnitude_errors": {}})
    assert refuse_other_columns(default_schema(), still) == [
        *("pmra", "pmra_error", "pmdec", "pmdec_error", "pmra_pmdec_corr"),
        *(f"phot_{band}_mean_mag_error" for band in ("g", "bp", "rp")),
    ]
    schema = default_schema()
    extra = schema["source_id"].model_copy(update={"name": "solution_id"})
    columns = (schema.all_columns[0], extra, *schema.all_columns[1:])
    with pytest.raises(ConfigError, match="columns solution_id, copied from the archive"):
        refuse_other_columns(schema.model_copy(update={"all_columns": columns}), release)


@pytest.mark.parametrize(("column", "unit"), [("parallax", "arcsec"), ("ra", "rad"), ("ruwe", "K")])
def test_a_copied_column_in_another_unit_is_named_before_a_run(column, unit):
    release = load_release("dr3")
    table = release.tables["gaia_source"]
    other = table.columns[column].model_copy(update={"unit": unit})
    table = table.model_copy(update={"columns": {**table.columns, column: other}})
    release = release.model_copy(update={"tables": {**release.tables, "gaia_source": table}})
    with pytest.raises(ConfigError, match=rf"gaia_source\.columns\.{column} .* is in '{unit}'"):
        refuse_other_columns(default_schema(), release)
