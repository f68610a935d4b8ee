"""What a comparison with another table says, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from catalog_builder.comparing.outside.axes import AxisOf
from catalog_builder.comparing.outside.engine import Beside
from catalog_builder.comparing.outside.tally import Numbers, Slope, Tally
from catalog_builder.report.quantities import difference_unit

#: A regime of fewer stars is not shown, and no sentence is made of them.
LEAST_STARS: Final = 20
#: What is said of a table that a simulation made.
SIMULATED: Final = "The other table is simulated"
#: A slope is told of from this many of its errors on: some thirty are looked at.
ERRORS: Final = 4.0


@dataclass(frozen=True)
class Trend:
    """A slope that is told of.

    Attributes
    ----------
    label : str
    axis : AxisOf
    slope : Slope
    """

    label: str
    axis: AxisOf
    slope: Slope

    @property
    def errors(self) -> float:
        """Its size in its errors."""
        return abs(self.slope.slope) / self.slope.error if self.slope.error else math.inf


def trends(found: Beside) -> list[Trend]:
    """Return the slopes of at least `ERRORS` errors, the surest first."""
    every = [
        Trend(name, axis, found.slope(name, axis))
        for name in found.tallies
        for axis in found.axes
        if axis.has_slope
    ]
    sure = [t for t in every if t.slope.stars >= LEAST_STARS and t.errors >= ERRORS]
    return sorted(sure, key=lambda trend: -trend.errors)


def in_words(found: Beside) -> str:
    """Return what was found in a sentence or two."""
    if not found.stars:
        return "Nothing to compare: the two have no star in common."
    judged = [t for t in found.tallies.values() if t.numbers().stars >= LEAST_STARS]
    if not judged:
        return f"No label has {LEAST_STARS} stars in both: the numbers say little."
    offsets = "; ".join(f"{t.label.short} {offset(found, t)}" for t in judged)
    wide = [t for t in judged if t.numbers().pull_scatter > 1.2]
    more = f" {_listed(wide)} scatter more than both errors say." if wide else ""
    return f"Ours less {found.mapping.title}: {offsets}.{more}"


def offset(found: Beside, tally: Tally) -> str:
    """Return a label's median difference with its error and unit."""
    numbers, digits = tally.numbers(), tally.label.decimals + 1
    unit = difference_unit(found.side.schema, tally.label.name)
    text = f"{numbers.median:+.{digits}f} ± {numbers.median_error:.{digits}f} {unit}"
    return text.replace("-", "−")


def closing_lines(found: Beside) -> str:
    """Return what the terminal says."""
    lines = [in_words(found), _stars(found)]
    if found.simulated:
        lines.append(f"{SIMULATED}: these values are not those of {found.mapping.title}.")
    lines += [f"  left out {n:>12,}  {why}" for why, n in left_out(found)]
    lines += [_line(found, tally) for tally in found.tallies.values()]
    for trend in trends(found)[:5]:
        lines.append(
            f"  trend: {trend.label} by {trend.axis.title}: {slope_in_words(found, trend)}"
        )
    return "\n".join(lines)


def left_out(found: Beside) -> Iterator[tuple[str, int]]:
    """Yield why rows of the other table are in no pair, and how many."""
    cuts = {cut.name: cut.because.rstrip(".") for cut in found.mapping.cuts}
    names = {"no_source_id": "no Gaia id", "no_label": "none of our labels"}
    for why, count in (*found.read.rejected.items(), *found.left_out.items()):
        if count:
            yield names.get(why, f"{why}: {cuts[why]}" if why in cuts else why), count


def slope_in_words(found: Beside, trend: Trend) -> str:
    """Return a slope with its error and unit."""
    digits = found.tallies[trend.label].label.decimals + 1
    unit = difference_unit(found.side.schema, trend.label)
    slope = trend.slope
    text = f"{slope.slope:+.{digits}f} ± {slope.error:.{digits}f} {unit}".replace("-", "−")
    return f"{text} per {trend.axis.unit}"


def _stars(found: Beside) -> str:
    words = "stars that taught the model among them" if found.taught else "none taught the model"
    return (
        f"{found.stars:,} stars compared ({words}) of {found.read.rows:,} rows; matched by"
        f" {found.matched_by}."
    )


def _line(found: Beside, tally: Tally) -> str:
    numbers: Numbers = tally.numbers()
    name, digits = tally.label.name, tally.label.decimals + 1
    if not numbers.stars:
        return f"  {name:<12} no star with it in both"
    far = found.outliers[name].stars
    pull = f", {numbers.pull_scatter:.2f} expected" if numbers.with_error else ""
    return (
        f"  {name:<12} {numbers.stars:>9,} stars, median {numbers.median:+.{digits}f} ±"
        f" {numbers.median_error:.{digits}f}, scatter {numbers.scatter:.{digits}f}{pull};"
        f" {far} outliers"
    )


def _listed(tallies: list[Tally]) -> str:
    return ", ".join(t.label.short for t in tallies)
