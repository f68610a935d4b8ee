"""The comparison: both tables streamed once, and all that is asked counted on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from catalog_builder.comparing.changes import Changes, masks_of_both
from catalog_builder.comparing.matching import Matching, SameIds
from catalog_builder.comparing.pairs import PairStream
from catalog_builder.comparing.regimes import Division, divisions_of
from catalog_builder.comparing.sides import TIER, Side, rows_of
from catalog_builder.comparing.tally import Tally
from catalog_builder.contract.labels import Label
from catalog_builder.report.histogram import Counts
from catalog_builder.report.quantities import Quantities, Quantity


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes
    ----------
    old, new : Side
    matched_by : str
    divisions : tuple of Division
    tallies : dict of str to Tally
        By label, of those that both tables have.
    only_old, only_new : tuple of str
        Labels that the other table lacks.
    changes : Changes
    stars : int
        Pairs.
    correlation : mapping
        What is known of the correlation of errors, beside the number in each tally.
    """

    old: Side
    new: Side
    matched_by: str
    divisions: tuple[Division, ...]
    tallies: dict[str, Tally]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    changes: Changes
    stars: int
    correlation: Mapping[str, Any] = field(default_factory=dict)

    def first_cell(self, division: Division) -> int:
        """Return the cell of a division's first regime in each tally; that of all stars is 0."""
        before = self.divisions[: self.divisions.index(division)]
        return 1 + sum(len(each.regimes) for each in before)


def compare(
    old: Side,
    new: Side,
    matching: Matching | None = None,
    *,
    correlation: float | Mapping[str, float] = 0.0,
) -> Comparison:
    """Compare two tables of stars.

    Time is that of reading the columns once; memory holds some chunks of each, one byte for each
    new star, and counts of fixed size.

    Parameters
    ----------
    old, new : Side
    matching : Matching, optional
        By the same ids if not given.
    correlation : float or mapping of str to float
        Of the errors of the two, for all labels or by label (0 where it names none).

    Returns
    -------
    Comparison

    Raises
    ------
    CatalogueError
        If a table's ids do not ascend, or a chunk is missing or damaged.
    """
    matching = matching or SameIds()
    labels = common_labels(old, new)
    divisions = divisions_of(old, new)
    cells = 1 + sum(len(division.regimes) for division in divisions)
    tallies = {
        name: Tally(quantity, cells, _of(correlation, name)) for name, quantity in labels.items()
    }
    changes = Changes(old, new, divisions)
    stream = PairStream(old, new, matching, *columns_for(old, new, labels, divisions))
    stars = 0
    for pairs in stream.pairs():
        changes.add(pairs)
        count = len(pairs.old["source_id"])
        stars += count
        places = _places(divisions, pairs.old, pairs.new, count)
        for tally in tallies.values():
            tally.add(pairs.old, pairs.new, places)
    for gained in stream.gained():
        changes.add_gained(gained)
    before, now = names_of_labels(old), names_of_labels(new)
    return Comparison(
        old,
        new,
        matching.title,
        divisions,
        tallies,
        tuple(name for name in before if name not in labels),
        tuple(name for name in now if name not in labels),
        changes,
        stars,
    )


def common_labels(old: Side, new: Side) -> dict[str, Quantity]:
    """Return the labels that both tables have with their uncertainty, and in one unit."""
    before = {label.name: label for label in old.schema.labels}
    there = {*names_of_labels(old)} & {*names_of_labels(new)}
    found = Quantities(new.schema.contract)
    return {
        name: quantity
        for name, quantity in found.items()
        if name in there and _same_kind(before[name], quantity.label)
    }


def names_of_labels(side: Side) -> tuple[str, ...]:
    """Return the labels of which a table has value and uncertainty."""
    return tuple(n for n in side.schema.labels.names if {n, f"e_{n}"} <= side.columns)


def columns_for(
    old: Side, new: Side, labels: Mapping[str, Quantity], divisions: tuple[Division, ...]
) -> tuple[list[str], list[str]]:
    """Return the columns that a comparison reads of the old and the new table."""
    shared = [column for name in labels for column in (name, f"e_{name}")]
    shared += [TIER] if TIER in old.columns & new.columns else []
    masks = masks_of_both(old, new)
    first = [*shared, *masks[0], *(c for d in divisions for c in d.columns("old"))]
    second = [*shared, *masks[1], *(c for d in divisions for c in d.columns("new"))]
    return first, second


def total_rows(comparison: Comparison) -> tuple[int, int]:
    """Return the number of stars of both tables."""
    return rows_of(comparison.old), rows_of(comparison.new)


def _same_kind(old: Label, new: Label) -> bool:
    return (old.unit, old.in_dex) == (new.unit, new.in_dex)


def _places(
    divisions: tuple[Division, ...], old: Mapping[str, Any], new: Mapping[str, Any], count: int
) -> list[Counts]:
    """Return the cell of each pair in each division, and first that of all stars."""
    places, first = [np.zeros(count, dtype=np.int64)], 1
    for division in divisions:
        places.append(first + division.of_pairs(dict(old), dict(new)))
        first += len(division.regimes)
    return places


def _of(correlation: float | Mapping[str, float], name: str) -> float:
    return correlation.get(name, 0.0) if isinstance(correlation, Mapping) else correlation
