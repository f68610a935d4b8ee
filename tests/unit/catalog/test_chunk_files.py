"""Chunks written and read without zarr are those of zarr, to the byte."""

import numpy as np
import pytest
import zarr

from catalog_builder.catalog.chunk_files import chunk_file, read_chunk, write_chunk
from catalog_builder.catalog.zarr_store import create_store
from catalog_builder.ground.errors import StoreError


@pytest.fixture
def written(tmp_path, schema, write_store, make_rows):
    """Return a store that zarr wrote, and one that was written chunk by chunk."""
    write_store(tmp_path / "zarr", 23)
    create_store(tmp_path / "ours", schema, 23, 10, {"title": "A small catalogue"})
    columns = make_rows(23)
    for column in schema.columns:
        for index, start in enumerate((0, 10, 20)):
            file = chunk_file(tmp_path / "ours", column.name, index)
            write_chunk(file, column, columns[column.name][start : start + 10], 10)
    return tmp_path / "zarr", tmp_path / "ours"


def test_the_files_are_those_of_zarr(written):
    theirs, ours = written
    names = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    assert [n for n in names if (theirs / n).read_bytes() != (ours / n).read_bytes()] == []


def test_a_chunk_is_read_as_zarr_reads_it(written, schema):
    theirs, _ = written
    for column in schema.columns:
        content, values = read_chunk(chunk_file(theirs, column.name, 2), column, 3)
        array = zarr.open_array(str(theirs), path=column.name, mode="r")
        np.testing.assert_array_equal(values, array[20:])
        assert content == chunk_file(theirs, column.name, 2).read_bytes()


@pytest.mark.parametrize("harm", [lambda b: b[:-5] + b[-4:], lambda b: b[:3], lambda b: b""])
def test_a_damaged_chunk_is_named(written, schema, harm):
    file = chunk_file(written[1], "teff", 1)
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(StoreError, match=r"teff/c/1 is damaged"):
        read_chunk(file, schema["teff"], 10)


def test_a_chunk_with_too_few_rows_is_named(written, schema):
    with pytest.raises(StoreError, match="10 rows instead of 11"):
        read_chunk(chunk_file(written[1], "teff", 1), schema["teff"], 11)
