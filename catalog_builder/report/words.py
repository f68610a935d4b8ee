"""Numbers and lists as words of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from catalog_builder.report.html import number, text

_SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve",
)  # fmt: skip
#: Letters whose names begin with a vowel.
_WITH_AN: Final = frozenset("AEFHILMNORSX")


def spelled_small(count: int) -> str:
    """Return a number, up to twelve as a word."""
    return _SMALL[count] if 0 <= count < len(_SMALL) else f"{count}"


def spelled(count: int) -> str:
    """Return a count, with its digits in groups; none as a word."""
    return f"{count:_d}".replace("_", "\u202f") if count else "none"


def stars(count: int) -> str:
    """Return a count of stars as markup."""
    return f"{text(number(count))} star{'' if count == 1 else 's'}"


def beyond(count: int) -> str:
    """Return the sentence on stars that a figure does not show, if there are any."""
    return f" Beyond the grid and not shown: {spelled(count)}." if count else ""


def with_article(title: str) -> str:
    """Return a name with its article: an acronym is spelt, another word is spoken."""
    first = title[:1]
    spoken = title[:2].upper() != title[:2]
    return (
        f"an {title}" if (first in "AEIOUaeiou" if spoken else first in _WITH_AN) else f"a {title}"
    )


def a_spectrum(title: str) -> str:
    """Return "an RVS spectrum" for ``RVS``."""
    return f"{with_article(title)} spectrum"


def listed(names: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


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
