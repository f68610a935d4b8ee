"""What differences may depend on: temperature, gravity, metallicity, extinction, magnitude, S/N.

A star's place on the axis of a label must not depend on its difference, or noise would look like a
trend: by our own temperature alone, stars that we made too hot would be at the hot end. It is the
mean of both values weighted by 1/sigma^2, whose covariance with the difference is 0. Where the
other table has no errors, theirs is taken from the scatter of the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.outside.pairing import EXTINCTION, THEIR_ERROR, THEIRS
from catalog_builder.comparing.regimes import (
    MAGNITUDES,
    SIGNAL_TO_NOISE,
    UNKNOWN,
    Cells,
    names_of_regimes,
)
from catalog_builder.comparing.sides import TIER, Block, Side
from catalog_builder.contract.labels import Role

Array = NDArray[np.float64]

_TEMPERATURES: Final = (3500.0, 4000.0, 4500.0, 5000.0, 5500.0, 6000.0, 6500.0, 7000.0, 8000.0)
_GRAVITIES: Final = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
_METALLICITIES: Final = (-2.5, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5)
_EXTINCTIONS: Final = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0)
#: Role of a label, limits of regimes, and by how much of it a slope is given.
_OF_LABELS: Final[Mapping[Role, tuple[tuple[float, ...], float]]] = {
    "temperature": (_TEMPERATURES, 1000.0),
    "gravity": (_GRAVITIES, 1.0),
    "metallicity": (_METALLICITIES, 1.0),
}


@dataclass(frozen=True)
class AxisOf:
    """One thing that differences may depend on.

    Attributes
    ----------
    name, title : str
    edges : tuple of float
        Limits of regimes; none for tiers.
    regimes : tuple of str
        What each is called; the last is of stars of which nothing is known.
    value : callable
        Of a block of pairs, shape (n,); NaN where unknown.
    columns : tuple of str
        Of our table.
    per, unit : float, str
        A slope is given per this much, in this unit. For S/N, per factor of ten.
    label : str
        Which label it is, if it is one.
    """

    name: str
    title: str
    edges: tuple[float, ...]
    regimes: tuple[str, ...]
    value: Callable[[Block], Array]
    columns: tuple[str, ...]
    per: float = 1.0
    unit: str = ""
    label: str = ""

    @property
    def has_slope(self) -> bool:
        """Whether it is a scale along which there can be a slope."""
        return bool(self.edges)

    def cells(self, values: Array) -> Cells:
        """Return the regime of each star."""
        if not self.edges:
            return np.minimum(np.nan_to_num(values, nan=0.0), len(self.regimes) - 1).astype(
                np.int64
            )
        cells = np.searchsorted(np.array(self.edges), values, side="right")
        return np.where(np.isfinite(values), cells, len(self.edges) + 1).astype(np.int64)

    def position(self, values: Array) -> Array:
        """Return where stars are along a straight line, in units of `per`."""
        if self.name != "sig_to_noise":
            return values / self.per
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, np.log10(values), np.nan)


def axes_of(
    side: Side, theirs: Sequence[str], spread: Mapping[str, float], *, extinction: bool
) -> tuple[AxisOf, ...]:
    """Return the axes for which there are values.

    Parameters
    ----------
    side : Side
        The catalogue.
    theirs : sequence of str
        Labels of the other table.
    spread : mapping of str to float
        What is taken for the deviation of theirs where they give none, by label.
    extinction : bool
        Whether the other table has extinctions.
    """
    found = [*_labels(side, theirs, spread)]
    if extinction:
        found.append(
            AxisOf(
                *("extinction", "Extinction, as the other table has it"),
                *(_EXTINCTIONS, names_of_regimes(_EXTINCTIONS, "mag")),
                _column(EXTINCTION),
                (),
                unit="mag",
            )
        )
    return (*found, *_magnitude(side), *_signal_to_noise(side), *_tier(side))


def mean_of(name: str, theirs: bool, spread: float) -> Callable[[Block], Array]:
    """Return what gives the weighted mean of our and their value, or ours where it has none."""

    def value(block: Block) -> Array:
        ours = block[name].astype(np.float64)
        if not theirs:
            return ours
        other = block[THEIRS.format(name)].astype(np.float64)
        sigma, error = block[f"e_{name}"].astype(np.float64), errors_of(block, name, spread)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = 1.0 / sigma**2, 1.0 / error**2
            mean = (weights[0] * ours + weights[1] * other) / (weights[0] + weights[1])
        return np.where(np.isfinite(mean), mean, ours)

    return value


def errors_of(block: Block, name: str, spread: float) -> Array:
    """Return the errors of the other table's label, `spread` where it gives none."""
    error = block[THEIR_ERROR.format(name)].astype(np.float64)
    return np.where(np.isfinite(error) & (error > 0), error, spread)


def _labels(side: Side, theirs: Sequence[str], spread: Mapping[str, float]) -> list[AxisOf]:
    found = []
    for role, (edges, per) in _OF_LABELS.items():
        label = side.schema.labels.first(role)
        if label is None or not {label.name, f"e_{label.name}"} <= side.columns:
            continue
        unit = "" if role != "temperature" else side.schema[label.name].unit
        found.append(
            AxisOf(
                label.name,
                f"{label.short[:1].upper()}{label.short[1:]}",
                edges,
                names_of_regimes(edges, unit),
                mean_of(label.name, label.name in theirs, spread.get(label.name, np.inf)),
                (label.name, f"e_{label.name}"),
                per,
                f"{per:g} {unit}" if unit else "dex",
                label.name,
            )
        )
    return found


def _magnitude(side: Side) -> list[AxisOf]:
    name = side.schema.inputs.magnitude
    if name is None or name not in side.columns:
        return []
    title = next(iter(side.schema.inputs.bands)).title
    return [
        AxisOf(
            *("magnitude", title, MAGNITUDES, names_of_regimes(MAGNITUDES, "mag")),
            _column(name),
            (name,),
            unit="mag",
        )
    ]


def _signal_to_noise(side: Side) -> list[AxisOf]:
    inputs = side.schema.inputs
    spectra = sorted(inputs.spectra.items(), key=lambda item: item[1].kind != "lines")
    for spectrum, spec in spectra:
        column = spec.sig_to_noise
        if column is None or column not in side.columns:
            continue
        return [
            AxisOf(
                *("sig_to_noise", f"S/N of {inputs.title(spectrum)}"),
                *(SIGNAL_TO_NOISE, names_of_regimes(SIGNAL_TO_NOISE)),
                _column(column),
                (column,),
                unit="factor of ten",
            )
        ]
    return []


def _tier(side: Side) -> list[AxisOf]:
    if TIER not in side.columns:
        return []
    names = {tier.tier: tier.name for tier in side.schema.flags.tiers}
    regimes = ("no label", *(names.get(tier, f"tier {tier}") for tier in range(1, 10)), UNKNOWN)
    return [AxisOf("tier", "Tier", (), regimes, _column(TIER), (TIER,))]


def _column(name: str) -> Callable[[Block], Array]:
    def value(block: Block) -> Array:
        return block[name].astype(np.float64)

    return value
