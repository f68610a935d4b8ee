"""Checks of all rows: holes in the sky, heaps of labels, columns that changed on their way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from catalog_builder.features.population import InputCounts
from catalog_builder.report.counted import PIXEL_LEVEL, as_ingested
from catalog_builder.report.summary import Summary
from catalog_builder.verdict.facts import NO_COUNTS
from catalog_builder.verdict.judging import Question
from catalog_builder.verdict.numbers import Few, Many, Number
from catalog_builder.verdict.settings import CheckSettings

#: Stars that a hole must be short of, for a level of pixels to tell it from chance.
_TELLING: Final = 12.0
_COARSEST: Final = 2
#: Pixels of each size that are looked at closely.
_WORST: Final = 20
#: Bins beside the one that is looked at which are left out, and as far as which others count.
_NEAR, _FAR = 2, 5


def questions(
    summary: Summary, ingested: InputCounts, settings: CheckSettings
) -> Iterator[Question]:
    """Yield the checks that rest on all rows."""
    yield Question(
        "columns", "Columns as they were read", "in another bin than when they were read are",
        _carried(summary, ingested, settings), NO_COUNTS, "columns",
    )  # fmt: skip
    holes, pixels = _holes(summary.pixels.counts, settings)
    yield Question(
        "sky", "Holes in the sky", "sources are", holes,
        "too few stars on the sky to tell a hole from chance", "sky", pixels,
    )  # fmt: skip
    yield Question(
        "pile_up", "Pile-ups at one value", "stars in one bin are", _heaps(summary, settings),
        "no label has enough stars", "labels",
    )  # fmt: skip


def _carried(summary: Summary, ingested: InputCounts, settings: CheckSettings) -> list[Number]:
    """Compare columns with what the ingest counted of them; who has no row may be missing."""
    numbers = []
    lost = max(0, ingested.stars - summary.rows)
    counts = as_ingested(summary.carried, summary.schema.inputs)
    for name, here in counts.items():
        there = {int(place): count for place, count in ingested.values.get(name, {}).items()}
        stars = sum(there.values())
        if not stars:
            continue
        apart = sum(abs(here.get(k, 0) - there.get(k, 0)) for k in {*here, *there})
        share = min(1.0, apart / 2 / stars)
        allowed = settings.carried + lost / stars
        numbers.append(Number(name, share, 0.0, allowed, 0.0, summary.rows, -2))
    return numbers


def _holes(pixels: NDArray[np.int64], settings: CheckSettings) -> tuple[list[Number], int]:
    """Return the emptiest pixels of every size, and how many have stars enough to miss."""
    numbers: list[Number] = []
    tests = 0
    for level in range(PIXEL_LEVEL, _COARSEST - 1, -1):
        counts = pixels.reshape(12 * 4**level, -1).sum(axis=1)
        expected = _between_neighbours(counts, level)
        tested = np.flatnonzero(settings.hole * expected > _TELLING)
        tests += len(tested)
        # A number for each would take seconds of the seal.
        chance = gammaincc(counts[tested] + 1, settings.hole * expected[tested])
        for place in tested[np.argsort(chance, kind="stable")][:_WORST].tolist():
            about = f"HEALPix pixel {place} of level {level}"
            found, there = float(counts[place]), float(expected[place])
            numbers.append(Few(about, found, there, settings.hole, 1.0))
    return numbers, tests


def _between_neighbours(counts: NDArray[np.int64], level: int) -> NDArray[np.float64]:
    """Return what each pixel would have if stars were spread as between its neighbours.

    Along each of four directions, the smaller of both sides' counts: a pixel at the edge of the
    survey, or on a slope, has fewer on one side. Of pixels one and two steps away the larger, for
    holes of more than one pixel; and the median of the four.
    """
    from astropy_healpix import HEALPix

    with np.errstate(invalid="ignore"):  # at the corners, where there is none
        near = HEALPix(nside=2**level, order="nested").neighbours(np.arange(len(counts)))
    values = np.append(counts.astype(np.float64), 0.0)  # there is none: nothing
    far = np.where(near >= 0, np.take_along_axis(near, near.clip(0), axis=1), -1)
    sides = []
    for one in range(4):
        steps = [np.minimum(values[by[one]], values[by[one + 4]]) for by in (near, far)]
        sides.append(np.maximum(*steps))
    return np.asarray(np.median(sides, axis=0))


def _heaps(summary: Summary, settings: CheckSettings) -> list[Number]:
    numbers: list[Number] = []
    for name, histogram in summary.labels.items():
        counts = histogram.counts.astype(np.float64)
        total = counts.sum()
        if total < 200:
            continue
        padded = np.pad(counts, _FAR)
        bins = len(counts)
        left = np.mean([padded[_FAR - d : _FAR - d + bins] for d in range(_NEAR, _FAR + 1)], axis=0)
        right = np.mean(
            [padded[_FAR + d : _FAR + d + bins] for d in range(_NEAR, _FAR + 1)], axis=0
        )
        expected = np.maximum(np.maximum(left, right), 1.0)
        label, edges = summary.shown[name].label, histogram.axes[0].edges()
        for place in np.flatnonzero(counts > settings.pile_up_share * total).tolist():
            about = (
                f"{name} {edges[place]:.{label.decimals}f} to {edges[place + 1]:.{label.decimals}f}"
            )
            numbers.append(
                Many(about, counts[place], float(expected[place]), settings.pile_up, 1.0)
            )
    return numbers
