"""Figures of a comparison with another table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from catalog_builder.comparing.figures import density_of
from catalog_builder.comparing.outside.axes import AxisOf
from catalog_builder.comparing.outside.engine import Beside
from catalog_builder.comparing.outside.tally import Numbers, Tally
from catalog_builder.comparing.outside.words import LEAST_STARS
from catalog_builder.comparing.regimes import UNKNOWN
from catalog_builder.report.histogram import window
from catalog_builder.report.pictures import (
    BLUE,
    DENSITY_MAP,
    GREY,
    INK,
    ORANGE,
    Picture,
    as_picture,
    new_figure,
    panels,
)
from catalog_builder.report.quantities import difference_unit

#: Pulls that are shown, and the width of a bar.
_REACH, _WIDTH = 5.0, 0.25
_SIZE: Final = (2.55, 1.55)
#: Columns of panels that a page has room for.
_COLUMNS: Final = 4
_WIDTH_OF_PAGE: Final = 10.2


def planes(found: Beside) -> Picture | None:
    """Draw ours against theirs, one panel a label."""
    shown = _shown(found)
    if not shown:
        return None
    figure, grid = panels(len(shown), columns=_columns(len(shown)), size=_size(len(shown), 0.95))
    for tally, panel in zip(shown, grid, strict=True):
        counts, axis = tally.plane.counts, tally.plane.axes[0]
        spans = [window(counts.sum(axis=of), 0.001) for of in (0, 1)]
        first, stop = min(span[0] for span in spans), max(span[1] for span in spans)
        edges, shares = axis.edges()[first : stop + 1], counts[first:stop, first:stop]
        density = np.ma.masked_equal(shares.T, 0)
        norm = LogNorm(1, max(int(counts.max()), 2))
        panel.pcolormesh(edges, edges, density, cmap=DENSITY_MAP, norm=norm, rasterized=True)
        ends = [edges[0], edges[-1]]
        panel.plot(ends, ends, color=ORANGE, linewidth=1.0)
        panel.set_aspect("equal")
        panel.set_xlim(*ends)
        panel.set_ylim(*ends)
        printed = difference_unit(found.side.schema, tally.label.name)
        panel.set_xlabel(f"theirs {tally.label.tex} [{printed}]")
        panel.set_ylabel(f"ours {tally.label.tex} [{printed}]")
    alt = (
        "One panel per label: density of stars, the other table's value to the right, ours upwards,"
        " with the line on which both are equal."
    )
    return as_picture(figure, "png", alt)


def pulls(found: Beside) -> Picture | None:
    """Draw the differences in units of the expected ones, beside a Gaussian."""
    shown = [t for t in _shown(found) if t.numbers().with_error >= LEAST_STARS]
    if not shown:
        return None
    figure, grid = panels(len(shown), columns=_columns(len(shown)), size=_size(len(shown), 0.75))
    edges = np.arange(-_REACH, _REACH + _WIDTH / 2, _WIDTH)
    fine = np.linspace(-_REACH, _REACH, 201)
    gauss = np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi)
    for tally, panel in zip(shown, grid, strict=True):
        density = density_of(tally.pulls, edges)
        panel.stairs(density, edges, color=ORANGE, label="found")
        panel.plot(fine, gauss, color=INK, linewidth=1.0, linestyle="--", label="expected")
        panel.set_xlabel(f"Δ {tally.label.tex} / expected")
        panel.set_xlim(-_REACH, _REACH)
        panel.set_ylim(bottom=0, top=max(0.45, 1.1 * float(density.max())))
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=len(names))
    alt = (
        "One panel per label: distribution of ours less theirs in units of the expected difference,"
        " beside a Gaussian of width 1. Median and width are "
        + ", ".join(
            f"{t.label.name} {t.numbers().pull:+.2f} and {t.numbers().pull_scatter:.2f}"
            for t in shown
        )
        + "."
    )
    return as_picture(figure, "svg", alt)


def trends(found: Beside) -> list[Picture]:
    """Draw median differences and their scatter along each axis, some axes a figure."""
    shown = [axis for axis in found.axes if _regimes(found, axis)]
    if not shown or not found.tallies:
        return []
    count = -(-len(shown) // _COLUMNS)
    size = -(-len(shown) // count)
    return [_trends(found, shown[at : at + size]) for at in range(0, len(shown), size)]


def _trends(found: Beside, axes: Sequence[AxisOf]) -> Picture:
    tallies = list(found.tallies.values())
    figure = new_figure(_SIZE[0] * max(len(axes), 2), _SIZE[1] * len(tallies) + 1.0)
    grid = figure.subplots(len(tallies), len(axes), squeeze=False, sharex="col", sharey="row")
    for row, tally in zip(grid, tallies, strict=True):
        reach = [0.0]
        for panel, axis in zip(row, axes, strict=True):
            places, first = _regimes(found, axis), found.first_cell(axis)
            cells = [(at, tally.numbers(first + place)) for at, place in enumerate(places)]
            reach.append(_draw(panel, [c for c in cells if c[1].stars >= LEAST_STARS]))
            names = [axis.regimes[place] for place in places]
            panel.set_xticks(range(len(places)), names, rotation=55, ha="right")
            panel.minorticks_off()
            panel.set_xlim(-0.6, len(places) - 0.4)
        row[0].set_ylim(-1.08 * max(reach), 1.08 * max(reach)) if max(reach) > 0 else None
        printed = difference_unit(found.side.schema, tally.label.name)
        row[0].set_ylabel(f"Δ {tally.label.tex}\n[{printed}]")
    for panel, axis in zip(grid[0], axes, strict=True):
        panel.set_title(axis.title.partition(",")[0])
    handles, names = grid[0][0].get_legend_handles_labels()
    if names:
        figure.legend(handles, names, loc="outside upper right", ncols=len(names))
    alt = (
        "A row of panels per label, a column per axis: median of ours less theirs with its error,"
        f" its scatter, and the scatter that both errors say. Axes: {_titles(axes)}."
    )
    return as_picture(figure, "svg", alt)


def _draw(panel: Axes, cells: list[tuple[int, Numbers]]) -> float:
    """Draw the regimes of one panel; return how far it reaches."""
    panel.axhline(0, color=GREY, linewidth=0.8)
    if not cells:
        return 0.0
    places = [place for place, _ in cells]
    medians, scatters, expected, errors = (
        np.array([getattr(numbers, name) for _, numbers in cells])
        for name in ("median", "scatter", "expected", "median_error")
    )
    panel.vlines(
        places,
        medians - scatters,
        medians + scatters,
        color="#c9ced6",
        linewidth=5,
        label="scatter",
    )
    # Without their errors, our own are the least that there should be.
    words = "expected scatter" if np.isfinite(expected).any() else "our σ"
    if not np.isfinite(expected).any():
        expected = np.array([numbers.sigma for _, numbers in cells])
    for sign in (-1, 1):
        name = words if sign > 0 else None
        marks = medians + sign * expected
        panel.plot(places, marks, "_", color=BLUE, markersize=9, markeredgewidth=1.4, label=name)
    panel.errorbar(
        places, medians, errors, fmt="o", color=ORANGE, markersize=3.5, capsize=2, label="median"
    )
    reach = np.abs(medians) + np.fmax(scatters, np.nan_to_num(expected))
    return float(np.max(reach))


def _regimes(found: Beside, axis: AxisOf) -> list[int]:
    """Return the places of the regimes in which any label has enough stars."""
    first = found.first_cell(axis)
    return [
        place
        for place, name in enumerate(axis.regimes)
        if name != UNKNOWN
        and any(t.numbers(first + place).stars >= LEAST_STARS for t in found.tallies.values())
    ]


def _columns(count: int) -> int:
    return count if count <= _COLUMNS else 3


def _size(count: int, shape: float) -> tuple[float, float]:
    """Return the size of a panel of several that fill the page's width."""
    width = _WIDTH_OF_PAGE / max(_columns(count), 2)
    return width, shape * width


def _shown(found: Beside) -> list[Tally]:
    return [t for t in found.tallies.values() if t.numbers().stars >= LEAST_STARS]


def _titles(axes: Sequence[AxisOf]) -> str:
    return ", ".join(axis.title for axis in axes)
