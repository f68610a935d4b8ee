"""Microturbulence as a function of the other labels: the relation the synthetic grid was made with.

The polynomials are those of the Gaia-ESO survey (dwarfs and giants apart), recovered by least
squares from the grid's own labels; the grid follows them to 0.01-0.03 km/s.
"""

from __future__ import annotations

import numpy as np

from catalog_builder.simulate.grid.rbf import Float

#: Coefficients of 1, t, t^2, g, g^2, m with t = (Teff - 5500 K) / 1000 K, g = log g - 4 and
#: m = [M/H]; km/s.
_DWARF = np.array([1.05, 0.251, 0.15, -0.14, -0.05, 0.05])
_GIANT = np.array([1.25, 0.401, 0.31, -0.14, -0.05, 0.05])
_LIMITS = (0.8, 3.0)


def microturbulence(labels: Float) -> Float:
    """Return the microturbulence (n,) [km/s] of labels (n, 4): Teff, log g, [M/H], [alpha/M].

    The relation jumps at log g = 3.5; here it passes over within about 0.1 dex, because real
    subgiants do not jump.
    """
    teff, logg, m_h = labels[:, 0], labels[:, 1], labels[:, 2]
    giant = _polynomial(_GIANT, teff, logg, m_h)
    # Below 5250 K the relation for dwarfs is constant in Teff.
    dwarf = _polynomial(_DWARF, np.maximum(teff, 5250.0), logg, m_h)
    share = 1.0 / (1.0 + np.exp((logg - 3.5) / 0.03))
    return np.asarray(np.clip(share * giant + (1.0 - share) * dwarf, *_LIMITS))


def _polynomial(coefficients: Float, teff: Float, logg: Float, m_h: Float) -> Float:
    t, g = (teff - 5500.0) / 1000.0, logg - 4.0
    terms = np.stack([np.ones_like(t), t, t**2, g, g**2, m_h])
    return np.asarray(coefficients @ terms)
