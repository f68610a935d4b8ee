"""What is measured on an archive's tables: grids, frames, coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.products import Product
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.contract.grids import Medium, to_vacuum
from catalog_builder.inspecting.match import Match
from catalog_builder.inspecting.profile import arrays
from catalog_builder.inspecting.spectra import Medians
from catalog_builder.inspecting.triplet import (
    FoundGrid,
    Shift,
    covers_triplet,
    find_grid,
    measure_shift,
)

Float = NDArray[np.float64]

#: Scatter of the triplet, km/s, above which stars' velocities are in the wavelengths.
_REST: Final = 8.0
#: How far a start, nm, and a step, relative, may be from a round number to be taken for it.
_ROUND_START, _ROUND_STEP = 0.004, 1e-3


@dataclass(frozen=True)
class Lines:
    """Spectra of lines as a table has them.

    Attributes
    ----------
    count : int
        Samples.
    described : Shift, optional
        Where the triplet lies by the described grid, if that has as many samples.
    found : FoundGrid, optional
        The grid by the triplet alone, in vacuum.
    start, step, medium
        What is most likely written in the archive's documentation: round numbers, where they fit.
    scatter : float
        Of the triplet from star to star, km/s; NaN where it is not seen.
    medians : Medians
        How they were normalised.
    """

    count: int
    described: Shift | None
    found: FoundGrid | None
    start: float
    step: float
    medium: Medium
    scatter: float
    medians: Medians

    @property
    def at_rest(self) -> bool:
        """Whether stars' velocities are taken out."""
        return not self.scatter > _REST


def samples(match: Match, column: str) -> Float | None:
    """Return an array column of a matched table, shape (n, length); None where it is missing."""
    profile, raw = match.profile(column), match.looked.raw
    if profile is None or raw is None or profile.length is None:
        return None
    return arrays(raw.cells[profile.name], profile.length)


def measure_lines(match: Match, product: Product, spectrum: LineSpectrum) -> Lines | None:
    """Measure spectra of lines; None where their table has none."""
    flux, error = samples(match, product.flux), samples(match, product.flux_error)
    if flux is None:
        return None
    count = flux.shape[1]
    same = count == spectrum.grid.count
    wavelengths = to_vacuum(spectrum.grid.nanometres(), spectrum.medium)
    described = measure_shift(flux, wavelengths) if same and covers_triplet(wavelengths) else None
    found = find_grid(flux)
    grid = spectrum.grid
    start, step, medium = grid.start, grid.step, spectrum.medium
    fits = described is not None and abs(described.nanometres) < _ROUND_START
    if found is not None and not fits:
        start, step, medium = round_grid(found)
    likely = to_vacuum(np.asarray(start + step * np.arange(count), np.float64), medium)
    # Unless it was found, the start may be of another unit, or that of no even steps.
    seen = measure_shift(flux, likely) if covers_triplet(likely) else None
    if fits or seen is None:
        seen = described
    return Lines(
        count,
        described,
        found,
        start,
        step,
        medium,
        float("nan") if seen is None else seen.scatter,
        Medians.of(flux, error if error is not None and error.shape == flux.shape else flux * 0),
    )


def round_grid(found: FoundGrid) -> tuple[float, float, Medium]:
    """Return start, step and medium as an archive would write them.

    A start at a round number in vacuum is taken for that, else one that is round in air; else one
    at a multiple of half a step, else as measured.
    """
    step = next(
        (
            round(found.step, digits)
            for digits in (3, 4, 5)
            if abs(round(found.step, digits) - found.step) < _ROUND_STEP * found.step
        ),
        round(found.step, 6),
    )
    # The triplet holds the middle of the grid: a rounder step turns it about there.
    start = found.start + (found.step - step) * (856.977 - found.start) / found.step
    in_air = start - float((to_vacuum(np.array([start]), "air") - start)[0])
    media: tuple[tuple[float, Medium], ...] = ((start, "vacuum"), (in_air, "air"))
    for value, medium in media:
        if abs(value - round(value, 1)) < _ROUND_START:
            return round(value, 1), step, medium
    half = round(start / (step / 2)) * step / 2
    return round(half if abs(half - start) < _ROUND_START else start, 4), step, "vacuum"


def band_counts(match: Match, product: Product) -> dict[str, int]:
    """Return how many coefficients each band has; without those that are missing."""
    counts = {}
    for band in product.bands:
        of_errors = match.profile(f"{band}_coefficient_errors")
        profile = match.profile(f"{band}_coefficients") or of_errors
        if profile is not None and profile.length is not None:
            counts[band] = profile.length
    return counts


def product_of(release: ReleaseSpec, table: str) -> list[tuple[str, int, Product]]:
    """Return the products that a table holds: name of the spectrum, place, product."""
    return [
        (name, place, product)
        for name, spectrum in release.spectra.items()
        for place, product in enumerate(spectrum.products)
        if product.table == table
    ]
