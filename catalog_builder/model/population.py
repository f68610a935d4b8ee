"""The stars that a model was made for, in counts: what a run's stars are compared with.

Of a sample of its training archive, with and without labels: what they have (`InputCounts`), and
what the model says of them, by regime, since a fainter star rightly has other flags.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.flags import FlagBit
from catalog_builder.contract.schema import TRAINING, CatalogSchema
from catalog_builder.features.population import (
    NOTE,
    UNKNOWN,
    InputCounts,
    Key,
    Stars,
    magnitude_bins,
)
from catalog_builder.runtime.receipts import Receipt

#: In a stratum, the number of its stars.
ALL: Final = "stars"
_MOST_STRATA: Final = 4000
_MOST_ANSWERS: Final = 400


#: A distance from the training stars, in units of its limit, that few ordinary stars have; all of
#: them have it together before many are beyond the limit.
ODD: Final = 0.5


def odd(distance: str) -> str:
    """Return by what name stars of a distance above `ODD` are counted."""
    return f"{distance}_odd"


def not_an_input(bit: FlagBit) -> bool:
    """Tell whether a flag is counted: which inputs were used is what regimes are made of."""
    return bit.test != "input_used"


class AnswerCounts(BaseModel):
    """What a model says of some stars.

    Attributes
    ----------
    strata : dict of str to dict of str to int
        By regime (`Answers.regimes`): the number of its stars (``stars``), and of those with each
        flag, of each tier and with each distance above `ODD`, by name. What no star has is not
        there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strata: Annotated[
        dict[Key, Annotated[dict[Key, Stars], Field(max_length=_MOST_ANSWERS)]],
        Field(max_length=_MOST_STRATA),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> Self:
        for name, counts in self.strata.items():
            if any(count > counts.get(ALL, 0) for count in counts.values()):
                raise ValueError(f"more stars are counted in {name} than there are")
        return self

    @property
    def stars(self) -> int:
        """How many stars."""
        return sum(counts.get(ALL, 0) for counts in self.strata.values())

    @property
    def taught(self) -> float:
        """Which share of them taught the model."""
        return sum(counts.get(TRAINING[0], 0) for counts in self.strata.values()) / (
            self.stars or 1
        )

    def share(self, name: str) -> dict[str, tuple[int, int]]:
        """Return all stars, and those with a flag or of a tier, by regime."""
        return {
            stratum: (counts.get(ALL, 0), counts.get(name, 0))
            for stratum, counts in self.strata.items()
        }

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the counts of all stars of several."""
        strata: dict[str, Counter[str]] = defaultdict(Counter)
        for part in parts:
            for stratum, counts in part.strata.items():
                strata[stratum].update(counts)
        return cls(strata={name: dict(counts) for name, counts in sorted(strata.items())})


class Population(BaseModel):
    """A sample of the archive that a model was trained on.

    Attributes
    ----------
    archive : int
        Stars that it was drawn from.
    inputs : InputCounts
        What those of the sample have.
    answers : AnswerCounts
        What the model says of them, as of stars that it never met.
    own : AnswerCounts
        The same as in a catalogue of that archive: of a star that taught, by the model of its fold.
        That has fewer networks, and is less sure of itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    archive: Stars
    inputs: InputCounts
    answers: AnswerCounts
    own: AnswerCounts

    def answers_like(self, here: AnswerCounts) -> AnswerCounts:
        """Return the counts that a run is to be compared with.

        Its own where as many of its stars taught, as in the run that trained the model.
        """
        return self.own if here.taught > 0.5 * self.own.taught else self.answers


class Answers:
    """Collects `AnswerCounts` of a stream of catalogue rows.

    Parameters
    ----------
    schema : CatalogSchema
        Of the catalogue: its bits, its tiers, its inputs.
    """

    def __init__(self, schema: CatalogSchema) -> None:
        self._schema = schema
        self._strata: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take rows: flags, tier, distances, S/N of spectra of lines and the magnitude."""
        regimes = self.regimes(columns)
        names, where = np.unique(regimes, return_inverse=True)
        has = dict(self._said(columns))
        for place, name in enumerate(names.tolist()):
            rows = where == place
            counts = self._strata[name]
            counts[ALL] += int(rows.sum())
            counts.update(
                {key: count for key, of in has.items() if (count := int((rows & of).sum()))}
            )

    def _said(self, columns: Mapping[str, NDArray[Any]]) -> Iterable[tuple[str, NDArray[Any]]]:
        flags = self._schema.flags
        for bit in flags.active:
            if not_an_input(bit):
                yield bit.name, flags.test(columns, bit.name)
        for tier in flags.tiers:
            yield tier.name, columns["quality_tier"] == tier.tier
        for name in distances_of(self._schema.inputs):
            if name in columns:
                yield odd(name), columns[name] > ODD
        if TRAINING[0] in columns:
            yield TRAINING[0], columns[TRAINING[0]]

    def regimes(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.str_]:
        """Return in which regime each star is.

        The spectra that were used, and S/N by factors of two of the first spectrum of lines among
        them, ``rvs+xp 32``; without one, whole magnitudes, ``xp m14``.
        """
        schema, inputs = self._schema, self._schema.inputs
        used = {name: schema.flags.test(columns, f"{name}_used") for name in inputs.spectra}
        stars = len(columns["quality_tier"])
        spectra = np.full(stars, "", dtype=object)
        for name, by in used.items():
            spectra[by] = [f"{before}+{name}" if before else name for before in spectra[by]]
        light = np.full(stars, f"m{UNKNOWN}", dtype=object)
        if inputs.magnitude is not None and inputs.magnitude in columns:
            bins = magnitude_bins(columns[inputs.magnitude])
            light[bins >= 0] = [f"m{place}" for place in bins[bins >= 0]]
        # The first spectrum of lines is looked at last: it counts.
        for name in reversed(list(inputs.lines)):
            column = inputs.spectra[name].sig_to_noise
            if column is not None and column in columns:
                light[used[name]] = _powers(columns[column][used[name]])
        return np.array([f"{one} {other}" for one, other in zip(spectra, light, strict=True)])

    def counts(self) -> AnswerCounts:
        """Return what was collected."""
        return AnswerCounts(
            strata={name: dict(counts) for name, counts in sorted(self._strata.items())}
        )


def answers_of(receipts: Iterable[Receipt]) -> AnswerCounts:
    """Return the counts of all predictions whose receipts have any."""
    return AnswerCounts.total(found for each in receipts if (found := _read(each)) is not None)


def _read(receipt: Receipt) -> AnswerCounts | None:
    try:
        return AnswerCounts.model_validate(receipt.notes[NOTE])
    except (KeyError, ValidationError):
        return None


def _powers(ratio: NDArray[Any]) -> list[str]:
    """Return the power of two below each ratio, in words."""
    values = np.asarray(ratio, dtype=np.float64)
    known = np.isfinite(values) & (values > 0)
    powers = np.floor(np.log2(np.where(known, values, 1.0))).clip(-4, 16)
    return [f"{2.0**power:g}" if one else UNKNOWN for power, one in zip(powers, known, strict=True)]
