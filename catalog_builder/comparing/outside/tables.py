"""Tables of the page of a comparison with another table."""

from __future__ import annotations

import math
from typing import Final

from catalog_builder.comparing.outside.engine import Beside
from catalog_builder.comparing.outside.outliers import Outlier
from catalog_builder.comparing.outside.tally import Numbers, Tally
from catalog_builder.comparing.outside.words import LEAST_STARS, slope_in_words, trends
from catalog_builder.comparing.outside.words import left_out as reasons
from catalog_builder.comparing.sides import rows_of
from catalog_builder.report.html import (
    NOTHING,
    Cell,
    Html,
    measure,
    number,
    paragraph,
    percent,
    share,
    table,
    text,
)
from catalog_builder.report.quantities import difference_unit

#: Outliers of each label on the page.
_LISTED: Final = 20
_NUMBERS: Final = (
    *("Stars", "Median Δ", "±", "Scatter of Δ", "Our σ", "Their error", "Expected"),
    *("Median pull", "Width of pulls", "Within 1", "Beyond 3"),
)


def headline(found: Beside) -> str:
    """Return the numbers that a reader wants first."""
    facts = (
        ("Compared", found.stars, rows_of(found.side), "of our stars"),
        ("Taught the model", found.left_out["taught the model"], found.read.rows, "left out"),
        ("Not in the catalogue", found.left_out["not in the catalogue"], found.read.rows, ""),
        ("Cut away", sum(found.read.rejected.values()), found.read.rows, "of their rows"),
    )
    items = "".join(
        f"<div><dt>{text(title)}</dt><dd>{text(number(count))}"
        f" <small>{text(percent(count, whole))} {of or 'of their rows'}</small></dd></div>"
        for title, count, whole, of in facts
    )
    return f'<dl class="facts">{items}</dl>'


def labels(found: Beside) -> str:
    """Return the numbers of each label, for all stars."""
    rows: list[tuple[Cell, ...]] = [
        (_symbol(tally), _unit(found, tally), *_cells(tally.numbers(), tally))
        for tally in found.tallies.values()
    ]
    return table("Ours less theirs, all stars", ("Label", "Unit", *_NUMBERS), rows, words=2)


def slopes(found: Beside) -> str:
    """Return the slopes, and in words those that are sure."""
    axes = [axis for axis in found.axes if axis.has_slope]
    rows: list[tuple[Cell, ...]] = []
    for name, tally in found.tallies.items():
        digits = tally.label.decimals + 1
        lines = [found.slope(name, axis) for axis in axes]
        rows.append(
            (
                _symbol(tally),
                _unit(found, tally),
                *(_with_error(line.slope, line.error, digits) for line in lines),
            )
        )
    head = ("Label", "Unit", *(f"{a.title.partition(',')[0]}, per {a.unit}" for a in axes))
    parts = [table("Slopes of the differences", head, rows, words=2)]
    sure = trends(found)
    for trend in sure[:8]:
        parts.append(
            paragraph(f"{trend.label} by {trend.axis.title}: {slope_in_words(found, trend)}.")
        )
    return "\n".join(parts) if sure else f"{parts[0]}\n{paragraph('No slope is sure.')}"


def regimes(found: Beside) -> str:
    """Return a table for each axis: every label in every regime."""
    parts = []
    for axis in found.axes:
        first = found.first_cell(axis)
        rows: list[tuple[Cell, ...]] = [
            (_symbol(tally), regime, *_cells(numbers, tally))
            for tally in found.tallies.values()
            for place, regime in enumerate(axis.regimes)
            if (numbers := tally.numbers(first + place)).stars
        ]
        parts.append(table(f"By: {axis.title}", ("Label", "Regime", *_NUMBERS), rows, words=2))
    return "\n".join(parts)


def outliers(found: Beside, name: str) -> str:
    """Return the flags of a label's outliers, of which there are some, and those furthest out."""
    tally, them = found.tallies[name], found.outliers[name]
    title = Html(f"<h3>{_symbol(tally).markup}</h3>")
    flags: list[tuple[Cell, ...]] = [
        (
            Html(f"<code>{text(flag)}</code>"),
            number(count),
            percent(count, them.stars),
            percent(them.of_all[flag], them.pairs),
        )
        for flag, count in them.flags.most_common()
        if count
    ]
    head = ("Flag", "Outliers", "Of outliers", "Of all")
    listed = them.listed[:_LISTED]
    rows = [_outlier(each, tally.label.decimals) for each in listed]
    titles = ("Source", "Our flags", "Tier", "Ours", "±", "Theirs", "±", "Widths away")
    words = paragraph(number(them.stars), " of ", number(them.pairs), " stars.")
    caption = f"The {len(listed)} furthest out" if len(listed) < them.stars else "All of them"
    return "\n".join(
        [
            text(title),
            words,
            table("Their flags", head, flags) if flags else paragraph("None carries a flag."),
            "<details><summary>Which stars</summary>\n"
            f"{table(caption, titles, rows, words=2)}\n</details>",
        ]
    )


def left_out(found: Beside) -> str:
    """Return why rows of the other table are in no pair, and values that were taken for none."""
    rows: list[tuple[Cell, ...]] = [
        (why, number(count), percent(count, found.read.rows)) for why, count in reasons(found)
    ]
    parts = [table("Rows of the other table that are in no pair", ("Why", "Rows", "Share"), rows)]
    lost: list[tuple[Cell, ...]] = [(n, number(c)) for n, c in found.read.nulled.items() if c]
    if lost:
        parts.append(table("Values that were taken for none", ("Label and why", "Values"), lost))
    if not rows:
        parts[0] = paragraph("None: every row is a star of the catalogue.")
    return "\n".join(parts)


def _outlier(each: Outlier, decimals: int) -> tuple[Cell, ...]:
    return (
        Html(f"<code>{each.source_id}</code>"),
        ", ".join(each.flags) or "none",
        NOTHING if each.tier is None else str(each.tier),
        measure(each.ours, decimals),
        measure(each.sigma, decimals),
        measure(each.theirs, decimals),
        measure(each.error, decimals),
        measure(each.distance, 1),
    )


def _cells(numbers: Numbers, tally: Tally) -> tuple[Cell, ...]:
    decimals = tally.label.decimals
    if numbers.stars < LEAST_STARS:
        return (number(numbers.stars), *[NOTHING] * (len(_NUMBERS) - 1))
    return (
        number(numbers.stars),
        measure(numbers.median, decimals + 1, signed=True),
        measure(numbers.median_error, decimals + 1),
        measure(numbers.scatter, decimals + 1),
        measure(numbers.sigma, decimals + 1),
        measure(numbers.error, decimals + 1),
        measure(numbers.expected, decimals + 1),
        measure(numbers.pull, 2, signed=True),
        measure(numbers.pull_scatter, 2),
        share(numbers.within_1),
        share(numbers.beyond_3),
    )


def _with_error(value: float, error: float, digits: int) -> Cell:
    if not math.isfinite(error):
        return NOTHING
    return Html(f"{text(measure(value, digits, signed=True))} ± {text(measure(error, digits))}")


def _symbol(tally: Tally) -> Html:
    return Html(f"{tally.label.html} <code>{tally.label.name}</code>")


def _unit(found: Beside, tally: Tally) -> str:
    return difference_unit(found.side.schema, tally.label.name)
