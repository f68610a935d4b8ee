"""Distances by parallax, labels and magnitudes together."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.distance import LOWER, WIDEST
from catalog_builder.galaxy.label_kernels import label_quantiles
from catalog_builder.galaxy.relation import Absolute

Float = NDArray[np.float64]

#: The columns that come of it: the median, the 16 and the 84 % quantile.
SPECTROPHOTOMETRIC: Final = tuple(
    f"distance_spectrophotometric{end}" for end in ("", "_lower", "_upper")
)
#: ln r for a magnitude of distance modulus; and the modulus of a kiloparsec.
PER_MAGNITUDE: Final = float(np.log(10.0) / 5.0)
KILOPARSEC: Final = 10.0
_LEVELS: Final = np.array([LOWER, 0.5, 1.0 - LOWER])
#: What stands for the error where there is no parallax, mas: it says nothing.
_NO_PARALLAX: Final = 1e9


class LabelDistances(NamedTuple):
    """The 16, 50 and 84 % quantiles of n stars, kpc; NaN where nothing is known."""

    lower: Float
    median: Float
    upper: Float


def label_distances(
    parallax: Float, parallax_error: Float, prior: Float, apparent: Float, absolute: Absolute
) -> LabelDistances:
    """Return quantiles of the posterior of each distance.

    Parameters
    ----------
    parallax, parallax_error : ndarray of shape (n,)
        mas, the zero point subtracted. Without them labels and magnitudes are all there is.
    prior : ndarray of shape (n, 4)
        Of the distance, as `distance.distances` takes it.
    apparent : ndarray of shape (n,)
        Apparent magnitude, free of reddening.
    absolute : Absolute
        What labels say of the same magnitude; the apparent one's variance is part of its own.

    Returns
    -------
    LabelDistances
        NaN where the magnitude or a label is, and where the 68 % interval is wider than 0.8 of
        the prior's.
    """
    told = np.isfinite(parallax) & np.isfinite(parallax_error) & (parallax_error > 0)
    label = np.empty((4, len(parallax)))
    label[0] = (apparent - absolute.mean - KILOPARSEC) * PER_MAGNITUDE
    label[1] = np.sqrt(absolute.variance) * PER_MAGNITUDE
    label[2] = np.hypot(label[1], absolute.apart * PER_MAGNITUDE)
    label[3] = absolute.share
    out = np.full((len(_LEVELS), len(parallax)), np.nan)
    label_quantiles(
        _filled(parallax, told, 0.0),
        _filled(parallax_error, told, _NO_PARALLAX),
        np.ascontiguousarray(prior, dtype=np.float64),
        label,
        _LEVELS,
        out,
    )
    with np.errstate(invalid="ignore"):
        vague = out[2] - out[0] > WIDEST * prior[:, 3]
    out[:, vague] = np.nan
    return LabelDistances(*out)


def _filled(values: NDArray[Any], told: NDArray[np.bool_], otherwise: float) -> Float:
    return np.where(told, np.asarray(values, np.float64), otherwise)
