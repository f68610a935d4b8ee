"""Names of the distances: how unlike the stars of training a star is, by test."""

from __future__ import annotations

from typing import Final

from catalog_builder.contract.inputs import RELEASED_CONFLICTS, Inputs

DISAGREEMENT: Final = "member_disagreement"


def distances_of(inputs: Inputs) -> tuple[str, ...]:
    """Return the names of all distances, in the order of arrays and columns.

    Parameters
    ----------
    inputs : Inputs
        Of the model.
    """
    return (
        *(f"{name}_distance" for name in inputs.spectra),
        *(f"{name}_misfit" for name in inputs.lines),
        *(conflict_name(one, other) for one, other in inputs.pairs),
        DISAGREEMENT,
        *(f"{name}_map_distance" for name in inputs.lines),
    )


def conflict_name(one: str, other: str) -> str:
    """Return the name of the distance that says how much two spectra contradict each other."""
    return RELEASED_CONFLICTS.get((one, other), f"{one}_{other}_conflict")
