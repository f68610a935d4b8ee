"""Arrays written chunk by chunk are what zarr would have written, and what it reads."""

from itertools import pairwise

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_builder.stores.shards import COMPRESSORS, RowsWriter, write_columns, write_group

CHUNK, SAMPLES, SHARD_CHUNKS = 3, 5, 2


def write_rows(folder, values, cuts=()):
    writer = RowsWriter(
        folder, values.dtype.name, values.shape[1], CHUNK, SHARD_CHUNKS, ("star", "wavelength")
    )
    for start, stop in pairwise([0, *sorted(cuts), len(values)]):
        writer.append(values[start:stop])
    writer.finish()


def with_zarr(folder, values, chunks, shards):
    array = zarr.create_array(
        folder,
        shape=values.shape,
        chunks=chunks,
        shards=shards,
        dtype=values.dtype,
        compressors=COMPRESSORS,
        dimension_names=("star", "wavelength"),
        chunk_key_encoding={"name": "default", "separator": "."},
        config={"write_empty_chunks": True},
    )
    array[:] = values


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(0, 14), dtype=st.sampled_from(["float32", "bool", "int64"]), data=st.data())
def test_zarr_reads_rows_in_whatever_blocks_they_came(tmp_path_factory, rows, dtype, data):
    cuts = data.draw(st.lists(st.integers(0, rows), max_size=4))
    values = np.random.default_rng(rows).integers(-3, 3, (rows, SAMPLES)).astype(dtype)
    folder = tmp_path_factory.mktemp("arrays")
    write_rows(folder / "cut", values, cuts)
    write_rows(folder / "whole", values)
    assert contents(folder / "cut") == contents(folder / "whole")
    array = zarr.open_array(folder / "cut", mode="r")
    assert array.dtype == values.dtype
    np.testing.assert_array_equal(array[:], values)


def test_full_shards_are_the_bytes_that_zarr_writes(tmp_path):
    values = np.random.default_rng(0).random((2 * CHUNK * SHARD_CHUNKS, SAMPLES)).astype("float32")
    write_rows(tmp_path / "ours", values)
    with_zarr(tmp_path / "zarr", values, (CHUNK, SAMPLES), (CHUNK * SHARD_CHUNKS, SAMPLES))
    ours, expected = (zarr.open_array(tmp_path / name, mode="r") for name in ("ours", "zarr"))
    assert ours.metadata == expected.metadata
    for name in ("c.0.0", "c.1.0"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "zarr" / name).read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 4, 9])
def test_zarr_reads_columns(tmp_path, rows):
    values = np.random.default_rng(rows).random((3, rows))
    write_columns(tmp_path / "columns", values, 4, ("column", "star"))
    write_group(tmp_path, {"kind": "test"})
    group = zarr.open_group(tmp_path, mode="r")
    assert group.attrs["kind"] == "test"
    np.testing.assert_array_equal(group["columns"][:], values)
    assert group["columns"].metadata.dimension_names == ("column", "star")


def test_a_flipped_bit_is_found(tmp_path):
    write_rows(tmp_path / "rows", np.ones((CHUNK, SAMPLES), "float32"))
    file = tmp_path / "rows" / "c.0.0"
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(tmp_path / "rows", mode="r")[:]
