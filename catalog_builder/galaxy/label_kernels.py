"""The posterior of a distance by parallax, labels and magnitudes, star by star, in compiled code.

What labels say of ln r is a Gaussian, and for the small share of strangers a wider one, for an
absolute magnitude is 5 / ln 10 of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from catalog_builder.galaxy.kernels import log_density, support
from catalog_builder.ground.compiled import compiled

#: The peak is followed to where it has fallen by exp(-8), found in this many looks, each closer.
_PEAK, _LOOKS = 8.0, 6
#: Points within it, and on either side.
_POINTS, _SIDE = 192, 64


@compiled
def _log_label(x: float, centre: float, width: float, wide: float, share: float) -> float:
    """Logarithm of what labels say of x = ln r, up to a constant."""
    near = (x - centre) / width
    far = (x - centre) / wide
    return math.log(
        (1.0 - share) * math.exp(-0.5 * near * near) / width
        + share * math.exp(-0.5 * far * far) / wide
        + 1e-300
    )


@compiled
def _peak(
    low: float, high: float, w: float, s: float, near: float, far: float, p: float,
    c: float, d: float, e: float, q: float, density: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Return the ends of the peak, and its logarithm: it may stand on a foot that strangers leave.

    `density` is room to work in.
    """
    first, last, best = low, high, -np.inf
    if low < c < high:
        best = log_density(c, w, s, near, far, p) + _log_label(c, c, d, e, q)
    for _ in range(_LOOKS):
        spacing = (last - first) / (_POINTS - 1)
        for i in range(_POINTS):
            x = first + i * spacing
            density[i] = log_density(x, w, s, near, far, p) + _log_label(x, c, d, e, q)
            best = max(best, density[i])
        left, right = 0, _POINTS - 1
        while left < right and density[left] < best - _PEAK:
            left += 1
        while right > left and density[right] < best - _PEAK:
            right -= 1
        left, right = max(left - 1, 0), min(right + 1, _POINTS - 1)
        first, last = first + left * spacing, first + right * spacing
        if right - left > _POINTS // 2:
            break
    return first, last, best


@compiled
def label_quantiles(
    parallax: Any, error: Any, prior: Any, label: Any, levels: Any, out: Any
) -> None:
    """Find quantiles of distances.

    Parameters
    ----------
    parallax, error, prior : float64 (n,), (n,) and (n, 4)
        As of `posterior_quantiles`.
    label : float64 (4, n)
        Of ln r by the labels, r in kpc: centre, width, that of strangers, and their share.
    levels : float64 (k,)
        Of the quantiles, rising, between 0 and 1.
    out : float64 (k, n)
        Out: kpc; untouched where an argument is not finite, or a width or scale not positive.
    """
    nodes, density = np.empty(_POINTS + 2 * _SIDE), np.empty(_POINTS + 2 * _SIDE)
    for star in range(parallax.size):
        w, s = parallax[star], error[star]
        near, far, p = prior[star, 0], prior[star, 1], prior[star, 2]
        c, d, e, q = label[0, star], label[1, star], label[2, star], label[3, star]
        if not (abs(w) < np.inf and 0.0 < s < np.inf and 0.0 < near <= far < np.inf):
            continue
        if not (abs(c) < np.inf and 0.0 < d < np.inf and 0.0 < e < np.inf):
            continue
        # Labels only take from what parallax and prior leave.
        low, high, _ = support(w, s, near, far, p)
        if math.isnan(low):
            continue
        first, last, best = _peak(low, high, w, s, near, far, p, c, d, e, q, density)
        for i in range(nodes.size):
            if i < _SIDE:
                x = low + i * (first - low) / _SIDE
            elif i < _SIDE + _POINTS:
                x = first + (i - _SIDE) * (last - first) / _POINTS
            else:
                x = last + (i - _SIDE - _POINTS) * (high - last) / (_SIDE - 1)
            nodes[i] = x
            density[i] = math.exp(
                log_density(x, w, s, near, far, p) + _log_label(x, c, d, e, q) - best
            )
        _read_off(nodes, density, levels, out[:, star])


@compiled
def _read_off(nodes: Any, density: Any, levels: Any, out: Any) -> None:
    """Write the quantiles of a density between nodes of ln r to `out`, kpc."""
    total = 0.0
    for i in range(nodes.size - 1):
        total += 0.5 * (density[i] + density[i + 1]) * (nodes[i + 1] - nodes[i])
    sum_, which = 0.0, 0
    for i in range(nodes.size - 1):
        part = 0.5 * (density[i] + density[i + 1]) * (nodes[i + 1] - nodes[i])
        while which < levels.size and sum_ + part >= levels[which] * total:
            inside = (levels[which] * total - sum_) / part
            out[which] = math.exp(nodes[i] + inside * (nodes[i + 1] - nodes[i]))
            which += 1
        sum_ += part
