"""The split is a function of the star, not of its company."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.training.design import Split
from catalog_builder.training.settings import TrainingSettings
from catalog_builder.training.split import split_of, uniform_hash

SETTINGS = TrainingSettings()


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=50), st.integers(0, 1000))
def test_a_star_keeps_its_split_in_any_company(ids, seed):
    ids = np.array(ids, np.int64)
    together = split_of(ids, seed, SETTINGS)
    alone = np.array([split_of(ids[i : i + 1], seed, SETTINGS)[0] for i in range(len(ids))])
    np.testing.assert_array_equal(together, alone)


def test_shares_are_those_of_the_settings():
    ids = np.arange(1, 200_001, dtype=np.int64) << 35  # neighbouring pixels, the hardest case
    splits = split_of(ids, 42, SETTINGS)
    shares = np.bincount(splits, minlength=4) / ids.size
    expected = {Split.FIT: 0.6, Split.VALIDATION: 0.1, Split.CALIBRATION: 0.2, Split.TEST: 0.1}
    for split, share in expected.items():
        assert abs(shares[split] - share) < 0.003


def test_the_test_stars_do_not_depend_on_the_other_shares():
    ids = np.arange(1, 10_001, dtype=np.int64)
    other = TrainingSettings(validation=0.2, calibration=0.1)
    np.testing.assert_array_equal(
        split_of(ids, 1, SETTINGS) == Split.TEST, split_of(ids, 1, other) == Split.TEST
    )


def test_seeds_give_different_splits():
    ids = np.arange(1, 1001, dtype=np.int64)
    assert abs(np.corrcoef(uniform_hash(ids, 1), uniform_hash(ids, 2))[0, 1]) < 0.15
