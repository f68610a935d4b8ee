"""Velocities over the posterior of a distance, star by star, in compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from catalog_builder.ground.compiled import compiled

#: km/s of 1 mas/yr at 1 kpc: an astronomical unit in a Julian year.
KM_S: float = 4.740470463533349
#: Velocities of a star: towards R, phi and z, and the angular momentum.
QUANTITIES: int = 4
_LOWER = 0.158655
_FARTHEST_SIGMA, _MOST_STEPS, _NEAR_ENOUGH = 4.0, 30, 0.05
#: Where the points of a distance are nearer to each other than this share of it, their middle 70 %,
#: velocities follow from it along a straight line, and their distribution is a Gaussian.
_STRAIGHT = 0.1


@compiled
def _quantile(level: float, means: Any, sigmas: Any, centre: float, spread: float) -> float:
    """Quantile of Gaussians that count the same, by Newton's steps within a bracket."""
    low = centre - _FARTHEST_SIGMA * spread
    high = centre + _FARTHEST_SIGMA * spread
    at = centre - spread if level < 0.5 else centre + spread
    for _ in range(_MOST_STEPS):
        share, density = 0.0, 0.0
        for i in range(means.size):
            off = (at - means[i]) / sigmas[i]
            share += 0.5 * math.erfc(-off * 0.7071067811865476)
            density += math.exp(-0.5 * off * off) / sigmas[i]
        excess = share / means.size - level
        if excess > 0.0:
            high = at
        else:
            low = at
        density *= 0.3989422804014327 / means.size
        step = -excess / density if density > 0.0 else np.inf
        if not low < at + step < high:
            step = 0.5 * (low + high) - at
        at += step
        # Of Newton's steps each leaves the square of the last.
        if abs(step) < _NEAR_ENOUGH * spread:
            break
    return at


@compiled
def velocity_quantiles(
    points: Any,
    median: Any,
    parallax: Any,
    axes: Any,
    sun: Any,
    motions: Any,
    errors: Any,
    correlations: Any,
    out: Any,
) -> None:
    """Find Galactocentric velocities and their intervals.

    Along a line of sight the velocity in space is a straight line in the distance, and at each
    distance the errors of proper motion and radial velocity are a Gaussian in every component. So
    the posterior of a component is a mean of Gaussians, one for each point of the distance.

    Parameters
    ----------
    points : float64 (k, n)
        Distances that are as likely as each other, kpc, rising.
    median : float64 (n,)
        The distance at which the value is.
    parallax : float64 (2, n)
        Corrected, and its error, mas.
    axes : float64 (3, 3, n)
        Of each star the directions of sight, of rising right ascension and of rising declination;
        their components along x, y, z of the Galactocentric frame.
    sun : float64 (2, 3)
        The Sun's place, kpc, and velocity, km/s.
    motions, errors : float64 (3, n)
        Radial velocity, km/s, and proper motions, mas/yr.
    correlations : float64 (3, n)
        Of the proper motions with each other, and of each with the parallax.
    out : float64 (4, 3, n)
        Out: v_R, v_phi, v_z in km/s and L_z in kpc km/s; value, 16 and 84 %.
    """
    k = points.shape[0]
    means, sigmas, smooth = np.empty((QUANTITIES, k)), np.empty((QUANTITIES, k)), np.empty(k)
    axis, along = np.empty((3, 3)), np.empty(3)
    for star in range(points.shape[1]):
        axis[:] = axes[:, :, star]
        s_r, s_a, s_d = errors[:, star]
        both, with_a, with_d = correlations[:, star]
        # Of the proper motions where the distance, and with it the parallax, is known.
        v_aa, v_dd = s_a * s_a * (1.0 - with_a * with_a), s_d * s_d * (1.0 - with_d * with_d)
        v_ad = s_a * s_d * (both - with_a * with_d)
        for i in range(-1, k):
            distance = median[star] if i < 0 else points[i, star]
            # What errs in the parallax errs in the proper motions. The value is as published.
            off = 0.0 if i < 0 else (1.0 / distance - parallax[0, star]) / parallax[1, star]
            scale = KM_S * distance
            east = scale * (motions[1, star] + with_a * s_a * off)
            north = scale * (motions[2, star] + with_d * s_d * off)
            x = sun[0, 0] + distance * axis[0, 0]
            y = sun[0, 1] + distance * axis[0, 1]
            radius = math.sqrt(x * x + y * y)
            for c in range(3):
                along[c] = sun[1, c] + motions[0, star] * axis[0, c]
                along[c] += east * axis[1, c] + north * axis[2, c]
            for q in range(QUANTITIES):
                # Outward; towards rotation; to the north; and the second times R.
                u = x / radius if q == 0 else (y / radius if q == 1 else (0.0 if q == 2 else y))
                v = y / radius if q == 0 else (-x / radius if q == 1 else (0.0 if q == 2 else -x))
                w = 1.0 if q == 2 else 0.0
                value = u * along[0] + v * along[1] + w * along[2]
                if i < 0:
                    out[q, 0, star] = value
                    continue
                r = u * axis[0, 0] + v * axis[0, 1] + w * axis[0, 2]
                a = scale * (u * axis[1, 0] + v * axis[1, 1] + w * axis[1, 2])
                d = scale * (u * axis[2, 0] + v * axis[2, 1] + w * axis[2, 2])
                means[q, i] = value
                variance = r * r * s_r * s_r + a * a * v_aa + d * d * v_dd + 2.0 * a * d * v_ad
                sigmas[q, i] = max(variance, 0.0)
        straight = points[k - 1 - k // 6, star] - points[k // 6, star] < _STRAIGHT * median[star]
        for q in range(QUANTITIES):
            centre, variance = 0.0, 0.0
            for i in range(k):
                centre += means[q, i] / k
            for i in range(k):
                variance += ((means[q, i] - centre) ** 2 + sigmas[q, i]) / k
            spread = math.sqrt(variance)
            if straight or not spread > 0.0:
                out[q, 1, star], out[q, 2, star] = centre - spread, centre + spread
                continue
            for i in range(k):
                # Between points the distance is spread evenly.
                step = means[q, min(i + 1, k - 1)] - means[q, max(i - 1, 0)]
                smooth[i] = math.sqrt(sigmas[q, i] + step * step / 48.0 + 1e-8 * variance)
            out[q, 1, star] = _quantile(_LOWER, means[q], smooth, centre, spread)
            out[q, 2, star] = _quantile(1.0 - _LOWER, means[q], smooth, centre, spread)
