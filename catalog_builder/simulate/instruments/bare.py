"""Sources as Gaia measures them that get no spectrum: magnitudes and parallax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments import photometry, xp
from catalog_builder.simulate.instruments.observed import Observed, magnitude_errors
from catalog_builder.simulate.population import stars
from catalog_builder.simulate.population.galaxy import ecliptic_latitude
from catalog_builder.simulate.population.truth import Stars


def observe_bare(rng: np.random.Generator, star: Stars, release: ReleaseSpec) -> Observed:
    """Observe a block of sources without spectra.

    Parameters
    ----------
    rng : numpy.random.Generator
        For all that is drawn.
    star : Stars
        Those marked ``no_colour`` have no BP and RP.
    release : ReleaseSpec
        Whose zero point the parallaxes have.
    """
    n, model = len(star), emulator.load()
    wavelength = model.sed_wavelength
    surface = model.sed(star.grid_labels()).astype(np.float64)
    radius = stars.radius(star.mass, star.logg)
    flux = photometry.received(surface, radius, star.distance, star.a_0)
    exact = instrument.load().magnitudes(photometry.sampled_flux(flux, wavelength))
    transits = np.clip(rng.gamma(9.0, 1.0 / 9.0, n), 0.4, 3.0)
    noisy = exact + magnitude_errors(exact, transits) * rng.standard_normal(exact.shape)
    noisy[star.wart == "no_colour", 1:] = np.nan
    g, bp, rp = noisy.T
    latitude = ecliptic_latitude(star.ra, star.dec)
    unknown, none = np.full(n, np.nan), np.zeros(n, bool)
    empty = np.empty((0, 0), np.float32)
    nothing: NDArray[np.float64] = np.empty((n, 0))
    no_coefficients = xp.coefficients(
        np.random.default_rng(0), np.empty((0, len(instrument.load().response))), unknown[:0], "bp"
    )
    return Observed(
        flux=nothing,
        window=nothing,
        magnitudes=noisy,
        exact_magnitudes=exact,
        grvs=unknown,
        exact_grvs=instrument.grvs_magnitude(wavelength, flux),
        reached=unknown,
        slope=unknown,
        sig_to_noise=unknown,
        transits=transits,
        astrometry=photometry.astrometry(
            rng, g, bp - rp, latitude, star.distance, release.parallax_zero_point
        ),
        has_xp=none,
        has_xp_sampled=none,
        has_bp=none,
        rvs_rows=np.empty(0, np.int64),
        rvs_flux=empty,
        rvs_error=empty,
        rvs_codes=None,
        rvs_making=None,
        bp=no_coefficients,
        rp=no_coefficients,
    )
