"""Summaries of parts add up to that of the whole."""

from itertools import pairwise

import numpy as np
import pytest

from catalog_builder.ground.errors import StoreError
from catalog_builder.report.histogram import MeanMap
from catalog_builder.report.summary import Summary
from catalog_builder.report.tally import Tally, state_of

ROWS = 1000


def summed(schema, columns, edges):
    """Return the sum of the summaries of parts."""
    tally = Tally(schema)
    for start, stop in pairwise(edges):
        part = Summary(schema)
        part.add({name: values[start:stop] for name, values in columns.items()})
        tally.add(state_of(part))
    return tally.summary()


def test_the_sum_of_the_parts_is_the_whole(schema, make_rows):
    columns = make_rows(ROWS)
    columns["flags"][:3] |= 1 << 50  # no declared bit
    columns["quality_tier"][5] = 200
    columns["teff"][7] = 1e9  # beyond its axis
    parts, whole = summed(schema, columns, [0, 1, 400, ROWS]), Summary(schema)
    whole.add(columns)
    names = ("rows", "with_all_labels", "wholly_inside", "outside", "undeclared", "tiers")
    for name in (*names, "in_range"):
        assert getattr(parts, name) == getattr(whole, name)
    assert parts.undeclared == 3
    assert parts.tiers[200] == 1
    assert {n: c for n, c in parts.filled.items() if c} == {
        n: c for n, c in whole.filled.items() if c
    }
    assert +parts.bits == +whole.bits
    np.testing.assert_array_equal(parts.digits, whole.digits)
    assert len(parts.histograms) == len(whole.histograms) > 40
    for one, other in zip(parts.histograms, whole.histograms, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        assert one.beyond == other.beyond
        if isinstance(one, MeanMap):
            np.testing.assert_allclose(one.sums, other.sums)
    assert any(one.beyond for one in parts.histograms)
    assert any(one.sums.any() for one in parts.histograms if isinstance(one, MeanMap))


def test_a_summary_of_another_kind_is_refused(schema):
    state = state_of(Summary(schema))
    state["numbers"] = state["numbers"] + 1
    with pytest.raises(StoreError, match="another version"):
        Tally(schema).add(state)
