"""The parallax zero point of a release as data: which rule, of which columns."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from catalog_builder.contract.description import Description, Grown
from catalog_builder.contract.inputs import ColumnName

_BIAS: Final = "bias"
LINDEGREN_INPUTS: Final = frozenset(
    {
        *("phot_g_mean_mag", "nu_eff_used_in_astrometry", "pseudocolour"),
        *("ecl_lat", "astrometric_params_solved"),
    }
)
_INPUTS: Final[dict[str, Set[str]]] = {
    "lindegren2021": LINDEGREN_INPUTS,
    "column": {_BIAS},
    "none": set(),
}
Bit = Annotated[int, Field(ge=0, le=62)]


class SolutionBits(Description):
    """Bits of the mask that says which astrometric parameters were solved for.

    Attributes
    ----------
    parallax : int
        Where it is clear there is no parallax, and no zero point.
    pseudocolour : int
        Where it is set the colour was solved for, too: the branch of six parameters.
    """

    parallax: Bit = 2
    pseudocolour: Bit = 6


class _Rule(Grown):
    """A rule, and the columns that are its arguments.

    Attributes
    ----------
    rule : str
        Lindegren et al. 2021 (A&A 649, A4), a column of the release, or no correction.
    inputs : dict of str to str
        The rule's own argument names -> canonical columns of the looked-up tables.
    bits : SolutionBits
        Of the column ``astrometric_params_solved`` of `lindegren2021`.
    """

    added: ClassVar[tuple[str, ...]] = ("bits",)

    rule: Literal["lindegren2021", "column", "none"]
    inputs: dict[str, ColumnName] = Field(default_factory=dict)
    bits: SolutionBits = SolutionBits()

    @model_validator(mode="after")
    def _has_its_inputs(self) -> Self:
        needed = _INPUTS[self.rule]
        if set(self.inputs) != needed:
            raise ValueError(f"rule {self.rule} needs exactly the inputs {sorted(needed)}")
        if self.rule != "lindegren2021" and self.bits != SolutionBits():
            raise ValueError(f"rule {self.rule} looks at no bits")
        return self


class ZeroPointFallback(_Rule):
    """The rule for stars whose bias column is null."""

    rule: Literal["lindegren2021", "none"]


class ParallaxZeroPoint(_Rule):
    """How the parallax zero point is found; it is subtracted from the parallax.

    Attributes
    ----------
    sign : {"subtract", "add"}
        What is done with the column of the rule `column`. Gaia's biases are those of published
        parallaxes, and subtracted.
    fallback : ZeroPointFallback, optional
        The rule for stars whose column is null; they are counted, and a flag says so. Without
        one their corrected parallax is null.
    """

    added: ClassVar[tuple[str, ...]] = (*_Rule.added, "sign", "fallback")

    sign: Literal["subtract", "add"] = "subtract"
    fallback: ZeroPointFallback | None = None

    @model_validator(mode="after")
    def _only_of_a_column(self) -> Self:
        if self.rule != "column" and (self.fallback is not None or self.sign != "subtract"):
            raise ValueError(f"sign and fallback go with the rule column, not with {self.rule}")
        return self

    @property
    def bias(self) -> ColumnName | None:
        """The release's own column; None where the rule is another."""
        return self.inputs.get(_BIAS)

    def columns_by_key(self) -> Iterator[tuple[str, ColumnName]]:
        """Yield the columns that it needs, by the key of the release description."""
        for argument, column in self.inputs.items():
            yield f"parallax_zero_point.inputs.{argument}", column
        if self.fallback is not None:
            for argument, column in self.fallback.inputs.items():
                yield f"parallax_zero_point.fallback.inputs.{argument}", column
