"""What a star sends to the observer: reddened flux, magnitudes, G_RVS, astrometry."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ParallaxZeroPoint
from catalog_builder.features.parallax import zero_point
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.population.galaxy import extinction_curve

Float = NDArray[np.float64]
_PARSEC_10 = 10.0 * 4.4352e7  # 10 pc in solar radii
#: Absolute G of the Sun (Casagrande & VandenBerg 2018, MNRAS 479, L102).
SUN_G = 4.67
#: Mean zero point of DR3's parallaxes, mas: for stars outside of its calibration.
MEAN_OFFSET = -0.025
SUN = np.array([[5772.0, 4.438, 0.0, 0.0]])


@functools.cache
def flux_scale() -> float:
    """Ln of the factor from the grid's surface flux to W m-2 nm-1, from the Sun's magnitude."""
    wavelength = emulator.load().sed_wavelength
    surface = np.exp(emulator.load().sed(SUN).astype(np.float64))
    at_10_pc = sampled_flux(surface / _PARSEC_10**2, wavelength)
    g = instrument.load().magnitudes(at_10_pc)[0, 0]
    return float(np.log(10.0) * 0.4 * (g - SUN_G))


def received(ln_surface: Float, radius: Float, distance: Float, a_0: Float) -> Float:
    """Reddened flux density at the observer.

    Parameters
    ----------
    ln_surface : numpy.ndarray
        (n, w) ln of the surface flux on the emulator's scale and grid.
    radius, distance, a_0 : numpy.ndarray
        (n,) solar radii, kpc, and extinction at 550 nm in mag.

    Returns
    -------
    numpy.ndarray
        (n, w) W m-2 nm-1.
    """
    curve = extinction_curve(emulator.load().sed_wavelength)
    dilution = 2.0 * np.log(radius / (_PARSEC_10 * 100.0 * distance))
    dimming = 0.4 * np.log(10.0) * a_0
    return np.asarray(
        np.exp(ln_surface + (dilution + flux_scale())[:, None] - dimming[:, None] * curve)
    )


def sampled_flux(flux: Float, wavelength: Float) -> Float:
    """Flux (n, 343) at the resolution and on the samples of XP, its systematic wiggles included."""
    smooth = flux @ instrument.line_spread(float(wavelength[0]), len(wavelength))
    return smooth * instrument.load().response


@dataclass(frozen=True)
class Astrometry:
    """Columns of the astrometric solution, (n,) each; NaN where not solved.

    `offset` is the zero point that is in the parallax, mas; it is not published.
    """

    parallax: Float
    parallax_error: Float
    params_solved: NDArray[np.int16]
    nu_eff: Float
    pseudocolour: Float
    ruwe: Float
    offset: Float


def astrometry(
    rng: np.random.Generator,
    g: Float,
    bp_rp: Float,
    ecl_lat: Float,
    distance: Float,
    rule: ParallaxZeroPoint,
) -> Astrometry:
    """Measure parallaxes as Gaia does: errors by magnitude, and the zero point still in them."""
    n = len(g)
    # DR3's median errors: 0.02-0.03 mas for G < 15, 0.07 at G = 17 (Lindegren et al. 2021).
    typical = np.interp(
        g, [5.0, 9.0, 13.0, 15.0, 17.0, 20.0], [0.03, 0.02, 0.015, 0.027, 0.07, 0.5]
    )
    error = typical * np.exp(0.15 * rng.standard_normal(n))
    # Binaries and crowded stars have poor fits.
    poor = rng.random(n) < 0.06
    ruwe = np.where(poor, rng.uniform(1.3, 8.0, n), 1.0 + 0.07 * rng.standard_normal(n))
    error = error * np.maximum(ruwe, 1.0)
    params = rng.choice(np.array([31, 95], dtype=np.int16), n, p=[0.93, 0.07])
    params[rng.random(n) < 0.01] = 3
    # Lindegren et al. 2021, A&A 649, A2, equation 3: colour to effective wavenumber.
    wavenumber = 1.76 - 1.61 / np.pi * np.arctan(0.531 * bp_rp)
    wavenumber = np.where(np.isfinite(bp_rp), wavenumber, 1.45)
    nu_eff = np.where(params == 31, wavenumber, np.nan)
    pseudocolour = np.where(params == 95, wavenumber + 0.01 * rng.standard_normal(n), np.nan)
    columns = {
        "phot_g_mean_mag": g,
        "nu_eff_used_in_astrometry": np.nan_to_num(nu_eff),
        "pseudocolour": np.nan_to_num(pseudocolour),
        "ecl_lat": ecl_lat,
        "astrometric_params_solved": params,
    }
    known = set(rule.inputs.values()) <= set(columns)
    # Outside the calibrated range of colour or magnitude the mean offset of DR3 is taken.
    offset = zero_point(rule, columns, n) if known else np.full(n, np.nan)
    offset = np.where(np.isfinite(offset), offset, MEAN_OFFSET)
    parallax = 1.0 / distance + offset + error * rng.standard_normal(n)
    solved = params != 3
    return Astrometry(
        parallax=np.where(solved, parallax, np.nan),
        parallax_error=np.where(solved, error, np.nan),
        params_solved=params,
        nu_eff=nu_eff,
        pseudocolour=pseudocolour,
        ruwe=np.where(solved, ruwe, np.nan),
        offset=offset,
    )
