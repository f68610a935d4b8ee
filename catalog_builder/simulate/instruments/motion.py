"""Proper motions and radial velocities as they are measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.instruments.photometry import Astrometry
from catalog_builder.simulate.population.streams import Draws
from catalog_builder.simulate.population.truth import Stars

Float = NDArray[np.float64]

#: Errors of proper motions, mas/yr, over that of the parallax, mas: DR3's, as ESA gives its science
#: performance.
_PM_OVER_PARALLAX: Final = (1.03, 0.93)
#: Scatter of the correlations of astrometric parameters, and the largest.
_CORRELATION: Final = 0.2
_LARGEST: Final = 0.6
#: Radial velocities of DR3 are of stars up to this G_RVS, of these effective temperatures, bright
#: and faint (Katz et al. 2023, A&A 674, A5).
FAINTEST_GRVS: Final = 14.0
FAINT_FROM: Final = 12.0
_BRIGHT_TEFF: Final = (3600.0, 14500.0)
_FAINT_TEFF: Final = (3100.0, 6750.0)
#: Their median error at G_RVS = 12 and 14, km/s (ibid.), and a floor for bright stars.
_AT_12: Final = 1.3
_AT_14: Final = 6.4
_FLOOR: Final = 0.12


@dataclass(frozen=True)
class Motion:
    """Columns of how a star moves, (n,) each; NaN where not measured."""

    pmra: Float
    pmra_error: Float
    pmdec: Float
    pmdec_error: Float
    parallax_pmra_corr: Float
    parallax_pmdec_corr: Float
    pmra_pmdec_corr: Float
    radial_velocity: Float
    radial_velocity_error: Float


def measure(draws: Draws, star: Stars, sky: Astrometry, grvs: Float) -> Motion:
    """Measure motions as Gaia does: errors by magnitude, correlated with that of the parallax.

    Parameters
    ----------
    draws : callable
        Random numbers of the block.
    star : Stars
        n stars that move.
    sky : Astrometry
        Their parallaxes.
    grvs : ndarray of shape (n,)
        G_RVS without noise.
    """
    rng, n = draws("proper motions"), len(star)
    parallax = (sky.parallax - 1.0 / star.distance - sky.offset) / sky.parallax_error
    with_parallax = _CORRELATION * rng.standard_normal((2, n))
    both = _CORRELATION * rng.standard_normal(n)
    with_a, with_d, both = np.clip(np.stack([*with_parallax, both]), -_LARGEST, _LARGEST)
    # Three unit normals with these correlations, the first of them the parallax's.
    rest_a, rest_d = np.sqrt(1.0 - with_a**2), np.sqrt(1.0 - with_d**2)
    left = np.clip((both - with_a * with_d) / (rest_a * rest_d), -0.99, 0.99)
    one, other = rng.standard_normal((2, n))
    off_a = with_a * parallax + rest_a * one
    off_d = with_d * parallax + rest_d * (left * one + np.sqrt(1.0 - left**2) * other)
    both = with_a * with_d + left * rest_a * rest_d
    error_a, error_d = (factor * sky.parallax_error for factor in _PM_OVER_PARALLAX)
    solved = np.isfinite(sky.parallax)
    velocity, velocity_error = _radial_velocity(draws("radial velocities"), star, grvs)
    return Motion(
        pmra=star.true_pmra + error_a * off_a,
        pmra_error=error_a,
        pmdec=star.true_pmdec + error_d * off_d,
        pmdec_error=error_d,
        parallax_pmra_corr=np.where(solved, with_a, np.nan),
        parallax_pmdec_corr=np.where(solved, with_d, np.nan),
        pmra_pmdec_corr=np.where(solved, both, np.nan),
        radial_velocity=velocity,
        radial_velocity_error=velocity_error,
    )


def measure_again(draws: Draws, star: Stars, old: Motion, share: Float) -> Motion:
    """Measure the motions once more, from all transits, of which a share is old.

    The error of a proper motion falls with the 1.5th power of the time; stars that have a radial
    velocity are the same.
    """
    fresh = draws("motions").standard_normal((3, len(star)))
    return replace(
        old,
        pmra=_improved(fresh[0], star.true_pmra, old.pmra, old.pmra_error, share**3),
        pmra_error=old.pmra_error * share**1.5,
        pmdec=_improved(fresh[1], star.true_pmdec, old.pmdec, old.pmdec_error, share**3),
        pmdec_error=old.pmdec_error * share**1.5,
        radial_velocity=_improved(
            fresh[2],
            star.true_radial_velocity,
            old.radial_velocity,
            old.radial_velocity_error,
            share,
        ),
        radial_velocity_error=old.radial_velocity_error * np.sqrt(share),
    )


def _improved(fresh: Float, true: Float, old: Float, old_error: Float, part: Float) -> Float:
    """Return a measurement whose variance is a part of the old one's, which has gone into it."""
    noise = part * (old - true) + np.sqrt(part * (1.0 - part)) * old_error * fresh
    return np.asarray(true + noise)


def _radial_velocity(rng: np.random.Generator, star: Stars, grvs: Float) -> tuple[Float, Float]:
    slope = np.log10(_AT_14 / _AT_12) / (FAINTEST_GRVS - FAINT_FROM)
    scatter = np.exp(0.2 * rng.standard_normal(len(star)))
    error = np.hypot(_FLOOR, _AT_12 * scatter * 10.0 ** (slope * (grvs - FAINT_FROM)))
    bright = grvs < FAINT_FROM
    low = np.where(bright, _BRIGHT_TEFF[0], _FAINT_TEFF[0])
    high = np.where(bright, _BRIGHT_TEFF[1], _FAINT_TEFF[1])
    given = (grvs < FAINTEST_GRVS) & (star.teff > low) & (star.teff < high)
    velocity = star.true_radial_velocity + error * rng.standard_normal(len(star))
    return np.where(given, velocity, np.nan), np.where(given, error, np.nan)
