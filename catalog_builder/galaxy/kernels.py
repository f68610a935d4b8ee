"""The posterior of a distance, star by star, in compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from catalog_builder.ground.compiled import compiled

#: ln r at which modes are looked for: 0.1 pc to 1 Mpc, more than any star needs.
_FIRST, _LAST, _STEPS = math.log(1e-4), math.log(1e3), 60
#: The posterior is followed to where it has fallen by exp(-14); a mode that is lower still is none.
_FALL = 14.0
#: Points between these ends: the quantiles then are exact to 1e-3 of the interval.
_POINTS = 256
_BISECTIONS = 45


@compiled
def log_density(
    x: float, parallax: float, error: float, near: float, far: float, q: float
) -> float:
    """Logarithm of the posterior of x = ln r, up to a constant.

    The prior's two densities have the length scales `near` and `far`, and q is the far one's share.
    """
    r = math.exp(x)
    off = (parallax - 1.0 / r) / error
    fading = 0.0
    if q < 1.0:
        ratio = far / near
        fading = (1.0 - q) * ratio * ratio * ratio * math.exp(-r * (1.0 / near - 1.0 / far))
    return 3.0 * x - r / far + math.log(q + fading + 1e-300) - 0.5 * off * off


@compiled
def _slope(x: float, parallax: float, error: float, near: float, far: float, q: float) -> float:
    r = math.exp(x)
    ratio = far / near
    fading = (1.0 - q) * ratio * ratio * ratio * math.exp(-r * (1.0 / near - 1.0 / far))
    inverse = (q / far + fading / near) / (q + fading) if q + fading > 0.0 else 1.0 / near
    return 3.0 - r * inverse - (parallax / r - 1.0 / (r * r)) / (error * error)


@compiled
def _mode(low: float, high: float, w: float, s: float, near: float, far: float, q: float) -> float:
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if _slope(middle, w, s, near, far, q) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@compiled
def _end(
    inside: float, outside: float, level: float,
    w: float, s: float, near: float, far: float, q: float,
) -> float:  # fmt: skip
    """Where the density has fallen to a level between a mode and a place beyond."""
    for _ in range(_BISECTIONS):
        middle = 0.5 * (inside + outside)
        if log_density(middle, w, s, near, far, q) > level:
            inside = middle
        else:
            outside = middle
    return outside


@compiled
def support(w: float, s: float, near: float, far: float, q: float) -> tuple[float, float, float]:
    """Return the ends of ln r between which the posterior lies, and its greatest logarithm.

    NaN where there is none.
    """
    width = (_LAST - _FIRST) / _STEPS
    # There can be several modes: the star's, and the prior's two.
    first, last, best = np.nan, np.nan, -np.inf
    before = _slope(_FIRST, w, s, near, far, q)
    for step in range(_STEPS):
        left = _FIRST + step * width
        after = _slope(left + width, w, s, near, far, q)
        if before > 0.0 >= after:
            mode = _mode(left, left + width, w, s, near, far, q)
            height = log_density(mode, w, s, near, far, q)
            if not height < best - _FALL:
                if best < height - _FALL or math.isnan(first):
                    first = mode
                last = mode
                best = max(best, height)
        before = after
    if math.isnan(first):
        return np.nan, np.nan, best
    level = best - _FALL
    low = _end(first, _FIRST, level, w, s, near, far, q)
    return low, _end(last, _LAST, level, w, s, near, far, q), best


@compiled
def posterior_quantiles(parallax: Any, error: Any, prior: Any, levels: Any, out: Any) -> None:
    """Find quantiles of distances.

    Parameters
    ----------
    parallax, error : float64 (n,)
        mas.
    prior : float64 (n, 4)
        Length scales of its near and its far density, kpc, and the share of the far one.
    levels : float64 (k,)
        Of the quantiles, rising, between 0 and 1.
    out : float64 (k, n)
        Out: kpc, in the order of the levels; untouched where an argument is not finite, or an
        error or a scale is not positive.
    """
    density = np.empty(_POINTS)
    for star in range(parallax.size):
        w, s = parallax[star], error[star]
        near, far, q = prior[star, 0], prior[star, 1], prior[star, 2]
        if not (abs(w) < np.inf and 0.0 < s < np.inf and 0.0 < near <= far < np.inf):
            continue
        if not 0.0 <= q <= 1.0:
            continue
        low, high, best = support(w, s, near, far, q)
        if math.isnan(low):
            continue
        spacing = (high - low) / (_POINTS - 1)
        total, step, r = 0.0, math.exp(spacing), math.exp(low)
        # As `log_density`, without the logarithms: half of the time is spent here.
        ratio, faster = (1.0 - q) * (far / near) ** 3, 1.0 / near - 1.0 / far
        for i in range(_POINTS):
            off = (w - 1.0 / r) / s
            log = 3.0 * (low + i * spacing) - r / far - 0.5 * off * off - best
            density[i] = math.exp(log) * (q + ratio * math.exp(-r * faster))
            total += density[i]
            r *= step
        total -= 0.5 * (density[0] + density[_POINTS - 1])
        sum_, which = 0.0, 0
        for i in range(_POINTS - 1):
            part = 0.5 * (density[i] + density[i + 1])
            while which < levels.size and sum_ + part >= levels[which] * total:
                inside = (levels[which] * total - sum_) / part
                out[which, star] = math.exp(low + (i + inside) * spacing)
                which += 1
            sum_ += part
