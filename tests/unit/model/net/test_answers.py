from __future__ import annotations

import numpy as np
import pytest
import torch

from catalog_builder.model.net.answers import Alone, believed

LABELS = 5


@pytest.fixture
def alone() -> Alone:
    """The second of three stars has both spectra; they differ by 4 in its first label."""
    means = torch.zeros(2, 1, LABELS, dtype=torch.float64)
    means[1, 0, 0] = 4.0
    covariances = torch.eye(LABELS, dtype=torch.float64).expand(2, 1, -1, -1)
    return Alone(torch.tensor([1]), means, covariances)


def test_conflict_is_the_chi_square_of_the_difference(alone):
    found = alone.conflict(3, torch.tensor([0, 2]))
    np.testing.assert_array_equal(found.numpy(), [np.nan, 8.0, np.nan])
    assert alone.conflict(3, torch.tensor([2]))[1] == 0.0


def test_either_spectrum_may_be_right(alone):
    together = torch.zeros(3, LABELS, dtype=torch.float64)
    together[1, 0] = 3.0
    rng = np.random.default_rng(1)
    truth = np.where(rng.random(200_000) < 0.5, 0.0, 4.0) + rng.normal(size=200_000)
    either = alone.either(together).numpy()
    assert either[1, 0, 0] == pytest.approx(np.mean((truth - 3.0) ** 2), rel=0.02)
    np.testing.assert_allclose(either[1, 1:, 1:], np.eye(LABELS - 1))
    assert not either[[0, 2]].any()


def test_conflicts_are_believed_beyond_their_limit_and_ever_more():
    np.testing.assert_allclose(believed(np.array([0.0, 0.5, 1.0, 2.0, np.inf])), [0, 0, 0, 0.5, 1])
