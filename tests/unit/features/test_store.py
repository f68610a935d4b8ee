"""The feature store: the same bytes whatever blocks come in, found again whatever rows are read."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_builder.archive.release import load_release
from catalog_builder.features.store import FeatureStore, FeatureWriter, arrays_of

CHUNK = 4
INPUTS = load_release("dr3").inputs
ARRAYS = arrays_of(INPUTS)


def spectra(kind, rows, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.random((rows, samples)).astype(dtype)
        if dtype != "bool"
        else rng.random((rows, samples)) < 0.5
        for name, (dtype, samples) in ARRAYS[kind].items()
    }


def write(path, rows, cuts):
    """Write `rows` XP spectra cut into blocks; source n has spectrum rows - 1 - n, or none."""
    writer = FeatureWriter(path, CHUNK, INPUTS)
    content = spectra("xp", rows)
    edges = [0, *sorted(cuts), rows]
    for start, stop in pairwise(edges):
        writer.append("xp", {name: values[start:stop] for name, values in content.items()})
    place = np.arange(rows)[::-1].astype(np.int32)
    place[::3] = -1
    sources = {
        "source_id": np.arange(rows, dtype=np.int64),
        "xp_row": place,
        "rvs_row": np.full(rows, -1, np.int32),
    }
    rejected = {"source_id": np.empty(0, np.int64)}
    return content, place, writer.finish(sources, rejected)


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(0, 11), data=st.data())
def test_blocks_leave_no_trace(tmp_path_factory, rows, data):
    cuts = data.draw(st.lists(st.integers(0, rows), max_size=4))
    folder = tmp_path_factory.mktemp("stores")
    *_, digest = write(folder / "cut", rows, cuts)
    *_, whole = write(folder / "whole", rows, [])
    assert digest == whole
    assert len(FeatureStore(folder / "cut")) == rows


def test_rows_are_found_by_slice_and_by_number(tmp_path):
    content, place, _ = write(tmp_path / "store", 11, [5])
    store = FeatureStore(tmp_path / "store")
    for rows in (slice(2, 9), np.array([0, 4, 10]), np.array([3])):
        block = store.read(rows)
        wanted = place[rows]
        for name in ARRAYS["xp"]:
            expected = np.where((wanted >= 0)[:, None], content[name][wanted], 0)
            np.testing.assert_array_equal(block[name], expected)
        assert not block["rvs_flux"].any()
        assert block["rvs_mask"].shape == (wanted.size, 800)
