"""Labels as data: what each is called, its unit, how it is learnt, shown and flagged.

``schemas/known_labels.yaml`` declares the labels that every survey may name; a survey's own
description may declare more under ``declares``. Nothing else in the program knows a label's name:
what has to find the temperature or the metallicity among them asks for their role.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from catalog_builder.contract.columns import is_in_dex
from catalog_builder.contract.description import Description, load_description

#: Roles that more than one label may have; the first that is there counts.
Role = Literal["temperature", "gravity", "metallicity", "alpha"]
LabelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
# Far beyond any label, and their differences and ratios are finite.
Finite = Annotated[float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=1e-30, le=1e30, allow_inf_nan=False)]
#: Bins of an axis at most; figures merge them in groups of 2 and 5.
_MOST_BINS: Final = 10_000
_TAG: Final = re.compile(r"<(/?)(i|b|sub|sup)>")


def _in_order(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError(f"{limits[0]:g} is not below {limits[1]:g}")
    return limits


Limits = Annotated[tuple[Finite, Finite], AfterValidator(_in_order)]


class Simulation(Description):
    """How the simulator makes the truth of a label that its spectra do not have.

    Attributes
    ----------
    terms : dict of str to float
        Other labels, by name, and what each is multiplied with.
    scatter : float
        Deviation of the Gaussian scatter about their sum.
    error : float
        What a survey's error is at S/N 100.
    """

    terms: dict[LabelName, Finite] = Field(default_factory=dict)
    scatter: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    error: Positive = 0.02


class Label(Description):
    """One label.

    Attributes
    ----------
    name : str
        Of its column, and part of the names of its uncertainties, correlations and flags.
    title, short, meaning : str
        What it is: as the title of its column, as a noun in the sentences of other columns
        (``[M/H]``), and what else its column's description says.
    unit, ucd : str
        As in ``schemas/catalog.yaml``. An abundance in dex has no unit and `in_dex`.
    in_dex : bool
        Whether a difference of two values is in dex.
    tex, html : str
        Its symbol in figures (mathtext) and on pages.
    learnt_as : {"value", "logarithm", "reciprocal"}
        What the network sees. The logarithm is right where relative errors vary least, the
        reciprocal where a few stars have values many times as large as all others.
    role : str, optional
        What it is to figures and calibration: a temperature, a gravity, a metallicity, alpha.
    range, resolution : (float, float), float
        Where figures look for stars, and the width of their bins.
    sigma_range : (float, float)
        The same for the uncertainty, whose bins are logarithmic.
    decimals : int
        Digits after the point that its uncertainty is worth.
    largest_sigma : dict of str to float
        By tier of quality, the largest uncertainty that it allows; a tier left out allows any.
    simulated : Simulation, optional
        How the simulator makes it where the synthetic spectra do not have it.
    """

    name: LabelName
    title: Annotated[str, Field(min_length=1, max_length=80)]
    short: Annotated[str, Field(min_length=1, max_length=80)]
    meaning: Annotated[str, Field(max_length=400)]
    unit: Annotated[str, Field(max_length=40)] = ""
    ucd: Annotated[str, Field(max_length=120)]
    in_dex: bool = False
    tex: Annotated[str, Field(max_length=80)]
    html: Annotated[str, Field(max_length=120)]
    learnt_as: Literal["value", "logarithm", "reciprocal"] = "value"
    role: Role | None = None
    range: Limits
    resolution: Positive
    sigma_range: Limits
    decimals: Annotated[int, Field(ge=0, le=9)] = 3
    largest_sigma: dict[str, Positive] = Field(default_factory=dict, max_length=9)
    simulated: Simulation | None = None

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        if self.bins > _MOST_BINS:
            raise ValueError(f"{self.name}: the range has {self.bins} bins of its resolution")
        if self.sigma_range[0] <= 0:
            raise ValueError(f"{self.name}: sigma_range begins at or below 0, and is logarithmic")
        if self.learnt_as != "value" and self.range[0] <= 0:
            raise ValueError(f"{self.name}: what is learnt as a {self.learnt_as} is above 0")
        return self

    @model_validator(mode="after")
    def _is_read_as_it_is(self) -> Self:
        # Who reads a table has its unit and UCD, and no declaration.
        if self.in_dex != is_in_dex(self.unit, self.ucd):
            raise ValueError(
                f"{self.name}: in_dex is {str(self.in_dex).lower()}, but what is in dex, and that"
                " alone, has a unit such as log(yr), or none and phys.abund in its ucd"
            )
        return self

    @field_validator("html")
    @classmethod
    def _only_letters_and_their_form(cls, value: str) -> str:
        """Refuse what is no symbol: it stands on pages as it is, also that of a foreign model."""
        waiting: list[str] = []
        for closing, tag in _TAG.findall(value):
            if closing and (not waiting or waiting.pop() != tag):
                raise ValueError(f"</{tag}> closes nothing")
            if not closing:
                waiting.append(tag)
        if waiting:
            raise ValueError(f"<{waiting[-1]}> is not closed")
        if set("<>") & set(_TAG.sub("", value)):
            raise ValueError("a symbol has no markup but <i>, <b>, <sub> and <sup>")
        return value

    @property
    def bins(self) -> int:
        """Bins of `resolution` in `range`."""
        return math.ceil((self.range[1] - self.range[0]) / self.resolution - 1e-9)


class Labels(tuple[Label, ...]):
    """Labels in the order of every array that holds them."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, handler(tuple[Label, ...]))

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(label.name for label in self)

    def place(self, name: str) -> int:
        """Return the place of a label by its name; raises ValueError where there is none."""
        return self.names.index(name)

    def with_role(self, role: Role) -> Iterator[tuple[int, Label]]:
        """Yield place and label of all that have a role, in order."""
        return ((place, label) for place, label in enumerate(self) if label.role == role)

    def first(self, role: Role) -> Label | None:
        """Return the first label that has a role, or None."""
        return next((label for _, label in self.with_role(role)), None)


class _KnownLabels(Description):
    """The content of ``schemas/known_labels.yaml``."""

    labels: tuple[Label, ...]

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        refuse_twice(label.name for label in self.labels)
        return self


@functools.cache
def known_labels() -> Mapping[str, Label]:
    """Return the labels that every survey may name, by name.

    Raises
    ------
    ConfigError
        If ``schemas/known_labels.yaml`` is wrong; the message names the key.
    """
    declared = load_description(_KnownLabels, "", "known_labels")
    return {label.name: label for label in declared.labels}


def refuse_twice(names: Iterable[str]) -> None:
    """Raise ValueError at the first name that comes again."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name} is declared twice")
        seen.add(name)
