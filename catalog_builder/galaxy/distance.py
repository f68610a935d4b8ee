"""Distances from parallaxes, with a prior that depends on the direction.

The density of stars along a line of sight is taken for two that fall exponentially, a near one
(the discs) and a far one (the halo): the prior of the distance r is the sum of two r^2 exp(-r / L)
/ (2 L^3) (Bailer-Jones 2015, PASP 127, 994). Both L and the share of the far one follow the
direction, from a table that a smooth model of the Galaxy made (`builds.length_scale`). Nothing but
the parallax and the direction enters: no magnitude, no colour, no label.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.frames import Sightlines
from catalog_builder.galaxy.kernels import posterior_quantiles

Float = NDArray[np.float64]

#: Quantiles of r / L of the prior itself, a gamma distribution of shape 3.
LOWER_IN_SCALES: Final = 1.3673
MEDIAN_IN_SCALES: Final = 2.6741
UPPER_IN_SCALES: Final = 4.6379
#: A distance is null where its 68 % interval is wider than this share of the prior's: then it is
#: the prior that is published, and not the star.
WIDEST: Final = 0.8
_TABLE: Final = Path(__file__).with_name("length_scale.npz")


#: Levels of the 68 % interval and the median; and of points as likely as each other, by which
#: what follows from a distance is spread.
LOWER: Final = 0.158655
_POINTS: Final = (np.arange(40) + 0.5) / 40.0
_LEVELS: Final = np.sort([LOWER, 0.5, 1.0 - LOWER, *_POINTS])
_IS_POINT: Final = np.isin(_LEVELS, _POINTS)


class Distances(NamedTuple):
    """Distances of n stars, kpc; NaN where nothing is known.

    Attributes
    ----------
    lower, median, upper : ndarray of shape (n,)
        The 16, 50 and 84 % quantiles.
    points : ndarray of shape (40, n)
        Rising quantiles at equal steps: as good as a sample of the posterior.
    """

    lower: Float
    median: Float
    upper: Float
    points: Float


def exponential(scale: Float) -> Float:
    """Return priors, (n, 4), of one density each, of length scales in kpc, (n,)."""
    width = (UPPER_IN_SCALES - LOWER_IN_SCALES) * scale
    return np.stack([scale, scale, np.zeros(len(scale)), width], axis=1)


def prior_towards(to: Sightlines) -> Float:
    """Return the priors of distances in n directions, by bilinear interpolation.

    Returns
    -------
    ndarray of shape (n, 4)
        Length scales of the near and of the far density, kpc; the share of the far one; and the
        width of the prior's own 68 % interval, kpc.
    """
    longitudes, latitudes, table = _table()
    around = np.rad2deg(np.abs(np.arctan2(to.y, to.x)))
    (i, u), (j, v) = _between(longitudes, around), _between(latitudes, to.latitude)
    u, v = u[:, None], v[:, None]
    lower = (1.0 - v) * table[i, j] + v * table[i, j + 1]
    upper = (1.0 - v) * table[i + 1, j] + v * table[i + 1, j + 1]
    prior = np.asarray((1.0 - u) * lower + u * upper)
    prior[:, 1] = np.maximum(prior[:, 1], prior[:, 0])  # where both are one, but for rounding
    return prior


def distances(parallax: Float, parallax_error: Float, prior: Float) -> Distances:
    """Return quantiles of the posterior of each distance.

    Parameters
    ----------
    parallax, parallax_error : ndarray of shape (n,)
        mas, the zero point subtracted.
    prior : ndarray of shape (n, 4)
        As `prior_towards` returns it.

    Returns
    -------
    Distances
        NaN where an argument is not finite, the error is not positive, or the 68 % interval is
        wider than 0.8 of the prior's.
    """
    out = np.full((len(_LEVELS), len(parallax)), np.nan)
    posterior_quantiles(
        np.ascontiguousarray(parallax, dtype=np.float64),
        np.ascontiguousarray(parallax_error, dtype=np.float64),
        np.ascontiguousarray(prior, dtype=np.float64),
        _LEVELS,
        out,
    )
    lower, median, upper = out[~_IS_POINT]
    with np.errstate(invalid="ignore"):
        vague = upper - lower > WIDEST * prior[:, 3]
    lower[vague] = median[vague] = upper[vague] = np.nan
    points = out[_IS_POINT]
    points[:, vague] = np.nan
    return Distances(lower, median, upper, points)


def _between(nodes: Float, values: Float) -> tuple[NDArray[np.intp], Float]:
    """Return the node below each value and how far it is to the next; NaN where the value is."""
    index = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    return index, (values - nodes[index]) / (nodes[index + 1] - nodes[index])


@functools.cache
def _table() -> tuple[Float, Float, Float]:
    with np.load(_TABLE, allow_pickle=False) as stored:
        names = ("longitude", "latitude", "prior")
        longitude, latitude, table = (stored[name].astype(np.float64) for name in names)
    return longitude, latitude, table
