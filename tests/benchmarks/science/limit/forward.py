"""The forward model: what a star of given labels shows, and the noise that it has, both exact."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from catalog_builder.features.lines import CONSTANT
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import observed, photometry, rvs
from catalog_builder.simulate.instruments import photometers as instrument

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Parameters of the forward model. ``fe`` and ``alpha`` are the grid's [M/H] and [alpha/M];
#: ``theta`` is 5040 K / Teff, ``a_0`` the
#: extinction at 550 nm [mag], ``ln_s`` is ln((radius / distance)^2) in (solar radii / kpc)^2.
PARAMETERS = (
    "theta", "logg", "fe", "alpha", "a_0", "ln_s", "ln_vsini", "macroturbulence", "shift",
)  # fmt: skip
#: Steps of the numerical derivatives.
STEPS = np.array([0.004, 0.05, 0.03, 0.02, 0.01, 0.02, 0.15, 0.4, 0.4])
_SAMPLES = np.round(846.0 + 0.01 * np.arange(2401), 2)
_X = (_SAMPLES - 858.0) / 12.0
_PIXELS = 800
_BINNED = 3
#: Columns of a prediction: RVS pixels, BP and RP coefficients, magnitudes.
RVS, BP, RP, MAGNITUDES = (
    slice(0, 800),
    slice(800, 855),
    slice(855, 910),
    slice(910, 913),
)
WIDTH = 913


def inside(phi: Float) -> Bool:
    """Whether the emulator reaches parameters (n, 9)."""
    return emulator.load().trusted(_labels(phi))


def predict(phi: Float, constant_class: bool) -> Float:
    """Predict (n, 913): RVS on the model grid, XP coefficients, G, BP and RP.

    Parameters
    ----------
    phi : numpy.ndarray
        (n, 9), as in `PARAMETERS`; all inside the emulator's grid.
    constant_class : bool
        Whether the spectra are normalised by a constant, else by a pseudo-continuum.
    """
    model = emulator.load()
    labels = _labels(phi)
    ln_flux = model.sed(labels).astype(np.float64)
    one = np.ones(len(phi))
    flux = photometry.received(ln_flux, np.exp(0.5 * phi[:, 5]), one, phi[:, 4])
    at_xp = photometry.sampled_flux(flux, model.sed_wavelength)
    tables = instrument.load()
    shape = rvs.Broadening(np.exp(phi[:, 6]), np.maximum(phi[:, 7], 0.05), phi[:, 8])
    window = rvs.observe(model.rvs(labels), model.rvs_wavelength, shape)
    window = rvs.resampled(window, model.rvs_wavelength, _SAMPLES)
    if constant_class:
        slope = observed._window_slope(model.sed_wavelength, flux)
        window *= 1.0 + slope[:, None] * _X
        window /= np.median(window, axis=1, keepdims=True)
    else:
        blanketed = np.maximum(1.0 - np.percentile(window, 90, axis=1), 0.0)
        window /= (1.0 - 0.25 * blanketed)[:, None]
    binned = window[:, : _PIXELS * _BINNED].reshape(len(phi), _PIXELS, _BINNED).mean(axis=2)
    return np.hstack(
        [binned, at_xp @ tables.bp.inverse, at_xp @ tables.rp.inverse, tables.magnitudes(at_xp)]
    )


def _labels(phi: Float) -> Float:
    return np.column_stack([5040.0 / phi[:, 0], phi[:, 1], phi[:, 2], phi[:, 3]])


def derivatives(phi: Float, constant_class: bool) -> tuple[Float, Float]:
    """Prediction (913,) at phi (9,), and its derivatives (9, 913); one-sided at the grid's edge."""
    up, down = phi + np.diag(STEPS), phi - np.diag(STEPS)
    up = np.where(inside(up)[:, None], up, phi)
    down = np.where(inside(down)[:, None], down, phi)
    found = predict(np.vstack([phi[None], up, down]), constant_class)
    width = np.sum(up - down, axis=1)
    slopes = found[1:10] - found[10:]
    known = width > 0
    return found[0], np.where(known[:, None], slopes, 0.0) / np.where(known, width, 1.0)[:, None]


@dataclass(frozen=True)
class Data:
    """What was measured of one star, and the noise that it truly has.

    Parameters
    ----------
    values : numpy.ndarray
        (913,) as `predict`.
    pixels : slice
        Usable RVS pixels: all but the empty edges.
    sig_to_noise : float
        Of the RVS spectrum, as published.
    constant_class : bool
        How it was normalised.
    xp_error, independent : numpy.ndarray
        (110,) errors of the coefficients; (2,) share of them that is not correlated, BP and RP.
    magnitude_error : numpy.ndarray
        (3,) mag.
    parallax, parallax_error : float
        mas, corrected.
    """

    values: Float
    pixels: slice
    sig_to_noise: float
    constant_class: bool
    xp_error: Float
    independent: Float
    magnitude_error: Float
    parallax: float
    parallax_error: float


class Noise:
    """The noise of one star, its unknown continuum included: products with the inverse covariance.

    Parameters
    ----------
    data : Data
        The star.
    model : numpy.ndarray
        (913,) prediction at which the RVS errors and the continuum's shapes are taken.
    """

    def __init__(self, data: Data, model: Float) -> None:
        self._data = data
        flux = model[RVS][data.pixels]
        self._error = rvs.photon_errors(flux[None], np.array([data.sig_to_noise]))[0]
        self._scale = 1.0
        x = _X[1 : _PIXELS * _BINNED : _BINNED][data.pixels]
        # Of the pseudo-continuum slope and curvature are unknown, of the constant only the slope.
        self._shapes = (
            0.006 * flux * x if data.constant_class else 0.004 * flux * np.stack([x, x**2 - 0.33])
        ).reshape(-1, len(flux))
        self._bands = _xp_noise()
        self._fold_in_the_continuum()

    def _fold_in_the_continuum(self) -> None:
        self._weighted = self._inverse(self._shapes)
        inner = np.eye(len(self._shapes)) + self._weighted @ self._shapes.T
        self._inner = np.linalg.inv(inner)

    def rescale(self, residual: Float) -> None:
        """Settle the factor on the RVS errors, which are right to 5 % only, from a residual."""
        r = residual[RVS][self._data.pixels][None]
        n = r.shape[1]
        measured = 0.5 * np.log(self._rvs(r)[0] @ r[0] / n) + np.log(self._scale)
        # Posterior mean of ln factor: prior 0 +- 0.05, measurement +- 1 / sqrt(2 n).
        share = 0.05**2 / (0.05**2 + 0.5 / n)
        self._scale = float(np.exp(share * measured))
        self._fold_in_the_continuum()

    def solve(self, residuals: Float) -> Float:
        """Return residuals (k, 913) times the inverse covariance; masked pixels count nothing."""
        result = np.zeros_like(residuals)
        rows = residuals[:, RVS][:, self._data.pixels]
        result[:, RVS][:, self._data.pixels] = self._rvs(rows)
        for band, where, independent in zip(
            self._bands, (BP, RP), self._data.independent, strict=True
        ):
            error = self._data.xp_error[where.start - 800 : where.stop - 800]
            values, vectors = band
            variance = (1.0 - independent) * values + independent
            turned = (residuals[:, where] / error) @ vectors / variance
            result[:, where] = turned @ vectors.T / error
        result[:, MAGNITUDES] = residuals[:, MAGNITUDES] / self._data.magnitude_error**2
        return result

    def _rvs(self, rows: Float) -> Float:
        """Rows (k, m) of RVS residuals times the inverse of noise plus continuum."""
        alone = self._inverse(rows)
        return alone - (rows @ self._weighted.T) @ self._inner @ self._weighted

    def _inverse(self, rows: Float) -> Float:
        """Rows times the inverse covariance of the noise alone."""
        error = self._error * self._scale
        solved = solveh_banded(_bands(rows.shape[1]), (rows / error).T, check_finite=False)
        return np.asarray(solved).T / error


@functools.lru_cache(maxsize=64)
def _bands(size: int) -> Float:
    """Correlation of the noise of model pixels, upper banded form: the simulator's own kernel."""
    offsets = np.arange(-3, 4) * rvs.SAMPLE_STEP / rvs.DETECTOR_PIXEL
    kernel = np.maximum(1.0 - np.abs(offsets), 0.0)
    kernel /= np.sqrt(np.sum(kernel**2))
    lags = np.correlate(kernel, kernel, mode="full")[len(kernel) - 1 :]
    lags = np.concatenate([lags, np.zeros(9)])
    inside_pixel = np.arange(_BINNED)
    bands = np.zeros((3, size))
    for lag in range(3):
        apart = np.abs(_BINNED * lag + inside_pixel[:, None] - inside_pixel)
        bands[2 - lag, lag:] = lags[apart].mean()
    return bands


@functools.cache
def _xp_noise() -> tuple[tuple[Float, Float], tuple[Float, Float]]:
    """Eigenvalues and eigenvectors of the mean correlation of the coefficients' errors."""
    tables = instrument.load()
    bp, rp = (
        np.linalg.eigh(band.correlation @ band.correlation.T) for band in (tables.bp, tables.rp)
    )
    return (bp.eigenvalues, bp.eigenvectors), (rp.eigenvalues, rp.eigenvectors)


def is_constant(normalisation: int) -> bool:
    """Whether a value of ``rvs_normalisation`` means a constant."""
    return normalisation == CONSTANT
