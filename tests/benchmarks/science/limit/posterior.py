"""The exact posterior of a star: a mixture of Gaussians as proposal, weights from exact densities.

About the best fit the logarithm of the likelihood is a quadratic form in the parameters of the
forward model. With it each Gaussian of the prior (`population`) gives a Gaussian of the posterior
and its evidence in closed form. Draws from that mixture get the ratio of the exact prior and
likelihood to the mixture's density as weights: what comes out does not depend on the linearisation,
only the effective number of draws does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from catalog_builder.simulate.population import stars
from catalog_builder.simulate.population.stars import Evolution
from catalog_builder.simulate.population.truth import LABEL_LIMITS
from catalog_builder.simulate.writing.apogee import _DWARF_WEIGHT
from tests.benchmarks.science.limit import forward, population
from tests.benchmarks.science.limit.forward import Data, Noise
from tests.benchmarks.science.limit.population import Library
from tests.benchmarks.science.limit.proposal import (
    Mixture,
    N,
    Quadratic,
    centre_of,
    mixture_of,
    quadratic,
    search,
    shift_scatter,
    to_forward,
)

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: The proposal is this much wider than the Gaussian of the linearised model.
_WIDER = 1.12
#: The linearisation is good where another one would move less than this, per parameter.
_SETTLED = np.array([0.001, 0.02, 0.01, 0.01, 0.01, 0.03])


@dataclass(frozen=True)
class Posterior:
    """Weighted draws of a star's labels.

    Parameters
    ----------
    labels : numpy.ndarray
        (draws, 5), in catalogue order.
    weights : numpy.ndarray
        (draws,), sum 1.
    effective : float
        1 / sum of squared weights.
    chi_square : float
        Of the best fit over the number of measured values.
    """

    labels: Float
    weights: Float
    effective: float
    chi_square: float

    @property
    def mean(self) -> Float:
        """Mean (5,)."""
        return np.asarray(self.weights @ self.labels)

    @property
    def variance(self) -> Float:
        """Variance (5,)."""
        return np.asarray(self.weights @ (self.labels - self.mean) ** 2)

    def ranks(self, true: Float) -> Float:
        """Share of the posterior below the truth (5,)."""
        return np.asarray(self.weights @ (self.labels < true))


def infer(data: Data, start: Float, rng: np.random.Generator, draws: int = 400) -> Posterior:
    """Return the posterior of a star.

    Parameters
    ----------
    start : numpy.ndarray
        (9,) parameters of the forward model from which the fit sets out, inside the grid.
    draws : int
        At first; twice and four times as many where their effective number stays below a quarter.
    """
    library = population.library()
    near = search(data, start)
    best: Posterior | None = None
    # The likelihood's maximum may be far from the posterior's: linearise there instead.
    for _ in range(4):
        mixture = mixture_of(data, near, library, rng)
        centre = centre_of(data, near, mixture, library)
        moved, near = np.abs(centre - near.at), quadratic(data, centre)
        if np.all(moved[:6] < _SETTLED):
            break
    for attempt in range(3):
        mixture = mixture_of(data, near, library, rng)
        found, centre = _draw(data, near, mixture, library, rng, draws << attempt)
        if best is None or found.effective > best.effective:
            best = found
        if found.effective > 0.25 * draws:
            break
        if forward.inside(centre[None])[0]:
            near = quadratic(data, centre)
    return best


def _draw(
    data: Data,
    near: Quadratic,
    mixture: Mixture,
    library: Library,
    rng: np.random.Generator,
    draws: int,
) -> tuple[Posterior, Float]:
    """Draw from the mixture and weight; return the posterior and the mean forward parameters."""
    ln_share = mixture.ln_evidence - logsumexp(mixture.ln_evidence)
    chosen = rng.choice(len(ln_share), draws, p=np.exp(ln_share))
    z = rng.standard_normal((draws, N))
    x = mixture.mean[chosen] + _WIDER * np.einsum("nij,nj->ni", mixture.root[chosen], z)
    ln_proposal = (
        ln_share[chosen] - 0.5 * np.sum(z**2, axis=1) - mixture.ln_root[chosen]
    )  # but for constants
    index = mixture.index[chosen]
    phi = to_forward(x, library.ln_mass[index])
    possible = _possible(x, library.population[index]) & forward.inside(phi)
    ln_weight = np.full(draws, -np.inf)
    ln_weight[possible] = (
        _ln_prior(data, x[possible], library, index[possible])
        + _ln_likelihood(data, near.noise, phi[possible], x[possible, 6])
        - ln_proposal[possible]
        - mixture.ln_chance[chosen[possible]]
    )
    if not np.any(possible):
        ln_weight[:] = 0.0
    weights = np.exp(ln_weight - logsumexp(ln_weight))
    labels = x[:, :5].copy()
    labels[:, 0] = 5040.0 / labels[:, 0]
    effective = float(1.0 / np.sum(weights**2)) if np.any(possible) else 0.0
    found = Posterior(labels, weights, effective, near.chi_square / forward.WIDTH)
    return found, weights @ phi


def _possible(x: Float, kind: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Whether draws are in the survey's limits and those of their population."""
    inside = (
        (x[:, 5] > 0.0)
        & (x[:, 2] >= population.M_H_LOW[kind])
        & (x[:, 2] <= population.M_H_HIGH[kind])
    )
    columns = {"teff": 5040.0 / x[:, 0], "logg": x[:, 1], "m_h": x[:, 2]}
    for name, (low, high) in LABEL_LIMITS.items():
        inside &= (columns[name] >= low) & (columns[name] <= high)
    return inside


def _ln_prior(data: Data, x: Float, library: Library, index: Int) -> Float:
    """Exact ln density of x (n, 10) given the library draws, up to a constant."""
    kind = library.population[index]
    evolution = Evolution(
        library.evolution.mass[index],
        library.evolution.phase[index],
        library.evolution.chance[index],
    )
    teff, logg = stars.kiel(evolution, x[:, 2])
    ln_v, ln_v_scatter, macro = population.broadening_prior(5040.0 / x[:, 0])
    terms = (
        (np.log(5040.0 / x[:, 0] / teff), population.LN_TEFF_SCATTER),
        (x[:, 1] - logg, population.LOGG_SCATTER),
        (x[:, 2] - library.m_h[index], population.M_H_SCATTER[kind]),
        (x[:, 3] - population.alpha_mean(kind, x[:, 2]), population.ALPHA_SCATTER[kind]),
        (x[:, 4] - population.iron_mean(x[:, 2], x[:, 3]), population.iron_scatter(x[:, 3])),
        (np.log(x[:, 5]) - library.ln_dust[index], population.LN_DUST_SCATTER),
        (x[:, 6] - library.ln_distance[index], population.DISTANCE_KERNEL),
        (x[:, 7] - ln_v, ln_v_scatter),
        (x[:, 8] - macro, 1.0),
        (x[:, 9], shift_scatter(data)),
    )
    # The survey's preference, and the densities of ln Teff and ln A0 as those of x.
    result = np.where(x[:, 1] < 3.8, 0.0, np.log(_DWARF_WEIGHT)) - np.log(x[:, 0] * x[:, 5])
    for difference, scatter in terms:
        result = result - 0.5 * (difference / scatter) ** 2 - np.log(scatter)
    return result


def _ln_likelihood(data: Data, noise: Noise, phi: Float, ln_distance: Float) -> Float:
    residual = data.values - forward.predict(phi, data.constant_class)
    chi_square = np.sum(noise.solve(residual) * residual, axis=1)
    parallax = (data.parallax - np.exp(-ln_distance)) / data.parallax_error
    return -0.5 * (chi_square + parallax**2)
