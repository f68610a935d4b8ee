"""Model documents of layout 3, which version 0.1 wrote: the same, before labels were data."""

from __future__ import annotations

import functools
from typing import Any, Final

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.description import load_description
from catalog_builder.model.settings import RENAMED

LAYOUT_3: Final = "catalog-builder model, layout 3"
#: Settings that came after the layout, as models have them that do not name them.
_NOT_YET: Final = {"untold_share": 0.0}
_RENAMED: Final = {"g_range": "magnitude_range"}
#: How facts of a release, which had two spectra by name, began.
_FACTS: Final = {
    "xp.sampled_grid.": "spectra.xp.grid.",
    "xp.": "spectra.xp.",
    "rvs.": "spectra.rvs.",
}


@functools.cache
def contract_of_layout_3() -> Contract:
    """Return the contract of every model of layout 3, whatever releases are described today.

    Raises
    ------
    ConfigError
        If ``schemas/models/layout-3.yaml`` is wrong; the message names the key.
    """
    return load_description(Contract, "models", "layout-3")


def from_layout_3(content: dict[str, Any]) -> dict[str, Any]:
    """Return a document of layout 3 with today's keys; what is wrong with it stays so.

    Its labels were always the same ones. Where it has others they stay, as a key that no document
    has.
    """
    made = {_RENAMED.get(key, key): value for key, value in content.items()}
    contract = contract_of_layout_3()
    if made.get("labels") == list(contract.labels.names):
        del made["labels"]
    made["contract"] = contract
    settings = made.get("settings")
    if isinstance(settings, dict):
        named = {RENAMED.get(name, name): value for name, value in settings.items()}
        made["settings"] = {**_NOT_YET, **named}
    return made


def fact_of_today(key: str) -> str:
    """Return how a fact of a release that version 0.1 recorded is called today; others as it is."""
    for before, now in _FACTS.items():
        if key.startswith(before):
            return now + key.removeprefix(before)
    return key
