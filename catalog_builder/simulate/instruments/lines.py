"""Spectra of lines that are not Gaia's: another spectrograph that saw a part of the stars.

Its window must lie within that of the synthetic spectra, and its resolution below theirs. It sees
what a star is: its rotation, its emission, its companion. What goes wrong in Gaia's pipeline does
not go wrong in its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.spectra import (
    CodeRule,
    FixedRule,
    LineSpectrum,
    NormalisationRule,
    ThresholdRule,
)
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.grid.line_profiles import SPEED_OF_LIGHT
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import rvs
from catalog_builder.simulate.instruments.gaia import RESOLUTION
from catalog_builder.simulate.population.truth import Stars

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Columns = Mapping[str, NDArray[np.generic]]

#: Deviation of a Gaussian in units of its full width at half maximum.
_FWHM: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))
#: A share of the stars is observed. The median S/N at G = 12, its fall with magnitude, as of
#: photons, its scatter in ln, and the least and largest that are published.
_SHARE, _SIG_TO_NOISE_12, _SLOPE, _SCATTER = 0.5, 60.0, -0.2, 0.3
_LEAST, _MOST = 10.0, 500.0
#: S/N from which a pipeline can fit a pseudo-continuum.
_FITTED: Final = 50.0


@dataclass(frozen=True)
class Lines:
    """Spectra of one kind of a block of n stars.

    Parameters
    ----------
    rows : numpy.ndarray
        (r,) rows of the stars that have one.
    flux, error : numpy.ndarray
        (r, samples) as published.
    codes : numpy.ndarray or None
        (r,) what tells their normalisation, where a column of their own table does.
    sig_to_noise : numpy.ndarray
        (n,) NaN where there is none.
    """

    rows: NDArray[np.int64]
    flux: Float32
    error: Float32
    codes: NDArray[np.int64] | None
    sig_to_noise: Float


def observe(
    rng: np.random.Generator,
    star: Stars,
    window: Float,
    at_xp: Float,
    spectrum: LineSpectrum,
    columns: Columns,
) -> Lines:
    """Observe a block of stars with a spectrograph of its own.

    Parameters
    ----------
    rng : numpy.random.Generator
        For all that is drawn, and nothing else.
    star : Stars
        A block of n stars, warts and anomalies as Gaia left them.
    window : ndarray of float64, shape (n, w)
        Normalised spectra on the emulator's grid, companions included, not broadened.
    at_xp : ndarray of float64, shape (n, 343)
        Noise-free flux at XP's resolution: brightness and slope.
    spectrum : LineSpectrum
        What is published; one that `published.check` accepts.
    columns : mapping of str to ndarray, shape (n,)
        Of the tables with one row a source: what a threshold may look at.
    """
    n = len(star)
    g = instrument.load().magnitudes(at_xp)[:, 0]
    typical = _SIG_TO_NOISE_12 * 10.0 ** (_SLOPE * (g - 12.0))
    sig_to_noise = np.minimum(typical * np.exp(_SCATTER * rng.standard_normal(n)), _MOST)
    seen = (rng.random(n) < _SHARE) & (sig_to_noise >= _LEAST) & (star.wart != "no_spectrum")
    rows = np.flatnonzero(seen)
    samples = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    flux = _sampled(rng, star, rows, window, sig_to_noise, samples, spectrum)
    kinds, codes = normalisations(spectrum.normalisation, columns, rows, sig_to_noise)
    # The continua of `rvs` are written for RVS's own window: here they get as far along as it.
    middle, half = 0.5 * (samples[0] + samples[-1]), 0.5 * (samples[-1] - samples[0])
    along = 858.0 + 12.0 * (samples - middle) / half
    flux = rvs.normalised(rng, flux, along, kinds, _slope(at_xp[rows], samples))
    added, error = rvs.noise(
        rng, flux, sig_to_noise[rows], spectrum.grid.step_nm, spectrum.correlation_length
    )
    measured = np.full(n, np.nan)
    measured[rows] = sig_to_noise[rows]
    return Lines(rows, flux.astype(np.float32) + added, error, codes, measured)


def _sampled(
    rng: np.random.Generator,
    star: Stars,
    rows: NDArray[np.int64],
    window: Float,
    sig_to_noise: Float,
    samples: Float,
    spectrum: LineSpectrum,
) -> Float:
    """Return spectra (r, samples) with their true continuum, broadened and moved."""
    shift = rng.normal(0.0, 0.3 + 8.0 / sig_to_noise[rows])
    if spectrum.frame == "barycentric":
        shift = shift + star.true_radial_velocity[rows]
    resolution = min(spectrum.resolution or RESOLUTION, RESOLUTION)
    width = SPEED_OF_LIGHT / _FWHM * np.sqrt(resolution**-2.0 - RESOLUTION**-2.0)
    wide = np.hypot(star.macroturbulence[rows], width)
    wavelength = emulator.load().rvs_wavelength
    flux = rvs.observe(window[rows], wavelength, rvs.Broadening(star.vsini[rows], wide, shift))
    active = star.anomaly[rows] == "calcium_emission"
    strength = rng.uniform(0.15, 0.7, len(rows))
    flux[active] = rvs.emission(flux[active], wavelength, strength[active])
    return rvs.resampled(flux, wavelength, samples)


def normalisations(
    rule: NormalisationRule,
    columns: Columns,
    rows: NDArray[np.int64],
    sig_to_noise: Float,
) -> tuple[NDArray[np.str_], NDArray[np.int64] | None]:
    """Return how the spectra of some rows are normalised, and the codes that tell it, if they do.

    Where a code tells, spectra with a high S/N are divided by a pseudo-continuum, if there is a
    code for that.
    """
    if isinstance(rule, FixedRule):
        return np.full(len(rows), rule.fixed), None
    if isinstance(rule, ThresholdRule):
        below = columns[rule.column][rows].astype(np.float64) < rule.threshold
        return np.where(below, rule.below, rule.otherwise), None
    return _coded(rule, sig_to_noise[rows])


def _coded(rule: CodeRule, sig_to_noise: Float) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    code_of: dict[str, int] = {kind: code for code, kind in reversed(rule.values.items())}
    wanted = np.where(sig_to_noise >= _FITTED, "pseudo_continuum", "constant")
    only = next(iter(code_of))
    kinds = np.where(np.isin(wanted, list(code_of)), wanted, only)
    return kinds, np.array([code_of[str(kind)] for kind in kinds], dtype=np.int64)


def _slope(at_xp: Float, samples: Float) -> Float:
    """Relative change of the flux from the middle of the samples to their end, (r,)."""
    at = instrument.load().wavelength
    low, high = (np.interp(end, at, np.arange(len(at))) for end in (samples[0], samples[-1]))
    blue, red = (at_xp[:, max(int(k) - 1, 0) : int(k) + 2].mean(axis=1) for k in (low, high))
    return np.asarray((red - blue) / (red + blue))
