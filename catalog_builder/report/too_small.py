"""Where along a label sigma is too small, by more than chance brings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from catalog_builder.report.histogram import span
from catalog_builder.report.html import percent
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.measured import Measured, along
from catalog_builder.report.measures import ONE_SIGMA
from catalog_builder.report.pooling import pooled
from catalog_builder.report.quantities import Quantity

#: Errors by which a share is too small for chance in some hundred bins; and those of an arrow.
CLEAR, MARKED = 3.3, 1.96


@dataclass(frozen=True)
class Stretch:
    """A part of a label's range in which sigma is too small.

    Attributes
    ----------
    quantity : Quantity
        The label.
    low, high : float
        Between which values; of the bin that is worst, `worst_low` and `worst_high`.
    stars : int
        In all of it.
    within, worst : float
        The share within one sigma: of all these stars, and of the worst bin.
    scatter : float
        The largest of a bin.
    bins : int
    """

    quantity: Quantity
    low: float
    high: float
    stars: int
    within: float
    worst_low: float
    worst_high: float
    worst: float
    scatter: float
    bins: int

    @property
    def where(self) -> str:
        """The values in print."""
        return _to(self.low, self.high)

    @property
    def shares(self) -> str:
        """How many are within one sigma, in all of it and where fewest are."""
        said = f"{percent(self.within, 1.0, 0)} within 1 σ"
        if self.bins == 1:
            return said
        where = _to(self.worst_low, self.worst_high)
        return f"{said}, fewest from {where}: {percent(self.worst, 1.0, 0)}"


@dataclass(frozen=True)
class Bins:
    """All bins along labels: how many, how many have too few within sigma, and where clearly so."""

    count: int
    marked: int
    stretches: tuple[Stretch, ...]


def short_of(stars: int, within: float) -> float:
    """Return by how many errors a share within one sigma is too small."""
    return (ONE_SIGMA - within) / math.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / stars)


def bins_of(labelled: Labelled, group: int | None = None) -> Bins:
    """Look at each bin of each label that has enough stars, of all of them or of a group."""
    count = marked = 0
    stretches: list[Stretch] = []
    for name, quantity in labelled.shown.items():
        found = pooled(labelled, name, "own", group=group)
        count += len(found)
        marked += sum(_short(one) > MARKED for *_, one in found)
        stretches += _stretches(quantity, found)
    clear = sum(one.bins for one in stretches)
    return Bins(count, marked - clear, tuple(stretches))


def _stretches(quantity: Quantity, found: list[tuple[int, int, Measured]]) -> Iterator[Stretch]:
    """Yield neighbouring bins that are clearly short, together."""
    run: list[tuple[int, int, Measured]] = []
    for one in [*found, None]:
        if one is not None and _short(one[2]) > CLEAR and (not run or run[-1][1] == one[0]):
            run.append(one)
            continue
        if run:
            yield _joined(quantity, run)
        run = [one] if one is not None and _short(one[2]) > CLEAR else []


def _joined(quantity: Quantity, run: list[tuple[int, int, Measured]]) -> Stretch:
    edges = along(quantity).edges()
    first, stop, worst = min(run, key=lambda one: one[2].within_68 / one[2].stars)
    stars = sum(one.stars for *_, one in run)
    return Stretch(
        quantity,
        float(edges[run[0][0]]),
        float(edges[run[-1][1]]),
        stars,
        sum(one.within_68 for *_, one in run) / stars,
        float(edges[first]),
        float(edges[stop]),
        worst.within_68 / worst.stars,
        max(one.scatter for *_, one in run),
        len(run),
    )


def _short(one: Measured) -> float:
    return short_of(one.stars, one.within_68 / one.stars)


def _to(low: float, high: float) -> str:
    return span(low, high).replace(" … ", " to ")
