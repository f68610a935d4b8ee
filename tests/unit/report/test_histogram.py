import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from catalog_builder.report.histogram import (
    Axis,
    Histogram,
    MeanMap,
    merge,
    merge_factor,
    quantiles,
    span,
    window,
)

anything = arrays(np.float32, st.integers(0, 50), elements=st.floats(width=32, allow_nan=True))


@given(anything)
def test_every_finite_value_is_in_a_cell_or_beyond(values):
    histogram = Histogram(Axis(-1.0, 1.0, 20))
    histogram.add(values)
    assert histogram.stars + histogram.beyond == np.count_nonzero(np.isfinite(values))


@given(anything)
def test_blocks_add_up(values):
    whole, parts = Histogram(Axis(0.1, 1e4, 20, log=True)), Histogram(Axis(0.1, 1e4, 20, log=True))
    whole.add(values)
    for block in np.array_split(values, 3):
        parts.add(block)
    np.testing.assert_array_equal(whole.counts, parts.counts)


@pytest.mark.parametrize("log", [False, True])
def test_cells_lie_between_their_edges(log):
    axis = Axis(1.0, 100.0, 7, log=log)
    assert axis.edges()[[0, -1]] == pytest.approx([1.0, 100.0])
    np.testing.assert_array_equal(axis.cells(axis.centres()), np.arange(7))


def test_outside_and_null_have_no_cell_unless_clipped():
    values = np.array([-5.0, 0.0, 5.0, 100.0, 1e9, np.nan, np.inf])
    np.testing.assert_array_equal(Axis(1.0, 100.0, 2).cells(values), [-1, -1, 0, -1, -1, -1, -1])
    clipped = Axis(1.0, 100.0, 2, log=True, clip=True)
    np.testing.assert_array_equal(clipped.cells(values), [-1, -1, 0, 1, 1, -1, -1])


def test_two_dimensions_agree_with_numpy():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-2, 2, (2, 1000))
    histogram = Histogram(Axis(-1.0, 1.0, 10), Axis(-1.5, 1.5, 6))
    where = rng.random(1000) < 0.5
    histogram.add(x, y, where=where)
    expected, _, _ = np.histogram2d(x[where], y[where], [10, 6], [[-1, 1], [-1.5, 1.5]])
    np.testing.assert_array_equal(histogram.counts, expected)


def test_a_mean_map_leaves_out_stars_without_the_third_quantity():
    cells = MeanMap(Axis(0.0, 1.0, 1), Axis(0.0, 1.0, 1))
    x = np.full(4, 0.5)
    weight = np.array([1.0, 3.0, np.nan, 100.0])
    cells.add_weighted(x, x, weight=weight, where=np.array([True, True, True, False]))
    assert (cells.sums[0, 0], cells.counts[0, 0]) == (4.0, 2)


def test_merging_keeps_the_stars():
    counts = np.arange(20).reshape(4, 5 * 1)
    merged = merge(np.repeat(counts, 2, axis=1), 2)
    np.testing.assert_array_equal(merged, (counts[::2] + counts[1::2]) * 2)


def test_few_stars_get_large_cells_and_many_small_ones():
    sparse = np.eye(10, dtype=np.int64)
    assert merge_factor(sparse, 1.0) == 1
    assert merge_factor(sparse, 2.0) == 2
    assert merge_factor(sparse, 100.0) == 5
    assert merge_factor(100 * sparse, 100.0) == 1
    assert merge_factor(0 * sparse, 1.0) == 1


@pytest.mark.parametrize("log", [False, True])
def test_quantiles_are_right_to_a_bin(log):
    values = np.random.default_rng(1).lognormal(0.0, 0.5, 5000)
    axis = Axis(0.01, 100.0, 4000, log=log)
    histogram = Histogram(axis)
    histogram.add(values)
    found = quantiles(histogram.counts, axis, 0.16, 0.5, 0.84)
    np.testing.assert_allclose(found, np.quantile(values, [0.16, 0.5, 0.84]), rtol=0.01, atol=0.025)


def test_quantiles_of_no_star_are_null():
    counts = np.array([[0, 0, 0], [0, 2, 0]])
    low, middle = quantiles(counts, Axis(0.0, 3.0, 3), 0.0, 0.5)
    np.testing.assert_array_equal(middle, [np.nan, 1.5])
    assert np.isnan(low[0])


def test_a_window_leaves_out_the_tails_and_keeps_a_bin_around():
    counts = np.zeros(100, dtype=np.int64)
    counts[[5, 95]] = 1
    counts[40:60] = 1000
    assert window(counts, left_out=0.001) == (39, 61)
    assert window(counts, left_out=0.0) == (4, 97)
    assert window(0 * counts, left_out=0.0) == (0, 100)


def test_limits_in_print_have_no_rest_of_zero():
    assert span(-0.16, 1.11e-16) == "−0.16 … 0"
    assert span(-1.125, 4250.0) == "−1.125 … 4250"
