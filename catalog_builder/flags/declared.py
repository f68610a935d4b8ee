"""What ``schemas/flags.yaml`` declares: bits, and the tiers made of them.

The base of everything that is declared in ``schemas/`` lives here too, for columns stand on flags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from catalog_builder.documents import DocumentError, parse_yaml, read_document
from catalog_builder.errors import ConfigError
from catalog_builder.resources import schemas_dir

Label = Literal["teff", "logg", "m_h", "alpha_m", "fe_h"]


class Declared(BaseModel):
    """Something read from ``schemas/``: it does not change, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FlagBit(Declared):
    """One bit of ``flags``: number, name, sentence, and the predicate that sets it.

    Attributes
    ----------
    bit : int
        0 to 62.
    name, sentence : str
        The name a user filters on, and what a set bit says.
    test : str
        Function of :mod:`catalog_builder.flags.predicates`; empty unless active.
    parameters : dict
        Keyword arguments of the test.
    status : {"active", "reserved", "withdrawn"}
        A reserved bit has no test yet; a withdrawn one is no longer set and never used again.
    doubts : tuple of str
        Labels that a star with this bit has, but that are not to be used without thought.
    """

    bit: int = Field(ge=0, le=62)
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    sentence: str
    test: str = ""
    parameters: Mapping[str, str | float] = Field(default_factory=dict)
    status: Literal["active", "reserved", "withdrawn"] = "active"
    doubts: tuple[Label, ...] = ()

    @model_serializer(mode="wrap")
    def _as_before_there_were_doubts(
        self, serialise: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        """Leave out what earlier catalogues do not have, so that their digests stay theirs."""
        content: dict[str, Any] = serialise(self)
        if not self.doubts:
            content.pop("doubts", None)
        return content

    @model_validator(mode="after")
    def _tested_if_active(self) -> Self:
        if bool(self.test) != (self.status == "active"):
            raise ValueError(f"{self.name}: an active bit has a test, any other has none")
        return self

    @property
    def mask(self) -> int:
        """``2**bit``."""
        return 1 << self.bit


class Tier(Declared):
    """One value of ``quality_tier``: its conditions, all of which a star must meet.

    Attributes
    ----------
    tier : int
        1 is the best.
    name, sentence : str
        What to call it, and what it says.
    requires, without : tuple of str
        Bits that must be set, and bits that must not be.
    largest_sigma : dict of str to float
        Largest uncertainty of a label that is given, in the label's unit.
    """

    tier: int = Field(ge=1, le=9)
    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    sentence: str
    requires: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    largest_sigma: Mapping[Label, float] = Field(default_factory=dict)

    def conditions(self) -> list[str]:
        """Return what a star must meet, in words."""
        words = []
        if self.requires:
            words.append(f"set: {', '.join(self.requires)}")
        if self.without:
            words.append(f"not set: {', '.join(self.without)}")
        if self.largest_sigma:
            limits = (f"e_{label} {limit:g}" for label, limit in self.largest_sigma.items())
            words.append(f"at most: {', '.join(limits)}")
        return words


class FlagSchema(Declared):
    """All bits of ``flags`` in order of their number, and the tiers made of them."""

    version: str = Field(pattern=r"^[0-9]+\.[0-9]+$")
    bits: tuple[FlagBit, ...]
    tiers: tuple[Tier, ...] = ()

    @model_validator(mode="after")
    def _no_reuse(self) -> Self:
        numbers = [bit.bit for bit in self.bits]
        if numbers != sorted(set(numbers)):
            raise ValueError("bit numbers must increase; a bit is never used twice")
        refuse_twice(bit.name for bit in self.bits)
        return self

    @model_validator(mode="after")
    def _tiers_know_their_bits(self) -> Self:
        names = {bit.name for bit in self.bits}
        for number, tier in enumerate(self.tiers, start=1):
            unknown = sorted({*tier.requires, *tier.without} - names)
            if unknown:
                raise ValueError(f"tier {tier.name} names unknown bits: {', '.join(unknown)}")
            if tier.tier != number:
                raise ValueError("tiers are numbered from 1 in the order in which they are tried")
        if self.tiers and (last := self.tiers[-1]).requires + last.without:
            raise ValueError(f"the last tier, {last.name}, must take every star that is left")
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> FlagSchema:
        """Read ``schemas/flags.yaml`` or the file given; raise ConfigError if it is wrong."""
        return load_declared(cls, path or schemas_dir() / "flags.yaml")

    @property
    def active(self) -> tuple[FlagBit, ...]:
        """Bits that are computed."""
        return tuple(bit for bit in self.bits if bit.status == "active")

    @property
    def declared_mask(self) -> int:
        """Bitwise or of every bit that a catalogue may carry: the active ones."""
        return sum(bit.mask for bit in self.active)

    def doubts_on(self, label: str) -> int:
        """Bitwise or of the bits that cast doubt on a label."""
        return sum(bit.mask for bit in self.bits if label in bit.doubts)

    def __getitem__(self, name: str) -> FlagBit:
        for bit in self.bits:
            if bit.name == name:
                return bit
        raise ConfigError(
            f"there is no flag called {name!r}",
            f"Declared are: {', '.join(bit.name for bit in self.bits)}.",
        )


_Model = TypeVar("_Model", bound=Declared)


def load_declared(model: type[_Model], path: Path, **more: object) -> _Model:
    """Read a YAML file and validate it; raise ConfigError, which names the key, if it is wrong."""
    try:
        text = parse_yaml(read_document(path))
        return model.model_validate({**text, **more})
    except (OSError, TypeError, DocumentError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", "Restore the file.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
        raise ConfigError(f"{path}: {key}: {first['msg']}.", "Correct this key.") from error


def refuse_twice(names: Iterable[str]) -> None:
    """Raise ValueError at the first name that comes again."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name} is declared twice")
        seen.add(name)
