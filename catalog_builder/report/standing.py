"""How far off every label is, for groups of stars, and how much of the label's spread that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from catalog_builder.report.histogram import quantiles
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.pooling import LEAST
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import regime

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
        ``all``, ``regime``, ``tier`` or ``near``, and what stars they are.
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
    """Return all groups of enough stars: of those with labels, else of the model's test stars.

    Of stars with labels only those of a `group` of `Labelled` count, if one is given.
    """
    if labelled is not None and (found := list(_of_labelled(labelled, group))):
        return found
    own = metrics.get("as_observed") or {}
    shown = {ALL: own.get("all") or {}, **(own.get("by_regime") or {})}
    some = []
    for title, measured in shown.items():
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
    for division in ("all", "regime", "tier", "near"):
        if division not in labelled.divisions:
            continue
        for place, title in enumerate(labelled.divisions[division].cells):
            off = {}
            for name in labelled.shown:
                found = labelled.measured(name, labelled.cell(division, place), group)
                if found.stars >= LEAST:
                    off[name] = Off(found.stars, found.scatter, found.within_68 / found.stars)
            if off:
                words = regime(title, labelled.schema.inputs) if title else ALL
                yield Group(division, words, off)
