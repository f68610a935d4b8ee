"""The store: every row once, whole chunks only, readable by xarray as it is."""

import shutil
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_builder.catalog.zarr_store import (
    create_store,
    read_column,
    read_rows,
    row_count,
    write_rows,
)
from catalog_builder.ground.errors import CatalogueError, StoreError


def test_xarray_reads_what_was_written(tmp_path, full_schema, write_store):
    columns = write_store(tmp_path / "catalog.zarr", 23, schema=full_schema)
    with xr.open_zarr(tmp_path / "catalog.zarr") as dataset:
        assert dict(dataset.sizes) == {"source": 23}
        assert full_schema.validate_dataset(dataset) == []
        assert dataset.attrs["title"] == "A small catalogue"
        for name, values in columns.items():
            np.testing.assert_array_equal(dataset[name].values, values)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), rows=st.integers(1, 60), chunk_rows=st.integers(1, 25))
def test_no_boundary_loses_or_doubles_a_row(tmp_path_factory, schema, data, rows, chunk_rows):
    """Tasks own runs of whole chunks and finish in any order."""
    path = tmp_path_factory.mktemp("store") / "catalog.zarr"
    # One column tells as much about boundaries as forty-six, in a fiftieth of the time.
    narrow = schema.model_copy(update={"all_columns": (schema["source_id"],)})
    ids = np.arange(rows, dtype=np.int64) * 7 + 3
    create_store(path, narrow, rows, chunk_rows)
    chunks = -(-rows // chunk_rows)
    cuts = sorted(data.draw(st.sets(st.integers(1, chunks), max_size=4)) | {0, chunks})
    tasks = data.draw(st.permutations(list(pairwise(cuts))))
    for first, last in tasks:
        block = ids[first * chunk_rows : last * chunk_rows]
        write_rows(path, narrow, first * chunk_rows, {"source_id": block})
    blocks = [values for _, values in read_column(path, "source_id")]
    np.testing.assert_array_equal(np.concatenate(blocks), ids)
    assert row_count(path) == rows
    shutil.rmtree(path)


@pytest.mark.parametrize(("start", "rows"), [(5, 10), (0, 7), (10, 5), (20, 10)])
def test_rows_that_are_no_whole_chunks_are_refused(tmp_path, schema, make_rows, start, rows):
    create_store(tmp_path / "c.zarr", schema, 23, 10)
    with pytest.raises(StoreError):
        write_rows(tmp_path / "c.zarr", schema, start, make_rows(rows))


def test_a_store_is_not_created_over_another(tmp_path, schema):
    create_store(tmp_path / "c.zarr", schema, 3, 10)
    with pytest.raises(StoreError, match="exists"):
        create_store(tmp_path / "c.zarr", schema, 3, 10)


def test_columns_must_be_those_of_the_schema(tmp_path, schema, make_rows):
    create_store(tmp_path / "c.zarr", schema, 3, 10)
    rows = make_rows(3)
    rows["tef"] = rows.pop("teff")
    with pytest.raises(StoreError, match="missing: teff; not in the schema: tef"):
        write_rows(tmp_path / "c.zarr", schema, 0, rows)


def test_columns_must_have_one_length(tmp_path, schema, make_rows):
    create_store(tmp_path / "c.zarr", schema, 3, 10)
    with pytest.raises(StoreError, match="rows in one write"):
        write_rows(tmp_path / "c.zarr", schema, 0, {**make_rows(3), "teff": np.zeros(2)})


def test_precision_may_be_lost_but_not_kind(tmp_path, schema, make_rows):
    create_store(tmp_path / "c.zarr", schema, 3, 10)
    double = {**make_rows(3), "teff": np.full(3, 1 / 3)}
    write_rows(tmp_path / "c.zarr", schema, 0, double)
    ((_, block),) = read_rows(tmp_path / "c.zarr", ["teff", "flags"])
    assert block["teff"].tolist() == [np.float32(1 / 3)] * 3
    with pytest.raises(StoreError, match="flags is float64"):
        write_rows(tmp_path / "c.zarr", schema, 0, {**double, "flags": np.zeros(3)})


def test_a_chunk_of_nulls_is_written_too(tmp_path, schema, write_store):
    write_store(tmp_path / "c.zarr", 23, teff=np.full(23, np.nan))
    assert len(list((tmp_path / "c.zarr" / "teff" / "c").iterdir())) == 3


def test_a_flipped_byte_is_an_error_on_read(tmp_path, write_store):
    write_store(tmp_path / "c.zarr", 23)
    chunk = tmp_path / "c.zarr" / "teff" / "c" / "1"
    damaged = bytearray(chunk.read_bytes())
    damaged[9] ^= 1
    chunk.write_bytes(damaged)
    with pytest.raises(CatalogueError, match=r"teff/c/1 is damaged: its checksum"):
        list(read_column(tmp_path / "c.zarr", "teff"))


def test_an_absent_column_is_named(tmp_path, write_store):
    write_store(tmp_path / "c.zarr", 3)
    with pytest.raises(StoreError, match="no column vbroad"):
        next(read_column(tmp_path / "c.zarr", "vbroad"))
