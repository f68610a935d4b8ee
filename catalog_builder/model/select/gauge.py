"""How large a statistic may be: its ordinary size at each noise level, and a limit above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Bins of noise at most; between their centres values are interpolated.
BINS = 12
# Stars at least in a bin.
_BIN_STARS = 50
# Deviations above the ordinary at which a calibration star is set aside: label samples hold spoilt
# spectra and odd stars too, and a limit drawn with them would let their like pass.
_CLIP = 5.0
# One sigma above the median of a Gaussian: the width is taken on the side where limits lie.
_ABOVE = 0.8413447460685429
# Several statistics are brought to one scale here, well inside the ordinary stars.
_COMMON = 0.95
_TINY = 1e-30
_LEAST_WIDTH = 1e-3


@dataclass(frozen=True)
class Gauge:
    """The ordinary size of m positive statistics, as a function of the noise of a spectrum.

    Attributes
    ----------
    knots : ndarray of float64, shape (b,)
        ln(noise) at which the sizes are known, rising.
    middle, width : ndarray of float64, shape (b, m)
        Median of the logarithm of each statistic, and its deviation upwards.
    limit : ndarray of float64, shape (m,)
        Deviations above the middle that count as 1: the largest of the m statistics is beyond it
        for a given share of the ordinary stars.
    """

    knots: Array
    middle: Array
    width: Array
    limit: Array

    @classmethod
    def fit(cls, statistics: NDArray[Any], noise: NDArray[Any], rate: float) -> Self:
        """Fit the gauge to calibration stars.

        Parameters
        ----------
        statistics : ndarray, shape (n, m)
            Positive; the larger, the odder.
        noise : ndarray, shape (n,)
            What the ordinary size depends on; positive.
        rate : float
            Share of the ordinary stars that shall be beyond the limit in any of the m.
        """
        values, against = np.log(np.maximum(statistics, _TINY)), np.log(noise)
        bins = int(np.clip(len(values) // _BIN_STARS, 1, BINS))
        parts = np.array_split(np.argsort(against, kind="stable"), bins)
        # Where many spectra have the very same noise, bins have the same centre: one is enough.
        knots, first = np.unique([np.median(against[part]) for part in parts], return_index=True)
        middle = np.stack([np.median(values[parts[i]], axis=0) for i in first])
        above = np.stack([np.quantile(values[parts[i]], _ABOVE, axis=0) for i in first])
        width = np.maximum(above - middle, _LEAST_WIDTH)
        plain = cls(knots, middle, width, np.ones(values.shape[1]))
        deviations = plain.deviations(statistics, noise)
        ordinary = deviations[(deviations < _CLIP).all(axis=1)]
        scale = np.maximum(np.quantile(ordinary, _COMMON, axis=0), _LEAST_WIDTH)
        largest = (ordinary / scale).max(axis=1)
        limit = scale * np.quantile(largest, 1.0 - rate)
        return cls(knots, middle, width, np.maximum(limit, _LEAST_WIDTH))

    def deviations(self, statistics: NDArray[Any], noise: NDArray[Any]) -> Array:
        """Return by how many deviations each statistic is above the ordinary, (n, m)."""
        at = np.log(noise)
        middle, width = (
            np.stack([np.interp(at, self.knots, column) for column in table.T], axis=1)
            for table in (self.middle, self.width)
        )
        return np.asarray((np.log(np.maximum(statistics, _TINY)) - middle) / width)

    def ratio(self, statistics: NDArray[Any], noise: NDArray[Any]) -> Array:
        """Return the largest of the m deviations in units of its limit, (n,), at least 0.

        Above 1 is beyond the limit; 0 is a star as ordinary as half of them.
        """
        ratio = (self.deviations(statistics, noise) / self.limit).max(axis=1)
        return np.asarray(np.maximum(ratio, 0.0))

    def over_limit(self, statistic: NDArray[Any], noise: NDArray[Any]) -> Array:
        """Return a single statistic, (n, 1), over its limit, (n,): not in deviations as `ratio`."""
        width = np.interp(np.log(noise), self.knots, self.width[:, 0])
        beyond = self.deviations(statistic, noise)[:, 0] - self.limit[0]
        return np.asarray(np.exp(beyond * width))

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name, to be saved."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """Build the gauge from `arrays`."""
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})
