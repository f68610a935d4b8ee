"""Samples of a user's spectrum, in order, and whether they are the archive's own."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.archive.spectra import LineSpectrum, Reading
from catalog_builder.ground.errors import InputError
from catalog_builder.labelling.raw import RawSpectrum
from catalog_builder.labelling.refusals import ANOTHER

#: Wavelengths that differ by less of a step are those of the archive's grid.
_SAME: Final = 1e-3


class Samples:
    """Samples in rising order of wavelength."""

    def __init__(self, raw: RawSpectrum) -> None:
        flux = np.asarray(raw.arrays["flux"], np.float64)
        wave, error = raw.arrays.get("wavelength"), raw.arrays.get("flux_error")
        for name, values in (("wavelengths", wave), ("errors", error)):
            if values is not None and values.shape != flux.shape:
                raise InputError(
                    f"{raw.where} has {flux.size} fluxes and {values.size} {name}.",
                    "Give as many of one as of the other.",
                )
        if flux.size < 2 or not np.isfinite(flux).any():
            raise InputError(f"{raw.where}: it has no flux.", ANOTHER)
        if wave is not None:
            if wave.size and wave[0] > wave[-1]:
                wave, flux = wave[::-1], flux[::-1]
                error = None if error is None else error[::-1]
            steps = np.diff(wave)
            if not np.isfinite(wave).all() or (steps <= 0).any():
                row = int(np.argmax(~(steps > 0)))
                raise InputError(
                    f"{raw.where}: its wavelengths do not rise throughout (sample {row + 1}).",
                    "Give each spectrum by itself, or a column source_id or name that says whose"
                    " each row is.",
                )
        self.wavelength, self.flux, self.error = wave, flux, error

    def are_on(self, reading: Reading) -> bool:
        """Say whether the samples are those of the archive's grid."""
        grid = reading.spectrum.grid
        if self.flux.size != grid.count:
            return False
        if self.wavelength is None:
            return True
        apart = np.abs(self.wavelength - grid.nanometres())
        return bool(apart.max() < _SAME * grid.step_nm)

    def near(self, spectrum: LineSpectrum, margin: float = 2.0) -> Samples:
        """Return the samples that may matter to a model grid."""
        grid = spectrum.model_grid.nanometres()
        part = object.__new__(Samples)
        wave = np.asarray(self.wavelength)
        some = slice(*np.searchsorted(wave, (grid[0] - margin, grid[-1] + margin)).tolist())
        part.wavelength, part.flux = wave[some], self.flux[some]
        part.error = None if self.error is None else self.error[some]
        return part
