"""The contract of a run: its labels and its inputs, together."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog_builder.contract.description import Description
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Labels, refuse_twice

#: Labels that a model from elsewhere may have; those of the largest surveys have about 40.
_MOST_LABELS = 100


class Contract(Description):
    """What a run, a model and a catalogue are about.

    Attributes
    ----------
    labels : Labels
        In the order of every array that holds them.
    inputs : Inputs
        What networks may see.
    """

    labels: Annotated[Labels, Field(min_length=1, max_length=_MOST_LABELS)]
    inputs: Inputs

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        refuse_twice(self.labels.names)
        return self

    @property
    def outputs(self) -> int:
        """Numbers that a network gives: means, and the lower triangle of a Cholesky factor."""
        count = len(self.labels)
        return count + count * (count + 1) // 2
