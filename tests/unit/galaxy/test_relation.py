"""Absolute magnitudes by labels: slopes, what is carried through, and what no fit writes."""

import numpy as np
import pytest
from pydantic import ValidationError

from catalog_builder.galaxy.relation import Relation, apparent, polynomial

PLAIN = {
    "index": {"g": 1.0, "bp": -1.9, "rp": 1.9},
    "labels": ("teff", "logg"),
    "learnt_as": ("logarithm", "value"),
    "centre": (8.5, 2.5),
    "scale": (0.1, 1.2),
    "lowest": (-3.0, -2.0),
    "highest": (3.0, 2.0),
    "terms": ((0, 0), (0, 1), (1, 0), (1, 2)),
    "magnitude": (1.0, 2.5, -0.8, 0.2),
    "scatter": (-2.0, 0.1, 0.0, 0.0),
    "carried": 1.0,
    "share": 0.02,
    "apart": 1.0,
    "stars": 900,
}


def test_slopes_of_a_polynomial_are_its_differences():
    rng = np.random.default_rng(1)
    values, terms = rng.normal(size=(20, 3)), ((0, 0, 0), (3, 1, 0), (1, 2, 1), (0, 0, 2))
    _, slopes = polynomial(values, terms)
    for label in range(3):
        shift = np.zeros(3)
        shift[label] = 1e-5
        above, below = polynomial(values + shift, terms)[0], polynomial(values - shift, terms)[0]
        np.testing.assert_allclose(slopes[:, :, label], (above - below) / 2e-5, atol=1e-8)


def test_errors_of_labels_are_carried_through_with_their_correlation():
    relation = Relation(**PLAIN)
    labels = np.array([[4800.0, 2.7]])
    covariance = np.array([[[60.0**2, 0.6 * 60 * 0.1], [0.6 * 60 * 0.1, 0.1**2]]])
    found = relation.absolute(labels, covariance)
    rng = np.random.default_rng(2)
    drawn = rng.multivariate_normal(labels[0], covariance[0], 200_000)
    magnitudes = relation.absolute(drawn, np.zeros((len(drawn), 2, 2)))
    own = magnitudes.variance.mean()
    assert found.mean[0] == pytest.approx(magnitudes.mean.mean(), abs=0.01)
    assert found.variance[0] == pytest.approx(magnitudes.mean.var() + own, rel=0.02)
    assert found.variance[0] > 2 * own


def test_a_null_label_gives_none_and_one_beyond_the_limits_is_not_followed():
    relation = Relation(**PLAIN)
    labels = np.array([[4800.0, np.nan], [4800.0, 4.9], [4800.0, 9.0], [-10.0, 3.0]])
    found = relation.absolute(labels, np.tile(np.eye(2) * 1e-4, (4, 1, 1)))
    assert np.isnan(found.mean[[0, 3]]).all()
    assert found.mean[1] == found.mean[2]


def test_dust_along_its_own_direction_changes_nothing():
    # A star behind dust with A_G = 1.9 E(BP - RP).
    columns = {"g": np.array([12.0, 12.95, np.nan]), "bp": np.array([12.4, 13.9, 1.0])}
    columns |= {"rp": np.array([11.4, 12.4, 1.0]), "bp_error": np.array([0.01, np.nan, 0.0])}
    magnitude, variance = apparent(columns, PLAIN["index"])
    assert magnitude[0] == pytest.approx(magnitude[1])
    assert np.isnan(magnitude[2])
    np.testing.assert_allclose(variance, [0.019**2, 0.0, 0.0])


@pytest.mark.parametrize(
    "change",
    [
        {"index": {}},
        {"labels": ("teff", "teff")},
        {"labels": ("teff",)},
        {"learnt_as": ("logarithm", "square")},
        {"centre": (8.5, float("nan"))},
        {"scale": (0.1, 0.0)},
        {"lowest": (4.0, -2.0)},
        {"terms": ((0, 0), (0, 1), (1, 0), (1, 9))},
        {"terms": ((0, 0),)},
        {"magnitude": (1.0, 2.5, -0.8, 1e9)},
        {"share": 0.9},
        {"apart": -1.0},
        {"stars": -1},
        {"more": 1},
    ],
    ids=str,
)
def test_what_no_fit_writes_is_refused(change):
    with pytest.raises(ValidationError):
        Relation(**{**PLAIN, **change})
