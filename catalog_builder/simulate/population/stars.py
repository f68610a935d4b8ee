"""Stars of a population: chemistry, ages, and where they stand in the Kiel diagram.

The tracks are hand-made curves, not a stellar evolution code: a zero-age main sequence, its
evolution with the fraction of the life spent, a subgiant bridge, the red-giant ridge that APOGEE
sees, and a red clump. They are there to give each star labels and a luminosity that belong
together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.population.galaxy import R_SUN

Float = NDArray[np.float64]

# Zero-age main sequence of solar metallicity: mass [Msun], Teff [K], log g.
_MASS = np.array([0.55, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8])
_ZAMS_TEFF = np.array(
    [3850, 4030, 4430, 4900, 5330, 5660, 5930, 6180, 6420, 6670, 6960, 7250, 7900], dtype=np.float64
)
_ZAMS_LOGG = np.array(
    [4.73, 4.71, 4.66, 4.61, 4.56, 4.51, 4.46, 4.39, 4.35, 4.33, 4.32, 4.31, 4.29]
)
#: Ridge of the red-giant branch: medians of APOGEE DR17 labels, smoothed by hand (SDSS).
_RGB_LOGG = np.array([0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.6])
_RGB_M_H = np.array([-2.5, -2.0, -1.25, -0.75, -0.35, -0.05, 0.25, 0.5])
_RGB_TEFF = np.array(
    [
        [4300, 4500, 4700, 4890, 5030, 5150, 5270, 5370],
        [4230, 4422, 4640, 4842, 4990, 5105, 5224, 5320],
        [3900, 4150, 4423, 4690, 4860, 5000, 5130, 5240],
        [3700, 3900, 4170, 4446, 4700, 4880, 5030, 5150],
        [3600, 3761, 4064, 4359, 4610, 4810, 4970, 5090],
        [3530, 3660, 3928, 4228, 4500, 4720, 4900, 5030],
        [3480, 3570, 3794, 4105, 4390, 4630, 4820, 4960],
        [3430, 3500, 3700, 4010, 4300, 4550, 4750, 4890],
    ],
    dtype=np.float64,
)
#: Durations after the main sequence, as fractions of its length.
_SUBGIANT, _GIANT, _CLUMP = 0.12, 0.10, 0.022
LIFETIME = 1.0 + _SUBGIANT + _GIANT + _CLUMP
_CLUMP_START = 1.0 + _SUBGIANT + _GIANT


@dataclass(frozen=True)
class Evolution:
    """What a star is born with: enough to place it once its metallicity is known.

    Parameters
    ----------
    mass : numpy.ndarray
        (n,) solar masses.
    phase : numpy.ndarray
        (n,) age divided by the main-sequence lifetime, 0 to `LIFETIME`.
    chance : numpy.ndarray
        (n,) uniform numbers that settle position along the giant branch and scatter.
    """

    mass: Float
    phase: Float
    chance: Float


def draw_evolution(rng: np.random.Generator, population: int, n: int) -> Evolution:
    """Draw living stars of a population (0 thin, 1 thick, 2 halo); returns about `n` of them."""
    # Salpeter between 0.55 and 1.65 solar masses, by inversion.
    low, high = 0.55**-1.35, 1.65**-1.35
    mass = (low + rng.random(n) * (high - low)) ** (-1.0 / 1.35)
    age = np.stack(
        [rng.uniform(0.3, 9.0, n), rng.uniform(8.0, 12.0, n), rng.uniform(10.5, 13.0, n)]
    )[population]
    typical = np.array([-0.1, -0.4, -1.4])[population]
    phase = age / lifetime(mass, typical)
    alive = phase < LIFETIME
    return Evolution(mass[alive], phase[alive], rng.random(n)[alive])


def lifetime(mass: Float, m_h: float) -> Float:
    """Main-sequence lifetime [Gyr]: 10 Gyr for the Sun, shorter for metal-poor stars."""
    return np.asarray(10.0 * mass**-3.0 * 10.0 ** (0.15 * max(m_h, -1.5)))


def metallicity(
    rng: np.random.Generator, population: NDArray[np.int_], r: Float, z: Float
) -> Float:
    """Draw [M/H] at galactocentric radius and height [kpc]."""
    n = len(population)
    # The metal-rich disc is skewed to the poor side inside and to the rich side outside.
    thin = 0.06 - 0.065 * (np.clip(r, 3.0, 16.0) - R_SUN) - 0.18 * np.abs(z)
    thin = np.clip(thin, -0.75, 0.3) + 0.17 * rng.standard_normal(n)
    thick = -0.38 + 0.25 * rng.standard_normal(n)
    halo = -1.45 + 0.45 * rng.standard_normal(n)
    drawn = np.choose(population, [thin, thick, halo])
    low = np.array([-1.0, -1.4, -2.5])[population]
    high = np.array([0.5, 0.3, -0.6])[population]
    # Folding back at the limits avoids a pile-up of identical values there.
    drawn = np.where(drawn < low, 2 * low - drawn, drawn)
    drawn = np.where(drawn > high, 2 * high - drawn, drawn)
    return np.asarray(np.clip(drawn, low, high))


def alpha(rng: np.random.Generator, population: NDArray[np.int_], m_h: Float) -> Float:
    """Draw [alpha/M] along the two sequences of the disc and the plateau and knee of the halo."""
    noise = rng.standard_normal(len(m_h))
    thin = 0.025 - 0.12 * np.clip(m_h, -0.8, 0.25) + 0.020 * noise
    above = np.clip(m_h + 0.65, 0.0, 0.95)
    thick = 0.285 - 0.05 * above - 0.18 * above**2 + 0.025 * noise
    halo = 0.25 - 0.17 * np.clip(m_h + 1.6, 0.0, 0.9) + 0.045 * noise
    return np.asarray(np.clip(np.choose(population, [thin, thick, halo]), -0.10, 0.41))


def iron(rng: np.random.Generator, m_h: Float, alpha_m: Float) -> Float:
    """Draw [Fe/H].

    In APOGEE DR17 [Fe/H] - [M/H] has a scatter of 0.01 to 0.02 dex and falls slightly as
    [alpha/M] rises (measured on rows of DR17: slope -0.04).
    """
    scatter = 0.010 + 0.04 * np.maximum(alpha_m, 0.0)
    return np.asarray(m_h + 0.008 - 0.04 * alpha_m + scatter * rng.standard_normal(len(m_h)))


def giant_ridge(logg: Float, m_h: Float) -> Float:
    """Teff [K] of the red-giant branch by bilinear interpolation; edges are held."""
    row = np.interp(m_h, _RGB_M_H, np.arange(len(_RGB_M_H)))
    column = np.interp(logg, _RGB_LOGG, np.arange(len(_RGB_LOGG)))
    i = np.minimum(row.astype(np.intp), len(_RGB_M_H) - 2)
    j = np.minimum(column.astype(np.intp), len(_RGB_LOGG) - 2)
    u, v = row - i, column - j
    table = _RGB_TEFF
    lower = (1 - v) * table[i, j] + v * table[i, j + 1]
    upper = (1 - v) * table[i + 1, j] + v * table[i + 1, j + 1]
    return np.asarray((1 - u) * lower + u * upper)


def kiel(star: Evolution, m_h: Float) -> tuple[Float, Float]:
    """Return Teff [K] and log g of stars with metallicity [M/H]."""
    poor = np.clip(-m_h, -0.5, 1.8)
    # Metal-poor dwarfs are hotter and more compact at the same mass.
    hot = np.interp(star.mass, _MASS, _ZAMS_TEFF) + 370.0 * poor - 60.0 * np.maximum(poor, 0.0) ** 2
    dense = np.interp(star.mass, _MASS, _ZAMS_LOGG) + 0.03 * poor
    life = np.minimum(star.phase, 1.0)
    heavy = np.clip((star.mass - 1.1) / 0.3, 0.0, 1.0)
    teff = hot + 260.0 * life * (1.0 - 0.6 * life) * (1 - heavy) - 450.0 * life**2 * heavy
    logg = dense - 0.10 * life - 0.32 * life**3
    teff, logg = _subgiant(star, m_h, teff, logg)
    teff, logg = _giant(star, m_h, teff, logg)
    return _clump(star, m_h, teff, logg)


def _subgiant(star: Evolution, m_h: Float, teff: Float, logg: Float) -> tuple[Float, Float]:
    part = np.clip((star.phase - 1.0) / _SUBGIANT, 0.0, 1.0)
    base = _giant_base(star.mass)
    # Teff falls at nearly constant luminosity: slowly first, then fast.
    gravity = logg + (base - logg) * part
    temperature = teff + (giant_ridge(base, m_h) - teff) * (0.35 * part + 0.65 * part**2)
    on = star.phase > 1.0
    return np.where(on, temperature, teff), np.where(on, gravity, logg)


def _giant_base(mass: Float) -> Float:
    """Log g where the giant branch begins: heavier stars cross the gap at higher luminosity."""
    return np.clip(3.65 - 0.8 * (mass - 1.0), 3.0, 3.65)


def _giant(star: Evolution, m_h: Float, teff: Float, logg: Float) -> tuple[Float, Float]:
    # Time per unit log g falls upwards as 10^(0.85 log g), down to log g = 0.3.
    low, high = 10 ** (0.85 * 0.3), 10 ** (0.85 * _giant_base(star.mass))
    gravity = np.log10(high - star.chance * (high - low)) / 0.85
    temperature = giant_ridge(gravity, m_h) + 300.0 * (star.mass - 1.1)
    on = (star.phase > 1.0 + _SUBGIANT) & (star.phase <= _CLUMP_START)
    return np.where(on, temperature, teff), np.where(on, gravity, logg)


def _clump(star: Evolution, m_h: Float, teff: Float, logg: Float) -> tuple[Float, Float]:
    centre = 4770.0 - 330.0 * np.clip(m_h, -1.3, 0.5)
    temperature = centre + 120.0 * (star.chance - 0.5)
    gravity = 2.43 + 0.12 * (star.chance - 0.5) + 0.15 * (star.mass - 1.1)
    on = star.phase > _CLUMP_START
    return np.where(on, temperature, teff), np.where(on, gravity, logg)


def mass_of_dwarf(teff: Float) -> Float:
    """Mass [solar masses] of dwarfs by Teff [K], on the zero-age main sequence."""
    return np.asarray(np.interp(teff, _ZAMS_TEFF, _MASS))


def radius(mass: Float, logg: Float) -> Float:
    """Radius [solar radii] from mass and gravity (log g of the Sun is 4.438)."""
    return np.asarray(np.sqrt(mass * 10.0 ** (4.438 - logg)))


def rough_absolute_g(teff: Float, logg: Float, mass: Float) -> Float:
    """Absolute G magnitude to about 0.1 mag, for counting only; spectra give the real one."""
    bolometric = 4.74 - 5.0 * np.log10(radius(mass, logg)) - 10.0 * np.log10(teff / 5772.0)
    # Bolometric corrections in G of Andrae et al. 2018 (A&A 616, A8, figure 9), read off.
    correction = np.interp(
        teff, [3500.0, 3800.0, 4200.0, 4700.0, 5300.0, 5800.0, 6500.0, 7500.0],
        [-1.65, -1.0, -0.5, -0.2, 0.0, 0.07, 0.07, 0.02],
    )  # fmt: skip
    return np.asarray(bolometric - correction)
