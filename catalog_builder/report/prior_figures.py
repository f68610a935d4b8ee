"""The section on how much of the answers is the training population's."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.report.diagrams import figure
from catalog_builder.report.histogram import Histogram, quantiles, span
from catalog_builder.report.html import Cell, Html, number, paragraph, table, text
from catalog_builder.report.multiples import Multiples, Scale
from catalog_builder.report.pictures import BLUE, GREY, named
from catalog_builder.report.priors import SHARE, Priors, of_share
from catalog_builder.report.summary import Summary

#: A median of fewer stars says more about these stars than about the catalogue.
_LEAST: Final = 10
_SIZE: Final = (395.0, 200.0)


def section(summary: Summary) -> str:
    """Return figure and table; nothing where there is no such column, or no star has a value."""
    priors = summary.priors
    if priors.by_inputs is None or not priors.by_inputs.stars:
        return ""
    words = paragraph(
        "Where data say little, an answer is drawn towards what training stars are like on average,"
        " and many such stars together look like these. ",
        Html("<code>prior_share</code>"),
        " says how far: 0 where a star's own data determine all its labels, 1 where they say"
        " nothing. Stars of a large share are no evidence that a population looks like the training"
        " stars.",
    )
    return "\n".join([words, _picture(summary, priors), _by_inputs(summary, priors)])


def _picture(summary: Summary, priors: Priors) -> str:
    line = priors.line
    inputs, band = summary.shown.contract.inputs, summary.shown.magnitude_title
    title = inputs.title(line) if line else ""
    parts: list[tuple[Histogram, str, str]] = []
    if priors.by_ratio is not None and priors.by_ratio.stars:
        parts.append((priors.by_ratio, f"S/N of {title}", f"{title} spectrum used"))
    if priors.by_magnitude is not None and priors.by_magnitude.stars:
        without = f"without {title} spectrum" if line else "all stars"
        parts.append((priors.by_magnitude, band, without))
    if not parts:
        return ""
    columns = []
    for histogram, name, _ in parts:
        axis = histogram.axes[0]
        some = np.flatnonzero(histogram.counts.sum(axis=1) >= _LEAST)
        first, stop = (some[0], some[-1] + 1) if len(some) else (0, axis.bins)
        low, high = axis.edges()[[first, stop]].tolist()
        unit = "" if axis.log else " [mag]"
        columns.append(Scale(low, high, f"{text(name)}{unit}", log=axis.log))
    tables, pictures = [], []
    for scale, (histogram, name, which) in zip(columns, parts, strict=True):
        counts, axis = histogram.counts, histogram.axes[0]
        low, middle, high = quantiles(counts, SHARE, 0.16, 0.5, 0.84)
        few = counts.sum(axis=1) < _LEAST
        for values in (low, middle, high):
            values[few] = np.nan
        drawn = Multiples([scale], [Scale(0.0, 1.0, "prior_share")], _SIZE, [which])
        drawn.line(0, 0, [scale.low, scale.high], [0.5, 0.5], GREY, width=0.7, dashes="3 3")
        drawn.band(0, 0, axis.centres(), low, high, BLUE)
        drawn.line(0, 0, axis.centres(), middle, BLUE)
        drawn.dots(0, 0, axis.centres(), middle, BLUE)
        pictures.append(drawn.picture(""))
        edges = axis.edges()
        rows = [
            (span(edges[at], edges[at + 1]), *_cells(counts[at]))
            for at in range(axis.bins)
            if not few[at]
        ]
        tables.append(table(f"{which[:1].upper()}{which[1:]}, by {name}", (name, *_HEAD), rows))
    caption = (
        "The share of the training population in the answers: median, and 16 to 84 per cent."
        " Dashed: half."
    )
    alt = f"Median prior_share, by {' and by '.join(name for _, name, _ in parts)}."
    return figure(named(pictures, alt), caption, "", "\n".join(tables))


_HEAD: Final = ("Stars", "Median", "16 %", "84 %")


def _by_inputs(summary: Summary, priors: Priors) -> str:
    inputs = summary.shown.contract.inputs
    rows: list[tuple[Cell, ...]] = []
    for names, counts in priors.subsets():
        if counts.sum() >= _LEAST:
            used = ", ".join(inputs.title(name) for name in names)
            rows.append((used or "none", *_cells(counts)))
    caption = "Share of the training population in the answers, by what they were made from"
    return table(caption, ("Inputs used", *_HEAD), rows)


def _cells(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[Cell, ...]:
    low, middle, high = of_share(counts)
    return number(int(counts.sum())), f"{middle:.2f}", f"{low:.2f}", f"{high:.2f}"
