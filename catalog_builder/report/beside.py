"""What figures show, as tables: for who cannot see them, and for who wants the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from catalog_builder.report.histogram import (
    Axis,
    Counts,
    Histogram,
    MeanMap,
    merge,
    quantiles,
    span,
)
from catalog_builder.report.html import NOTHING, Cell, Html, measure, number, percent, table, text
from catalog_builder.report.quantities import Quantity
from catalog_builder.report.summary import MAGNITUDE, SIGNAL_TO_NOISE, SKY_Y, Summary

#: Cells of a plane along each axis, as a table; and stars of a median.
_COARSE, _LEAST = 8, 10
#: Of the map of the sky: bands of this many cells.
_BAND: Final = 18


def completeness(summary: Summary) -> str:
    """Return sources, and shares with labels and inputs, by whole magnitudes."""
    total = merge(summary.magnitude["all"].counts, 2)
    inputs = summary.shown.contract.inputs
    titles: list[Cell] = [Html(q.html) for q in summary.shown.values()]
    titles += [f"{inputs.title(name)} used" for name in inputs.names]
    names = [*summary.shown, *(f"{name}_used" for name in inputs.names)]
    parts = [merge(summary.magnitude[name].counts, 2) for name in names]
    rows: list[tuple[Cell, ...]] = [
        (_bin(MAGNITUDE.merged(2), at), number(int(total[at])), *(
            percent(int(part[at]), int(total[at])) for part in parts))
        for at in np.flatnonzero(total).tolist()
    ]  # fmt: skip
    band = summary.shown.magnitude_title
    return table(f"By {band}", (band, "Sources", *titles), rows)


def medians(
    summary: Summary, counted: Mapping[tuple[str, str], Counts], axis: Axis, title: str
) -> str:
    """Return the median sigma of each label by bins of something, for several groups of stars.

    Parameters
    ----------
    summary : Summary
        Of the catalogue.
    counted : mapping of (str, str) to ndarray, shape (bins, bins of sigma)
        By label and name of the group.
    axis : Axis
        Of the first dimension.
    title : str
        What it is.
    """
    groups = list(dict.fromkeys(group for _, group in counted))
    head: list[Cell] = [title]
    columns = []
    for name, quantity in summary.shown.items():
        for group in groups:
            counts = counted.get((name, group))
            if counts is None:
                continue
            head.append(Html(f"{quantity.html}{f', {text(group)}' if group else ''}"))
            columns.append((quantity, counts, quantiles(counts, quantity.sigma, 0.5)[0]))
    rows = []
    for at in range(axis.bins):
        cells = [_median(quantity, counts[at], median[at]) for quantity, counts, median in columns]
        if any(cell != NOTHING for cell in cells):
            rows.append((_bin(axis, at), *cells))
    return table("Median σ", head, rows)


def by_magnitude(summary: Summary, spectrum: str) -> str:
    """Return the median sigma by magnitude, with and without a spectrum."""
    looks = {True: "used" if spectrum else "", False: "not used"}
    counted = {
        (name, looks[used]): histogram.counts
        for (name, seen, used), histogram in summary.sigma_by_magnitude.items()
        if seen == spectrum and (used or spectrum)
    }
    return medians(summary, counted, MAGNITUDE, summary.shown.magnitude_title)


def by_snr(summary: Summary, spectrum: str) -> str:
    """Return the median sigma by signal-to-noise ratio."""
    counted = {
        (name, ""): histogram.counts
        for (name, seen), histogram in summary.sigma_by_snr.items()
        if seen == spectrum
    }
    return medians(summary, counted, SIGNAL_TO_NOISE, "S/N")


def plane(histogram: Histogram, x: str, y: str) -> str:
    """Return the stars of a plane in coarse cells; with means, what is averaged.

    Parameters
    ----------
    histogram : Histogram
        Two axes; a `MeanMap` gives means beside numbers.
    x, y : str
        Markup of what the axes are.
    """
    counts = histogram.counts
    means = histogram.sums if isinstance(histogram, MeanMap) else None
    across, down = (list(_spans(counts.sum(axis=1 - one))) for one in (0, 1))
    edges = [axis.edges() for axis in histogram.axes]
    head: list[Cell] = [Html(f"{y} \\ {x}")]
    head += [span(edges[0][first], edges[0][stop]) for first, stop in across]
    rows = []
    for low, high in down:
        cells: list[Cell] = []
        for first, stop in across:
            stars = int(counts[first:stop, low:high].sum())
            mean = None if means is None or not stars else means[first:stop, low:high].sum() / stars
            cells.append(_counted(stars, mean))
        rows.append((span(edges[1][low], edges[1][high]), *cells))
    return table("Stars" if means is None else "Stars, and their mean", head, rows)


def sky(summary: Summary) -> str:
    """Return sources by bands of galactic latitude."""
    counts = summary.sky.counts.sum(axis=0)
    bands = counts.reshape(-1, _BAND).sum(axis=1)
    edges = SKY_Y.edges()[::_BAND]
    rows = [
        (f"{_latitude(edges[at]):+.0f}° … {_latitude(edges[at + 1]):+.0f}°".replace("-", "−"),
         number(int(bands[at])), percent(int(bands[at]), int(bands.sum())))
        for at in reversed(range(len(bands)))
    ]  # fmt: skip
    return table("By galactic latitude, in bands of equal height on the map",
                 ("Latitude", "Sources", "Share"), rows)  # fmt: skip


def _latitude(y: float) -> float:
    theta = math.asin(max(-1.0, min(1.0, y / math.sqrt(2))))
    sine = (2 * theta + math.sin(2 * theta)) / math.pi
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def _spans(counts: Counts) -> Iterator[tuple[int, int]]:
    """Cut the bins that hold stars in some of equal width."""
    filled = np.flatnonzero(counts)
    if not len(filled):
        return
    first, stop = int(filled[0]), int(filled[-1]) + 1
    edges = np.unique(np.linspace(first, stop, _COARSE + 1).round().astype(int)).tolist()
    yield from pairwise(edges)


def _median(quantity: Quantity, counts: Counts, median: float) -> Cell:
    return measure(float(median), quantity.decimals) if counts.sum() >= _LEAST else NOTHING


def _counted(stars: int, mean: float | None) -> Cell:
    if not stars:
        return NOTHING
    if mean is None:
        return number(stars)
    return Html(f"{text(number(stars))} · {mean:.4g}".replace("-", "−"))


def _bin(axis: Axis, at: int) -> str:
    edges = axis.edges()
    return span(edges[at], edges[at + 1])
