"""Which column of a file is taken for which described one."""

import numpy as np
from astropy.table import Table

from catalog_builder.archive.tables import ColumnSpec, TableSpec
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.match import look_at_group, match_table

COLUMNS = {
    "source_id": ColumnSpec(dtype="int64", required=True),
    "bp_rp_excess_factor": ColumnSpec(dtype="float32"),
    "parallax": ColumnSpec(dtype="float64", unit="mas"),
    "parallax_error": ColumnSpec(dtype="float32", unit="mas"),
    "teff_gspspec": ColumnSpec(dtype="float32", unit="K"),
    "teff_gspphot": ColumnSpec(dtype="float32", unit="K"),
}


def matched(folder, **units):
    """Return which columns of a table with these units are taken for described ones."""
    table = Table({name: np.linspace(1, 2, 5) for name in units}, units=units)
    table.add_column(np.arange(1, 6) << 35, name="source_id", index=0)
    table.write(folder / "t_0-100.ecsv", format="ascii.ecsv")
    (group,) = find_groups(str(folder))
    spec = TableSpec(folders=("t",), formats=("ecsv",), columns=COLUMNS)
    found = match_table("t", spec, look_at_group(group)).columns
    return {name: each.name for name, each in found.items()}


def test_a_like_name_of_another_unit_is_another_column(tmp_path):
    assert matched(tmp_path, bp_rp="mag") == {"source_id": "source_id"}


def test_units_that_can_be_converted_are_no_reason_against_a_like_name(tmp_path):
    assert matched(tmp_path, parallax_err="uas")["parallax_error"] == "parallax_err"


def test_what_belongs_to_a_column_that_is_there_is_not_taken_for_another(tmp_path):
    found = matched(tmp_path, teff_gspspec="K", teff_gspspec_lower="K", parallax="mas")
    assert found.keys() == {"source_id", "teff_gspspec", "parallax"}


def test_an_error_of_a_column_that_is_there_is_still_found(tmp_path):
    found = matched(tmp_path, parallax="mas", parallax_err="mas")
    assert found["parallax_error"] == "parallax_err"
