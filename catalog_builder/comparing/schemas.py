"""Compatibility of two versions of the schema: what was released keeps its meaning."""

from __future__ import annotations

from typing import Final, NamedTuple

from catalog_builder.contract.flags import FlagBit
from catalog_builder.contract.schema import CatalogSchema, Column

#: Tests that had other names in the first schemas, and what these names implied.
_RENAMED: Final[dict[str, tuple[str, dict[str, str | float]]]] = {
    "g_outside_range": ("magnitude_outside_range", {}),
    "rvs_low_snr": ("low_sig_to_noise", {"spectrum": "rvs"}),
}


class SchemaDiff(NamedTuple):
    """What :func:`compare_schemas` found; ``compatible`` unless anything released has changed."""

    compatible: bool
    breaking: tuple[str, ...]
    additions: tuple[str, ...]


def compare_schemas(old: CatalogSchema, new: CatalogSchema) -> SchemaDiff:
    """Tell whether a program written for ``old`` reads a catalogue of ``new`` correctly.

    Additions are compatible: new columns, new bits, a reserved bit that gets its test, a bit that
    is withdrawn. A removed column, a change of anything but a note, and another relative order
    of released columns are not.
    """
    breaking, additions = _diff_columns(old.all_columns, new.all_columns)
    bits_now = {bit.name: bit for bit in new.flags.bits}
    for bit in old.flags.bits:
        if bit.name not in bits_now:
            breaking.append(f"bit {bit.bit} ({bit.name}) is gone; withdraw it instead")
        elif problem := _bit_change(bit, bits_now[bit.name]):
            breaking.append(problem)
    tiers_now = {tier.name: tier for tier in new.flags.tiers}
    breaking += [
        f"tier {tier.tier} ({tier.name}) is gone or has changed"
        for tier in old.flags.tiers
        if tiers_now.get(tier.name) != tier
    ]
    additions += [f"bit {name}" for name in bits_now.keys() - {b.name for b in old.flags.bits}]
    return SchemaDiff(not breaking, tuple(breaking), tuple(sorted(additions)))


def _diff_columns(old: tuple[Column, ...], new: tuple[Column, ...]) -> tuple[list[str], list[str]]:
    now = {column.name: column for column in new}
    before = {column.name for column in old}
    breaking = [f"column {c.name} is gone" for c in old if c.name not in now]
    for column in old:
        if column.name not in now:
            continue
        was, becomes = (c.model_dump(exclude={"note"}) for c in (column, now[column.name]))
        breaking += [
            f"{column.name}: {key} was {was[key]!r}, now {becomes[key]!r}"
            for key in was
            if was[key] != becomes[key]
        ]
    if [c.name for c in old if c.name in now] != [c.name for c in new if c.name in before]:
        breaking.append("the released columns have another order")
    return breaking, [f"column {c.name}" for c in new if c.name not in before]


def _bit_change(old: FlagBit, new: FlagBit) -> str:
    if (old.bit, old.sentence) != (new.bit, new.sentence):
        return f"bit {old.bit} ({old.name}): its number or sentence has changed"
    same_test = _test_of(old) == _test_of(new)
    if old.status == new.status == "active" and not same_test:
        return f"bit {old.bit} ({old.name}): its test has changed"
    if not set(old.doubts) <= set(new.doubts):
        return f"bit {old.bit} ({old.name}): it casts doubt on other labels"
    if old.status == "withdrawn" and new.status != "withdrawn":
        return f"bit {old.bit} ({old.name}) was withdrawn and is used again"
    return ""


def _test_of(bit: FlagBit) -> tuple[str, dict[str, str | float]]:
    """Return the test of a bit as it is called today, with its parameters."""
    test, more = _RENAMED.get(bit.test, (bit.test, {}))
    return test, {**more, **bit.parameters}
