"""Catalogue rows come back as they were written, whatever batches they came in."""

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog_builder.inference import rows
from catalog_builder.inference.rows import RowWriter, read_rows
from catalog_builder.labels.agreed import default_schema

SCHEMA = default_schema()


def columns(start, stop):
    made = {}
    for number, column in enumerate(SCHEMA.columns):
        values = np.arange(start, stop) * (number + 1)
        made[column.name] = values.astype(column.numpy_dtype)
    return made


def write(path, batches):
    writer = RowWriter(path, SCHEMA, sum(batches))
    start = 0
    for batch in batches:
        writer.write(start, columns(start, start + batch))
        start += batch
    return writer.finish()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_batches_of_any_size_make_the_same_rows(tmp_path_factory, batches):
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "CHUNK_ROWS", 16)
        digest = write(folder / "a.zarr", batches)
        assert digest == write(folder / "b.zarr", [sum(batches)])
    total = sum(batches)
    found = read_rows(folder / "a.zarr", 1, total)
    for name, values in columns(1, total).items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == SCHEMA[name].numpy_dtype


def test_another_value_is_another_digest(tmp_path):
    first = write(tmp_path / "a.zarr", [5])
    writer = RowWriter(tmp_path / "b.zarr", SCHEMA, 5)
    changed = columns(0, 5)
    changed["teff"][3] += 1
    writer.write(0, changed)
    assert writer.finish() != first


def test_a_gap_between_batches_is_refused(tmp_path):
    writer = RowWriter(tmp_path / "a.zarr", SCHEMA, 10)
    writer.write(0, columns(0, 4))
    with pytest.raises(ValueError, match="row 5 follows row 4"):
        writer.write(5, columns(5, 10))


def test_a_partition_without_rows_is_a_store_too(tmp_path):
    digest = RowWriter(tmp_path / "a.zarr", SCHEMA, 0).finish()
    assert zarr.open_group(tmp_path / "a.zarr", mode="r").attrs["digest"] == digest
    assert all(values.size == 0 for values in read_rows(tmp_path / "a.zarr", 0, 0).values())
