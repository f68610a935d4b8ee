"""Ids are new once, in whatever blocks they come."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.features.seen import SeenIds, is_among


@given(st.lists(st.lists(st.integers(1, 20), max_size=8), max_size=12))
def test_an_id_is_new_where_it_is_met_first(blocks):
    seen, met = SeenIds(), set()
    for block in blocks:
        expected = [met_first not in met and not met.add(met_first) for met_first in block]
        assert seen.add(np.array(block, np.int64)).tolist() == expected


def test_none_are_among_none():
    assert is_among(np.array([1]), np.array([], np.int64)).tolist() == [False]


def test_a_million_ids_in_small_blocks_are_quick():
    """Sorting all of them again for each block took minutes."""
    ids = np.random.default_rng(0).permutation(1_000_000)
    seen, begin = SeenIds(), time.process_time()
    assert sum(int(seen.add(block).sum()) for block in np.split(ids, 500)) == ids.size
    assert time.process_time() - begin < 5
