"""Stars like those of a real sample: labels from a mixture of Gaussians, brightness from quantiles.

Where they are, how far and how much dust there is before them follows from the galaxy of the
simulation; what they are and how bright is the sample's. `schemas/simulations` has such samples.
"""

from __future__ import annotations

from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from catalog_builder.contract.description import Description
from catalog_builder.simulate.population import stars
from catalog_builder.simulate.population.census import A_G, healpix_positions
from catalog_builder.simulate.population.galaxy import POPULATIONS, extinction, galactic

Float = NDArray[np.float64]

#: What the Gaussians are of, and the units of their numbers.
VARIABLES: Final = ("ln_teff", "logg", "m_h", "fe_m", "alpha_m")
UNITS: Final = np.array([0.1, 1.0, 0.3, 0.02, 0.1])
#: [alpha/M] where it is drawn for itself: what the synthetic spectra reach.
UNTIED: Final = (-0.10, 0.40)
#: Limits between the populations that a star is taken for, for its motion: [alpha/M], [M/H].
_THICK_ALPHA, _HALO_M_H = 0.15, -1.2
#: Mass of a giant, and from which gravity on a star is none.
_GIANT_MASS, _DWARF_LOGG = 1.2, 3.8


class Component(Description):
    """A Gaussian of `VARIABLES` in `UNITS`.

    Attributes
    ----------
    weight : float
        Its share.
    mean : tuple of float
        Of each variable.
    factor : tuple of float
        Lower triangle, row by row, of the Cholesky factor of the covariance.
    """

    weight: Annotated[float, Field(gt=0, le=1)]
    mean: Annotated[tuple[float, ...], Field(min_length=5, max_length=5)]
    factor: Annotated[tuple[float, ...], Field(min_length=15, max_length=15)]


class Sample(Description):
    """What stars a survey has seen.

    Attributes
    ----------
    source : str
        Where the numbers are from: who is to be cited.
    stars : int
        How many stars they are made of.
    magnitudes : tuple of float
        G at equally spaced quantiles, from the brightest to the faintest.
    mixture : tuple of Component
        Of the labels.
    """

    source: str
    stars: Annotated[int, Field(gt=0)]
    magnitudes: Annotated[tuple[float, ...], Field(min_length=2)]
    mixture: Annotated[tuple[Component, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _magnitudes_rise(self) -> Self:
        if any(np.diff(self.magnitudes) <= 0):
            raise ValueError("magnitudes do not rise")
        return self

    def labels(self, rng: np.random.Generator, n: int) -> dict[str, Float]:
        """Draw Teff, log g, [M/H], [alpha/M] and [Fe/H] of n stars."""
        weights = np.array([one.weight for one in self.mixture])
        which = rng.choice(len(weights), n, p=weights / weights.sum())
        factors = np.zeros((len(weights), 5, 5))
        for factor, one in zip(factors, self.mixture, strict=True):
            factor[np.tril_indices(5)] = one.factor
        means = np.array([one.mean for one in self.mixture])
        drawn = means[which] + np.einsum("nij,nj->ni", factors[which], rng.standard_normal((n, 5)))
        ln_teff, logg, m_h, fe_m, alpha_m = (drawn * UNITS).T
        return {
            "teff": np.exp(ln_teff), "logg": logg, "m_h": m_h, "alpha_m": alpha_m,
            "fe_h": m_h + fe_m,
        }  # fmt: skip

    def brightness(self, rng: np.random.Generator, n: int) -> Float:
        """Draw G of n stars."""
        at = np.linspace(0.0, 1.0, len(self.magnitudes))
        return np.interp(rng.random(n), at, self.magnitudes)


def masses(teff: Float, logg: Float) -> Float:
    """Return masses [Msun], (n,): of the main sequence for dwarfs, of one giant for giants."""
    return np.where(logg > _DWARF_LOGG, stars.mass_of_dwarf(teff), _GIANT_MASS)


def population_of(m_h: Float, alpha_m: Float) -> NDArray[np.int64]:
    """Return which of `POPULATIONS` stars belong to, by what they are made of."""
    thick = np.where(alpha_m > _THICK_ALPHA, POPULATIONS.index("thick"), 0)
    return np.where(m_h < _HALO_M_H, POPULATIONS.index("halo"), thick)


def distances(pixel: NDArray[np.int64], magnitude: Float, absolute: Float) -> Float:
    """Return distances [kpc] at which stars have an apparent G, dust included, (n,).

    Parameters
    ----------
    pixel : ndarray of int64
        HEALPix pixels of level 12.
    magnitude, absolute : ndarray of float64
        Apparent and absolute G.
    """
    sky = galactic(*healpix_positions(pixel, 12))
    distance = 10.0 ** (0.2 * (magnitude - absolute)) / 100.0
    for _ in range(12):
        dust = A_G * extinction(*sky, distance)
        farther = 10.0 ** (0.2 * (magnitude - absolute - dust)) / 100.0
        # Halfway: behind thick dust the full step would swing.
        distance = np.sqrt(distance * farther)
    return np.asarray(np.clip(distance, 0.005, 30.0))


def untied(rng: np.random.Generator, n: int) -> Float:
    """Draw [alpha/M] that has nothing to do with [M/H], (n,)."""
    return rng.uniform(*UNTIED, n)
