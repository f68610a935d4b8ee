"""Figures of a comparison: pulls of each label, and how medians and shares run with the regimes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from catalog_builder.comparing.engine import Comparison
from catalog_builder.comparing.expected import ADOPTED, INDEPENDENT, NESTED, WITHIN_ONE
from catalog_builder.comparing.regimes import UNKNOWN, Division
from catalog_builder.comparing.sketch import Sketch
from catalog_builder.comparing.tally import Numbers, Tally
from catalog_builder.comparing.verdict import LEAST_STARS, MEDIAN, SHARE
from catalog_builder.report.pictures import (
    BLUE,
    FILL,
    GREY,
    INK,
    ORANGE,
    Picture,
    as_picture,
    new_figure,
    panels,
)

#: Pulls that are shown, and the width of a bar.
_REACH, _WIDTH = 5.0, 0.25
_LOOKS: Final = {ADOPTED: (ORANGE, "-"), INDEPENDENT: (ORANGE, "-"), NESTED: (BLUE, ":")}
_SIZE: Final = (2.6, 1.5)

#: Places on an axis of regimes, with what is known there.
Cells = list[tuple[int, Numbers]]


def pulls(comparison: Comparison) -> Picture | None:
    """Draw the distribution of differences in units of the expected ones, beside a Gaussian."""
    shown = [t for t in comparison.tallies.values() if t.numbers().stars >= LEAST_STARS]
    if not shown:
        return None
    figure, grid = panels(len(shown), columns=3, size=(3.4, 2.6))
    edges = np.arange(-_REACH, _REACH + _WIDTH / 2, _WIDTH)
    fine = np.linspace(-_REACH, _REACH, 201)
    for tally, panel in zip(shown, grid, strict=True):
        for line in reversed(tally.lines):
            colour, style = _look(line.name, tally)
            density = density_of(tally.pulls[line.name], edges)
            panel.stairs(density, edges, color=colour, linestyle=style, label=line.title)
        gauss = np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi)
        panel.plot(fine, gauss, color=INK, linewidth=1.0, linestyle="--", label="expected")
        panel.set_xlabel(f"Δ {tally.label.tex} / expected")
        panel.set_xlim(-_REACH, _REACH)
        panel.set_ylim(bottom=0, top=max(0.45, 1.1 * _highest(tally, edges)))
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside upper right", ncols=len(names))
    alt = (
        "One panel per label: distribution of new less old in units of the expected difference,"
        " beside a Gaussian of width 1. Within one expected difference are "
        + ", ".join(f"{t.label.name} {_first(t.numbers(), t):.0%}" for t in shown)
        + "; 68 % are expected."
    )
    return as_picture(figure, "svg", alt)


def medians(comparison: Comparison) -> Picture | None:
    """Draw the median difference in units of sigma against each division."""
    reached: dict[Tally, float] = {}

    def draw(panel: Axes, cells: Cells, tally: Tally) -> None:
        panel.axhspan(-MEDIAN, MEDIAN, color=FILL, linewidth=0)
        panel.axhline(0, color=GREY, linewidth=0.8)
        places = [place for place, _ in cells]
        values = [numbers.pull for _, numbers in cells]
        errors = [numbers.median_error / numbers.sigma_new for _, numbers in cells]
        panel.errorbar(places, values, errors, fmt="o", color=ORANGE, markersize=4, capsize=2)
        # A row shares its axis, which only grows.
        reach = max(2.5 * MEDIAN, *(1.15 * (np.abs(values) + errors)), reached.get(tally, 0.0))
        reached[tally] = reach
        panel.set_ylim(-reach, reach)

    alt = (
        "A row of panels per label, a column per division of the stars: median of new less old in"
        f" units of sigma with its error; shaded: within {MEDIAN} sigma."
    )
    return _by_regime(comparison, draw, "median Δ / σ", alt)


def shares(comparison: Comparison) -> Picture | None:
    """Draw the share of stars within one expected difference against each division."""

    def draw(panel: Axes, cells: Cells, tally: Tally) -> None:
        panel.axhspan(WITHIN_ONE - SHARE, WITHIN_ONE + SHARE, color=FILL, linewidth=0)
        places = [place for place, _ in cells]
        stars = np.array([numbers.stars for _, numbers in cells])
        for line in reversed(tally.lines):
            colour, style = _look(line.name, tally)
            values = np.array([numbers.shares[line.name].within_1 for _, numbers in cells])
            if line.name == tally.lines[0].name:
                errors = np.sqrt(WITHIN_ONE * (1 - WITHIN_ONE) / stars)
                panel.errorbar(places, values, errors, fmt="o", color=colour, markersize=4)
            panel.plot(places, values, color=colour, linestyle=style, linewidth=1, label=line.title)
        panel.set_ylim(0, 1.02)

    alt = (
        "A row of panels per label, a column per division of the stars: share of stars within one"
        " expected difference, by what is assumed of the shared part of the errors; shaded:"
        f" 68 ± {100 * SHARE:.0f} per cent."
    )
    return _by_regime(comparison, draw, "share within 1", alt)


def _by_regime(
    comparison: Comparison, draw: Callable[[Axes, Cells, Tally], None], title: str, alt: str
) -> Picture | None:
    shown = {
        division: kept
        for division in comparison.divisions
        if (kept := _shown(comparison, division))
    }
    if not shown or not comparison.tallies:
        return None
    rows, columns = len(comparison.tallies), len(shown)
    figure = new_figure(_SIZE[0] * max(columns, 2), _SIZE[1] * rows + 1.0)
    grid = figure.subplots(rows, columns, squeeze=False, sharex="col", sharey="row")
    for row, tally in zip(grid, comparison.tallies.values(), strict=True):
        for panel, (division, kept) in zip(row, shown.items(), strict=True):
            first = comparison.first_cell(division)
            cells = [(at, tally.numbers(first + place)) for at, place in enumerate(kept)]
            if enough := [cell for cell in cells if cell[1].stars >= LEAST_STARS]:
                draw(panel, enough, tally)
            names = [division.regimes[place] for place in kept]
            panel.set_xticks(range(len(kept)), names, rotation=55, ha="right")
            panel.minorticks_off()
            panel.set_xlim(-0.6, len(kept) - 0.4)
        row[0].set_ylabel(f"{tally.label.tex}\n{title}")
    for panel, division in zip(grid[0], shown, strict=True):
        panel.set_title(_short(division.title))
    if entries := grid[0][0].get_legend_handles_labels()[0]:
        names = grid[0][0].get_legend_handles_labels()[1]
        figure.legend(entries[::-1], names[::-1], loc="outside upper right", ncols=len(names))
    return as_picture(figure, "svg", alt)


def _shown(comparison: Comparison, division: Division) -> list[int]:
    """Return the places of the regimes in which any label has enough stars."""
    first = comparison.first_cell(division)
    return [
        place
        for place, name in enumerate(division.regimes)
        if name != UNKNOWN
        and any(t.numbers(first + place).stars >= LEAST_STARS for t in comparison.tallies.values())
    ]


def _look(line: str, tally: Tally) -> tuple[str, str]:
    """Return colour and style: the line that is judged by is the strong one."""
    if line == INDEPENDENT and tally.lines[0].name != INDEPENDENT:
        return GREY, "--"
    return _LOOKS[line]


def density_of(sketch: Sketch, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the density of pulls in bars of equal width; those beyond count in the whole."""
    counts = sketch.counts[0]
    limits = sketch.axis.value(np.arange(sketch.axis.bins + 1))
    below = np.interp(edges, limits, np.concatenate([[0], np.cumsum(counts)]))
    return np.asarray(np.diff(below) / max(int(counts.sum()), 1) / np.diff(edges))


def _highest(tally: Tally, edges: NDArray[np.float64]) -> float:
    """Return the highest density of the lines but the nested one, which may be a needle."""
    return max(
        float(density_of(tally.pulls[line.name], edges).max())
        for line in tally.lines
        if line.name != NESTED
    )


def _first(numbers: Numbers, tally: Tally) -> float:
    return numbers.shares[tally.lines[0].name].within_1


def _short(title: str) -> str:
    """Return a title that a panel has room for."""
    return title.partition(",")[0].partition(" in the ")[0]
