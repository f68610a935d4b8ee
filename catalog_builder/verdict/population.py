"""Checks against the archive that the model was trained on: the comparisons behind the alarms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.inference.alarms import Tested
from catalog_builder.model.population import ODD, not_an_input, odd
from catalog_builder.verdict.facts import VerdictFacts
from catalog_builder.verdict.judging import Question
from catalog_builder.verdict.numbers import Number

#: The distance of the networks of an ensemble from each other.
MEMBERS: Final = "member_disagreement"
_INPUTS: Final = "inputs"
#: By check: its title, what is told of its numbers, and the section that shows it.
_TITLES: Final = {
    _INPUTS: ("Inputs beside the training archive", "found is", "completeness"),
    "null_labels": ("Null labels beside the training archive", "a share of", "labels"),
    "flags": ("Flags beside the training archive", "a share of", "flags"),
    "tiers": ("Tiers beside the training archive", "a share of", "tiers"),
    "members": ("Disagreement of the networks", "a share of", "flags"),
}


def questions(facts: VerdictFacts, schema: CatalogSchema) -> Iterator[Question]:
    """Yield the checks that rest on comparisons with the model's training archive."""
    groups: dict[str, list[Number]] = {name: [] for name in _TITLES}
    names, said = _groups(schema), _in_words(schema)
    for one in facts.population:
        if one.excess == -math.inf:
            continue  # told, and never wrong
        groups[names.get(one.alarm.about, _INPUTS)].append(_number(one, said))
    for name, (title, what, figure) in _TITLES.items():
        yield Question(name, title, what, groups[name], facts.not_compared, figure)


def _groups(schema: CatalogSchema) -> dict[str, str]:
    found = {}
    for bit in schema.flags.active:
        if not_an_input(bit):
            null = bit.name.endswith("_not_available")
            found[bit.name] = "null_labels" if null else "flags"
            if bit.parameters.get("distance") == MEMBERS:
                found[bit.name] = "members"
    found |= {tier.name: "tiers" for tier in schema.flags.tiers}
    for name in distances_of(schema.inputs):
        found[odd(name)] = "members" if name == MEMBERS else "flags"
    return found


def _in_words(schema: CatalogSchema) -> dict[str, str]:
    """Return what stars are counted, by the name of their count."""
    inputs = schema.inputs
    found = {f"has_{name}": f"stars with {inputs.title(name)}" for name in inputs.names}
    for name, spectrum in inputs.spectra.items():
        title = inputs.title(name)
        found[f"{name}_median"] = f"stars below the median flux of {title} where both differ most"
        found[f"{name}_flux_over_error"] = f"stars beyond the usual flux over error of {title}"
        if spectrum.sig_to_noise:
            found[spectrum.sig_to_noise] = f"stars beyond the usual S/N of {title}"
            found[f"{spectrum.sig_to_noise}_known"] = f"stars whose S/N of {title} is known"
    bits = (bit.name for bit in schema.flags.active if not_an_input(bit))
    found |= {name: f"stars with the flag {name}" for name in bits}
    found |= {tier.name: f"stars of the tier {tier.name}" for tier in schema.flags.tiers}
    for name in distances_of(schema.inputs):
        found[odd(name)] = f"stars with {name} above {ODD:g}, of 1 at which it is flagged"
    return found


def _number(one: Tested, said: Mapping[str, str]) -> Number:
    """Return a comparison as a number: beyond its tolerance by as many errors as the alarm's."""
    here, there = one.alarm.here, one.alarm.expected
    tolerance = abs(here - there) - one.excess
    decimals = -2 if min(here, there) >= 0 and max(here, there) <= 1 else 3
    about = one.alarm.about
    words = said.get(about, "")
    return Number(about, here, there, tolerance, one.error, 0, decimals, said=words)
