"""Numbers, lists and articles as sentences have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_NUMBERS: Final = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)
#: Letters whose names begin with a vowel.
_SPELT_WITH_AN: Final = frozenset("AEFHILMNORSX")
_LONGEST_SPELT: Final = 3


def in_words(number: int) -> str:
    """Return a number in words, or in digits if it is a large one."""
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return names as a sentence lists them: ``G, BP and RP``."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def with_article(title: str) -> str:
    """Return a title with its article: ``an RVS``, ``a blue``; short capitals are spelt."""
    word = title.split(maxsplit=1)[0]
    spelt = word.isupper() and len(word) <= _LONGEST_SPELT
    # What begins with a capital U is mostly spoken as "you".
    vowel = word[0] in _SPELT_WITH_AN if spelt else word[0] in "AEIOaeiou"
    return f"{'an' if vowel else 'a'} {title}"
