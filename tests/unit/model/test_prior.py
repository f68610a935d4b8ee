"""The prior's share of an answer, where it can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from catalog_builder.model.document import _covariance_problems
from catalog_builder.model.prior import LEAST_VARIANCE, Prior, label_covariance

GOES_TOGETHER = np.array([[1.0, 0.8], [0.8, 1.0]])


def posterior(prior, noise):
    """Return the covariance of labels measured once each with these variances."""
    return np.linalg.inv(np.linalg.inv(prior) + np.diag(1 / np.asarray(noise, float)))


@pytest.mark.parametrize("noise", [1e-6, 0.1, 1.0, 10.0, 1e6])
def test_one_label_measured_once_has_the_weight_that_the_mean_gives_the_prior(noise):
    (share,) = Prior(np.eye(1)).share(posterior(np.eye(1), [noise])[None])
    assert share == pytest.approx(noise / (1 + noise))


def test_a_label_that_only_follows_from_another_counts_as_the_prior_s():
    found = Prior(GOES_TOGETHER).share(posterior(GOES_TOGETHER, [1e-9, 1e9])[None])
    assert found == pytest.approx([0.5], abs=1e-6)
    # By its own variance alone it would look as if two thirds of it had been measured.
    assert posterior(GOES_TOGETHER, [1e-9, 1e9])[1, 1] == pytest.approx(0.36)


def test_it_lies_between_nothing_and_one_whatever_is_said_and_is_null_of_no_answer():
    wide, none = 1e9 * np.eye(2), np.full((2, 2), np.nan)
    answers = np.stack([wide, 1e-12 * np.eye(2), none, np.zeros((2, 2)), GOES_TOGETHER])
    share = Prior(GOES_TOGETHER).share(answers)
    assert share[0] == 1.0
    assert 0 <= share[1] < 1e-9
    assert np.isnan(share[2])
    assert share[3] == 0.0
    assert share[4] == pytest.approx(1.0)


def test_what_labels_hardly_do_against_each_other_counts_little():
    same = np.array([[1.0, 1.0 - 1e-9], [1.0 - 1e-9, 1.0]])
    (share,) = Prior(same).share((1e-4 * np.eye(2))[None])
    assert share == pytest.approx((1e-4 / 2 + 1e-4 / LEAST_VARIANCE) / 2, rel=1e-3)


def test_the_covariance_is_that_of_all_stars_that_have_both_labels():
    rng = np.random.default_rng(3)
    labels = rng.multivariate_normal([0, 0], GOES_TOGETHER, 4000)
    np.testing.assert_allclose(label_covariance(labels), np.cov(labels.T))
    some = np.where(rng.random(labels.shape) < 0.3, np.nan, labels)
    np.testing.assert_allclose(label_covariance(some), GOES_TOGETHER, atol=0.08)
    apart = np.array([[np.nan, 1.0], [np.nan, 2.0], [1.0, np.nan], [3.0, np.nan]])
    assert label_covariance(apart)[0, 1] == 0.0


def test_a_label_that_does_not_vary_or_that_two_stars_have_makes_no_model_unreadable():
    nan = np.nan
    labels = np.array([[0.0, 0.1, nan], [0.0, 1.2, 0.3], [0.0, 2.0, 0.5], [0.0, 4.0, nan]])
    found = label_covariance(labels)
    assert list(_covariance_problems(tuple(map(tuple, found.tolist())), 3)) == []
    np.testing.assert_array_equal(np.diagonal(found)[[0, 2]], LEAST_VARIANCE)
    assert found[1, 1] == pytest.approx(np.var(labels[:, 1], ddof=1))
    assert np.isfinite(Prior(found).share(np.eye(3)[None])).all()
