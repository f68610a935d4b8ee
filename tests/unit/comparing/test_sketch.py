"""Medians, their errors and scatters from bins agree with those of the values themselves."""

import numpy as np
import pytest

from catalog_builder.comparing.sketch import STEP, Sketch, sinh_axis


def sketch_of(values, scale=1.0, most=1e4):
    sketch = Sketch(sinh_axis(scale, most), 1)
    for block in np.array_split(values, 7):
        sketch.add([np.zeros(len(block), dtype=np.int64)], block)
    return sketch


@pytest.mark.parametrize("size", [1e-2, 1.0, 300.0])
def test_quantiles_and_scatter_are_those_of_the_values(size):
    values = size * (np.random.default_rng(1).standard_t(3, 20_000) + 0.3)
    sketch = sketch_of(values)
    resolution = STEP * (1 + size)
    for share in (0.05, 0.5, 0.9):
        assert abs(sketch.quantile(0, share) - np.quantile(values, share)) < resolution
    deviation = 1.4826 * np.median(np.abs(values - np.median(values)))
    assert sketch.scatter(0) == pytest.approx(deviation, rel=2 * STEP, abs=resolution)


def test_the_error_of_a_median_is_that_of_many_samples():
    rng = np.random.default_rng(2)
    samples = rng.laplace(0, 5, (400, 500))
    told = np.mean([sketch_of(sample).median_error(0) for sample in samples[:40]])
    assert told == pytest.approx(np.std(np.median(samples, axis=1)), rel=0.15)


def test_nothing_gives_no_number():
    sketch = Sketch(sinh_axis(1.0, 10.0), 2)
    sketch.add([np.zeros(2, dtype=np.int64)], np.array([np.nan, np.inf]))
    for found in (sketch.median(0), sketch.median_error(1), sketch.scatter(1)):
        assert np.isnan(found)


def test_zero_is_the_middle_of_a_bin_and_large_values_are_kept():
    sketch = sketch_of(np.array([0.0, 0.0, 1e9, -1e9]), most=100.0)
    assert sketch.median(0) == 0
    assert sketch.counts.sum() == 4
