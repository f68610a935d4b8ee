"""Numbers and lists as words of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from catalog_builder.contract.flags import Tier
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.words import listed, with_article
from catalog_builder.report.html import number, text


def spelled(count: int) -> str:
    """Return a count, with its digits in groups; none as a word."""
    return f"{count:_d}".replace("_", "\u202f") if count else "none"


def stars(count: int) -> str:
    """Return a count of stars as markup."""
    return f"{text(number(count))} star{'' if count == 1 else 's'}"


def beyond(count: int) -> str:
    """Return the sentence on stars that a figure does not show, if there are any."""
    return f" Beyond the grid and not shown: {spelled(count)}." if count else ""


def regime(name: str, inputs: Inputs) -> str:
    """Return the name of a regime as people say it: "with RVS, 15 ≤ S/N < 25"."""
    for spectrum in inputs.spectra.values():
        if spectrum.sig_to_noise:
            name = name.replace(spectrum.sig_to_noise, "S/N")
    if inputs.magnitude:
        name = name.replace(inputs.magnitude, next(iter(inputs.bands)).title)
    return name.replace("<=", "≤").replace(">=", "≥")


def tier_name(tier: Tier) -> str:
    """Return the name of a tier as people write it."""
    return tier.name.replace("_", " ")


def a_spectrum(title: str) -> str:
    """Return "an RVS spectrum" for ``RVS``."""
    return f"{with_article(title)} spectrum"


def numbers(found: Sequence[int]) -> str:
    """Return numbers in order, three or more that follow each other as "18 to 23"."""
    runs = [
        [value for _, value in run]
        for _, run in groupby(enumerate(sorted(found)), key=lambda pair: pair[1] - pair[0])
    ]
    parts: list[str] = []
    for run in runs:
        parts += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run)
    return listed(parts)
