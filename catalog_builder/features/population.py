"""What the stars of a partition have, in counts that add up: whether inputs are as a model's were.

Sums of fixed size, whatever the number of stars: shares by magnitude, and coarse histograms of what
tells normalisation, noise and zero point. A receipt carries those of its partition.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from catalog_builder.contract.inputs import PARALLAX, Inputs
from catalog_builder.contract.places import colours_of
from catalog_builder.runtime.receipts import Receipt

#: The note of a receipt that holds `InputCounts`.
NOTE: Final = "population"
#: The stratum of stars whose magnitude is not known.
UNKNOWN: Final = "?"
ZERO_POINT: Final = "parallax_zero_point"

Stars = Annotated[int, Field(ge=0, lt=2**53)]
#: Bounds on what a model from elsewhere may hold: far above what is written.
Key = Annotated[str, Field(max_length=200, pattern=r"^[a-z0-9_ .+?-]*$")]
Bin = Annotated[str, Field(pattern=r"^-?\d{1,4}$")]
_MOST: Final = 400


@dataclass(frozen=True)
class Axis:
    """Bins of one width, from `low` to `high`; what is beyond counts in the outermost."""

    step: float
    low: float
    high: float
    log: bool = False

    def bins(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the bin of each finite value (of a logarithm, of each above 0)."""
        values = np.asarray(values, dtype=np.float64)
        values = np.log10(values[values > 0]) if self.log else values
        values = np.clip(values[np.isfinite(values)], self.low, self.high - self.step / 2)
        return np.floor(values / self.step + 1e-9).astype(np.int64)

    def edge(self, place: int) -> float:
        """Return the lower edge of a bin."""
        edge = place * self.step
        return float(10**edge) if self.log else float(edge)


def axis_of(name: str, inputs: Inputs) -> Axis | None:
    """Return how a quantity of `InputCounts.values` is binned; None for one that is not known."""
    return _axes(inputs).get(name)


def _axes(inputs: Inputs) -> dict[str, Axis]:
    ratio = Axis(0.1, -2.0, 5.0, log=True)
    axes = {spec.sig_to_noise: ratio for spec in inputs.spectra.values() if spec.sig_to_noise}
    axes |= {f"{name}_flux_over_error": ratio for name in inputs.spectra}
    axes |= {f"{name}_median": Axis(0.005, 0.5, 1.5) for name in inputs.lines}
    if inputs.magnitude:
        axes[inputs.magnitude] = Axis(0.25, 0.0, 30.0)
    axes |= {name: Axis(0.1, -5.0, 10.0) for name, *_ in colours_of(inputs)}
    if inputs.parallax:
        axes[ZERO_POINT] = Axis(0.005, -0.5, 0.5)
    return axes


class InputCounts(BaseModel):
    """What some stars have.

    Attributes
    ----------
    stars : int
        How many.
    shares : dict of str to dict of str to (int, int)
        By what is asked (``has_rvs``, ``parallax_corrected_known``) and by magnitude: stars that it
        is asked of, and those of which it is true.
    values : dict of str to dict of str to int
        Stars by quantity and bin of its axis (`axis_of`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stars: Stars = 0
    shares: Annotated[
        dict[Key, Annotated[dict[Key, tuple[Stars, Stars]], Field(max_length=_MOST)]],
        Field(max_length=_MOST),
    ] = Field(default_factory=dict)
    values: Annotated[
        dict[Key, Annotated[dict[Bin, Stars], Field(max_length=2 * _MOST)]],
        Field(max_length=_MOST),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_more_than_asked(self) -> Self:
        for name, strata in self.shares.items():
            if any(true > asked for asked, true in strata.values()):
                raise ValueError(f"{name} is true of more stars than there are")
        return self

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the counts of all stars of several."""
        stars = 0
        shares: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        values: dict[str, Counter[str]] = defaultdict(Counter)
        for part in parts:
            stars += part.stars
            for name, strata in part.shares.items():
                for stratum, (asked, true) in strata.items():
                    before = shares[name].get(stratum, (0, 0))
                    shares[name][stratum] = (before[0] + asked, before[1] + true)
            for name, bins in part.values.items():
                values[name].update(bins)
        return cls(
            stars=stars,
            shares=dict(shares),
            values={name: dict(counts) for name, counts in values.items()},
        )


def inputs_of(receipts: Iterable[Receipt]) -> InputCounts:
    """Return the counts of all partitions whose receipts have any (those of 0.1 have none)."""
    return InputCounts.total(found for each in receipts if (found := _read(each)) is not None)


def _read(receipt: Receipt) -> InputCounts | None:
    try:
        return InputCounts.model_validate(receipt.notes[NOTE])
    except (KeyError, ValidationError):
        return None


class InputCollector:
    """Collects `InputCounts` of a stream of stars: spectra and sources, each once.

    Parameters
    ----------
    inputs : Inputs
        Which there may be.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._inputs, self._axes = inputs, _axes(inputs)
        self._stars = 0
        self._shares: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._values: dict[str, Counter[int]] = defaultdict(Counter)

    def add_spectra(self, name: str, rows: Mapping[str, NDArray[Any]]) -> None:
        """Take spectra of an input: its arrays of the feature store, (n, samples)."""
        flux, error = rows[f"{name}_flux"], rows[f"{name}_flux_error"]
        if not len(flux):
            return
        lines = name in self._inputs.lines
        used = rows[f"{name}_mask"] if lines else np.ones(flux.shape, dtype=bool)
        # Of sums, not of samples: their noise does not matter, and it is one pass.
        with np.errstate(all="ignore"):
            ratio = np.where(used, flux, 0).sum(axis=1) / np.where(used, error, 0).sum(axis=1)
        self._count(f"{name}_flux_over_error", ratio)
        if lines:
            self._count(f"{name}_median", _median(flux, used))

    def add_sources(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take the columns of n sources of the feature store."""
        inputs, stars = self._inputs, len(columns["source_id"])
        self._stars += stars
        everybody = np.ones(stars, dtype=bool)
        has = {name: np.asarray(columns[f"has_{name}"], dtype=bool) for name in inputs.names}
        strata = self._strata(columns, stars)
        for name, present in has.items():
            self._share(f"has_{name}", strata, everybody, present)
        for name, spectrum in inputs.spectra.items():
            if spectrum.sig_to_noise is not None:
                known = np.isfinite(columns[spectrum.sig_to_noise])
                self._share(f"{spectrum.sig_to_noise}_known", strata, has[name], known)
                self._count(spectrum.sig_to_noise, columns[spectrum.sig_to_noise][has[name]])
        if inputs.parallax:
            corrected = columns[f"{PARALLAX}_corrected"]
            known = np.isfinite(corrected)
            self._share(f"{PARALLAX}_corrected_known", strata, has[PARALLAX], known)
            self._count(ZERO_POINT, columns[PARALLAX][has[PARALLAX]] - corrected[has[PARALLAX]])
        if inputs.magnitude:
            self._count(inputs.magnitude, columns[inputs.magnitude])
        for name, (_, one), (_, other) in colours_of(inputs):
            with np.errstate(over="ignore"):
                self._count(name, columns[one.column] - columns[other.column])

    def counts(self) -> InputCounts:
        """Return what was collected."""
        return InputCounts(
            stars=self._stars,
            shares={name: dict(strata) for name, strata in self._shares.items()},
            values={
                name: {str(place): count for place, count in sorted(bins.items())}
                for name, bins in self._values.items()
            },
        )

    def _strata(self, columns: Mapping[str, NDArray[Any]], stars: int) -> NDArray[np.int64]:
        if self._inputs.magnitude is None:
            return np.full(stars, -1)
        return magnitude_bins(columns[self._inputs.magnitude])

    def _share(
        self,
        name: str,
        strata: NDArray[np.int64],
        asked: NDArray[np.bool_],
        true: NDArray[np.bool_],
    ) -> None:
        for stratum in np.unique(strata[asked]):
            here = asked & (strata == stratum)
            key = UNKNOWN if stratum < 0 else str(stratum)
            before = self._shares[name].get(key, (0, 0))
            found = int(here.sum()), int((here & true).sum())
            self._shares[name][key] = (before[0] + found[0], before[1] + found[1])

    def _count(self, name: str, values: NDArray[Any]) -> None:
        places, counts = np.unique(self._axes[name].bins(values), return_counts=True)
        self._values[name].update(dict(zip(places.tolist(), counts.tolist(), strict=True)))


def magnitude_bins(magnitude: NDArray[Any]) -> NDArray[np.int64]:
    """Return whole magnitudes, 0 to 30; -1 where it is not known."""
    known = np.isfinite(magnitude)
    return np.where(known, np.clip(np.where(known, magnitude, 0), 0, 30), -1).astype(np.int64)


def _median(flux: NDArray[Any], used: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the median of each row's used samples; infinite where none is."""
    # NumPy's own for rows with gaps takes ten times as long.
    ordered = np.sort(np.where(used, flux, np.inf), axis=1)
    middle: NDArray[Any] = np.take_along_axis(
        ordered, (np.maximum(used.sum(axis=1) - 1, 0) // 2)[:, None], axis=1
    )[:, 0]
    return middle
