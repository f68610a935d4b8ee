"""A column digest names the values, and nothing but the values."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from catalog_builder.catalog.digest import (
    BLOCK_ROWS,
    SerialDigest,
    TreeDigest,
    block_digest,
    column_digest,
    store_digests,
)
from catalog_builder.labels.agreed import default_schema

SCHEMA = default_schema()
TEFF = SCHEMA["teff"]


@given(
    name=st.sampled_from(["source_id", "ra", "teff", "has_xp"]),
    data=st.data(),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_chunks_and_byte_order_do_not_matter(name, data, cuts):
    column = SCHEMA[name]
    values = data.draw(arrays(column.numpy_dtype, st.integers(0, 40)))
    pieces = np.split(values, sorted(cuts))
    swapped = [piece.astype(column.numpy_dtype.newbyteorder(">")) for piece in pieces]
    assert column_digest(column, [values]) == column_digest(column, swapped)


def test_every_nan_is_the_same_null():
    payload = np.array([0x7FC00001, 0xFFC00000], dtype=np.uint32).view(np.float32)
    plain = np.array([np.nan, np.nan], dtype=np.float32)
    assert payload.tobytes() != plain.tobytes()
    assert column_digest(TEFF, [payload]) == column_digest(TEFF, [plain])


@pytest.mark.parametrize(
    "other",
    [[1.0, 2.0], [2.0, 1.0, 3.0], [1.0, 2.0, 3.0, 3.0], [1.0, 2.0, np.nextafter(np.float32(3), 4)]],
)
def test_another_value_order_or_length_is_another_digest(other):
    values = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    assert column_digest(TEFF, [values]) != column_digest(TEFF, [np.array(other, dtype=np.float32)])


def test_name_and_dtype_belong_to_the_digest():
    zeros = [np.zeros(4)]
    digests = {column_digest(SCHEMA[name], zeros) for name in ("teff", "logg", "ra", "flags")}
    assert len(digests) == 4


def test_the_input_is_left_alone():
    values = np.array([0x7FC00001], dtype=np.uint32).view(np.float32)
    column_digest(TEFF, [values])
    assert values.view(np.uint32)[0] == 0x7FC00001


def test_a_store_has_one_digest_per_column_whatever_its_chunks(tmp_path, schema, write_store):
    write_store(tmp_path / "a.zarr", 23, chunk_rows=10)
    write_store(tmp_path / "b.zarr", 23, chunk_rows=7)
    digests = store_digests(tmp_path / "a.zarr", schema)
    assert digests == store_digests(tmp_path / "b.zarr", schema)
    assert tuple(digests) == schema.names


@pytest.mark.parametrize("rows", [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS])
def test_the_digest_is_that_of_its_blocks(rows):
    values = np.arange(rows, dtype=np.float32)
    tree = TreeDigest(TEFF)
    for start in range(0, rows, BLOCK_ROWS):
        tree.add(block_digest(TEFF, values[start : start + BLOCK_ROWS]))
    assert tree.hexdigest() == column_digest(TEFF, np.array_split(values, 5))


def test_the_digests_of_version_0_1_0_are_made_as_they_were():
    values = np.array([1.0, np.nan], dtype=">f4")
    meant = hashlib.sha256(b"teff\0float32\0" + np.array([1.0, np.nan], "<f4").tobytes())
    assert column_digest(TEFF, [values], SerialDigest) == meant.hexdigest()
    assert column_digest(TEFF, [values]) != meant.hexdigest()
