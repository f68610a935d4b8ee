"""What the ensemble says of stars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.distances import distances_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """Labels of n stars, in the order of the contract's labels; NaN where a label is not given.

    A star whose inputs or weights overflow has values that are not finite among its trained labels
    though it has inputs: that is no answer.

    Attributes
    ----------
    mean : numpy.ndarray
        (n, l), in the labels' units.
    sigma : numpy.ndarray
        (n, l), standard deviation about the truth, calibrated.
    sigma_aleatoric, sigma_epistemic : numpy.ndarray
        (n, l), the part that the data leave open, and the part on which the members disagree, or
        two spectra where their conflict is beyond the limit. Their squares add up to that of
        `sigma`.
    interval95 : numpy.ndarray
        (n, l), half width of the interval that holds the truth in 95 % of cases, calibrated by
        itself: errors have longer tails than a Gaussian's.
    correlation : numpy.ndarray
        (n, l, l), of the labels' errors.
    inputs_used : numpy.ndarray
        (n, i) bool, in the order of the contract's inputs.
    distances : numpy.ndarray
        (n, d), how unlike the training stars, in the order of `distances_of`; above 1 is beyond the
        limit, NaN is not tested.
    map_position : numpy.ndarray
        (n, 2 m), x and y on the map of the training spectra of each spectrum of lines, in order, -1
        to 1; NaN without the spectrum.
    prior_share : numpy.ndarray
        (n,), how much of the answer the training stars say, 0 to 1 (`model.prior`); NaN of no
        answer, or of a model that does not say how its labels were spread.
    spectral_mean, spectral_covariance : numpy.ndarray
        (n, l) and (n, l, l), what spectra alone say.
    spectral_share : numpy.ndarray
        (n,), the same as `prior_share` of that.
    """

    mean: Array
    sigma: Array
    sigma_aleatoric: Array
    sigma_epistemic: Array
    interval95: Array
    correlation: Array
    inputs_used: NDArray[np.bool_]
    distances: Array
    map_position: Array
    prior_share: Array
    spectral_mean: Array
    spectral_covariance: Array
    spectral_share: Array


def no_prediction(contract: Contract) -> Prediction:
    """Return what is predicted of no stars."""
    labels, inputs = len(contract.labels), contract.inputs
    row, square = np.empty((0, labels)), np.empty((0, labels, labels))
    used = np.empty((0, len(inputs.names)), dtype=bool)
    distances = np.empty((0, len(distances_of(inputs))))
    position = np.empty((0, 2 * len(inputs.lines)))
    share = np.empty(0)
    return Prediction(
        row, row, row, row, row, square, used, distances, position, share, row, square, share
    )
