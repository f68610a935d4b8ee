"""Figures of tiers and of places: Kiel diagram, abundances, the disc; and what has no teachers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report import reasons, tables
from catalog_builder.report.diagrams import figure
from catalog_builder.report.histogram import Axis, Counts, merge, quantiles, window
from catalog_builder.report.html import NOTHING, Cell, Html, number, percent, table, text
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.multiples import Multiples, Scale, coloured
from catalog_builder.report.pictures import DENSITY_MAP, Picture, named
from catalog_builder.report.quantities import Quantity, difference_unit
from catalog_builder.report.regions import HEIGHT_EDGES, RADIUS
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import spelled

#: Of a panel, and panels of the Galaxy side by side on a phone.
_SIDE: Final = 236.0
_ABREAST: Final = 3
_LEAST: Final = 20


def tiers(summary: Summary, schema: CatalogSchema, labelled: Labelled | None) -> str:
    """Return the section on where stars of each tier are, beside those with labels."""
    regions, shown = summary.regions, summary.shown
    parts = [tables.tiers(summary, schema), reasons.kept_out(summary, schema)]
    names = [f"{tier.tier} {tier.name.replace('_', ' ')}" for tier in schema.flags.tiers]
    if regions.kiel is not None and shown.kiel is not None:
        planes, titles = list(regions.kiel.counts), list(names)
        if labelled is not None and labelled.kiel is not None and labelled.kiel.sum():
            planes.append(labelled.kiel)
            titles.append("with survey labels")
        axes = regions.kiel.axes[1], regions.kiel.axes[2]
        teff, logg = shown.kiel
        picture = _beside(planes, titles, axes, (teff, logg), schema, inverted=True)
        words = (
            "Stars of each tier in the Kiel diagram, and those with survey labels: where these are"
            " not, answers are extrapolated. From dark to bright: stars per cell, logarithmic."
        )
        numbers = _by_first(planes, titles, axes[0], teff)
        parts.append(figure(picture, words, "No star has both labels.", numbers))
        if (found := alone(summary, labelled)) is not None:
            told = difference_unit(schema, teff.name)
            parts.append(_extrapolated(*found, axes[0], teff, told))
    if regions.plane is not None:
        x, y = (shown[name] for name in regions.names["plane"])
        axes = regions.plane.axes[1], regions.plane.axes[2]
        planes = list(regions.plane.counts)
        picture = _beside(planes, names, axes, (x, y), schema, inverted=False)
        about = Html(f"{y.html} against {x.html}, by tier.")
        numbers = _by_first(planes, names, axes[0], x)
        parts.append(figure(picture, about, "No star has both labels.", numbers))
    return "\n".join(parts)


def galaxy(summary: Summary) -> str:
    """Return abundances in pieces of the disc."""
    regions = summary.regions
    if regions.galaxy is None or not regions.galaxy.stars:
        return ""
    counts = regions.galaxy.counts
    x, y = (summary.shown[name] for name in regions.names["plane"])
    axes = regions.galaxy.axes[2], regions.galaxy.axes[3]
    everything = counts.sum(axis=(0, 1))
    across, along = _scale(axes[0], everything.sum(axis=1)), _scale(axes[1], everything.sum(axis=0))
    edges, (columns, rows) = RADIUS.edges(), counts.shape[:2]
    titles = [f"R {edges[n]:g} to {edges[n + 1]:g} kpc" for n in range(columns)]
    heights = [f"{HEIGHT_EDGES[n]:g} to {HEIGHT_EDGES[n + 1]:g} kpc" for n in range(rows)][::-1]
    pictures = []
    for first in range(0, columns, _ABREAST):
        some = range(first, min(first + _ABREAST, columns))
        drawn = Multiples(
            [Scale(*across, x.html) for _ in some],
            [Scale(*along, f"|z| {one}") for one in heights],
            (120.0, 105.0), [titles[n] for n in some],
        )  # fmt: skip
        for row in range(rows):
            for place, column in enumerate(some):
                plane = counts[column, rows - 1 - row]
                _draw(drawn, row, place, plane, axes)
                drawn.note(row, place, spelled(int(plane.sum())))
        pictures.append(drawn.picture(""))
    table_rows: list[tuple[Cell, ...]] = []
    for row, words in enumerate(heights):
        some_planes = counts[:, rows - 1 - row]
        cells = [_median_of(one, axes[1], int(one.sum())) for one in some_planes]
        table_rows.append((f"|z| {words}", *cells))
    head = ("Height", *(f"R {edges[n]:g} … {edges[n + 1]:g} kpc" for n in range(columns)))
    numbers = table(f"Stars, and their median {y.label.short}", head, table_rows)
    caption = Html(
        f"{y.html} against {x.html} in pieces of the Galaxy: distance R from its axis in columns,"
        " height |z| over the plane in rows; in each panel"
        f" {y.html} upwards, and the number of stars. All tiers, where a star has a distance."
    )
    alt = f"Density of stars in {y.label.short} and {x.label.short}, by place in the Galaxy."
    return figure(named(pictures, alt), caption, "", numbers)


def _beside(
    planes: Sequence[Counts],
    titles: Sequence[str],
    axes: tuple[Axis, Axis],
    quantities: tuple[Quantity, Quantity],
    schema: CatalogSchema,
    *,
    inverted: bool,
) -> list[Picture] | None:
    everything = np.asarray(sum(planes))
    if not everything.sum():
        return None
    across, down = _scale(axes[0], everything.sum(axis=1)), _scale(axes[1], everything.sum(axis=0))
    if inverted:
        across, down = across[::-1], down[::-1]
    names = [f"{one.html} [{text(difference_unit(schema, one.name))}]" for one in quantities]
    pictures = []
    for counts, title in zip(planes, titles, strict=True):
        drawn = Multiples(
            [Scale(*across, names[0])], [Scale(*down, names[1])], (_SIDE, 0.9 * _SIDE), [title]
        )
        _draw(drawn, 0, 0, counts, axes)
        pictures.append(drawn.picture(""))
    alt = (
        f"{quantities[1].label.short} against {quantities[0].label.short}, stars per cell, for"
        f" {', '.join(titles)}."
    )
    return named(pictures, alt)


def _draw(drawn: Multiples, row: int, column: int, counts: Counts, axes: tuple[Axis, Axis]) -> None:
    with np.errstate(divide="ignore"):
        values = np.log10(np.where(counts > 0, counts, np.nan))
    most = max(1.0, float(np.log10(max(int(counts.max()), 1))))
    extent = (axes[0].low, axes[0].high), (axes[1].low, axes[1].high)
    drawn.cells(row, column, coloured(values, 0.0, most, DENSITY_MAP), extent)


def _scale(axis: Axis, counts: Counts) -> tuple[float, float]:
    first, stop = window(counts, 0.001)
    edges = axis.edges()
    return float(edges[first]), float(edges[stop])


def _by_first(
    planes: Sequence[Counts], titles: Sequence[str], axis: Axis, quantity: Quantity
) -> str:
    """Return stars of each plane by bins of its first axis."""
    factor = next(by for by in (4, 2, 1) if axis.bins % by == 0)
    sums = [merge(plane.sum(axis=1), factor) for plane in planes]
    edges = axis.merged(factor).edges()
    rows: list[tuple[Cell, ...]] = [
        (f"{edges[at]:g} … {edges[at + 1]:g}", *(number(int(one[at])) for one in sums))
        for at in range(len(sums[0]))
        if any(one[at] for one in sums)
    ]
    return table("Stars", (Html(quantity.html), *titles), rows)


def alone(summary: Summary, labelled: Labelled | None) -> tuple[Counts, Counts] | None:
    """Return stars in the Kiel diagram, and those of them without any star with labels near.

    Near is the same cell of the diagram and those around it. None where there is no diagram, or no
    star with labels.
    """
    kiel = summary.regions.kiel
    if kiel is None or labelled is None or labelled.kiel is None or not labelled.kiel.any():
        return None
    padded = np.pad(labelled.kiel, 1)
    rows, columns = labelled.kiel.shape
    around = sum(padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3))
    every = kiel.counts.sum(axis=0)
    return every, np.where(np.asarray(around) == 0, every, 0)


def _extrapolated(every: Counts, lone: Counts, axis: Axis, quantity: Quantity, told: str) -> str:
    """Return which share of stars has no star with labels near them, by temperature."""
    factor = next(by for by in (4, 2, 1) if axis.bins % by == 0)
    stars, lonely = (merge(np.asarray(one).sum(axis=1), factor) for one in (every, lone))
    edges = axis.merged(factor).edges()
    shown = [
        (
            f"{edges[at]:g} … {edges[at + 1]:g}",
            number(int(stars[at])),
            percent(float(lonely[at]), float(stars[at])),
        )
        for at in np.flatnonzero(stars >= _LEAST).tolist()
    ]
    total = ("all", number(int(stars.sum())), percent(float(lonely.sum()), float(stars.sum())))
    caption = "Extrapolated: stars without any labelled star near them in the Kiel diagram"
    head = (Html(f"{quantity.html} [{text(told)}]"), "Stars", "No labelled star nearby")
    return table(caption, head, shown, total=total)


def _median_of(plane: Counts, axis: Axis, stars: int) -> Cell:
    if stars < _LEAST:
        return f"{stars}" if stars else NOTHING
    (median,) = quantiles(plane.sum(axis=0), axis, 0.5)
    return Html(f"{text(number(stars))} · {float(median):+.2f}".replace("-", "−"))
