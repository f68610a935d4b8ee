"""Folders, names and columns come from the release description."""

from __future__ import annotations

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import ConfigError
from catalog_builder.simulate.writing import layout

DR3 = load_release("dr3")


def test_every_described_column_is_written_once():
    for table, spec in DR3.tables.items():
        names = [canonical for canonical, _ in layout.columns_of(DR3, table)]
        assert set(spec.columns) <= set(names)
        assert len(names) == len(set(names))


def test_types_and_arrays_follow_the_description():
    columns = dict(layout.columns_of(DR3, "xp_continuous_mean_spectrum"))
    assert columns["bp_coefficients"].dtype == "float64"
    assert columns["bp_coefficients"].array
    assert columns["rp_n_parameters"].dtype == "int16"
    assert next(iter(columns)) == "source_id"


def test_a_renamed_column_gets_the_name_of_the_release():
    spec = DR3.tables["gaia_source"]
    renamed = spec.columns["grvs_mag"].model_copy(update={"names": ("g_rvs",)})
    table = spec.model_copy(update={"columns": {**spec.columns, "grvs_mag": renamed}})
    other = DR3.model_copy(update={"tables": {**DR3.tables, "gaia_source": table}})
    columns = dict(layout.columns_of(other, "gaia_source"))
    assert columns["grvs_mag"].name == "g_rvs"


def test_an_unknown_column_comes_last_with_the_archive_spelling_of_its_unit():
    spec = DR3.tables["gaia_source"]
    extra = spec.columns["parallax"].model_copy(update={"unit": "mas yr-1"})
    table = spec.model_copy(update={"columns": {**spec.columns, "pm": extra}})
    other = DR3.model_copy(update={"tables": {**DR3.tables, "gaia_source": table}})
    canonical, column = layout.columns_of(other, "gaia_source")[-1]
    assert (canonical, column.unit) == ("pm", "mas.yr**-1")


def test_file_names_match_the_pattern_of_the_release():
    name = layout.range_name(DR3, 0, 3111)
    spec = DR3.tables["gaia_source"]
    assert layout.file_name(spec, name) == "GaiaSource_000000-003111.csv.gz"


def test_a_release_with_other_files_is_refused():
    rule = DR3.partition.model_copy(update={"range_pattern": r"(?P<start>\d)x(?P<stop>\d)"})
    with pytest.raises(ConfigError, match="six digits"):
        layout.range_name(DR3.model_copy(update={"partition": rule}), 0, 1)
    spec = DR3.tables["gaia_source"].model_copy(update={"formats": ("parquet",)})
    with pytest.raises(ConfigError, match=r"csv\.gz"):
        layout.file_name(spec, "000000-000001")
