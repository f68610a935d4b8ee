"""What a release publishes of the simulated stars: Gaia's own spectra, and those of others."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import (
    CodeRule,
    LineSpectrum,
    ThresholdRule,
)
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.ground.errors import ConfigError
from catalog_builder.simulate.grid import emulator, wide
from catalog_builder.simulate.instruments import infrared, xp
from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.instruments.gaia import RESOLUTION, gaia_rvs, gaia_xp
from catalog_builder.simulate.writing import layout

#: Columns that every simulated sky has, and magnitudes among them.
_KNOWN: Final = frozenset(column.name for column in layout.NATIVE["gaia_source"])


def others(release: ReleaseSpec) -> dict[str, LineSpectrum]:
    """Return the spectra of lines that are not Gaia's own, by name."""
    gaia = gaia_rvs(release)
    return {
        name: spectrum
        for name, spectrum in release.spectra.items()
        if isinstance(spectrum, LineSpectrum) and spectrum is not gaia
    }


def needs_wide(spectrum: LineSpectrum) -> bool:
    """Say whether the synthetic spectra of Gaia's window are too short or too smooth for one."""
    samples = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    window = emulator.load().rvs_wavelength
    outside = samples[0] < window[0] or samples[-1] > window[-1]
    return bool(outside or spectrum.is_normalised_here or (spectrum.resolution or 0.0) > RESOLUTION)


def infrared_bands(release: ReleaseSpec) -> dict[str, str]:
    """Return column -> band of `infrared` for the magnitudes that are not Gaia's."""
    return infrared.bands_of(release, _KNOWN)


def check(release: ReleaseSpec) -> None:
    """Refuse a release with spectra or magnitudes that cannot be simulated.

    Raises
    ------
    ConfigError
        The message names the spectrum or the band.
    """
    for name, spectrum in release.spectra.items():
        if isinstance(spectrum, LineSpectrum):
            _check_lines(name, spectrum, release)
        elif spectrum is not gaia_xp(release):
            raise ConfigError(
                f"spectra.{name} cannot be simulated: of low resolution only Gaia's can, those"
                " called xp.",
                "Leave it out of a copy of the description.",
            )
    _check_xp(release)
    infrared_bands(release)


def _check_xp(release: ReleaseSpec) -> None:
    """Refuse XP spectra that are not those of the simulated instrument, DR3's."""
    spectrum = gaia_xp(release)
    if spectrum is None:
        return
    samples = len(instrument.load().wavelength)
    same_grid = np.array_equal(spectrum.grid.nanometres(), instrument.load().wavelength)
    known = all(one.basis in {None, xp.BASIS} for one in spectrum.products)
    if not (same_grid and known):
        raise ConfigError(
            f"The XP spectra of release {release.name} are not {samples} samples at 336-1020 nm "
            f"with the matrices {xp.BASIS}, and no others can be simulated.",
            "Leave XP out of a copy of the description, or give it DR3's. DR4 is simulated beside "
            "DR3, with matrices of its own: --release dr4 --twin-of dr3.",
        )


def _check_lines(name: str, spectrum: LineSpectrum, release: ReleaseSpec) -> None:
    samples = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    # Flux that was not normalised has the star's energy, and lines where they are known.
    of_all = emulator.load().sed_wavelength
    window = of_all if spectrum.is_normalised_here else wide.load().wavelength
    if samples[0] < window[0] or samples[-1] > window[-1]:
        raise ConfigError(
            f"spectra.{name} cannot be simulated: it has {samples[0]:.2f}-{samples[-1]:.2f} nm in"
            f" vacuum, the synthetic spectra {window[0]:g}-{window[-1]:g} nm.",
            "Give it a grid inside, or leave it out of a copy of the description.",
        )
    sharpest = wide.load().resolution
    if spectrum.resolution is not None and spectrum.resolution > sharpest:
        raise ConfigError(
            f"spectra.{name} cannot be simulated: its resolving power {spectrum.resolution:g} is"
            f" above {sharpest:g}, that of the synthetic spectra.",
            f"Give it {sharpest:g} or less, or leave it out of a copy of the description.",
        )
    rule = spectrum.normalisation
    if isinstance(rule, CodeRule) and not rule.values:
        raise ConfigError(
            f"spectra.{name}.normalisation.values names no code, so none can be simulated.",
            "Name the codes, or give the normalisation as `fixed`.",
        )
    if isinstance(rule, ThresholdRule) and rule.column not in _KNOWN | set(infrared_bands(release)):
        raise ConfigError(
            f"spectra.{name} cannot be simulated: its normalisation is told from {rule.column},"
            " which is not simulated.",
            "Take a column that is, such as phot_g_mean_mag, in a copy of the description.",
        )
