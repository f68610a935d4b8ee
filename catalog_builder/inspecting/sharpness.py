"""How sharp spectra of lines are: the resolving power by which they look most like stars.

The mean of many spectra, each moved to rest by its calcium triplet, is compared with mixtures of
a dozen synthetic spectra at many resolving powers. The triplet itself is left out: its lines are
wide in themselves, and deeper in the synthetic spectra than in stars.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.inspecting.triplet import TRIPLET, clear_spectra

Float = NDArray[np.float64]

#: Made by `python -m catalog_builder.builds.templates OUT`.
TEMPLATES_FILE: Final = Path(__file__).with_name("templates.npz")
#: Resolving powers that are tried; below, hardly any line is left.
_TRIED: Final = np.geomspace(2500.0, 19_000.0, 36)
#: Natural logarithms of the second and the last but one: beyond, none is better than another.
_ENDS: Final = tuple(np.log(_TRIED[[1, -2]]))
#: What is left out to both sides of the triplet's lines, nm, and how much at both ends.
_CORE, _END = 0.4, 0.3
_MIDDLE: Final = float(TRIPLET.mean())
#: Samples that the comparison needs, parts of the spectra that its error is made of, and terms of
#: the continuum.
_LEAST_SAMPLES, _PARTS, _TERMS = 100, 4, 4
#: Spectra that are looked at, at most.
_MOST_SPECTRA: Final = 400
_FWHM: Final = 2.3548200450309493


@dataclass(frozen=True)
class Sharpness:
    """The resolving power that spectra show.

    Attributes
    ----------
    spectra : int
        How many they are.
    resolution, error : float
        Resolving power, and the standard error of its natural logarithm.
    """

    spectra: int
    resolution: float
    error: float


def measure_sharpness(flux: Float, wavelengths: Float) -> Sharpness | None:
    """Measure the resolving power of spectra; None if they do not tell.

    Parameters
    ----------
    flux : ndarray of shape (n, m)
        Spectra, normalised in any way; NaN where there is no sample.
    wavelengths : ndarray of shape (m,)
        nm in vacuum.
    """
    flux = flux[:_MOST_SPECTRA]
    rows, shifts = clear_spectra(flux, wavelengths)
    known = _templates()[0]
    inside = (wavelengths > known[0] + _END) & (wavelengths < known[-1] - _END)
    core = np.abs(wavelengths[:, None] - TRIPLET).min(axis=1) < _CORE
    samples = np.flatnonzero(inside & ~core)
    if len(rows) < 2 * _PARTS or len(samples) < _LEAST_SAMPLES:
        return None
    at_rest = _at_rest(flux[rows], wavelengths, shifts)[:, samples]
    whole = _best(at_rest.mean(axis=0), tuple(wavelengths[samples].tolist()))
    if not _ENDS[0] < whole < _ENDS[1]:
        return None  # sharper than all that is tried, or without lines beside the triplet
    parts = [
        _best(at_rest[part::_PARTS].mean(axis=0), tuple(wavelengths[samples].tolist()))
        for part in range(_PARTS)
    ]
    error = float(np.std(parts, ddof=1) / np.sqrt(_PARTS))
    return Sharpness(len(rows), float(np.exp(whole)), error)


def _at_rest(flux: Float, wavelengths: Float, shifts: Float) -> Float:
    """Return spectra moved to rest, each over its own median."""
    made = np.empty(flux.shape)
    for row, (one, shift) in enumerate(zip(flux, shifts, strict=True)):
        good = np.isfinite(one)
        at = wavelengths * (1 + shift / _MIDDLE)
        made[row] = np.interp(at, wavelengths[good], one[good] / np.median(one[good]))
    return np.clip(made, 0.0, 2.0)


@functools.cache
def _templates() -> tuple[Float, Float, float]:
    """Return wavelengths (w,), depths (k, w), and the resolving power they have."""
    with np.load(TEMPLATES_FILE, allow_pickle=False) as file:
        depth = file["depth"].astype(np.float64)
        return file["wavelength"], depth, float(file["resolution"])


@functools.lru_cache(maxsize=4)
def _designs(wavelengths: tuple[float, ...]) -> list[tuple[Float, Float]]:
    """Return what mean spectra are made of at each resolving power tried.

    That is a matrix of samples and terms; here is its QR decomposition, Q (samples, terms) and R.
    """
    from scipy.ndimage import gaussian_filter1d

    known, depth, sharpest = _templates()
    at = np.array(wavelengths)
    x = 2 * (at - at[0]) / (at[-1] - at[0]) - 1
    continuum = np.polynomial.chebyshev.chebvander(x, _TERMS - 1)
    step = known[1] - known[0]
    made = []
    for resolution in _TRIED:
        sigma = np.sqrt(max(resolution**-2 - sharpest**-2, 0.0)) * _MIDDLE / _FWHM / step
        broad = gaussian_filter1d(depth, sigma, axis=1, mode="nearest")
        lines = np.array([np.interp(at, known, one) for one in broad])
        # Stars add up with positive weights, terms of the continuum with any.
        found = np.linalg.qr(np.column_stack([-lines.T, continuum, -continuum]))
        made.append((found.Q, found.R))
    return made


def _best(mean: Float, wavelengths: tuple[float, ...]) -> float:
    """Return ln of the resolving power at which a mean spectrum is best explained."""
    from scipy.optimize import nnls

    left = np.empty(len(_TRIED))
    for place, (q, r) in enumerate(_designs(wavelengths)):
        seen = mean @ q
        # What lies outside of all terms is left in any case.
        left[place] = nnls(r, seen)[1] ** 2 + mean @ mean - seen @ seen
    best = int(left.argmin().clip(1, len(left) - 2))
    low, middle, high = left[best - 1 : best + 2]
    bend = low - 2 * middle + high
    move = 0.0 if bend <= 0 else float(np.clip(0.5 * (low - high) / bend, -1.0, 1.0))
    step = float(np.log(_TRIED[1] / _TRIED[0]))
    return float(np.log(_TRIED[best])) + move * step
