"""What a release holds beside Gaia's own: other spectra, other magnitudes, joined tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.simulate.grid import emulator, wide
from catalog_builder.simulate.instruments import infrared, lines
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments.gaia import RESOLUTION, gaia_rvs
from catalog_builder.simulate.instruments.observed import Observed, received_flux, wide_window
from catalog_builder.simulate.population.streams import Draws
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.simulation import simulation_of
from catalog_builder.simulate.writing import layout, tables
from catalog_builder.simulate.writing.published import infrared_bands, needs_wide, others
from catalog_builder.simulate.writing.words import has_words, same_again


@dataclass(frozen=True)
class Beside:
    """What other instruments than Gaia's saw of a block of n stars.

    Parameters
    ----------
    lines : dict of str to Lines
        Spectra of other spectrographs.
    bands : dict of str to numpy.ndarray
        (n,) magnitudes by column; NaN where a star has none.
    has_bands : numpy.ndarray
        (n,) who has them.
    """

    lines: dict[str, lines.Lines]
    bands: dict[str, NDArray[np.float64]]
    has_bands: NDArray[np.bool_]


def observe_beside(
    release: ReleaseSpec, star: Stars, seen: Observed, gaia: tables.Block, draws: Draws
) -> Beside:
    """Return what a release has of a block beside Gaia's; `gaia` are the source table's columns."""
    wanted, n = infrared_bands(release), len(star)
    bands: dict[str, NDArray[np.float64]] = {}
    has_bands = np.zeros(n, dtype=bool)
    if wanted:
        rng = draws("infrared")
        has_bands = infrared.found(rng, n)
        exact = instrument.load().magnitudes(seen.flux)
        all_bands = infrared.magnitudes(rng, exact, star.a_0, star.logg, star.m_h)
        bands = {
            column: np.where(has_bands, all_bands[band], np.nan) for column, band in wanted.items()
        }
        if has_words(release):
            told = same_again({"source_id": star.source_id, "": has_bands, **bands})
            has_bands = np.asarray(told.pop(""), dtype=bool)
            bands = {column: np.asarray(told[column], np.float64) for column in bands}
    columns = {**gaia, **bands}
    made = simulation_of(release.name)
    at_once = _windows(release, star, seen)
    spoilt = None if gaia_rvs(release) else next(iter(others(release)), None)
    found = {
        name: lines.observe(
            draws(f"spectrum {name}"),
            star,
            at_once[needs_wide(spectrum)],
            seen.flux,
            spectrum,
            columns,
            made.seen(name),
            faults=name == spoilt,
        )
        for name, spectrum in others(release).items()
    }
    return Beside(found, bands, has_bands)


def _windows(release: ReleaseSpec, star: Stars, seen: Observed) -> dict[bool, lines.Windows]:
    """Return spectra of Gaia's window, and the wide ones where a spectrum needs them."""
    gaia = lines.Windows(emulator.load().rvs_wavelength, seen.window, RESOLUTION)
    if not any(needs_wide(spectrum) for spectrum in others(release).values()):
        return {False: gaia}
    model = wide.load()
    flux = wide_window(star, seen.companions)
    wide_one = lines.Windows(model.wavelength, flux, model.resolution)
    if any(spectrum.is_normalised_here for spectrum in others(release).values()):
        sed = received_flux(star)
        wide_one = replace(wide_one, sed_wavelength=emulator.load().sed_wavelength, sed=sed)
    return {False: gaia, True: wide_one}


def table_contents(
    release: ReleaseSpec, star: Stars, seen: Observed, gaia: tables.Block, beside: Beside
) -> dict[TableName, tables.Block]:
    """Return the columns of every table but DPAC's own parameters, by the release's table names."""
    held = {
        "rvs_mean_spectrum": tables.rvs_mean_spectrum(star, seen, release),
        "xp_continuous_mean_spectrum": tables.xp_continuous(star, seen),
        "xp_sampled_mean_spectrum": tables.xp_sampled(star, seen, release),
    }
    spectra: dict[TableName, tables.Block] = {
        table: held[native]
        for table, native in layout.contents_of(release).items()
        if native in held
    }
    columns, only = {**gaia, **beside.bands}, dict.fromkeys(beside.bands, beside.has_bands)
    for name, spectrum in others(release).items():
        found = beside.lines[name]
        for table, block in tables.other_lines(star, found, spectrum).items():
            own = spectrum.sig_to_noise
            if own is not None and own in release.tables[table].columns:
                at = np.searchsorted(star.source_id, block["source_id"])
                block[own] = found.sig_to_noise[at]
            spectra[table] = tables.together(spectra.get(table, {}), block)
        if spectrum.sig_to_noise is not None and not release.has_own_noise(name):
            columns[spectrum.sig_to_noise] = found.sig_to_noise
            only[spectrum.sig_to_noise] = np.isfinite(found.sig_to_noise)
    has = {table: np.isin(star.source_id, block["source_id"]) for table, block in spectra.items()}
    for column, (values, who) in tables.announcements(release, has).items():
        columns[column], only[column] = values, who
    return {**tables.looked_up(release, star, columns, only), **spectra}
