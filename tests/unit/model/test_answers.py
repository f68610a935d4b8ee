from __future__ import annotations

import numpy as np
import pytest
import torch

from catalog_builder.model.answers import Alone
from catalog_builder.model.arrays import LABELS


@pytest.fixture
def alone() -> Alone:
    """The second of three stars has both spectra; they differ by 4 in its first label."""
    means = torch.zeros(2, 1, len(LABELS), dtype=torch.float64)
    means[1, 0, 0] = 4.0
    covariances = torch.eye(len(LABELS), dtype=torch.float64).expand(2, 1, -1, -1)
    return Alone(torch.tensor([1]), means, covariances)


def test_conflict_is_the_chi_square_of_the_difference(alone):
    found = alone.conflict(3, torch.tensor([0, 2]))
    np.testing.assert_array_equal(found.numpy(), [np.nan, 8.0, np.nan])
    assert alone.conflict(3, torch.tensor([2]))[1] == 0.0


def test_spread_is_the_mean_square_distance_from_both(alone):
    together = torch.zeros(3, len(LABELS), dtype=torch.float64)
    together[1, 0] = 3.0
    spread = alone.spread(together).numpy()
    assert spread[1, 0, 0] == pytest.approx((3.0**2 + 1.0**2) / 2)
    spread[1, 0, 0] = 0.0
    assert not spread.any()
