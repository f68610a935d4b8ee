"""How much of an answer is what the training stars are like, and not the star's own data.

Before anything is seen of a star, its labels are as the training stars' are: that is the prior, of
covariance P. Were all errors Gaussian, an answer of covariance C would be the mean of the prior and
of the data, in which the prior has the weight C P^-1: nothing where the data leave nothing open,
one where they say nothing (Rodgers 2000, "Inverse Methods for Atmospheric Sounding", chapter 2; the
rest is his averaging kernel, and its trace the number of labels that the data determine). The share
is the mean of its eigenvalues, of none more than one. Eigenvalues, since labels go together: of one
that follows from another among the training stars, the data have said something only where they
say more than that other label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.training.design import Scaling, TrainingArrays, design_labels

Array = NDArray[np.float64]

#: What labels do together in less than a tenth of a label's deviation is no answer: of stars that
#: have [M/H] and [Fe/H], say, the difference of the two.
LEAST_VARIANCE: Final = 0.01


def label_covariance(scaled: Array) -> Array:
    """Return the covariance of labels on the network's scale, pair by pair of those that are known.

    Parameters
    ----------
    scaled : ndarray of float64, shape (n, l)
        Of the fit stars; NaN where a label is missing. Each label has two stars at least.

    Returns
    -------
    ndarray of float64, shape (l, l)
    """
    known = np.isfinite(scaled)
    about = np.where(known, scaled - np.nanmean(scaled, axis=0), 0.0)
    pairs = known.T.astype(np.float64) @ known
    # Fewer stars than make a covariance say of a pair that the two are independent.
    found = np.where(pairs > 2, about.T @ about / np.maximum(pairs - 1, 1), 0.0)
    # A label that is the same of all stars, or that two have, is still an answer that can be wrong.
    np.fill_diagonal(found, np.maximum(np.diagonal(found), LEAST_VARIANCE))
    return np.asarray((found + found.T) / 2)


def covariance_of(
    stars: TrainingArrays, scaling: Scaling, names: Sequence[str]
) -> tuple[tuple[float, ...], ...]:
    """Return `label_covariance` of some labels of stars, for a model's document."""
    declared = stars.contract.labels
    learnt, _ = design_labels(stars.labels, stars.label_error, declared)
    scaled = (learnt - scaling.labels_mean) / scaling.labels_std
    found = label_covariance(scaled[:, [declared.place(name) for name in names]])
    return tuple(map(tuple, found.tolist()))


class Prior:
    """What is known of a star of which nothing was seen.

    Parameters
    ----------
    covariance : ndarray of float64, shape (l, l)
        As of `label_covariance`.
    """

    def __init__(self, covariance: Array) -> None:
        size, directions = np.linalg.eigh(covariance)
        least = LEAST_VARIANCE * np.diagonal(covariance).mean()
        self._whiten = directions / np.sqrt(np.maximum(size, least))

    def share(self, covariance: Array) -> Array:
        """Return the prior's share of answers, (n,), of covariance (n, l, l); NaN of no answer."""
        found = np.full(len(covariance), np.nan)
        known = np.isfinite(covariance).all(axis=(1, 2))
        weights = self._whiten.T @ covariance[known] @ self._whiten
        found[known] = np.linalg.eigvalsh(weights).clip(0.0, 1.0).mean(axis=1)
        return found
