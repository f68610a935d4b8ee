"""Figures of stars with labels: answers against labels, what is off along what, and sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.histogram import Array, Axis, Counts, span, window
from catalog_builder.report.html import Html, covered, measure, number, table, text
from catalog_builder.report.labelled import KEPT_BACK, TAUGHT, Labelled
from catalog_builder.report.measured import PULL, Measured, along, sigmas
from catalog_builder.report.multiples import Multiples, Scale, coloured
from catalog_builder.report.pictures import BLUE, COLOURS, DENSITY_MAP, GREY, INK, ORANGE, Picture
from catalog_builder.report.pooling import LEAST, pooled, regime_cells
from catalog_builder.report.quantities import Quantity, difference_unit, unit
from catalog_builder.report.words import regime

_NOMINAL: Final = np.linspace(0.02, 0.98, 49)
_WIDTH: Final = 880.0


def given(labelled: Labelled) -> list[Quantity]:
    """Return the labels that enough stars have to draw."""
    everybody = labelled.cell("all")
    return [
        q for q in labelled.shown.values() if labelled.measured(q.name, everybody).stars >= LEAST
    ]


def planes(labelled: Labelled, schema: CatalogSchema) -> Picture | None:
    """Draw predictions against labels, a panel for each label."""
    shown = given(labelled)
    if not shown:
        return None
    side = _WIDTH / 3 - 90
    parts = []
    for quantity in shown:
        place = list(labelled.shown).index(quantity.name)
        axis, counts = labelled.plane_axis(quantity), labelled.planes[place]
        low, high = _reach(axis, counts.sum(axis=0) + counts.sum(axis=1))
        scale = Scale(low, high, f"{quantity.html} [{text(unit(schema, quantity.name))}]")
        parts.append((scale, axis, counts, quantity))
    return _beside(parts, side)


def _beside(parts: Sequence[tuple[Scale, Axis, Counts, Quantity]], side: float) -> Picture:
    """Put panels with scales of their own side by side."""
    pictures = []
    for scale, axis, counts, quantity in parts:
        said = Scale(scale.low, scale.high, f"label {quantity.html}")
        answered = Scale(scale.low, scale.high, f"answer {scale.title}")
        one = Multiples([said], [answered], (side, side))
        values = np.log10(np.where(counts > 0, counts, np.nan))
        most = max(1.0, float(np.log10(max(counts.max(), 1))))
        colours = coloured(values, 0.0, most, DENSITY_MAP)
        one.cells(0, 0, colours, ((axis.low, axis.high), (axis.low, axis.high)))
        one.line(0, 0, [scale.low, scale.high], [scale.low, scale.high], ORANGE, width=1.2)
        pictures.append(one)
    alt = (
        "Answer against label for each label, stars per cell; the line is where both are equal:"
        f" {', '.join(quantity.name for *_, quantity in parts)}."
    )
    return side_by_side(pictures, alt)


def side_by_side(panels: Sequence[Multiples], alt: str) -> Picture:
    """Return several pictures in one, in rows of three."""
    columns = min(3, len(panels))
    drawn = [panel.picture("") for panel in panels]
    sizes = [panel.extent for panel in panels]
    wide, tall = max(w for w, _ in sizes), max(h for _, h in sizes)
    rows = -(-len(panels) // columns)
    body = ""
    for place, picture in enumerate(drawn):
        x, y = place % columns * wide, place // columns * tall
        inner = picture.data.decode().replace("<svg ", f'<svg x="{x:.0f}" y="{y:.0f}" ', 1)
        body += inner.replace('id="c', f'id="p{place}c').replace("url(#c", f"url(#p{place}c")
    content = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide * columns:.0f}'
        f' {tall * rows:.0f}" width="{wide * columns:.0f}" height="{tall * rows:.0f}">{body}</svg>'
    )
    return Picture(content.encode(), "image/svg+xml", alt, wide * columns / 96.0)


def residuals(
    labelled: Labelled, schema: CatalogSchema, *, pulls: bool, what: str = "Answer minus label"
) -> Picture | None:
    """Draw differences, or pulls, of each label along itself, temperature, S/N and magnitude."""
    shown, divisions = given(labelled), _divisions(labelled)
    if not shown:
        return None
    size = (_WIDTH - 80) / len(divisions), 88.0
    rows, columns = [], []
    found = {
        (quantity.name, name): _along(labelled, quantity, name)
        for quantity in shown
        for name in divisions
    }
    for quantity in shown:
        if pulls:
            rows.append(Scale(-2.5, 2.5, f"Δ/σ {quantity.html}"))
            continue
        reach = max(
            (float(np.nanmax(np.abs(f[1:4]), initial=0.0)) for n in divisions
             if len((f := found[quantity.name, n])[0])), default=1.0,
        )  # fmt: skip
        title = f"Δ {quantity.html} [{text(difference_unit(schema, quantity.name))}]"
        rows.append(Scale(-1.1 * reach or -1.0, 1.1 * reach or 1.0, title))
    for name in divisions:
        columns.append(_column(labelled, name, [found[q.name, name][0] for q in shown]))
    drawn = Multiples(columns, rows, size)
    for row, quantity in enumerate(shown):
        for column, name in enumerate(divisions):
            x, low, middle, high, *more = found[quantity.name, name]
            if pulls:
                low, middle, high = more
            if name == "own":  # its own scale does not fit the others'
                x = from_least_to_most(x)
            drawn.line(
                row, column, [columns[column].low, columns[column].high], [0, 0], INK, width=0.7
            )
            for level in (-1, 1) if pulls else ():
                drawn.line(
                    row, column, [columns[column].low, columns[column].high], [level, level], GREY,
                    width=0.7, dashes="3 3",
                )  # fmt: skip
            drawn.band(row, column, x, low, high, BLUE)
            drawn.line(row, column, x, middle, BLUE)
            drawn.dots(row, column, x, middle, BLUE)
    what = "Difference over its expected deviation" if pulls else what
    alt = (
        f"{what}, median and 16 to 84 per cent, of {', '.join(q.name for q in shown)} in rows,"
        f" along {', '.join(labelled.divisions[name].title for name in divisions)} in columns."
    )
    return drawn.picture(alt)


def from_least_to_most(values: Array) -> Array:
    """Return where values lie between the least and the greatest of them, 0 to 1."""
    if not len(values):
        return values
    return np.asarray((values - values.min()) / max(np.ptp(values), 1e-300))


def _divisions(labelled: Labelled) -> list[str]:
    return [
        name for name in ("own", "temperature", "snr", "magnitude") if name in labelled.divisions
    ]


def _column(labelled: Labelled, name: str, places: Sequence[Array]) -> Scale:
    """Return the axis of a column, of where its points are."""
    if name == "own":
        return Scale(-0.03, 1.03, "the label itself, least to greatest")
    values = np.concatenate([np.asarray(x, dtype=float) for x in places])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if name == "snr":
        return Scale(low / 1.2, high * 1.2, "S/N", log=True)
    margin = 0.06 * (high - low) or 0.5
    return Scale(low - margin, high + margin, text(labelled.divisions[name].title))


def _along(
    labelled: Labelled, quantity: Quantity, name: str
) -> tuple[Array, Array, Array, Array, Array, Array, Array]:
    """Return places, and 16, 50 and 84 % of differences and of pulls, in bins with enough stars."""
    axis = labelled.divisions[name].axis or (along(quantity) if name == "own" else sigmas(quantity))
    rows = []
    for first, stop, found in pooled(labelled, quantity.name, name):
        middle = float(axis.value(np.array((first + stop) / 2)))
        rows.append((middle, *found.quartiles, *found.pull(0.16, 0.5, 0.84).tolist()))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 7).T
    return tuple(columns)  # type: ignore[return-value]


def calibration(labelled: Labelled) -> Picture | None:
    """Draw which share of stars is within what should be so many, for each label."""
    shown = given(labelled)
    if not shown:
        return None
    everybody = labelled.cell("all")
    titles = {
        KEPT_BACK: "stars that did not teach",
        TAUGHT: "stars that taught, by models without them",
    }
    groups = [
        group for group in (KEPT_BACK, TAUGHT)
        if any(labelled.measured(q.name, everybody, group).stars >= LEAST for q in shown)
    ]  # fmt: skip
    drawn = Multiples(
        [Scale(0, 1, "nominal share") for _ in groups], [Scale(-0.2, 0.2, "observed − nominal")],
        ((_WIDTH - 90) / len(groups) - 10 if len(groups) > 1 else 430.0, 230.0),
        [titles[group] for group in groups],
    )  # fmt: skip
    for column, group in enumerate(groups):
        stars = [labelled.measured(q.name, everybody, group).stars for q in shown]
        fewest = max(1, min(n for n in stars if n))
        error = 1.96 * np.sqrt(_NOMINAL * (1 - _NOMINAL) / fewest)
        drawn.band(0, column, _NOMINAL, -error, error, GREY)
        drawn.line(0, column, [0, 1], [0, 0], INK, width=0.8)
        for place, quantity in enumerate(shown):
            found = labelled.measured(quantity.name, everybody, group)
            if found.stars >= LEAST:
                off = observed(found, _NOMINAL) - _NOMINAL
                drawn.line(0, column, _NOMINAL, off, COLOURS[place % len(COLOURS)])
    for place, quantity in enumerate(shown):
        drawn.legend(COLOURS[place % len(COLOURS)], quantity.html)
    alt = (
        "Observed minus nominal share of stars within an interval, against the nominal share, a"
        " line for each label; shaded: what chance makes of honest uncertainties in 95 of 100"
        " cases."
    )
    return drawn.picture(alt)


def observed(found: Measured, nominal: Array) -> Array:
    """Return which share of stars is within the interval that should hold this share."""
    from scipy.special import ndtri

    edges = PULL.edges()
    below = np.concatenate([[0.0], np.cumsum(found.pulls)]) / max(found.stars, 1)
    reach = ndtri(0.5 + nominal / 2)
    return np.asarray(np.interp(reach, edges, below) - np.interp(-reach, edges, below))


def honesty(labelled: Labelled, schema: CatalogSchema) -> Picture | None:
    """Draw the scatter of pulls against sigma: 1 where sigma is right."""
    shown = given(labelled)
    if not shown:
        return None
    columns = []
    for quantity in shown:
        axis, found = sigmas(quantity), pooled(labelled, quantity.name, "sigma")
        ends = [axis.edges()[n] for first, stop, _ in found for n in (first, stop)]
        low, high = (min(ends), max(ends)) if ends else (quantity.sigma.low, quantity.sigma.high)
        title = f"σ {quantity.html} [{text(difference_unit(schema, quantity.name))}]"
        columns.append(Scale(float(low), float(high), title, log=True))
    size = ((_WIDTH - 80) / len(shown) - 10, 170.0)
    drawn = Multiples(columns, [Scale(0.4, 1.8, "scatter over what σ says")], size)
    for column, quantity in enumerate(shown):
        found, axis = pooled(labelled, quantity.name, "sigma"), sigmas(quantity)
        x = [float(axis.value(np.array((first + stop) / 2))) for first, stop, _ in found]
        y = np.array([one.pull_scatter for *_, one in found])
        error = np.array([1.166 / math.sqrt(one.stars) for *_, one in found])
        scale = columns[column]
        drawn.line(0, column, [scale.low, scale.high], [1, 1], INK, width=0.8)
        drawn.band(0, column, np.array(x), y * (1 - error), y * (1 + error), BLUE)
        drawn.line(0, column, x, y, BLUE)
        drawn.dots(0, column, x, y, BLUE)
    alt = (
        "Robust scatter of the differences over their expected deviation, against sigma, with its"
        f" error; 1 where sigma is right: {', '.join(q.name for q in shown)}."
    )
    return drawn.picture(alt)


def regimes_table(labelled: Labelled, schema: CatalogSchema) -> str:
    """Return scatter, bias and coverage of every label, of all stars and by regime."""
    rows = []
    for quantity in given(labelled):
        for name, cells in regime_cells(labelled, quantity.name, LEAST):
            found = labelled.measured(quantity.name, cells)
            if found.stars < LEAST:
                continue
            title = regime(name, schema.inputs) or "all"
            decimals = quantity.decimals
            rows.append(
                (
                    Html(f"{quantity.html} [{text(difference_unit(schema, quantity.name))}]"),
                    title,
                    covered(found.within_68 / found.stars, found.stars, 0.6827),
                    covered(found.within_95 / found.stars, found.stars, 0.95),
                    number(found.stars),
                    measure(found.scatter, decimals),
                    measure(found.bias, decimals, signed=True),
                )
            )
    head = ("Label", "Regime", "Within 1 σ (68.3 %)", "In 95 %", "Stars", "Scatter", "Bias")
    caption = "Stars with labels, by regime"
    return table(caption, head, rows, words=2)


def along_table(labelled: Labelled, schema: CatalogSchema, name: str) -> str:
    """Return differences along something as a table: bias, scatter and coverage per bin."""
    shown = given(labelled)
    rows = []
    for quantity in shown:
        own = sigmas(quantity) if name == "sigma" else along(quantity)
        axis = labelled.divisions[name].axis or own
        edges = axis.edges()
        for first, stop, found in pooled(labelled, quantity.name, name):
            rows.append(
                (
                    Html(f"{quantity.html} [{text(difference_unit(schema, quantity.name))}]"),
                    span(edges[first], edges[stop]),
                    number(found.stars),
                    measure(found.bias, quantity.decimals, signed=True),
                    measure(found.scatter, quantity.decimals),
                    covered(found.within_68 / found.stars, found.stars, 0.6827),
                )
            )
    title = labelled.divisions[name].title
    head = ("Label", title, "Stars", "Bias", "Scatter", "Within 1 σ")
    return table(f"Along {title}", head, rows, words=2)


def _reach(axis: Axis, counts: Counts) -> tuple[float, float]:
    first, last = window(counts, 0.001)
    edges = axis.edges()
    return float(edges[first]), float(edges[last])
