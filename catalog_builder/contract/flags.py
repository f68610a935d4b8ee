"""What ``schemas/flags.yaml`` declares: bits, and the tiers made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.description import Description, load_description
from catalog_builder.contract.labels import refuse_twice
from catalog_builder.contract.templates import (
    Entry,
    Filler,
    Words,
    named_as,
    refuse_shared,
    validated,
)
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir

#: Name of the first mask; further ones are ``flags_2`` and so on.
MASK: Final = "flags"
#: Bits of a mask; the last is the sign of an int64 and stays free.
WORD_BITS: Final = 64
_LAST: Final = 4095
#: What stands for the bits with doubts, and for all labels.
_DOUBTS, _ALL = "doubts", "all"


class FlagBit(Description):
    """One bit of the masks: number, name, sentence, and the predicate that sets it.

    Attributes
    ----------
    bit : int
        0 to 62 in ``flags``, 64 to 126 in ``flags_2``, and so on.
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

    bit: int = Field(ge=0, le=_LAST)
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    sentence: str
    test: str = ""
    parameters: Mapping[str, str | float] = Field(default_factory=dict)
    status: Literal["active", "reserved", "withdrawn"] = "active"
    doubts: tuple[str, ...] = ()

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
        if _is_sign(self.bit):
            raise ValueError(f"{self.name}: bit {self.bit} is the sign of its column")
        return self

    @property
    def column(self) -> str:
        """The mask that it is in."""
        return mask_name(self.bit // WORD_BITS)

    @property
    def mask(self) -> int:
        """Its value in that mask."""
        return 1 << (self.bit % WORD_BITS)


class Tier(Description):
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
    largest_sigma: Mapping[str, float] = Field(default_factory=dict)

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


class _Templates(Description):
    """The content of ``schemas/flags.yaml``."""

    version: str
    words: dict[str, Words] = Field(default_factory=dict)
    bits: tuple[dict[str, Any], ...]
    tiers: tuple[dict[str, Any], ...] = ()


class FlagSchema(Description):
    """All bits in order of their number, and the tiers made of them."""

    version: str = Field(pattern=r"^[0-9]+\.[0-9]+$")
    bits: tuple[FlagBit, ...]
    tiers: tuple[Tier, ...] = ()

    @model_validator(mode="after")
    def _no_reuse(self) -> Self:
        for before, after in pairwise(self.bits):
            if after.bit <= before.bit:
                raise ValueError(
                    f"{after.name} has bit {after.bit} after {before.name} with bit {before.bit}:"
                    " bit numbers must increase, and a bit is never used twice; the next that is"
                    f" free is {max(bit.bit for bit in self.bits) + 1}"
                )
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
    def of(cls, contract: Contract, path: Path | None = None) -> FlagSchema:
        """Return the bits of a contract: those of ``schemas/flags.yaml``, templates filled.

        Parameters
        ----------
        contract : Contract
        path : Path, optional
            Another file than that.

        Raises
        ------
        ConfigError
            If the file is wrong, or does not go with the contract.
        """
        path = path or schemas_dir() / "flags.yaml"
        templates = load_description(_Templates, "", path)
        filler = Filler(contract, templates.words)
        with named_as(path):
            entries = list(filler.entries(templates.bits))
            refuse_shared("bit", entries)
            bits = _bits(entries, templates.bits, contract)
            _refuse_unknown_limits(contract, [tier.get("name") for tier in templates.tiers])
            tiers = [_tier(tier, bits, contract, filler) for tier in templates.tiers]
            return validated(cls, {"version": templates.version, "bits": bits, "tiers": tiers})

    @property
    def active(self) -> tuple[FlagBit, ...]:
        """Bits that are computed."""
        return tuple(bit for bit in self.bits if bit.status == "active")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the masks, in order; there is one at least."""
        words = max((bit.bit // WORD_BITS for bit in self.bits), default=0) + 1
        return tuple(mask_name(word) for word in range(words))

    @property
    def declared_masks(self) -> dict[str, int]:
        """Bitwise or of every bit that a catalogue may carry (the active ones), by mask."""
        return {**dict.fromkeys(self.columns, 0), **masks_of(self.active)}

    def doubts_on(self, label: str) -> tuple[FlagBit, ...]:
        """Return the bits that cast doubt on a label."""
        return tuple(bit for bit in self.bits if label in bit.doubts)

    def test(self, columns: Any, *names: str) -> Any:
        """Tell which stars carry any of these bits.

        Parameters
        ----------
        columns : mapping of str to array, or xarray.Dataset
            At least the masks: NumPy arrays, or whatever knows ``&``, ``|`` and ``!=``.
        *names : str
            At least one bit.

        Returns
        -------
        array of bool
            Of the masks' kind and shape.

        Raises
        ------
        ConfigError
            If there is no such bit.
        """
        return any_of(columns, (self[name] for name in names))

    def __getitem__(self, name: str) -> FlagBit:
        for bit in self.bits:
            if bit.name == name:
                return bit
        raise ConfigError(
            f"there is no flag called {name!r}",
            f"Declared are: {', '.join(bit.name for bit in self.bits)}.",
        )


def mask_name(word: int) -> str:
    """Return the name of a mask by its number, from 0."""
    return MASK if word == 0 else f"{MASK}_{word + 1}"


def masks_of(bits: Iterable[FlagBit]) -> dict[str, int]:
    """Return the bitwise or of some bits, by mask."""
    masks: dict[str, int] = {}
    for bit in bits:
        masks[bit.column] = masks.get(bit.column, 0) | bit.mask
    return masks


def any_of(columns: Any, bits: Iterable[FlagBit]) -> Any:
    """Tell which stars carry any of some bits; see `FlagSchema.test`."""
    found: Any = None
    for column, mask in masks_of(bits).items():
        carried = (columns[column] & mask) != 0
        found = carried if found is None else found | carried
    return (columns[MASK] & 0) != 0 if found is None else found


def _is_sign(number: int) -> bool:
    return number % WORD_BITS == WORD_BITS - 1


def _bits(
    entries: Iterable[Entry], templates: Iterable[Mapping[str, Any]], contract: Contract
) -> list[dict[str, Any]]:
    """Return the bits with their numbers: those released, and the next that are free."""
    found, free = [], _free_numbers(templates)
    for entry in entries:
        content = dict(entry.content)
        if content.get("doubts") == _ALL:
            content["doubts"] = contract.labels.names
        if entry.thing is not None:
            released = entry.template.get("bits", {}).get(entry.thing.name)
            content["bit"] = next(free) if released is None else released
        found.append(content)
    return sorted(found, key=lambda content: content.get("bit", -1))


def _free_numbers(templates: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    taken = set()
    for template in templates:
        taken |= {template.get("bit"), *template.get("bits", {}).values()}
    return (n for n in range(_LAST + 1) if n not in taken and not _is_sign(n))


def _refuse_unknown_limits(contract: Contract, tiers: Sequence[Any]) -> None:
    """Raise ValueError where a label limits its uncertainty in a tier that cannot be limited."""
    # The last one takes every star that is left.
    known = tiers[:-1]
    for label in contract.labels:
        if unknown := sorted(set(label.largest_sigma) - set(known)):
            raise ValueError(
                f"largest_sigma of the label {label.name} names {', '.join(unknown)}; tiers with"
                f" limits are {', '.join(map(str, known)) or 'none'}"
            )


def _tier(
    template: Mapping[str, Any],
    bits: Iterable[Mapping[str, Any]],
    contract: Contract,
    filler: Filler,
) -> dict[str, Any]:
    """Return a tier with the bits that it names, and with the limits that labels have for it."""
    content = filler.fill({k: v for k, v in template.items() if k != "requires"}, {})
    if content.get("without") == _DOUBTS:
        content["without"] = [bit["name"] for bit in bits if bit.get("doubts")]
    needed = (
        one if isinstance(one, Mapping) else {"name": one} for one in template.get("requires", ())
    )
    limits = {
        label.name: label.largest_sigma[content["name"]]
        for label in contract.labels
        if content["name"] in label.largest_sigma
    }
    return {
        **content,
        "requires": [entry.content["name"] for entry in filler.entries(needed)],
        "largest_sigma": limits,
    }
