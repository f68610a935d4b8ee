"""Second stars in a spectrum: two sets of lines, apart by the velocity between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import rvs
from catalog_builder.simulate.population.truth import Stars

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Companions:
    """Second stars of some rows, (k,).

    Parameters
    ----------
    rows : numpy.ndarray
        Whose they are.
    labels : numpy.ndarray
        (k, 4) Teff, log g, [M/H], [alpha/M].
    light, apart : numpy.ndarray
        Light over that of the first star, and velocity between the two, km/s.
    """

    rows: NDArray[np.int64]
    labels: Float
    light: Float
    apart: Float

    def added(self, window: Float, wavelength: Float, spectra: Callable[[Float], Float32]) -> Float:
        """Return spectra (n, w) with theirs, made by `spectra` of labels."""
        still = np.full(len(self.rows), 0.1)
        primary = rvs.observe(
            window[self.rows], wavelength, rvs.Broadening(still, still, -0.5 * self.apart)
        )
        secondary = rvs.observe(
            spectra(self.labels), wavelength, rvs.Broadening(still, still, 0.5 * self.apart)
        )
        light = self.light[:, None]
        window[self.rows] = (primary + light * secondary) / (1.0 + light)
        return window


def add_companions(
    rng: np.random.Generator, star: Stars, window: Float, flux: Float
) -> tuple[Float, Float, Companions | None]:
    """Give stars marked ``double_lined`` a second set of lines; widths are added later.

    Parameters
    ----------
    rng : numpy.random.Generator
    star : Stars
    window, flux : numpy.ndarray
        (n, w) normalised spectra and (n, s) flux density of the first stars; changed in place.

    Returns
    -------
    tuple of (ndarray, ndarray, Companions or None)
        Spectra and flux with the second stars in them, and these; None without any.
    """
    double = np.flatnonzero(star.anomaly == "double_lined")
    if len(double) == 0:
        return window, flux, None
    model = emulator.load()
    labels = star.grid_labels()[double]
    other = labels.copy()
    other[:, 0] -= rng.uniform(0.0, 400.0, len(double))
    other = np.where(model.trusted(other)[:, None], other, labels)
    light = rng.uniform(0.45, 1.0, len(double))
    apart = rng.uniform(35.0, 160.0, len(double)) * rng.choice([-1.0, 1.0], len(double))
    companions = Companions(double, other, light, apart)
    window = companions.added(window, model.rvs_wavelength, model.rvs)
    flux[double] *= 1.0 + light[:, None]
    return window, flux, companions
