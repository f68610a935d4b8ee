"""The same stars observed for longer.

A later release averages the transits of the older one with new ones: of its N transits n are old,
so its noise is (n * old + (N - n) * new) / N. With f = n / N that is f times the old noise and new
noise of sqrt(f (1 - f)) times the old error; together sqrt(f) times it. So the noise of the two
releases correlates with sqrt(f), about 0.7. Systematic differences (the slope of a fitted
continuum) are drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.grids import GridSpec, KnotGrid, Medium, to_vacuum
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import rvs, xp
from catalog_builder.simulate.instruments.motion import measure_again
from catalog_builder.simulate.instruments.observed import Observed, magnitude_errors
from catalog_builder.simulate.instruments.photometry import MEAN_OFFSET, Astrometry
from catalog_builder.simulate.population.streams import Draws
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.twin.basis import bases

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: RVS spectra with a lower S/N are not published.
LEAST_SIG_TO_NOISE: Final = 3.0
#: New transits for each old one: 66 months of data after 34.
_MORE: Final = 66.0 / 34.0 - 1.0
#: The zero point of the later parallaxes, as a share of the older ones'.
_ZERO_POINT_LEFT: Final = 0.85
#: Cosmic spikes of one detector pixel in samples of nearly that width.
_SPIKE: Final = ((0, 1.0),)
#: Samples that may be missing at an edge: 0.3 nm.
_EDGE_NM: Final = 0.3
_FITTED_BELOW: Final = 12.0


@dataclass(frozen=True)
class RvsMade:
    """How the later RVS spectra are made.

    Parameters
    ----------
    grid : GridSpec
        Their samples.
    older : GridSpec
        Samples of the older spectra, in vacuum.
    medium : {"vacuum", "air"}
        Of the grid's wavelengths.
    all_by_median : bool
        Whether no spectrum is divided by a pseudo-continuum.
    most : float
        The largest S/N that a spectrum has.
    """

    grid: GridSpec
    older: GridSpec | KnotGrid
    medium: Medium = "vacuum"
    all_by_median: bool = False
    most: float = np.inf


@dataclass(frozen=True)
class Again:
    """A block of n stars as the later release sees it.

    Parameters
    ----------
    seen : Observed
        Its spectra and measurements; coefficients in the later basis, no sampled spectra.
    bias : numpy.ndarray
        (n,) the release's own parallax bias, which is in the parallax; NaN where it gives none.
    share : numpy.ndarray
        (n,) f, the old transits among its own.
    """

    seen: Observed
    bias: Float
    share: Float


def observe_again(draws: Draws, star: Stars, seen: Observed, made: RvsMade) -> Again:
    """Observe a block once more.

    Parameters
    ----------
    draws : callable
        Random numbers of this release.
    star : Stars
        The block, as it was observed.
    seen : Observed
        What the older release saw of it.
    made : RvsMade
        How RVS spectra are made.
    """
    n = len(star)
    share = 1.0 / (1.0 + _MORE * np.exp(0.15 * draws("transits").standard_normal(n)))
    magnitudes = _magnitudes(draws("magnitudes"), seen, share)
    astrometry, bias = _astrometry(draws("astrometry"), star, seen, share)
    reached = np.minimum(seen.reached / np.sqrt(share), made.most)
    published = (reached >= LEAST_SIG_TO_NOISE) & (star.wart != "no_spectrum")
    rows = np.flatnonzero(published)
    flux, error = _rvs_spectra(draws("rvs"), star, seen, share, reached, rows, made)
    grvs = draws("grvs").standard_normal(n)
    old = np.where(np.isfinite(seen.grvs), seen.grvs - seen.exact_grvs, 0.01 * grvs)
    grvs = seen.exact_grvs + averaged(grvs, old, 0.01, share)
    again = replace(
        seen,
        magnitudes=magnitudes,
        grvs=np.where(published, grvs, np.nan),
        sig_to_noise=np.where(published, reached, np.nan),
        reached=reached,
        transits=seen.transits / share,
        astrometry=astrometry,
        has_xp_sampled=np.zeros(n, dtype=bool),
        rvs_rows=rows,
        rvs_flux=flux,
        rvs_error=error,
        rvs_codes=None,
        rvs_making=None,
        motion=seen.motion and measure_again(draws, star, seen.motion, share),
        bp=_coefficients(draws("bp"), seen, share, "bp"),
        rp=_coefficients(draws("rp"), seen, share, "rp"),
    )
    return Again(again, bias, share)


def averaged(fresh: Float, old_noise: Float, old_error: Float | float, share: Float) -> Float:
    """Return the noise of old and new transits together.

    Parameters
    ----------
    fresh : numpy.ndarray
        Of unit variance, independent of the old noise.
    old_noise, old_error : numpy.ndarray
        Of the old transits alone.
    share : numpy.ndarray
        f, which fits the others.
    """
    return np.asarray(share * old_noise + np.sqrt(share * (1.0 - share)) * old_error * fresh)


def _magnitudes(rng: np.random.Generator, seen: Observed, share: Float) -> Float:
    exact = seen.exact_magnitudes
    errors = magnitude_errors(exact, seen.transits)
    fresh = rng.standard_normal(exact.shape)
    return exact + averaged(fresh, seen.magnitudes - exact, errors, share[:, None])


def _astrometry(
    rng: np.random.Generator, star: Stars, seen: Observed, share: Float
) -> tuple[Astrometry, Float]:
    """Return the later solution, and its bias as far as it is given."""
    old, n = seen.astrometry, len(star)
    true = 1.0 / star.distance
    noise = old.parallax - true - old.offset
    fresh, given = rng.standard_normal(n), rng.random(n) >= 0.03
    bias = _ZERO_POINT_LEFT * old.offset
    parallax = true + bias + averaged(fresh, noise, old.parallax_error, share)
    known = given & (old.offset != MEAN_OFFSET) & np.isfinite(old.parallax)
    later = replace(
        old, parallax=parallax, parallax_error=old.parallax_error * np.sqrt(share), offset=bias
    )
    return later, np.where(known, bias, np.nan)


def _rvs_spectra(
    rng: np.random.Generator,
    star: Stars,
    seen: Observed,
    share: Float,
    reached: Float,
    rows: NDArray[np.int64],
    made: RvsMade,
) -> tuple[Float32, Float32]:
    """Return flux and error (r, w) of the rows that have a spectrum."""
    wavelength = emulator.load().rvs_wavelength
    samples = to_vacuum(made.grid.nanometres(), made.medium)
    old = _old_making(seen, rows, made.older.nanometres(), samples)
    part, anomaly = share[rows], star.anomaly[rows]
    # The velocity that was taken out is as good as its transits; a wrong one stays wrong.
    typical = 0.3 + 8.0 / seen.reached[rows]
    fresh = rng.standard_normal(len(rows))
    alone = fresh * (0.3 + 8.0 / reached[rows])
    shift = np.where(np.isnan(old.shift), alone, averaged(fresh, old.shift, typical, part))
    shift = np.where(anomaly == "wrong_frame", old.shift, shift)
    flux = rvs.observe(
        seen.window[rows],
        wavelength,
        rvs.Broadening(star.vsini[rows], star.macroturbulence[rows], shift),
    )
    active = old.emission > 0.0
    flux[active] = rvs.emission(flux[active], wavelength, old.emission[active])
    flux = rvs.resampled(flux, wavelength, samples)
    fitted = (seen.exact_grvs[rows] < _FITTED_BELOW) & (not made.all_by_median)
    kinds = np.where(fitted, "pseudo_continuum", "constant")
    flux = rvs.normalised(rng, flux, samples, kinds, seen.slope[rows])
    tilted = np.isfinite(old.continuum).all(axis=1)
    flux[tilted] *= rvs.continuum(old.continuum[tilted], samples)
    unit = rvs.correlated_noise(rng, flux.shape, made.grid.step_nm).astype(np.float64)
    known = np.flatnonzero(np.isfinite(old.noise).all(axis=1))
    before = rvs.photon_errors(flux[known], seen.reached[rows[known]])
    unit[known] = averaged(unit[known], old.noise[known] / before, 1.0, part[known, None])
    unit[known] /= np.sqrt(part[known, None])
    noisy = flux + rvs.photon_errors(flux, reached[rows]) * unit
    error = rvs.photon_errors(noisy, reached[rows]).astype(np.float32)
    published = noisy.astype(np.float32)
    rvs.spikes(rng, published, np.flatnonzero(anomaly == "cosmic_spikes"), _SPIKE)
    rvs.empty_edges(rng, published, error, round(_EDGE_NM / made.grid.step_nm))
    return published, error


def _old_making(
    seen: Observed, rows: NDArray[np.int64], older: Float, samples: Float
) -> rvs.Making:
    """Return what was drawn for the older spectra, of these rows; NaN where there was none."""
    n = len(seen.transits)
    shift, emission = np.full(n, np.nan), np.zeros(n)
    continuum, noise = np.full((n, 3), np.nan), np.full((n, len(samples)), np.nan, np.float32)
    making = seen.rvs_making
    if making is not None:
        old = seen.rvs_rows
        shift[old], emission[old], continuum[old] = making.shift, making.emission, making.continuum
        noise[old] = rvs.resampled(making.noise.astype(np.float64), older, samples)
    return rvs.Making(shift[rows], emission[rows], continuum[rows], noise[rows])


def _coefficients(
    rng: np.random.Generator, seen: Observed, share: Float, band: instrument.Band
) -> xp.BandCoefficients:
    table: instrument.XpBand = getattr(instrument.load(), band)
    old: xp.BandCoefficients = getattr(seen, band)
    exact = seen.flux @ table.inverse
    errors = table.errors(exact) / np.sqrt(seen.transits)[:, None]
    n, k = exact.shape
    alone = rng.uniform(0.0, 0.35, n)
    fresh = np.sqrt(1.0 - alone)[:, None] * (rng.standard_normal((n, k)) @ table.correlation.T)
    fresh += np.sqrt(alone)[:, None] * rng.standard_normal((n, k))
    values = exact + averaged(fresh, old.values - exact, errors, share[:, None])
    turn = bases()[band].turn
    # Variances add up as the noise does: the share of the old ones is f.
    independent = share * old.independent + (1.0 - share) * alone
    sigma = np.sqrt(share)[:, None] * old.errors.astype(np.float64)
    turned, correlations = _turned(sigma, independent, table.correlation, turn)
    measured = np.clip(old.n_measurements / share, 600.0, 30000.0)
    significance = np.abs(exact @ turn) > turned
    last = turn.shape[1] - np.argmax(significance[:, ::-1], axis=1)
    return xp.BandCoefficients(
        values=values @ turn,
        errors=turned.astype(np.float32),
        correlations=correlations.astype(np.float32),
        independent=independent,
        standard_deviation=old.standard_deviation,
        n_measurements=measured.astype(np.int16),
        n_rejected=np.round(old.n_rejected / share).astype(np.int16),
        n_relevant_bases=np.clip(last, 2, turn.shape[1]).astype(np.int16),
    )


def _turned(errors: Float, independent: Float, factor: Float, turn: Float) -> tuple[Float, Float]:
    """Return errors (n, k) and correlations (n, k(k-1)/2) of turned coefficients."""
    scaled = errors[:, :, None] * turn
    shared = factor.T @ scaled
    covariance = (1.0 - independent)[:, None, None] * (shared.transpose(0, 2, 1) @ shared)
    covariance += independent[:, None, None] * (scaled.transpose(0, 2, 1) @ scaled)
    sigma = np.sqrt(np.einsum("nkk->nk", covariance))
    rows, columns = np.tril_indices(turn.shape[1], k=-1)
    return sigma, covariance[:, rows, columns] / (sigma[:, rows] * sigma[:, columns])
