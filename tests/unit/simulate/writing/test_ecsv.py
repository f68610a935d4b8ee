"""Files in the archive's text layout."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catalog_builder.simulate.writing.ecsv import Column, TableWriter, md5

COLUMNS = [
    Column("source_id", "int64"),
    Column("designation", "string"),
    Column("has_rvs", "bool"),
    Column("parallax", "float64", "mas"),
    Column("count", "int16"),
    Column("flux", "float32", "W.m**-2.nm**-1", array=True),
]


def _block():
    return {
        "source_id": np.array([1, 2, 3]),
        "designation": np.array(["Gaia DR3 1", "Gaia DR3 2", "Gaia DR3 3"]),
        "has_rvs": np.array([True, False, True]),
        "parallax": np.array([1.5, np.nan, -0.25]),
        "count": np.ma.array([7, 8, 9], mask=[False, False, True]),
        "flux": np.array([[1e-16, 2e-16], [np.nan, np.nan], [np.nan, 3e-16]], dtype=np.float32),
    }


def _write(path, block, **more):
    with TableWriter(path, COLUMNS) as writer:
        writer.write(block, **more)


def test_text_is_that_of_the_archive(tmp_path):
    path = tmp_path / "t.csv.gz"
    _write(path, _block())
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert lines[0] == "# %ECSV 1.0"
    data = [line for line in lines if not line.startswith("#")]
    assert data == [
        "source_id,designation,has_rvs,parallax,count,flux",
        '1,"Gaia DR3 1","True",1.5,7,"[1e-16,2e-16]"',
        '2,"Gaia DR3 2","False",null,8,null',
        '3,"Gaia DR3 3","True",-0.25,null,"[NaN,3e-16]"',
    ]


def test_astropy_reads_it_back(tmp_path):
    path = tmp_path / "t.csv.gz"
    _write(path, _block())
    table = Table.read(path, format="ascii.ecsv", fill_values=[("null", "0")])
    assert table["source_id"].tolist() == [1, 2, 3]
    assert table["has_rvs"].tolist() == [True, False, True]
    assert table["parallax"].mask.tolist() == [False, True, False]
    assert str(table["flux"].unit) == "W / (nm m2)"
    assert table["flux"][0] == pytest.approx([1e-16, 2e-16])


def test_same_rows_give_the_same_bytes_under_any_name(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        _write(tmp_path / name, _block())
    assert md5(tmp_path / "a.csv.gz") == md5(tmp_path / "b.csv.gz")


def test_a_cell_can_be_damaged_on_purpose(tmp_path):
    path = tmp_path / "t.csv.gz"
    _write(path, _block(), replaced={"count": {1: "5#"}})
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()[-3:]
    assert [row.split(",")[4] for row in rows] == ["7", "5#", "null"]


def test_nothing_is_left_when_writing_fails(tmp_path):
    with pytest.raises(KeyError), TableWriter(tmp_path / "t.csv.gz", COLUMNS) as writer:
        writer.write({"source_id": np.array([1])})
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements=st.floats(width=32, allow_infinity=False),
    )
)
def test_every_float32_survives(tmp_path, values):
    path = tmp_path / "t.csv.gz"
    with TableWriter(path, [Column("flux", "float32", array=True)]) as writer:
        writer.write({"flux": values})
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    cells = [line for line in lines if not line.startswith("#")][1:]
    assert len(cells) == len(values)
    for cell, row in zip(cells, values, strict=True):
        if np.isnan(row).all():
            assert cell == "null"
            continue
        back = np.array(cell.strip('"[]').split(","), dtype=np.float32)
        np.testing.assert_array_equal(back, row)
