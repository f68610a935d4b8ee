"""Which stars fit, validate, calibrate and test: a function of the id alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog_builder.training.design import Split
from catalog_builder.training.settings import TrainingSettings


def split_of(
    source_id: NDArray[np.int64], seed: int, settings: TrainingSettings
) -> NDArray[np.uint8]:
    """Return the split of each star.

    It depends on nothing but the id and the seed: not on quality cuts, on which other stars there
    are, or on how often a star was observed. So a test star stays one when the cuts change, and no
    star is ever on both sides.

    Parameters
    ----------
    source_id : ndarray of int64, shape (n,)
        Gaia source ids.
    seed : int
        The run's seed.
    settings : TrainingSettings
        Shares of the splits.

    Returns
    -------
    ndarray of uint8, shape (n,)
        Values of :class:`~catalog_builder.training.design.Split`.
    """
    draw = uniform_hash(source_id, seed)
    edges = np.cumsum([settings.test, settings.calibration, settings.validation])
    order = np.array([Split.TEST, Split.CALIBRATION, Split.VALIDATION, Split.FIT], np.uint8)
    return order[np.searchsorted(edges, draw, side="right")]


def uniform_hash(source_id: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each id: splitmix64 (Steele et al. 2014) of id and seed."""
    return (mixed(source_id, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mixed(source_id: NDArray[np.int64], key: int) -> NDArray[np.uint64]:
    """Return 64 bits for each id that look like chance; under one key no two ids have the same."""
    return _splitmix64(source_id.astype(np.uint64) ^ _splitmix64(np.full(1, key, np.uint64)))


def _splitmix64(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = value + np.uint64(0x9E3779B97F4A7C15)  # arithmetic of uint64 arrays wraps around
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
