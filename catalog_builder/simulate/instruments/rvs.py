"""Mean RVS spectra as the archive publishes them: broadened, noisy, normalised one of two ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.grid.line_profiles import convolve_velocity

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

SAMPLE_STEP = 0.01  # nm, of the emulator and of DR3
DETECTOR_PIXEL = 0.0245  # nm
#: Paschen lines 12 to 17 [vacuum nm], the only strong features of hot stars in the window, and
#: their depths relative to the first.
_PASCHEN = np.array([875.32, 866.74, 860.07, 854.77, 850.48, 846.96])
_PASCHEN_DEPTH = np.array([1.0, 0.95, 0.9, 0.8, 0.7, 0.55])
CALCIUM_TRIPLET = np.array([850.035, 854.444, 866.452])  # vacuum nm


@dataclass(frozen=True)
class Broadening:
    """Velocities that shape lines, (n,) km/s each."""

    vsini: Float
    macroturbulence: Float
    shift: Float


@dataclass(frozen=True)
class Making:
    """What was drawn to make r RVS spectra: a later release sees the same stars with less noise.

    Parameters
    ----------
    shift : numpy.ndarray
        (r,) km/s, beside the star's own velocity.
    emission : numpy.ndarray
        (r,) peak of the emission in the calcium triplet.
    continuum : numpy.ndarray
        (r, 3) level, tilt and curvature of a wrong continuum; NaN of a right one.
    noise : numpy.ndarray
        (r, w) what was added to the flux.
    """

    shift: Float
    emission: Float
    continuum: Float
    noise: Float32

    def joined(self, other: Making, order: NDArray[np.int64]) -> Making:
        """Return these and others, in an order."""
        mine, theirs = vars(self), vars(other)
        return Making(**{k: np.concatenate([mine[k], theirs[k]])[order] for k in mine})


def observe(flux: Float | Float32, wavelength: Float, broadening: Broadening) -> Float:
    """Broaden and shift emulator spectra (n, w) on a grid with equal steps of wavelength.

    Equal steps of wavelength are taken for equal steps of its logarithm: over the window the
    velocity per sample changes by 1.4 % either way, which only scales the broadening by that.
    """
    log_step = SAMPLE_STEP / float(np.median(wavelength))
    depth = convolve_velocity(
        1.0 - np.asarray(flux, dtype=np.float64),
        log_step,
        gaussian=broadening.macroturbulence,
        vsini=broadening.vsini,
        shift=broadening.shift,
    )
    return 1.0 - depth


def hot_star(wavelength: Float, teff: Float, vsini: Float) -> Float:
    """Spectra (n, w) of hot stars made by hand: broad, shallow Paschen lines and nothing else."""
    # Paschen lines fade from A to B stars, and are as wide as their Stark profiles.
    depth = np.interp(teff, [8000.0, 10000.0, 16000.0, 25000.0], [0.30, 0.28, 0.16, 0.08])
    width = 0.9 + 0.002 * vsini
    offset = wavelength[None, :, None] - _PASCHEN
    profile = _PASCHEN_DEPTH / (1.0 + (offset / width[:, None, None]) ** 2)
    return np.asarray(1.0 - depth[:, None] * profile.max(axis=2))


def emission(flux: Float, wavelength: Float, strength: Float) -> Float:
    """Fill the cores of the calcium triplet with emission of peak (n,), as active stars do."""
    offset = wavelength[None, :, None] - CALCIUM_TRIPLET
    cores = np.exp(-0.5 * (offset / 0.055) ** 2).sum(axis=2)
    return np.asarray(flux + strength[:, None] * cores)


def pseudo_continuum(rng: np.random.Generator, flux: Float, wavelength: Float) -> Float:
    """Divide by a fitted pseudo-continuum: near the true one, slightly low, with a gentle slope."""
    x = (wavelength - 858.0) / 12.0
    n = len(flux)
    # Line blanketing pulls the fit down, most in spectra with many lines.
    level = 1.0 - 0.25 * np.maximum(1.0 - np.percentile(flux, 90, axis=1), 0.0)
    slope, curve = 0.004 * rng.standard_normal((2, n))
    continuum = level[:, None] + slope[:, None] * x + curve[:, None] * (x**2 - 0.33)
    return np.asarray(flux / continuum)


def constant(rng: np.random.Generator, flux: Float, wavelength: Float, slope: Float) -> Float:
    """Divide by the median, so the star's own slope (n,) per 12 nm and the response stay."""
    x = (wavelength - 858.0) / 12.0
    tilt = slope + 0.006 * rng.standard_normal(len(flux))
    shaped = flux * (1.0 + tilt[:, None] * x)
    return np.asarray(shaped / np.median(shaped, axis=1, keepdims=True))


def normalised(
    rng: np.random.Generator,
    flux: Float,
    wavelength: Float,
    kinds: NDArray[np.str_],
    slope: Float,
) -> Float:
    """Divide spectra (n, w) as their kinds (n,) say: ``pseudo_continuum`` or ``constant``."""
    fitted = kinds == "pseudo_continuum"
    flux[fitted] = pseudo_continuum(rng, flux[fitted], wavelength)
    flux[~fitted] = constant(rng, flux[~fitted], wavelength, slope[~fitted])
    return flux


def bad_continua(rng: np.random.Generator, n: int) -> Float:
    """Terms (n, 3) of continua tilted and curved by 8 to 35 %."""
    tilt, curve = rng.choice([-1.0, 1.0], (2, n)) * rng.uniform(0.08, 0.35, (2, n))
    return np.column_stack([rng.uniform(0.8, 1.2, n), tilt, curve])


def continuum(terms: Float, samples: Float) -> Float:
    """Continua (n, w) of level, tilt and curvature (n, 3) at wavelengths in nm."""
    x = (samples - 858.0) / 12.0
    level, tilt, curve = (terms[:, [k]] for k in range(3))
    return np.asarray(level + tilt * x + curve * x**2)


def resampled(flux: Float, wavelength: Float, samples: Float) -> Float:
    """Linear interpolation of spectra (n, w) to other wavelengths, exact where they coincide."""
    position = (samples - wavelength[0]) / (wavelength[1] - wavelength[0])
    index = np.clip(np.floor(position + 1e-6).astype(np.int64), 0, len(wavelength) - 2)
    part = np.clip(position - index, 0.0, 1.0)
    return np.asarray(flux[:, index] * (1.0 - part) + flux[:, index + 1] * part)


def noise(
    rng: np.random.Generator,
    flux: Float,
    sig_to_noise: Float,
    step: float = SAMPLE_STEP,
    pixel: float = DETECTOR_PIXEL,
) -> tuple[Float32, Float32]:
    """Noise and its error estimate for spectra (n, w), correlated as the detector pixel implies.

    The flux of a sample is interpolated between detector pixels of 0.0245 nm, so white noise per
    pixel reaches samples of 0.01 nm through a triangle of that half width; the lag-one correlation
    is about 0.9. `step` is that of the samples and `pixel` that width, in nm; where it is 0, the
    noise of each sample is its own. `sig_to_noise` is the median over samples of flux / error
    before the noise, and of published flux / published error after it.

    The published errors come from the published flux, as a pipeline's do. Made from the exact flux
    they would be a copy of the spectrum without noise, and a network would read its labels there.
    """
    error = photon_errors(flux, sig_to_noise)
    correlated = correlated_noise(rng, flux.shape, step, pixel)
    # Published errors are right to about 5 % only; `sig_to_noise` is made of the published ones.
    wobble = 1.0 + 0.05 * rng.standard_normal((len(flux), 1))
    added = error * wobble * correlated
    published = photon_errors(flux + added, sig_to_noise)
    return added.astype(np.float32), published.astype(np.float32)


def correlated_noise(
    rng: np.random.Generator, shape: tuple[int, ...], step: float, pixel: float = DETECTOR_PIXEL
) -> Float32:
    """Noise (n, w) of unit variance, correlated as samples between detector pixels are."""
    reach = max(3, int(np.ceil(pixel / step)))
    offsets = np.arange(-reach, reach + 1) * step / max(pixel, 1e-9)
    kernel: Float = np.maximum(1.0 - np.abs(offsets), 0.0)
    kernel /= np.sqrt(np.sum(kernel**2))
    n, width = shape
    white = rng.standard_normal((n, width + len(kernel) - 1), dtype=np.float32)
    correlated = np.zeros((n, width), dtype=np.float32)
    for k, weight in enumerate(kernel):
        correlated += np.float32(weight) * white[:, k : k + width]
    return correlated


def photon_errors(flux: Float, sig_to_noise: Float) -> Float:
    """Errors (n, w) whose median of flux / error is the S/N; photon noise over a read-out floor."""
    shape = np.sqrt(0.75 * np.clip(flux, 0.02, None) + 0.25)
    return np.asarray(shape * (np.median(flux / shape, axis=1) / sig_to_noise)[:, None])


def empty_edges(rng: np.random.Generator, flux: Float32, error: Float32, most: int = 30) -> None:
    """Set NaN at the edges, in place, where rest-frame samples fell outside the detector.

    Half of the spectra lose up to `most` samples on one side, which are 0.3 nm of DR3's; one in 200
    has a spike there instead.
    """
    n, width = len(flux), flux.shape[1]
    lost = np.where(rng.random(n) < 0.5, rng.integers(1, most + 1, n), 0)
    left = rng.random(n) < 0.5
    spiky = np.flatnonzero(rng.random(n) < 0.005)
    lost[spiky] = 0
    at = np.arange(width)
    gone = np.where(left[:, None], at < lost[:, None], at >= width - lost[:, None])
    flux[gone] = np.nan
    error[gone] = np.nan
    edge = np.where(left[spiky], 0, width - 3)
    for k in range(3):
        flux[spiky, edge + k] = 3.0 + 4.0 * rng.random(len(spiky))


#: A spike of one detector pixel in DR3's samples: offset from its centre, and how high it is there.
_SPIKE = ((-2, 0.2), (-1, 0.7), (0, 1.0), (1, 0.7), (2, 0.2))


def spikes(
    rng: np.random.Generator,
    flux: Float32,
    rows: NDArray[np.int64],
    shape: tuple[tuple[int, float], ...] = _SPIKE,
) -> None:
    """Add 6 to 14 cosmic spikes of one detector pixel's width to some rows, in place."""
    width = flux.shape[1]
    count = rng.integers(6, 15, len(rows))
    row = np.repeat(rows, count)
    centre = rng.integers(5, width - 5, len(row))
    height = rng.uniform(0.4, 2.5, len(row))
    for offset, part in shape:
        np.add.at(flux, (row, centre + offset), (part * height).astype(np.float32))
