"""Divisions of stars in which a comparison is made: temperature, S/N, magnitude, tier.

A division must not choose stars by their difference. By the old temperature alone, the hottest
stars are those whose error was upward, and the new one is lower without any drift. The temperature
is therefore the mean of both, weighted by 1/sigma^2: of independent errors, its covariance with the
difference is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.sides import TIER, Block, Side

Cells = NDArray[np.int64]
Values = NDArray[np.float64]

#: Limits between regimes; stars beyond the outermost are in regimes of their own.
TEMPERATURES: Final = (4000.0, 4500.0, 5000.0, 5500.0, 6000.0, 7000.0)
SIGNAL_TO_NOISE: Final = (5.0, 15.0, 25.0, 50.0, 100.0)
MAGNITUDES: Final = (8.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0)
#: A tier has one digit.
_TIERS: Final = 10
UNKNOWN: Final = "unknown"

#: Which of two values counts: their weighted mean, the old one, or the new one if it is there.
Rule = Literal["mean", "old", "either"]


@dataclass(frozen=True)
class Division:
    """One way to divide stars.

    Attributes
    ----------
    name, title : str
        The title begins the sentence ``title: regime``.
    regimes : tuple of str
        What each cell is called; the last is of stars of which nothing is known.
    old, new : str
        The columns, of the old and the new table.
    edges : tuple of float
        Limits between cells; none for tiers.
    rule : str
    """

    name: str
    title: str
    regimes: tuple[str, ...]
    old: str
    new: str
    edges: tuple[float, ...] = ()
    rule: Rule = "either"

    def of_pairs(self, old: Block, new: Block) -> Cells:
        """Return the cell of each pair."""
        first, second = old[self.old], new[self.new]
        if not self.edges:
            # The worse of both; 0 is a star without labels.
            no_label = (first == 0) | (second == 0)
            return self._tiers(np.where(no_label, 0, np.maximum(first, second)))
        return self._cells(self._chosen(first, second, old, new))

    def of_one(self, block: Block, column: str) -> Cells:
        """Return the cell of each star that only one table has."""
        if not self.edges:
            return self._tiers(block[column])
        return self._cells(block[column].astype(np.float64))

    def columns(self, side: Literal["old", "new"]) -> tuple[str, ...]:
        """Return the columns that it needs of a table."""
        name = self.old if side == "old" else self.new
        return (name, f"e_{name}") if self.rule == "mean" else (name,)

    def _chosen(
        self, first: NDArray[np.generic], second: NDArray[np.generic], old: Block, new: Block
    ) -> Values:
        one, two = first.astype(np.float64), second.astype(np.float64)
        if self.rule == "old":
            return one
        if self.rule == "either":
            return np.where(np.isfinite(two), two, one)
        sigmas = (block[f"e_{name}"] for block, name in ((old, self.old), (new, self.new)))
        with np.errstate(divide="ignore"):
            weights = [1.0 / sigma.astype(np.float64) ** 2 for sigma in sigmas]
        with np.errstate(invalid="ignore"):
            return np.asarray((weights[0] * one + weights[1] * two) / (weights[0] + weights[1]))

    def _tiers(self, values: NDArray[np.generic]) -> Cells:
        return np.minimum(values.astype(np.int64), len(self.regimes) - 1)

    def _cells(self, values: Values) -> Cells:
        cells = np.searchsorted(np.array(self.edges), values, side="right")
        return np.where(np.isfinite(values), cells, len(self.edges) + 1).astype(np.int64)


def divisions_of(old: Side, new: Side) -> tuple[Division, ...]:
    """Return the divisions for which both tables have what they need."""
    found = [*_temperature(old, new), *_signal_to_noise(old, new), *_magnitude(old, new)]
    if TIER in old.columns & new.columns:
        names = {tier.tier: tier.name for tier in (new.schema.flags.tiers)}
        regimes = [names.get(tier, f"tier {tier}") for tier in range(_TIERS)]
        regimes[0] = "no label"
        found.append(Division("tier", "Tier, the worse of both", tuple(regimes), TIER, TIER))
    return tuple(found)


def _temperature(old: Side, new: Side) -> list[Division]:
    label = new.schema.labels.first("temperature")
    if label is None or not {label.name, f"e_{label.name}"} <= old.columns & new.columns:
        return []
    regimes = names_of_regimes(TEMPERATURES, new.schema[label.name].unit)
    title = f"{label.short[:1].upper()}{label.short[1:]}"
    return [Division(label.name, title, regimes, label.name, label.name, TEMPERATURES, rule="mean")]


def _signal_to_noise(old: Side, new: Side) -> list[Division]:
    before, now = _measured(old), _measured(new)
    for spectrum, column in before.items():
        if spectrum in now:
            title = f"S/N of {old.schema.inputs.title(spectrum)} in the old catalogue"
            regimes = names_of_regimes(SIGNAL_TO_NOISE)
            return [
                Division(
                    "sig_to_noise", title, regimes, column, now[spectrum], SIGNAL_TO_NOISE, "old"
                )
            ]
    return []


def _measured(side: Side) -> dict[str, str]:
    """Return the column of S/N of each spectrum that has one, those of lines first."""
    spectra = sorted(side.schema.inputs.spectra.items(), key=lambda item: item[1].kind != "lines")
    return {name: s.sig_to_noise for name, s in spectra if s.sig_to_noise in side.columns}


def _magnitude(old: Side, new: Side) -> list[Division]:
    before, now = old.schema.inputs.magnitude, new.schema.inputs.magnitude
    if before is None or now is None or before not in old.columns or now not in new.columns:
        return []
    title = next(iter(new.schema.inputs.bands)).title
    return [Division("magnitude", title, names_of_regimes(MAGNITUDES), before, now, MAGNITUDES)]


def names_of_regimes(edges: Sequence[float], unit: str = "") -> tuple[str, ...]:
    """Return what the regimes between limits are called, the last for what is unknown."""
    unit = f" {unit}" if unit else ""
    inner = [f"{low:g} to {high:g}{unit}" for low, high in pairwise(edges)]
    below, above = f"below {edges[0]:g}{unit}", f"{edges[-1]:g}{unit} and above"
    return (below, *inner, above, UNKNOWN)
