"""Shares of stars compared with those of stars like them: regime by regime, and put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

Shares = Mapping[str, tuple[int, int]]

#: Stars of the model's archive without which a regime is not compared.
_LEAST_LIKE: Final = 5


@dataclass(frozen=True)
class Difference:
    """Two shares of stars that are otherwise the same, and the standard error of the difference.

    Attributes
    ----------
    here, there : float
        Shares of the run's stars and of the model's archive.
    error : float
        Of ``here - there``.
    stars : int
        Of the run, in regimes where the archive has stars too.
    """

    here: float
    there: float
    error: float
    stars: int


def difference(here: Shares, there: Shares) -> Difference:
    """Compare shares regime by regime, and put the differences together.

    Mantel and Haenszel's (1959) weights: a regime counts for as much as both know of it.

    Parameters
    ----------
    here, there : mapping of str to (int, int)
        Stars, and those of which something is true, by regime.
    """
    both = [
        (*here[name], *there[name])
        for name in here
        if here[name][0] and there.get(name, (0, 0))[0] >= _LEAST_LIKE
    ]
    if not both:
        return Difference(np.nan, np.nan, np.inf, 0)
    n, x, m, y = np.array(both, dtype=np.float64).T
    weight = n * m / (n + m)
    weight /= weight.sum()
    # A share of which no star was seen, or all, is not known to be 0 or 1.
    p, q = (x + 0.5) / (n + 1), (y + 0.5) / (m + 1)
    variance = weight**2 * (p * (1 - p) / n + q * (1 - q) / m)
    return Difference(
        float((weight * x / n).sum()),
        float((weight * y / m).sum()),
        float(np.sqrt(variance.sum())),
        int(n.sum()),
    )
