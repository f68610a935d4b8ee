"""What is measured on an archive's tables: partition rule, grids, frames, coefficients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum, Product
from catalog_builder.archive.tables import PartitionRule
from catalog_builder.contract.grids import Medium, to_vacuum
from catalog_builder.inspecting.ids import shifts_into
from catalog_builder.inspecting.match import LookedTable, Match
from catalog_builder.inspecting.profile import arrays, integers
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
#: Gaia's identifiers: the pixel of a level begins at this bit, two fewer for each level.
_GAIA_BIT: Final = 59
_LEVELS: Final = range(13)


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
    seen = measure_shift(
        flux, to_vacuum(np.asarray(start + step * np.arange(count), np.float64), medium)
    )
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


@dataclass(frozen=True)
class FoundPartition:
    """How files are cut.

    Attributes
    ----------
    pattern : str, optional
        Of the ranges in file names; None where they have none.
    shift : int, optional
        By which ids come into their file's range; None where there is none.
    level : int, optional
        HEALPix level of the ranges, if the shift is one of Gaia's.
    share : float
        Of the looked-at ids that lie in their range by the described rule.
    files : int
        Files whose ids were compared.
    """

    pattern: str | None
    shift: int | None
    level: int | None
    share: float
    files: int


def measure_partition(matches: Sequence[Match], rule: PartitionRule) -> FoundPartition:
    """Compare ids with the ranges in the names of their files."""
    patterns = Counter(
        match.looked.group.pattern for match in matches if match.looked.group.pattern is not None
    )
    fitting: Counter[int] = Counter()
    inside, total, files = 0, 0, 0
    for match in matches:
        limits, ids = _limits(match.looked), _ids(match)
        if limits is None or not ids.size:
            continue
        files += 1
        fitting.update(shifts_into(ids, *limits))
        pixels = ids >> rule.source_id_shift
        inside += int(((pixels >= limits[0]) & (pixels <= limits[1])).sum())
        total += ids.size
    good = [shift for shift, count in fitting.items() if count == files]
    shift = None
    if good:
        likely = [rule.source_id_shift, *(_GAIA_BIT - 2 * level for level in _LEVELS)]
        shift = next((each for each in likely if each in good), min(good))
    level = None if shift is None else (_GAIA_BIT - shift) / 2
    whole = level is not None and level.is_integer() and level in _LEVELS
    return FoundPartition(
        patterns.most_common(1)[0][0] if patterns else None,
        shift,
        int(level) if whole and level is not None else None,
        inside / total if total else float("nan"),
        files,
    )


def _limits(looked: LookedTable) -> tuple[int, int] | None:
    return looked.group.range_of(looked.url)


def _ids(match: Match) -> NDArray[np.int64]:
    profile, raw = match.profile("source_id"), match.looked.raw
    if profile is None or raw is None:
        return np.empty(0, np.int64)
    ids = integers(raw.cells[profile.name])
    return ids[ids > 0]


def band_counts(match: Match, product: Product) -> dict[str, int]:
    """Return how many coefficients each band has; without those that are missing."""
    counts = {}
    for band in product.bands:
        profile = match.profile(f"{band}_coefficients")
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
