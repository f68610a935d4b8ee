"""Broadening of spectra by rotation, macroturbulence and the instrument, as velocities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
SPEED_OF_LIGHT = 299792.458  # km/s
#: Linear limb darkening in the near infrared, for FGK stars (Gray 2005, ch. 18: 0.6 in the visual).
LIMB_DARKENING = 0.5


def rotation_transform(frequency: Float, vsini: Float) -> Float:
    """Fourier transform (n, f) of the rotation profile of Gray (2005, equation 18.14).

    Parameters
    ----------
    frequency : numpy.ndarray
        (f,) angular frequencies, per km/s.
    vsini : numpy.ndarray
        (n,) km/s.
    """
    from scipy.special import j1

    x = vsini[:, None] * frequency[None, :]
    small = np.abs(x) < 0.05
    x = np.where(small, 1.0, x)
    e = LIMB_DARKENING
    ellipse = 2.0 * j1(x) / x
    parabola = 3.0 * (np.sin(x) - x * np.cos(x)) / x**3
    # Weights of the two shapes by their areas: the whole is 1 at zero frequency.
    share = 1.0 - e
    area = share + 2.0 * e / 3.0
    profile = (share * ellipse + (2.0 * e / 3.0) * parabola) / area
    return np.where(small, 1.0, profile)


def convolve_velocity(
    depths: Float,
    log_step: float,
    gaussian: Float | None = None,
    vsini: Float | None = None,
    shift: Float | None = None,
) -> Float:
    """Broaden and shift line depths sampled at equal steps of ln(wavelength).

    Parameters
    ----------
    depths : numpy.ndarray
        (n, w) 1 - flux; beyond its edges the continuum is assumed.
    log_step : float
        Step of ln(wavelength).
    gaussian : numpy.ndarray, optional
        (n,) standard deviation of a Gaussian, km/s.
    vsini : numpy.ndarray, optional
        (n,) projected rotation, km/s.
    shift : numpy.ndarray, optional
        (n,) velocity by which lines move to the red, km/s.

    Returns
    -------
    numpy.ndarray
        (n, w) broadened depths.
    """
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    width = depths.shape[1]
    # Padding of 500 pixels keeps the far edge from wrapping around.
    size = next_fast_len(width + 500, real=True)
    frequency = 2.0 * np.pi * rfftfreq(size, log_step * SPEED_OF_LIGHT)
    transform = rfft(depths, size, axis=1)
    if gaussian is not None:
        transform = transform * np.exp(-0.5 * (gaussian[:, None] * frequency) ** 2)
    if vsini is not None:
        transform = transform * rotation_transform(frequency, vsini)
    if shift is not None:
        transform = transform * np.exp(-1j * shift[:, None] * frequency)
    return np.asarray(irfft(transform, size, axis=1)[:, :width])
