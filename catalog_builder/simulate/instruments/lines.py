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
from catalog_builder.simulate.grid.line_profiles import SPEED_OF_LIGHT
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import rvs
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.simulation import Seen

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Columns = Mapping[str, NDArray[np.generic]]

#: Deviation of a Gaussian in units of its full width at half maximum.
_FWHM: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))
#: Half of the stars, as photons let them be seen.
_ANY: Final = Seen()
#: A cosmic ray in samples that are detector pixels.
_SPIKE: Final = ((-1, 0.3), (0, 1.0), (1, 0.3))
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


@dataclass(frozen=True)
class Windows:
    """Noise-free spectra of a block of n stars, companions included, not broadened.

    Parameters
    ----------
    wavelength : numpy.ndarray
        (w,) nm in vacuum.
    flux : numpy.ndarray
        (n, w) normalised.
    resolution : float
        Resolving power.
    sed_wavelength, sed : numpy.ndarray, optional
        (s,) nm and (n, s): flux density, where a spectrum shows it beyond the window.
    """

    wavelength: Float
    flux: Float
    resolution: float
    sed_wavelength: Float | None = None
    sed: Float | None = None


def observe(
    rng: np.random.Generator,
    star: Stars,
    windows: Windows,
    at_xp: Float,
    spectrum: LineSpectrum,
    columns: Columns,
    how: Seen = _ANY,
    *,
    faults: bool = False,
) -> Lines:
    """Observe a block of stars with a spectrograph of its own.

    Parameters
    ----------
    rng : numpy.random.Generator
        For all that is drawn, and nothing else.
    star : Stars
        A block of n stars, warts and anomalies as Gaia left them.
    windows : Windows
        Spectra that cover its own.
    at_xp : ndarray of float64, shape (n, 343)
        Noise-free flux at XP's resolution: brightness and slope.
    spectrum : LineSpectrum
        What is published; one that `published.check` accepts.
    columns : mapping of str to ndarray, shape (n,)
        Of the tables with one row a source: what a threshold may look at.
    how : Seen
        How many it sees, and how well.
    faults : bool
        Whether it is this one whose frames, continua and samples are sometimes wrong: Gaia's are
        where there are Gaia's.
    """
    n = len(star)
    g = instrument.load().magnitudes(at_xp)[:, 0]
    sig_to_noise = how.sig_to_noise.of(g, rng.standard_normal(n))
    seen = (rng.random(n) < how.share) & (star.wart != "no_spectrum")
    rows = np.flatnonzero(seen & (sig_to_noise >= how.sig_to_noise.least))
    samples = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    flux = _sampled(rng, star, rows, windows, sig_to_noise, samples, spectrum, faults=faults)
    kinds, codes = normalisations(spectrum.normalisation, columns, rows, sig_to_noise)
    if spectrum.is_normalised_here:
        # It was not normalised before: it has the star's own continuum, and the bands beyond.
        shown = flux * _energy(windows, rows, samples)
        flux = shown / np.median(shown, axis=1, keepdims=True)
    # The continua of `rvs` are written for RVS's own window: here they get as far along as it.
    middle, half = 0.5 * (samples[0] + samples[-1]), 0.5 * (samples[-1] - samples[0])
    along = 858.0 + 12.0 * (samples - middle) / half
    if not spectrum.is_normalised_here:
        flux = rvs.normalised(rng, flux, along, kinds, _slope(at_xp[rows], samples))
    if faults:
        tilted = np.flatnonzero(star.anomaly[rows] == "wrong_normalisation")
        flux[tilted] *= rvs.continuum(rvs.bad_continua(rng, len(tilted)), along)
    added, error = rvs.noise(
        rng, flux, sig_to_noise[rows], spectrum.grid.step_nm, spectrum.correlation_length
    )
    measured = np.full(n, np.nan)
    measured[rows] = sig_to_noise[rows]
    published = flux.astype(np.float32) + added
    if faults:
        rvs.spikes(rng, published, np.flatnonzero(star.anomaly[rows] == "cosmic_spikes"), _SPIKE)
    return Lines(rows, published, error, codes, measured)


def _sampled(
    rng: np.random.Generator,
    star: Stars,
    rows: NDArray[np.int64],
    windows: Windows,
    sig_to_noise: Float,
    samples: Float,
    spectrum: LineSpectrum,
    *,
    faults: bool,
) -> Float:
    """Return spectra (r, samples) with their true continuum, broadened and moved."""
    shift = rng.normal(0.0, 0.3 + 8.0 / sig_to_noise[rows])
    if faults:
        wrong = np.flatnonzero(star.anomaly[rows] == "wrong_frame")
        shift[wrong] = rng.uniform(25.0, 350.0, len(wrong)) * rng.choice([-1.0, 1.0], len(wrong))
    if spectrum.frame == "barycentric":
        shift = shift + star.true_radial_velocity[rows]
    resolution = min(spectrum.resolution or windows.resolution, windows.resolution)
    width = SPEED_OF_LIGHT / _FWHM * np.sqrt(resolution**-2.0 - windows.resolution**-2.0)
    wide = np.hypot(star.macroturbulence[rows], width)
    wavelength = windows.wavelength
    broadening = rvs.Broadening(star.vsini[rows], wide, shift)
    flux = rvs.observe(windows.flux[rows], wavelength, broadening)
    active = star.anomaly[rows] == "calcium_emission"
    strength = rng.uniform(0.15, 0.7, len(rows))
    flux[active] = rvs.emission(flux[active], wavelength, strength[active])
    made = rvs.resampled(flux, wavelength, samples)
    # Beyond the window no single line is known.
    made[:, (samples < wavelength[0]) | (samples > wavelength[-1])] = 1.0
    return made


def _energy(windows: Windows, rows: NDArray[np.int64], samples: Float) -> Float:
    """Return the flux density (r, samples) on which the window's lines lie.

    Within the window it is a straight line: its lines would be there twice.
    """
    known = windows.sed_wavelength
    if known is None or windows.sed is None:
        return np.ones((len(rows), len(samples)))
    outside = (known < windows.wavelength[0]) | (known > windows.wavelength[-1])
    sed = windows.sed[rows]
    return np.array([np.interp(samples, known[outside], one[outside]) for one in sed])


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
