"""The prior: the population that the training stars were drawn from, as a mixture.

A star of the simulation is drawn in two steps. First come place, population, mass, age and the
position along the giant branch; these have no simple density, and a library of many draws from the
simulator's own census stands for them. Given these, everything else is Gaussian by construction:
[M/H] about the place's mean, [alpha/M] about the population's sequence, [Fe/H] about [M/H],
ln Teff and log g about the track at that [M/H], the logarithm of the extinction about the smooth
dust. So the prior is a mixture with one Gaussian per library draw, and all widths are the
simulator's own, but for the distance: the library's draws get a kernel in ln d.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.population import census, stars
from catalog_builder.simulate.population.galaxy import R_SUN, extinction, galactic, galactocentric
from catalog_builder.simulate.population.stars import Evolution

Float = NDArray[np.float64]

#: Width of the kernel in ln distance. The census draws distances in bins of 0.13 in ln d.
DISTANCE_KERNEL = 0.05
#: Scatter about the tracks (`simulate.truth`) and of the dust's clumps.
LN_TEFF_SCATTER, LOGG_SCATTER = 0.006, 0.03
LN_DUST_SCATTER, LN_DUST_OFFSET = 0.35, -0.06
#: [M/H]: scatter and limits of thin disc, thick disc and halo (`simulate.stars.metallicity`).
M_H_SCATTER = np.array([0.17, 0.25, 0.45])
M_H_LOW, M_H_HIGH = np.array([-1.0, -1.4, -2.5]), np.array([0.5, 0.3, -0.6])
#: [alpha/M]: scatter about the three sequences (`simulate.stars.alpha`).
ALPHA_SCATTER = np.array([0.020, 0.025, 0.045])
_SEED, _DRAWS = 4711, 250_000
_FAINTEST_G = 14.9  # the survey ends at 14.3; the census's magnitudes are rough
_M_H_GRID = np.round(np.arange(-2.6, 0.66, 0.1), 2)


@dataclass(frozen=True)
class Library:
    """Draws of the first step, (k,) each.

    Parameters
    ----------
    population : numpy.ndarray
        0 thin disc, 1 thick disc, 2 halo.
    m_h : numpy.ndarray
        Mean of [M/H]. A draw whose [M/H] may be folded back at a limit is in the library again
        with the mirrored mean.
    ln_distance, ln_mass, ln_dust : numpy.ndarray
        ln kpc, ln solar masses, ln of the mean extinction at 550 nm in mag.
    evolution : Evolution
        Mass, phase and chance.
    track : numpy.ndarray
        (len(m grid), 2, k) float32 5040 K / Teff and log g on a grid of [M/H].
    """

    population: NDArray[np.int_]
    m_h: Float
    ln_distance: Float
    ln_mass: Float
    ln_dust: Float
    evolution: Evolution
    track: NDArray[np.float32]

    def at(self, m_h: float) -> tuple[Float, Float, Float, Float]:
        """5040 K / Teff and log g (k,) of all draws at a metallicity, and their slopes."""
        i = int(np.clip(np.searchsorted(_M_H_GRID, m_h) - 1, 0, len(_M_H_GRID) - 2))
        step = _M_H_GRID[i + 1] - _M_H_GRID[i]
        low, high = self.track[i].astype(np.float64), self.track[i + 1].astype(np.float64)
        slope = (high - low) / step
        here = low + slope * (m_h - _M_H_GRID[i])
        return here[0], here[1], slope[0], slope[1]


@functools.cache
def library() -> Library:
    """Draw the library, once per process; no seed of a sky enters."""
    rng = np.random.default_rng(_SEED)
    last = (12 << (2 * census.LEVEL)) - 1
    drawn = census.draw(rng, 0, last, census.LEVEL, _DRAWS)
    l, b = galactic(*census.healpix_positions(drawn.pixel, 12))  # noqa: E741
    dust = extinction(l, b, drawn.distance)
    radius, height = galactocentric(l, b, drawn.distance)
    population = np.asarray(drawn.population)
    mean = _mean_m_h(population, radius, height)

    teff, logg = stars.kiel(drawn.evolution, mean)
    g = stars.rough_absolute_g(teff, logg, drawn.evolution.mass)
    g = g + 5.0 * np.log10(100.0 * drawn.distance) + 0.85 * dust
    index, m_h = _with_mirrors(np.flatnonzero(g < _FAINTEST_G), population, mean)
    evolution = Evolution(
        drawn.evolution.mass[index], drawn.evolution.phase[index], drawn.evolution.chance[index]
    )
    track = np.empty((len(_M_H_GRID), 2, len(index)), dtype=np.float32)
    for row, value in zip(track, _M_H_GRID, strict=True):
        teff, logg = stars.kiel(evolution, np.full(len(index), value))
        row[0], row[1] = 5040.0 / teff, logg
    return Library(
        population=population[index],
        m_h=m_h,
        ln_distance=np.log(drawn.distance[index]),
        ln_mass=np.log(evolution.mass),
        ln_dust=np.log(np.maximum(dust[index], 1e-4)) + LN_DUST_OFFSET,
        evolution=evolution,
        track=track,
    )


def _mean_m_h(population: NDArray[np.int_], radius: Float, height: Float) -> Float:
    thin = 0.06 - 0.065 * (np.clip(radius, 3.0, 16.0) - R_SUN) - 0.18 * np.abs(height)
    thin = np.clip(thin, -0.75, 0.3)
    return np.choose(population, [thin, np.full_like(thin, -0.38), np.full_like(thin, -1.45)])


def _with_mirrors(
    index: NDArray[np.intp], population: NDArray[np.int_], mean: Float
) -> tuple[NDArray[np.intp], Float]:
    """Return draws and means, those that the limits fold back with their mirror images."""
    kind, m = population[index], mean[index]
    rows, means = [index], [m]
    for limit in (M_H_LOW, M_H_HIGH):
        reaches = np.abs(m - limit[kind]) < 2.2 * M_H_SCATTER[kind]
        rows.append(index[reaches])
        means.append((2.0 * limit[kind] - m)[reaches])
    return np.concatenate(rows), np.concatenate(means)


def alpha_mean(population: NDArray[np.int_], m_h: Float) -> Float:
    """Mean [alpha/M] of the populations' sequences."""
    thin = 0.025 - 0.12 * np.clip(m_h, -0.8, 0.25)
    above = np.clip(m_h + 0.65, 0.0, 0.95)
    thick = 0.285 - 0.05 * above - 0.18 * above**2
    halo = 0.25 - 0.17 * np.clip(m_h + 1.6, 0.0, 0.9)
    return np.choose(population, [thin, thick, halo])


def iron_mean(m_h: Float, alpha_m: Float) -> Float:
    """Mean [Fe/H] at [M/H] and [alpha/M]."""
    return m_h + 0.008 - 0.04 * alpha_m


def iron_scatter(alpha_m: Float) -> Float:
    """Scatter of [Fe/H]."""
    return 0.010 + 0.04 * np.maximum(alpha_m, 0.0)


def broadening_prior(teff: Float) -> tuple[Float, Float, Float]:
    """Mean and scatter of ln(v sin i), and mean of the macroturbulence (scatter 1), km/s."""
    hot = np.clip((teff - 6100.0) / 700.0, 0.0, 1.0)
    return np.log(3.0) + 1.6 * hot, 0.45 + 0.2 * hot, 3.5 + 2.0 * hot
