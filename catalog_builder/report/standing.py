"""How far off every label is, for groups of stars, and how much of the label's spread that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from catalog_builder.report.histogram import quantiles
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import regime

#: Stars cooler than this and as hot as that are told by themselves, K; to the nearest bin.
COOL, HOT = 4500.0, 6500.0
#: What one number of stars that all have labels is called.
ALL: Final = "all stars"


class Off(NamedTuple):
    """How far off a label is: of how many stars, one sigma, and which share is within sigma."""

    stars: int
    scatter: float
    within: float


@dataclass(frozen=True)
class Group:
    """Some stars, and how far off their labels are, by label; of labels that enough of them have.

    Attributes
    ----------
    division, title : str
        ``all``, ``regime``, ``temperature``, ``tier`` or ``near``, and what stars they are.
    off : dict of str to Off
    """

    division: str
    title: str
    off: Mapping[str, Off]

    @property
    def stars(self) -> int:
        """Return the number of stars of the label that most have."""
        return max(one.stars for one in self.off.values())

    def worst(self, spreads: Mapping[str, float]) -> str:
        """Return the label that is off by most of its spread."""
        return max(self.off, key=lambda name: self.off[name].scatter / spreads[name])


def spreads(summary: Summary) -> dict[str, float]:
    """Return half the distance of 16 and 84 % of each label in the catalogue; infinite of none."""
    found = {}
    for name, histogram in summary.labels.items():
        low, high = quantiles(histogram.counts, summary.shown[name].axis, 0.16, 0.84)
        half = float(high - low) / 2
        found[name] = half if half > 0 else math.inf
    return found


def groups(
    summary: Summary,
    labelled: Labelled | None,
    metrics: Mapping[str, Any],
    group: int | None = None,
) -> list[Group]:
    """Return all groups of enough stars: of those with labels, else of the model's test stars."""
    if labelled is not None:
        return list(_of_labelled(labelled, group))
    own = metrics.get("as_observed") or {}
    found = {ALL: own.get("all") or {}, **(own.get("by_regime") or {})}
    some = []
    for title, measured in found.items():
        off = {
            name: Off(values["stars"], values["robust_scatter"], values["coverage_68"])
            for name, values in measured.items()
            if name in summary.shown and values.get("stars", 0) >= LEAST
        }
        if off:
            words = regime(title, summary.schema.inputs)
            some.append(Group("all" if title == ALL else "regime", words, off))
    return some


def _of_labelled(labelled: Labelled, group: int | None) -> Iterator[Group]:
    for division, title, cells in _cells(labelled):
        off = {}
        for name in labelled.shown:
            found = labelled.measured(name, [labelled.cell(division, at) for at in cells], group)
            if found.stars >= LEAST:
                off[name] = Off(found.stars, found.scatter, found.within_68 / found.stars)
        if off:
            yield Group(division, title, off)


def _cells(labelled: Labelled) -> Iterator[tuple[str, str, list[int]]]:
    """Yield divisions, what stars are in some of their cells, and which cells."""
    for division in ("all", "regime", "temperature", "tier", "near"):
        if division not in labelled.divisions:
            continue
        if division == "temperature":
            yield from _cold_and_hot(labelled)
            continue
        for place, title in enumerate(labelled.divisions[division].cells):
            yield division, regime(title, labelled.schema.inputs) if title else ALL, [place]


def _cold_and_hot(labelled: Labelled) -> Iterator[tuple[str, str, list[int]]]:
    """Yield the coolest and the hottest stars, whose labels are worst."""
    teff, axis = labelled.shown.first("temperature"), labelled.divisions["temperature"].axis
    if teff is None or axis is None:
        return
    edges = axis.edges()
    cool, hot = (int(np.abs(edges - limit).argmin()) for limit in (COOL, HOT))
    # A contract's range may begin or end between the two.
    if cool > 0:
        yield "temperature", f"{teff.printed} < {edges[cool]:.0f} K", list(range(cool))
    if hot < axis.bins:
        yield "temperature", f"{teff.printed} ≥ {edges[hot]:.0f} K", list(range(hot, axis.bins))
