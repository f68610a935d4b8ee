"""What is said of spectra that get no labels: what is wrong, where, and the way out."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.features.lines import ResampledSpectra
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.triplet import velocity_of
from catalog_builder.labelling.raw import Float, RawSpectrum

#: km/s: half of what the model's spectra resolve, and five times what is measured of those at rest.
_AT_REST: Final = 15.0
#: The flux that all but a few samples lie below, of a spectrum divided by its continuum.
_CONTINUUM: Final = (0.5, 2.0)

ANOTHER: Final = "Give another spectrum of the star, or leave it out."


def median(raw: RawSpectrum, flux: Float) -> float:
    """Return the median flux; refuse one that is not positive."""
    known = flux[np.isfinite(flux)]
    middle = float(np.median(known)) if known.size else 0.0
    if middle <= 0:
        raise InputError(f"{raw.where}: the median of its flux is not positive.", ANOTHER)
    return middle


def not_told(raw: RawSpectrum, medium: str | None, normalisation: str | None) -> InputError:
    """Return the refusal of a spectrum of which the user must say more."""
    lacks, ways = [], []
    if medium is None:
        lacks.append("whether its wavelengths are of air or vacuum, which are 80 km/s apart")
        ways.append("--medium air or --medium vacuum")
    if normalisation is None:
        lacks.append("how its flux is normalised")
        ways.append("--normalisation continuum (divided by its continuum) or --normalisation none")
    return InputError(
        f"{raw.where}: nothing says {', nor '.join(lacks)}.", f"Give {'; and '.join(ways)}."
    )


def without_errors(raw: RawSpectrum) -> InputError:
    """Return the refusal of a spectrum of which no noise is known."""
    return InputError(
        f"{raw.where}: it has neither errors nor a signal-to-noise ratio, without which no"
        " uncertainty of a label could be believed.",
        "Give a column flux_error or snr, or --snr.",
    )


def refuse_without_continuum(raw: RawSpectrum, flux: Float) -> None:
    """Refuse flux whose upper end is far from 1: it was not divided by anything like it."""
    known = flux[np.isfinite(flux)]
    top = float(np.percentile(known, 90)) if known.size else np.nan
    if not _CONTINUUM[0] < top < _CONTINUUM[1]:
        raise InputError(
            f"{raw.where}: its flux is not normalised: a tenth of it lies above {top:.3g}, not 1.",
            "Give --normalisation none.",
        )


def refuse_moved(raw: RawSpectrum, made: ResampledSpectra, spectrum: LineSpectrum) -> None:
    """Refuse a spectrum that is not at rest, as far as its lines tell."""
    flux = np.where(made.mask[0], made.flux[0], np.nan).astype(np.float64)
    velocity = velocity_of(flux, spectrum.model_grid.nanometres())
    if velocity is not None and abs(velocity) > _AT_REST:
        raise InputError(
            f"{raw.where}: its lines lie {velocity:+.0f} km/s from where they are at rest, and the"
            f" model knows {spectrum.title} spectra at rest only.",
            "Give the star's velocity with --radial-velocity (added to one that was given), and"
            " check --medium: air for vacuum makes 80 km/s.",
        )


def not_covered(
    raw: RawSpectrum, spectrum: LineSpectrum, wavelength: Float, share: float
) -> InputError:
    """Return the refusal of a spectrum that has too little of the model's grid."""
    grid = spectrum.model_grid.nanometres()
    return InputError(
        f"{raw.where}: usable samples between {wavelength[0]:.6g} and {wavelength[-1]:.6g} nm cover"
        f" {100 * share:.0f} % of the {grid[0]:g} to {grid[-1]:g} nm that the model sees of"
        f" {spectrum.title}.",
        "Give a spectrum of these wavelengths.",
    )
