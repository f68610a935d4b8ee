"""What is known of a number of sources of which not all could be counted."""

import numpy as np
import pytest

from catalog_builder.features.counts import (
    Count,
    counts_of,
    gaps_in_words,
    how_counted,
    unknown_in_words,
)

RVS, XP = "rvs_mean_spectrum", "xp_continuous_mean_spectrum"
IDS, NONE = np.array([1, 2]), np.array([], np.int64)


@pytest.mark.parametrize(
    ("whole", "announced", "announcers_whole", "how"),
    [
        (True, NONE, False, "rows"),
        (False, IDS, True, "announced"),
        (False, IDS, False, "unknown"),
        (False, NONE, True, "unknown"),
    ],
)
def test_how_a_table_was_counted(whole, announced, announcers_whole, how):
    assert how_counted(whole=whole, announced=announced, announcers_whole=announcers_whole) == how


@pytest.mark.parametrize(
    ("count", "complete", "unknown"),
    [
        (Count(requested=0, tables={}), False, True),
        (Count(requested=0, tables={RVS: "unknown", XP: "rows"}), False, True),
        (Count(requested=0, tables={XP: "rows"}), True, False),
        (Count(requested=7, tables={RVS: "unknown", XP: "rows"}), False, False),
        (Count(requested=7, tables={RVS: "announced", XP: "rows"}), True, False),
    ],
)
def test_what_is_known(count, complete, unknown):
    assert (count.is_complete, count.is_unknown) == (complete, unknown)


def test_gaps_in_words():
    counts = {
        "a": Count(requested=7, tables={RVS: "announced", XP: "rows"}),
        "b": Count(requested=7, tables={RVS: "unknown", XP: "rows"}),
        "c": Count(requested=5, tables={RVS: "unknown"}),
        "d": Count(requested=0, tables={}),
    }
    unknown, bound = gaps_in_words(counts)
    assert "unknown number of sources of partition d is lost" in unknown
    assert "of partitions b, c at least 12 sources" in bound
    assert RVS in bound
    assert unknown_in_words(counts) == unknown
    assert gaps_in_words({"a": counts["a"]}) == []
    assert unknown_in_words({"b": counts["b"]}) == ""


def test_many_partitions_are_not_all_named():
    counts = {f"p{n}": Count(requested=0, tables={}) for n in range(9)}
    assert "partitions p0, p1, p2, p3, p4 and 4 more" in unknown_in_words(counts)


def test_a_partition_that_was_not_even_counted_is_unknown():
    assert counts_of([], [], ["a"]) == {"a": Count(requested=0, tables={})}
