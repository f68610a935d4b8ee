"""Figures of stars with labels: answers against labels, what is off along what, and sigma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.histogram import Array, Axis, Counts, span, window
from catalog_builder.report.html import Cell, Html, covered, measure, number, table, text
from catalog_builder.report.labelled import KEPT_BACK, TAUGHT, Labelled
from catalog_builder.report.measured import PULL, Measured, along, sigmas
from catalog_builder.report.multiples import Multiples, Scale, coloured
from catalog_builder.report.pictures import (
    BLUE,
    COLOURS,
    DENSITY_MAP,
    GREY,
    INK,
    ORANGE,
    Picture,
    named,
)
from catalog_builder.report.pooling import LEAST, pooled, regime_cells
from catalog_builder.report.quantities import Quantity, difference_unit
from catalog_builder.report.words import regime

_NOMINAL: Final = np.linspace(0.02, 0.98, 49)
#: Of a panel: three of them, with their axes, are as wide as the page; and of one of several rows.
_SIDE, _ROW = 236.0, 88.0

#: Places, and three quantiles of differences and of pulls.
Along = tuple[Array, Array, Array, Array, Array, Array, Array]


def given(labelled: Labelled) -> list[Quantity]:
    """Return the labels that enough stars have to draw."""
    everybody = labelled.cell("all")
    return [
        q for q in labelled.shown.values() if labelled.measured(q.name, everybody).stars >= LEAST
    ]


def planes(labelled: Labelled, schema: CatalogSchema) -> list[Picture]:
    """Draw predictions against labels, a panel for each label."""
    pictures = []
    for quantity in (shown := given(labelled)):
        place = list(labelled.shown).index(quantity.name)
        axis, counts = labelled.plane_axis(quantity), labelled.planes[place]
        low, high = _reach(axis, counts.sum(axis=0) + counts.sum(axis=1))
        unit = text(difference_unit(schema, quantity.name))
        said = Scale(low, high, f"label {quantity.html} [{unit}]")
        answered = Scale(low, high, f"answer {quantity.html} [{unit}]")
        one = Multiples([said], [answered], (_SIDE, _SIDE))
        values = np.log10(np.where(counts > 0, counts, np.nan))
        most = max(1.0, float(np.log10(max(counts.max(), 1))))
        colours = coloured(values, 0.0, most, DENSITY_MAP)
        one.cells(0, 0, colours, ((axis.low, axis.high), (axis.low, axis.high)))
        one.line(0, 0, [low, high], [low, high], ORANGE, width=1.2)
        pictures.append(one.picture(""))
    alt = (
        "Answer against label for each label, stars per cell; the line is where both are equal:"
        f" {', '.join(quantity.name for quantity in shown)}."
    )
    return named(pictures, alt)


def residuals(
    labelled: Labelled, schema: CatalogSchema, *, pulls: bool, what: str = "Answer minus label"
) -> list[Picture]:
    """Draw differences, or pulls, of each label along itself, temperature, S/N and magnitude."""
    shown = given(labelled)
    divisions = [n for n in ("own", "temperature", "snr", "magnitude") if n in labelled.divisions]
    found = {(q.name, name): _along(labelled, q, name) for q in shown for name in divisions}
    # What no labelled star has, such as S/N where spectra of lines are missing, has no picture.
    drawable = {name for (_, name), (places, *_) in found.items() if len(places)}
    divisions = [name for name in divisions if name == "own" or name in drawable]
    rows = {}
    for quantity in shown:
        if pulls:
            rows[quantity.name] = Scale(-2.5, 2.5, f"Δ/σ {quantity.html}")
            continue
        every = [found[quantity.name, name][1:4] for name in divisions]
        reach = max(float(np.nanmax(np.abs(one), initial=0.0)) for one in every) or 1.0
        title = f"Δ {quantity.html} [{text(difference_unit(schema, quantity.name))}]"
        rows[quantity.name] = Scale(-1.1 * reach, 1.1 * reach, title)
    pictures = []
    for name in divisions[1:] if shown else ():
        title = _title(labelled, schema, name)
        column = _column(name, title, [found[q.name, name][0] for q in shown])
        drawn = Multiples([column], list(rows.values()), (_SIDE, _ROW))
        for row, quantity in enumerate(shown):
            _draw(drawn, row, column, found[quantity.name, name], pulls=pulls)
        pictures.append(drawn.picture(""))
    for quantity in shown:
        unit = difference_unit(schema, quantity.name)
        column = _column("own", f"{quantity.html} [{text(unit)}]", [found[quantity.name, "own"][0]])
        drawn = Multiples([column], [rows[quantity.name]], (_SIDE, _ROW))
        _draw(drawn, 0, column, found[quantity.name, "own"], pulls=pulls)
        pictures.append(drawn.picture(""))
    what = "Difference over its expected deviation" if pulls else what
    alt = (
        f"{what}, median and 16 to 84 per cent, of {', '.join(q.name for q in shown)}, along"
        f" {''.join(f'{labelled.divisions[n].title}, ' for n in divisions[1:])}the label itself."
    )
    return named(pictures, alt)


def _draw(drawn: Multiples, row: int, column: Scale, found: Along, *, pulls: bool) -> None:
    """Draw one panel."""
    x, low, middle, high, *more = found
    if pulls:
        low, middle, high = more
    ends = [column.low, column.high]
    drawn.line(row, 0, ends, [0, 0], INK, width=0.7)
    for level in (-1, 1) if pulls else ():
        drawn.line(row, 0, ends, [level, level], GREY, width=0.7, dashes="3 3")
    drawn.band(row, 0, x, low, high, BLUE)
    drawn.line(row, 0, x, middle, BLUE)
    drawn.dots(row, 0, x, middle, BLUE)


def _title(labelled: Labelled, schema: CatalogSchema, name: str) -> str:
    """Return what a division is along, with its unit."""
    teff = labelled.shown.first("temperature")
    if name == "temperature" and teff is not None:
        return f"{teff.html} [{text(difference_unit(schema, teff.name))}]"
    unit = " [mag]" if name == "magnitude" else ""
    return f"{text(labelled.divisions[name].title)}{unit}"


def _column(name: str, title: str, places: Sequence[Array]) -> Scale:
    """Return the axis of a column, of where its points are."""
    values = np.concatenate([np.asarray(x, dtype=float) for x in places])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if name == "snr":
        return Scale(low / 1.2, high * 1.2, title, log=True)
    margin = 0.06 * (high - low) or 0.5
    return Scale(low - margin, high + margin, title)


def _along(labelled: Labelled, quantity: Quantity, name: str) -> Along:
    """Return places, and 16, 50 and 84 % of differences and of pulls, in bins with enough stars."""
    axis = labelled.divisions[name].axis or (along(quantity) if name == "own" else sigmas(quantity))
    rows = []
    for first, stop, found in pooled(labelled, quantity.name, name):
        middle = float(axis.value(np.array((first + stop) / 2)))
        rows.append((middle, *found.quartiles, *found.pull(0.16, 0.5, 0.84).tolist()))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 7).T
    return tuple(columns)  # type: ignore[return-value]


def calibration(labelled: Labelled) -> list[Picture]:
    """Draw the share of stars within intervals against the share that they should hold."""
    shown = given(labelled)
    everybody = labelled.cell("all")
    titles = {
        KEPT_BACK: "stars that did not teach",
        TAUGHT: "stars that taught",
    }
    pictures = []
    for group, title in titles.items():
        found = [labelled.measured(q.name, everybody, group) for q in shown]
        fewest = min((one.stars for one in found if one.stars), default=0)
        if max((one.stars for one in found), default=0) < LEAST:
            continue
        drawn = Multiples(
            [Scale(0, 1, "nominal share")], [Scale(-0.2, 0.2, "observed − nominal")],
            (1.4 * _SIDE, 0.9 * _SIDE), [title],
        )  # fmt: skip
        error = 1.96 * np.sqrt(_NOMINAL * (1 - _NOMINAL) / fewest)
        drawn.band(0, 0, _NOMINAL, -error, error, GREY)
        drawn.line(0, 0, [0, 1], [0, 0], INK, width=0.8)
        for place, (quantity, one) in enumerate(zip(shown, found, strict=True)):
            colour = COLOURS[place % len(COLOURS)]
            if one.stars >= LEAST:
                drawn.line(0, 0, _NOMINAL, observed(one, _NOMINAL) - _NOMINAL, colour)
            drawn.legend(colour, quantity.html)
        pictures.append(drawn.picture(""))
    alt = (
        "Observed minus nominal share of stars within an interval, against the nominal share, a"
        " line for each label; shaded: what chance makes of honest uncertainties in 95 of 100"
        " cases."
    )
    return named(pictures, alt)


def observed(found: Measured, nominal: Array) -> Array:
    """Return which share of stars is within the interval that should hold this share."""
    from scipy.special import ndtri

    edges = PULL.edges()
    below = np.concatenate([[0.0], np.cumsum(found.pulls)]) / max(found.stars, 1)
    reach = ndtri(0.5 + nominal / 2)
    return np.asarray(np.interp(reach, edges, below) - np.interp(-reach, edges, below))


def honesty(labelled: Labelled, schema: CatalogSchema) -> list[Picture]:
    """Draw the scatter of pulls against sigma: 1 where sigma is right."""
    pictures = []
    for quantity in (shown := given(labelled)):
        axis, found = sigmas(quantity), pooled(labelled, quantity.name, "sigma")
        edges = axis.edges()
        low, high = quantity.sigma.low, quantity.sigma.high
        if found:
            low, high = float(edges[found[0][0]]), float(edges[found[-1][1]])
        x = np.array([float(axis.value(np.array((a + b) / 2))) for a, b, _ in found])
        y = np.array([one.pull_scatter for *_, one in found])
        error = np.array([1.166 / math.sqrt(one.stars) for *_, one in found])
        title = f"σ {quantity.html} [{text(difference_unit(schema, quantity.name))}]"
        ends = min(0.6, *(0.95 * y * (1 - error))), max(1.4, *(1.05 * y * (1 + error)))
        down = Scale(*ends, "scatter over what σ says")
        drawn = Multiples([Scale(low, high, title, log=True)], [down], (_SIDE, 0.7 * _SIDE))
        drawn.line(0, 0, [low, high], [1, 1], INK, width=0.8)
        drawn.band(0, 0, x, y * (1 - error), y * (1 + error), BLUE)
        drawn.line(0, 0, x, y, BLUE)
        drawn.dots(0, 0, x, y, BLUE)
        pictures.append(drawn.picture(""))
    alt = (
        "Robust scatter of the differences over their expected deviation, against sigma, with its"
        f" error; 1 where sigma is right: {', '.join(q.name for q in shown)}."
    )
    return named(pictures, alt)


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
    caption = "Stars with survey labels, by regime"
    return table(caption, head, rows, words=2)


def along_table(
    labelled: Labelled, schema: CatalogSchema, name: str, *, pulls: bool = False
) -> str:
    """Return differences along something as a table, or these over their expected deviation."""
    rows = []
    for quantity in given(labelled):
        own = sigmas(quantity) if name == "sigma" else along(quantity)
        edges = (labelled.divisions[name].axis or own).edges()
        for first, stop, found in pooled(labelled, quantity.name, name):
            cells = _pulls(found) if pulls else _differences(found)
            unit = "" if pulls else f" [{text(difference_unit(schema, quantity.name))}]"
            where = span(edges[first], edges[stop])
            rows.append((Html(f"{quantity.html}{unit}"), where, number(found.stars), *cells))
    title = labelled.divisions[name].title
    what = "Δ/σ along" if pulls else "Along"
    last = ("16 %", "Median", "84 %") if pulls else ("Bias", "Scatter", "Within 1 σ")
    return table(f"{what} {title}", ("Label", title, "Stars", *last), rows, words=2)


def _differences(found: Measured) -> tuple[Cell, ...]:
    digits = found.quantity.decimals
    within = covered(found.within_68 / found.stars, found.stars, 0.6827)
    return measure(found.bias, digits, signed=True), measure(found.scatter, digits), within


def _pulls(found: Measured) -> tuple[Cell, ...]:
    return tuple(measure(one, 2, signed=True) for one in found.pull(0.16, 0.5, 0.84).tolist())


def _reach(axis: Axis, counts: Counts) -> tuple[float, float]:
    first, last = window(counts, 0.001)
    edges = axis.edges()
    return float(edges[first]), float(edges[last])
