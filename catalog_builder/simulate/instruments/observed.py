"""Stars of known truth as Gaia measures them, a block at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum, ThresholdRule
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.simulate.grid import emulator, wide
from catalog_builder.simulate.instruments import lines, photometry, rvs, xp
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments.companions import Companions, add_companions
from catalog_builder.simulate.instruments.gaia import gaia_rvs
from catalog_builder.simulate.instruments.motion import Motion
from catalog_builder.simulate.population import stars
from catalog_builder.simulate.population.galaxy import ecliptic_latitude
from catalog_builder.simulate.population.truth import Stars, keep_visible_anomalies

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

#: Labels of the grid whose shape hot stars borrow.
HOT_SHAPE = (7400.0, 4.0, 0.0, 0.0)
#: RVS spectra below are not published (DR3).
MINIMUM_SIG_TO_NOISE = 15.0
#: XP limits of DR3: coefficients and sampled spectra.
_XP_CONTINUOUS_G, _XP_SAMPLED_G = 17.65, 15.0
#: S/N of a typical mean RVS spectrum at G_RVS = 12; photons, then read noise, set the slope.
_SIG_TO_NOISE_12, _SIG_TO_NOISE_SLOPE = 23.8, -0.22


@dataclass
class Observed:
    """A block of stars after observation; spectra only of the stars that have them.

    Parameters
    ----------
    flux : numpy.ndarray
        (n, 343) noise-free spectrum at XP's resolution, W m-2 nm-1: what XP should show.
    window : numpy.ndarray
        (n, w) normalised spectrum on the emulator's grid, companions included, not broadened.
    magnitudes, exact_magnitudes : numpy.ndarray
        (n, 3) G, BP, RP as measured, NaN where missing; and without noise.
    grvs, sig_to_noise : numpy.ndarray
        (n,) as published: NaN where there is no RVS spectrum.
    exact_grvs, reached : numpy.ndarray
        (n,) G_RVS without noise, and the S/N that an RVS spectrum has or would have, of all stars.
    slope : numpy.ndarray
        (n,) relative change of the flux per 12 nm in the RVS window.
    rvs_rows : numpy.ndarray
        Rows with a published RVS spectrum; `rvs_flux`, `rvs_error` are (len, 2401), and `rvs_codes`
        (len,), where a code tells how they were normalised.
    rvs_making : rvs.Making, optional
        What was drawn to make them.
    motion : motion.Motion, optional
        Proper motions and radial velocities, once they are measured.
    companions : Companions, optional
        Second stars.
    """

    flux: Float
    window: Float
    magnitudes: Float
    exact_magnitudes: Float
    grvs: Float
    exact_grvs: Float
    reached: Float
    slope: Float
    sig_to_noise: Float
    transits: Float
    astrometry: photometry.Astrometry
    has_xp: Bool
    has_xp_sampled: Bool
    has_bp: Bool
    rvs_rows: NDArray[np.int64]
    rvs_flux: Float32
    rvs_error: Float32
    rvs_codes: NDArray[np.int64] | None
    rvs_making: rvs.Making | None
    bp: xp.BandCoefficients
    rp: xp.BandCoefficients
    motion: Motion | None = None
    companions: Companions | None = None


@dataclass
class _Spectra:
    """Published spectra of some rows: flux, error, and codes of their normalisation."""

    rows: NDArray[np.int64]
    flux: Float32
    error: Float32
    codes: NDArray[np.int64] | None
    making: rvs.Making | None = None

    def joined(self, other: _Spectra) -> _Spectra:
        """Return these and others in the order of their rows."""
        rows = np.concatenate([self.rows, other.rows])
        order = np.argsort(rows)
        codes = None
        if self.codes is not None and other.codes is not None:
            codes = np.concatenate([self.codes, other.codes])[order]
        making = None
        if self.making is not None and other.making is not None:
            making = self.making.joined(other.making, order)
        return _Spectra(
            rows[order],
            np.concatenate([self.flux, other.flux])[order],
            np.concatenate([self.error, other.error])[order],
            codes,
            making,
        )


def surface_spectra(star: Stars) -> tuple[Float, Float]:
    """Ln surface flux (n, s) and normalised RVS window (n, r), unbroadened, of single stars."""
    model = emulator.load()
    hot = star.anomaly == "hot_star"
    labels = star.grid_labels()
    # Hot stars borrow the shape of the hottest star of the grid, which their own Planck function
    # then carries; their RVS window is made by hand.
    labels[hot] = HOT_SHAPE
    ln_flux = model.sed(labels).astype(np.float64)
    wavelength = model.sed_wavelength
    ln_flux[hot] += emulator.log_planck(wavelength, star.teff[hot]) - emulator.log_planck(
        wavelength, labels[hot, 0]
    )
    window = model.rvs(labels).astype(np.float64)
    window[hot] = rvs.hot_star(model.rvs_wavelength, star.teff[hot], star.vsini[hot])
    return ln_flux, window


def observe(
    rng: np.random.Generator,
    star: Stars,
    release: ReleaseSpec,
    spare: np.random.Generator | None = None,
) -> Observed:
    """Observe a block of stars; a wart that turns out impossible is taken from the truth.

    Parameters
    ----------
    rng : numpy.random.Generator
        For all that is drawn.
    star : Stars
        Its warts and anomalies are corrected in place.
    release : ReleaseSpec
        What is published, and how.
    spare : numpy.random.Generator, optional
        With it no wart has any effect and none is left: it draws what those stars have more, so
        that everything else is what it is without.
    """
    n = len(star)
    ln_flux, window = surface_spectra(star)
    wavelength = emulator.load().sed_wavelength
    flux = photometry.received(ln_flux, stars.radius(star.mass, star.logg), star.distance, star.a_0)
    transits = np.clip(rng.gamma(9.0, 1.0 / 9.0, n), 0.4, 3.0)
    none = star.wart == "no_spectrum"
    alone = _sig_to_noise(instrument.grvs_magnitude(wavelength, flux), transits)
    published = (alone >= MINIMUM_SIG_TO_NOISE) & ~none
    # Without Gaia's, it is in the spectra of others that they are seen.
    keep_visible_anomalies(star, published | (gaia_rvs(release) is None))
    # A companion adds light: whose spectrum is published without it has one with it, too.
    window, flux, companions = add_companions(rng, star, window, flux)
    at_xp = photometry.sampled_flux(flux, wavelength)
    magnitudes = instrument.load().magnitudes(at_xp)
    grvs = instrument.grvs_magnitude(wavelength, flux)
    sig_to_noise = _sig_to_noise(grvs, transits)
    # A star too faint for an RVS spectrum keeps its XP spectrum: it cannot have the other alone.
    star.wart = np.where((star.wart == "rvs_only") & ~published, "", star.wart)
    rows = np.flatnonzero(published)
    slope = _window_slope(wavelength, flux)
    found = _rvs_spectra(rng, star, window, grvs, slope, sig_to_noise, rows, release)
    if spare is not None:
        more = np.flatnonzero((alone >= MINIMUM_SIG_TO_NOISE) & none)
        found = found.joined(
            _rvs_spectra(spare, star, window, grvs, slope, sig_to_noise, more, release)
        )
        rows = found.rows
        published[more] = True
        star.wart[:] = ""
        none = np.zeros(n, dtype=bool)

    g = magnitudes[:, 0]
    has_xp = (g < _XP_CONTINUOUS_G) & ~none & (star.wart != "rvs_only")
    has_bp = star.wart != "missing_bp"
    bp = xp.coefficients(rng, at_xp, transits, "bp")
    rp = xp.coefficients(rng, at_xp, transits, "rp")
    errors = magnitude_errors(magnitudes, transits)
    noisy = magnitudes + errors * rng.standard_normal(magnitudes.shape)
    colourless = star.wart == "no_colour"
    noisy[colourless, 1:] = np.nan
    return Observed(
        flux=at_xp,
        window=window,
        magnitudes=noisy,
        exact_magnitudes=magnitudes,
        exact_grvs=grvs,
        reached=sig_to_noise,
        slope=slope,
        grvs=np.where(published, grvs + 0.01 * rng.standard_normal(n), np.nan),
        sig_to_noise=np.where(published, sig_to_noise, np.nan),
        transits=transits,
        astrometry=photometry.astrometry(
            rng,
            noisy[:, 0],
            noisy[:, 1] - noisy[:, 2],
            ecliptic_latitude(star.ra, star.dec),
            star.distance,
            release.parallax_zero_point,
        ),
        has_xp=has_xp,
        has_xp_sampled=has_xp & has_bp & (g < _XP_SAMPLED_G),
        has_bp=has_bp,
        rvs_rows=rows,
        rvs_flux=found.flux,
        rvs_error=found.error,
        rvs_codes=found.codes,
        rvs_making=found.making,
        bp=bp,
        rp=rp,
        companions=companions,
    )


def _sig_to_noise(grvs: Float, transits: Float) -> Float:
    typical = _SIG_TO_NOISE_12 * 10.0 ** (_SIG_TO_NOISE_SLOPE * (grvs - 12.0))
    return np.minimum(typical * np.sqrt(transits), 600.0 * transits)


def magnitude_errors(exact: Float, transits: Float) -> Float:
    """Errors (n, 3) of G, BP, RP."""
    # Floors of DR3's photometry and photon noise (Riello et al. 2021, A&A 649, A3, figure 3).
    floor = np.array([0.002, 0.004, 0.004])
    photons = np.array([3e-4, 2e-3, 1.5e-3]) * 10.0 ** (0.2 * (exact - 14.0))
    return np.asarray(np.hypot(floor, photons) / np.sqrt(transits)[:, None])


def _window_slope(wavelength: Float, flux: Float) -> Float:
    """Relative change of the flux per 12 nm in the RVS window, (n,)."""
    blue = flux[:, (wavelength >= 846) & (wavelength <= 849)].mean(axis=1)
    red = flux[:, (wavelength >= 867) & (wavelength <= 870)].mean(axis=1)
    return np.asarray((red - blue) / (red + blue) * 12.0 / 10.5)


def received_flux(star: Stars) -> Float:
    """Return the flux density (n, s) of stars behind their dust, 1 nm apart, without companions."""
    ln_flux, _ = surface_spectra(star)
    return photometry.received(ln_flux, stars.radius(star.mass, star.logg), star.distance, star.a_0)


def wide_window(star: Stars, companions: Companions | None) -> Float:
    """Return normalised spectra (n, w) of all of the grid's window, unbroadened, with companions.

    Sharper than those of Gaia's window, and on the wavelengths of `wide`.
    """
    model = wide.load()
    hot = star.anomaly == "hot_star"
    labels = star.grid_labels()
    labels[hot] = HOT_SHAPE
    window = model.normalised(labels).astype(np.float64)
    window[hot] = rvs.hot_star(model.wavelength, star.teff[hot], star.vsini[hot])
    if companions is None:
        return window
    return companions.added(window, model.wavelength, model.normalised)


def _rvs_spectra(
    rng: np.random.Generator,
    star: Stars,
    window: Float,
    grvs: Float,
    slope: Float,
    sig_to_noise: Float,
    rows: NDArray[np.int64],
    release: ReleaseSpec,
) -> _Spectra:
    """Return the published spectra of the rows that have one."""
    spectrum = gaia_rvs(release)
    if spectrum is None:
        return _Spectra(
            rows, np.empty((len(rows), 0), np.float32), np.empty((len(rows), 0), np.float32), None
        )
    wavelength = emulator.load().rvs_wavelength
    anomaly = star.anomaly[rows]
    shift = np.where(
        anomaly == "wrong_frame",
        rng.uniform(25.0, 350.0, len(rows)) * rng.choice([-1.0, 1.0], len(rows)),
        # The rest frame is as good as the radial velocity.
        rng.normal(0.0, 0.3 + 8.0 / sig_to_noise[rows]),
    )
    frame = shift
    if spectrum.frame == "barycentric":
        frame = shift + star.true_radial_velocity[rows]
    broadening = rvs.Broadening(star.vsini[rows], star.macroturbulence[rows], frame)
    flux = rvs.observe(window[rows], wavelength, broadening)
    active = anomaly == "calcium_emission"
    strength = np.zeros(len(rows))
    strength[active] = rng.uniform(0.15, 0.7, int(active.sum()))
    flux[active] = rvs.emission(flux[active], wavelength, strength[active])
    samples = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    flux = rvs.resampled(flux, wavelength, samples)
    kinds, codes = _normalisations(spectrum, grvs, rows, sig_to_noise)
    flux = rvs.normalised(rng, flux, samples, kinds, slope[rows])
    tilted = np.flatnonzero(anomaly == "wrong_normalisation")
    wrong = np.full((len(rows), 3), np.nan)
    wrong[tilted] = rvs.bad_continua(rng, len(tilted))
    flux[tilted] *= rvs.continuum(wrong[tilted], samples)
    added, error = rvs.noise(rng, flux, sig_to_noise[rows], spectrum.grid.step_nm)
    published = flux.astype(np.float32) + added
    rvs.spikes(rng, published, np.flatnonzero(anomaly == "cosmic_spikes"))
    rvs.empty_edges(rng, published, error)
    return _Spectra(rows, published, error, codes, rvs.Making(shift, strength, wrong, added))


def _normalisations(
    spectrum: LineSpectrum, grvs: Float, rows: NDArray[np.int64], sig_to_noise: Float
) -> tuple[NDArray[np.str_], NDArray[np.int64] | None]:
    rule = spectrum.normalisation
    # Whatever the column is called: DR3's rule looks at G_RVS.
    columns = {rule.column: grvs} if isinstance(rule, ThresholdRule) else {}
    return lines.normalisations(rule, columns, rows, sig_to_noise)
