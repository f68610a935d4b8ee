"""Summaries of parts of a catalogue, added up: what is known of its chunks is known of it.

A summary is a fixed list of numbers, most of them zero for the stars of one chunk. So that is what
a chunk's task leaves: places and counts of those that are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import StoreError
from catalog_builder.report.histogram import MeanMap
from catalog_builder.report.labelled import Edges, Labelled
from catalog_builder.report.others import Other, states_of
from catalog_builder.report.summary import Summary

State = dict[str, NDArray[Any]]

#: Every value that the column of tiers can have.
_TIERS: Final = range(256)


def state_of(summary: Summary) -> State:
    """Return all numbers of a summary that are not zero: to be saved, and added to a `Tally`."""
    counts, sums = _counts(summary), _sums(summary)
    places, summed = np.flatnonzero(counts), np.flatnonzero(sums)
    return {
        "places": places.astype(np.uint32),
        "counts": counts[places].astype(np.uint32),
        "summed": summed.astype(np.uint32),
        "sums": sums[summed],
        "numbers": np.array([len(counts), len(sums)]),
    }


class Tally:
    """The sum of the summaries of a catalogue's parts.

    Parameters
    ----------
    schema : CatalogSchema
        Of the catalogue.
    edges : Edges, optional
        Of the regimes of stars with labels, where these are summed up, too.
    regimes : Edges, optional
        Of the regimes of all stars, if not those.

    Attributes
    ----------
    labelled : Labelled, optional
        The sums over stars with labels.
    others : dict of str to Other
        Those beside other labels of the archive, by the name of their table.
    """

    def __init__(
        self, schema: CatalogSchema, edges: Edges | None = None, regimes: Edges | None = None
    ) -> None:
        self.others: dict[str, Other] = {}
        self._regimes = regimes or edges or Edges((), ())
        self.labelled = None if edges is None else Labelled(schema, edges)
        self._summary = Summary(schema)
        self._schema = schema
        self._counts = _counts(self._summary)
        self._sums = _sums(self._summary)

    def add(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Add what `state_of` returned for a part; in order of rows, for sums are rounded.

        Raises
        ------
        StoreError
            If it is of another summary.
        """
        if state["numbers"].tolist() != [len(self._counts), len(self._sums)]:
            raise StoreError(
                "The histograms of a chunk are of another version of the program.",
                "Remove the folder of the unfinished catalogue and publish again.",
            )
        self._counts[state["places"]] += state["counts"]
        self._sums[state["summed"]] += state["sums"]
        if self.labelled is not None and "labelled_numbers" in state:
            self.labelled.add_state(state)
        for name, one in states_of(state).items():
            if name not in self.others:
                self.others[name] = Other(self._schema, self._regimes)
            self.others[name].add_state(one)

    def summary(self) -> Summary:
        """Return the sum as a summary of the whole."""
        summary, numbers = self._summary, _Numbers(self._counts)
        summary.rows, summary.with_all_labels = numbers.next(), numbers.next()
        summary.wholly_inside, summary.outside = numbers.next(), numbers.next()
        summary.undeclared = numbers.next()
        for column in self._schema.columns:
            summary.filled[column.name] = numbers.next()
        for bit in self._schema.flags.bits:
            summary.bits[bit.bit] = numbers.next()
        for tier in _TIERS:
            if count := numbers.next():
                summary.tiers[tier] = count
        for name in summary.shown:
            summary.in_range[name] = numbers.next()
        summary.digits = numbers.take(summary.digits.shape)
        sums = _Numbers(self._sums)
        for histogram in summary.histograms:
            histogram.beyond = numbers.next()
            histogram.counts = numbers.take(histogram.counts.shape)
            if isinstance(histogram, MeanMap):
                histogram.sums = sums.take(histogram.sums.shape)
        return summary


class _Numbers:
    """Takes numbers from an array, one after the other."""

    def __init__(self, numbers: NDArray[Any]) -> None:
        self._numbers, self._at = numbers, 0

    def next(self) -> int:
        self._at += 1
        return int(self._numbers[self._at - 1])

    def take(self, shape: tuple[int, ...]) -> NDArray[Any]:
        first, self._at = self._at, self._at + int(np.prod(shape))
        return self._numbers[first : self._at].reshape(shape)


def _counts(summary: Summary) -> NDArray[np.int64]:
    numbers = [
        *(summary.rows, summary.with_all_labels),
        *(summary.wholly_inside, summary.outside, summary.undeclared),
        *(summary.filled[column.name] for column in summary.schema.columns),
        *(summary.bits[bit.bit] for bit in summary.schema.flags.bits),
        *(summary.tiers[tier] for tier in _TIERS),
        *(summary.in_range[name] for name in summary.shown),
    ]
    parts = [np.array(numbers, dtype=np.int64), summary.digits.ravel()]
    for histogram in summary.histograms:
        parts += [np.array([histogram.beyond]), histogram.counts.ravel()]
    return np.concatenate(parts)


def _sums(summary: Summary) -> NDArray[np.float64]:
    maps = (one.sums.ravel() for one in summary.histograms if isinstance(one, MeanMap))
    return np.concatenate([np.zeros(0), *maps])
