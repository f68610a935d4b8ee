"""The proposal: the likelihood about a fit as a quadratic form; the prior's Gaussians under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from tests.benchmarks.science.limit import forward, population
from tests.benchmarks.science.limit.forward import Data, Noise
from tests.benchmarks.science.limit.population import Library

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_LN10 = np.log(10.0)
_LOGG_SUN = 4.438
#: Unknowns x: 5040 K / Teff, log g, [M/H], [alpha/M], [Fe/H], A0, ln distance, and the broadening:
#: chosen so that ln flux is nearly linear in them along the degeneracy of Teff and extinction.
N = 10
#: Library draws whose evidence is computed, by a rough distance from the best fit.
_CANDIDATES = 1500
#: Widths of the parameters of the forward model in any population, generous.
_WIDE = np.array([0.08, 0.6, 0.5, 0.12, 0.4, 1.0, 0.6, 1.0, 1.0])
#: Largest step of the search, per parameter of the forward model.
_LARGEST = np.array([0.06, 0.5, 0.4, 0.12, 0.3, 0.5, 0.5, 1.0, 1.0])


@dataclass(frozen=True)
class Quadratic:
    """-1/2 d F d + s d with d = phi - at: ln likelihood of all but the parallax."""

    at: Float
    information: Float
    slope: Float
    noise: Noise
    chi_square: float


@dataclass(frozen=True)
class Mixture:
    """Gaussians x = mean + root z of the posterior, one per candidate, and their ln evidence.

    Candidates stand for others like them: the evidence is divided by their chance to be chosen.
    """

    index: Int
    mean: Float
    root: Float
    ln_root: Float
    ln_evidence: Float
    ln_chance: Float


def search(data: Data, start: Float) -> Quadratic:
    """Fit the forward model by damped Gauss-Newton steps, with a wide prior about the start."""
    ln_v, ln_v_scatter, macro = population.broadening_prior(5040.0 / start[:1])
    centre = start.copy()
    centre[6:] = ln_v[0], macro[0], 0.0
    width = _WIDE.copy()
    width[6], width[8] = ln_v_scatter[0], shift_scatter(data)
    precision = 1.0 / width**2
    phi, here = centre, quadratic(data, centre)
    for _ in range(8):
        slope = here.slope - precision * (phi - centre)
        step = np.linalg.solve(here.information + np.diag(precision), slope)
        step /= max(1.0, float(np.max(np.abs(step) / _LARGEST)))
        moved = False
        for _ in range(5):
            trial = phi + step
            if forward.inside(trial[None])[0]:
                there = quadratic(data, trial)
                penalty = np.sum(precision * ((trial - centre) ** 2 - (phi - centre) ** 2))
                if there.chi_square + penalty < here.chi_square + 1e-3:
                    moved = True
                    break
            step = 0.4 * step
        if not moved:
            break
        gain = here.chi_square - there.chi_square
        phi, here = trial, there
        if abs(gain) < 0.05:
            break
    return here


def quadratic(data: Data, phi: Float) -> Quadratic:
    model, slopes = forward.derivatives(phi, data.constant_class)
    noise = Noise(data, model)
    residual = data.values - model
    noise.rescale(residual)
    weighted = noise.solve(np.vstack([slopes, residual]))
    information = weighted[:9] @ slopes.T
    information = 0.5 * (information + information.T)
    slope = weighted[:9] @ residual
    return Quadratic(phi, information, slope, noise, float(weighted[9] @ residual))


def shift_scatter(data: Data) -> float:
    return 0.3 + 8.0 / data.sig_to_noise


def to_forward(x: Float, ln_mass: Float) -> Float:
    """Parameters of the forward model (n, 9) of unknowns (n, 10)."""
    ln_s = ln_mass + _LN10 * (_LOGG_SUN - x[:, 1]) - 2.0 * x[:, 6]
    alpha = x[:, 3] + x[:, 2] - x[:, 4]
    return np.column_stack([x[:, 0], x[:, 1], x[:, 4], alpha, x[:, 5], ln_s, x[:, 7:]])


#: d phi / d x of `to_forward`.
_MAP = np.zeros((9, N))
_MAP[0, 0] = _MAP[1, 1] = _MAP[2, 4] = _MAP[3, 2] = _MAP[3, 3] = _MAP[4, 5] = 1.0
_MAP[3, 4] = -1.0
_MAP[5, 1], _MAP[5, 6] = -_LN10, -2.0
_MAP[6, 7] = _MAP[7, 8] = _MAP[8, 9] = 1.0


def _candidates(
    data: Data, near: Quadratic, library: Library, m_h: float, rng: np.random.Generator
) -> tuple[Int, Float]:
    """Choose library draws by a rough evidence; return them and ln of their chance to be chosen.

    The rough evidence takes one mean slope of the tracks for all draws of a population. Draws are
    taken with a chance that goes with its square root, so that an error in it does little harm; the
    chance is divided out.
    """
    rough = np.full(len(library.m_h), -np.inf)
    for kind in range(len(population.M_H_SCATTER)):
        mine = np.flatnonzero(library.population == kind)
        loose = mine[_loosely(data, near, library, mine, m_h)]
        if len(loose):
            rough[loose] = _rough_evidence(data, near, library, loose, m_h)
    share = np.exp(0.5 * np.maximum(rough - rough.max(), -60.0))
    share[~np.isfinite(rough)] = 0.0
    factor = _CANDIDATES / share.sum()
    for _ in range(20):
        factor *= _CANDIDATES / max(np.minimum(factor * share, 1.0).sum(), 1.0)
        if factor > 1e12:
            break
    chance = np.minimum(factor * share, 1.0)
    chosen = np.flatnonzero(rng.random(len(chance)) < chance)
    if len(chosen) == 0:
        chosen = np.array([int(np.argmax(rough))])
    return chosen, np.log(chance[chosen])


def _loosely(
    data: Data, near: Quadratic, library: Library, index: Int, m_h: float
) -> NDArray[np.bool_]:
    """Say which library draws may contribute: within 7 generous sigmas in each quantity."""
    variance = np.diag(np.linalg.inv(near.information + np.diag(1.0 / _WIDE**2)))
    theta, logg, slope_t, slope_g = (values[index] for values in library.at(m_h))
    v_m = variance[2]
    kernel = population.DISTANCE_KERNEL
    ln_d = 0.5 * (library.ln_mass[index] + _LN10 * (_LOGG_SUN - near.at[1]) - near.at[5])
    off_d = library.ln_distance[index]
    inverse = np.exp(-off_d)
    terms = (
        (theta - near.at[0], 0.006**2 + variance[0] + slope_t**2 * v_m),
        (logg - near.at[1], 0.03**2 + variance[1] + slope_g**2 * v_m),
        (ln_d - off_d, kernel**2 + 1.33 * variance[1] + 0.25 * variance[5]),
        (data.parallax - inverse, data.parallax_error**2 + (kernel * inverse) ** 2),
        (np.exp(library.ln_dust[index]) - near.at[4], _dust_variance(library, index) + variance[4]),
    )
    inside = np.ones(len(index), dtype=bool)
    for difference, var in terms:
        inside &= difference**2 < 49.0 * var
    return inside


def _dust_variance(library: Library, index: Int) -> Float:
    return np.asarray((population.LN_DUST_SCATTER * np.exp(library.ln_dust[index])) ** 2)


def _rough_evidence(data: Data, near: Quadratic, library: Library, index: Int, m_h: float) -> Float:
    mean, root = _prior_gaussians(data, near, library, index, m_h)
    typical = root.mean(axis=0)
    off = mean @ _MAP.T - near.at
    off[:, 5] += library.ln_mass[index] + _LN10 * _LOGG_SUN
    p = np.exp(-library.ln_distance[index])
    # The parallax is a tenth measured quantity, -1 / d, with a mean slope.
    slope = np.zeros(N)
    slope[6] = p.mean()
    to_data = np.vstack([_MAP, slope])
    noise = np.zeros((10, 10))
    noise[:9, :9] = np.linalg.inv(near.information + np.diag(1e-4 / _WIDE**2))
    noise[9, 9] = data.parallax_error**2
    # From the point of the quadratic form to its maximum.
    best = noise[:9, :9] @ near.slope
    differences = np.column_stack([off - best, data.parallax - p])
    spread = to_data @ typical @ typical.T @ to_data.T + noise
    return -0.5 * np.sum(differences @ np.linalg.inv(spread) * differences, axis=1) - 0.5 * float(
        np.linalg.slogdet(spread)[1]
    )


def _metallicity(phi: Float) -> float:
    """[M/H] that belongs to the grid's labels, about."""
    return float(np.clip(phi[2] - 0.008 + 0.04 * phi[3], -2.5, 0.5))


def mixture_of(data: Data, near: Quadratic, library: Library, rng: np.random.Generator) -> Mixture:
    m_h = _metallicity(near.at)
    index, ln_chance = _candidates(data, near, library, m_h, rng)
    k = len(index)
    mean, root = _prior_gaussians(data, near, library, index, m_h)
    # The likelihood's quadratic form at the means, from where it was made: sums of numbers near 1.
    off = mean @ _MAP.T - near.at
    off[:, 5] += library.ln_mass[index] + _LN10 * _LOGG_SUN
    slope = near.slope - off @ near.information
    at_mean = 0.5 * np.sum((slope + near.slope) * off, axis=1)
    pull = slope @ _MAP
    information = np.broadcast_to(_MAP.T @ near.information @ _MAP, (k, N, N)).copy()
    # The parallax 1 / d is linear enough in ln d over the width of the kernel.
    p = np.exp(-library.ln_distance[index])
    left, weight = data.parallax - p, 1.0 / data.parallax_error**2
    at_mean -= 0.5 * weight * left**2
    pull[:, 6] -= weight * p * left
    information[:, 6, 6] += weight * p**2

    precision = np.eye(N) + root.transpose(0, 2, 1) @ information @ root
    r = np.einsum("kji,kj->ki", root, pull)
    covariance = np.linalg.inv(precision)
    shift = np.einsum("kij,kj->ki", covariance, r)
    _, ln_determinant = np.linalg.slogdet(precision)
    ln_evidence = at_mean + 0.5 * np.sum(r * shift, axis=1) - 0.5 * ln_determinant
    inner = np.linalg.cholesky(0.5 * (covariance + covariance.transpose(0, 2, 1)))
    whole = root @ inner
    return Mixture(
        index=index,
        mean=mean + np.einsum("kij,kj->ki", root, shift),
        root=whole,
        ln_root=np.sum(np.log(np.abs(np.diagonal(root, axis1=1, axis2=2))), axis=1)
        - 0.5 * ln_determinant,
        ln_evidence=ln_evidence - ln_chance,
        ln_chance=ln_chance,
    )


def _prior_gaussians(
    data: Data, near: Quadratic, library: Library, index: Int, m_h: float
) -> tuple[Float, Float]:
    """Means (k, 10) and roots (k, 10, 10) of the prior of x, tracks and sequences linear in [M/H].

    The roots are lower triangular in the order [M/H], [alpha/M], [Fe/H], ln Teff, log g, ...; as
    arrays in the order of x their determinant is still the product of the diagonal.
    """
    kind = library.population[index]
    k = len(index)
    here = np.full(k, m_h)
    theta, logg, slope_t, slope_g = (values[index] for values in library.at(m_h))
    alpha = population.alpha_mean(kind, here)
    slope_a = (
        population.alpha_mean(kind, here + 0.02) - population.alpha_mean(kind, here - 0.02)
    ) / 0.04
    m, scatter = library.m_h[index], population.M_H_SCATTER[kind]
    off = m - m_h
    mean = np.empty((k, N))
    mean[:, 0], mean[:, 1] = theta + slope_t * off, logg + slope_g * off
    mean[:, 2], mean[:, 3] = m, alpha + slope_a * off
    mean[:, 4] = population.iron_mean(m, mean[:, 3])
    # ln A0 is Gaussian; A0 is taken as linear in it about the fit.
    a_0 = max(near.at[4], 0.02)
    mean[:, 5] = a_0 * (1.0 + library.ln_dust[index] - np.log(a_0))
    mean[:, 6] = library.ln_distance[index]
    ln_v, ln_v_scatter, macro = population.broadening_prior(5040.0 / near.at[:1])
    mean[:, 7:] = ln_v[0], macro[0], 0.0
    root = np.zeros((k, N, N))
    root[:, 0, 0], root[:, 0, 2] = population.LN_TEFF_SCATTER * theta, slope_t * scatter
    root[:, 1, 1], root[:, 1, 2] = population.LOGG_SCATTER, slope_g * scatter
    root[:, 2, 2] = scatter
    root[:, 3, 3], root[:, 3, 2] = population.ALPHA_SCATTER[kind], slope_a * scatter
    root[:, 4, 2] = scatter - 0.04 * root[:, 3, 2]
    root[:, 4, 3] = -0.04 * root[:, 3, 3]
    root[:, 4, 4] = population.iron_scatter(alpha)
    root[:, 5, 5] = population.LN_DUST_SCATTER * a_0
    root[:, 6, 6] = population.DISTANCE_KERNEL
    root[:, 7, 7], root[:, 8, 8] = ln_v_scatter[0], 1.0
    root[:, 9, 9] = shift_scatter(data)
    return mean, root


def centre_of(data: Data, near: Quadratic, mixture: Mixture, library: Library) -> Float:
    """Posterior mean of the forward parameters, or the fit where the grid does not reach it."""
    weights = np.exp(mixture.ln_evidence - logsumexp(mixture.ln_evidence))
    phi = weights @ to_forward(mixture.mean, library.ln_mass[mixture.index])
    return phi if forward.inside(phi[None])[0] else near.at
