"""Stars whose absolute magnitude follows from two labels, with noisy parallaxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.distance import exponential
from catalog_builder.galaxy.learn import Axes, Labelled

AXES = Axes(("teff", "logg"), ("logarithm", "value"), (2, 2))
INDEX = {"g": 1.0}
SCATTER = 0.15


class Sky(NamedTuple):
    """Stars as their labels are known, their distances, kpc, and true absolute magnitudes."""

    stars: Labelled
    distance: NDArray[np.float64]
    absolute: NDArray[np.float64]


def absolute(teff, logg):
    """Return the mean absolute magnitude of labels."""
    return 2.2 * (logg - 2.5) - 8.0 * np.log(teff / 5000.0) + 0.3 * (logg - 2.5) ** 2 + 1.0


def draw(stars, seed=5, faintest=0.3, strange=0.02):
    """Draw stars to 4 kpc; parallax errors from 0.02 mas to `faintest`."""
    rng = np.random.default_rng(seed)
    scale = np.full(stars, 1.4)
    distance = rng.gamma(3.0, scale)
    labels = np.column_stack([rng.normal(5000, 400, stars), rng.uniform(1.0, 4.5, stars)])
    wide = np.where(rng.random(stars) < strange, 1.0, 0.0)
    magnitude = absolute(*labels.T) + np.hypot(SCATTER, wide) * rng.standard_normal(stars)
    covariance = np.zeros((stars, 2, 2))
    covariance[:, 0, 0] = rng.uniform(20, 80, stars) ** 2
    covariance[:, 1, 1] = rng.uniform(0.02, 0.1, stars) ** 2
    covariance[:, 0, 1] = covariance[:, 1, 0] = 0.5 * np.sqrt(
        covariance[:, 0, 0] * covariance[:, 1, 1]
    )
    # As a network has it: the truth is about its answer.
    factors = np.linalg.cholesky(covariance)
    true = labels
    seen = true - np.einsum("nij,nj->ni", factors, rng.standard_normal((stars, 2)))
    error = np.exp(rng.uniform(np.log(0.02), np.log(faintest), stars))
    return Sky(
        Labelled(
            labels=seen,
            covariance=covariance,
            magnitude=magnitude + 10.0 + 5.0 * np.log10(distance),
            noise=np.zeros(stars),
            parallax=1.0 / distance + error * rng.standard_normal(stars),
            error=error,
            prior=exponential(scale),
        ),
        distance,
        magnitude,
    )
