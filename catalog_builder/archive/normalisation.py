"""How spectra of lines were normalised before they were published, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from catalog_builder.contract.description import Description
from catalog_builder.contract.inputs import ColumnName

Normalisation = Literal["pseudo_continuum", "constant"]


class ThresholdRule(Description):
    """How spectra were normalised, told from one column of the source table or a joined one.

    Stars whose `column` is below `threshold` were divided by `below`, the others by `otherwise`.
    """

    column: ColumnName
    threshold: float
    below: Normalisation
    otherwise: Normalisation


class CodeRule(Description):
    """How spectra were normalised, told by a code in a column of the spectrum's own table.

    A code that `values` does not have, or none, leaves it unknown. In a column of integers a null
    is 0: where 0 is a code, the column is of floats.
    """

    code: ColumnName
    values: Annotated[dict[int, Normalisation], Field(min_length=1)]


class FixedRule(Description):
    """How all spectra were normalised."""

    fixed: Normalisation


def _kind_of_rule(content: Any) -> str:
    """Tell by its keys which rule is meant, so that an error is about that one alone."""
    if not isinstance(content, Mapping):
        return type(content).__name__
    for key, rule in (("code", CodeRule), ("fixed", FixedRule)):
        if key in content:
            return rule.__name__
    return ThresholdRule.__name__


NormalisationRule = Annotated[
    Annotated[ThresholdRule, Tag(ThresholdRule.__name__)]
    | Annotated[CodeRule, Tag(CodeRule.__name__)]
    | Annotated[FixedRule, Tag(FixedRule.__name__)],
    Discriminator(_kind_of_rule),
]
