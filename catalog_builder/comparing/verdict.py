"""Whether two tables agree: judged label by label, with the numbers and the rule beside it.

A label *drifts* if its median difference is more than 0.1 of the new uncertainty and more than
three of its own errors from 0, or if fewer stars are within one expected difference than even
independent errors would bring there: below 68 % by more than 5 % and three errors of the share. It
*agrees* if neither holds and the share is right at the adopted correlation. *Within bounds* means
that the share is right at some other correlation from 0 to 1, and *too small* that differences are
smaller than at any: the answers did not drift, but sigma is too large.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from catalog_builder.comparing.engine import Comparison
from catalog_builder.comparing.expected import INDEPENDENT, WITHIN_ONE
from catalog_builder.comparing.tally import Numbers, Tally

#: What is allowed: of the new uncertainty, of the share, and in errors of either.
MEDIAN, SHARE, ERRORS = 0.1, 0.05, 3.0
#: The same for regimes: among a hundred of them, 3 errors come by chance.
REGIME_ERRORS: Final = 4.0
#: A regime of fewer stars is not judged, and its numbers are not shown.
LEAST_STARS: Final = 20

State = Literal["agrees", "within bounds", "too small", "drifts", "too few stars"]


@dataclass(frozen=True)
class Judgement:
    """What was found of one label in one regime.

    Attributes
    ----------
    label : str
    division, regime : str
        Empty for all stars.
    state : str
    reasons : tuple of str
        Each a phrase with its numbers; none if it agrees.
    numbers : Numbers
    """

    label: str
    division: str
    regime: str
    state: State
    reasons: tuple[str, ...]
    numbers: Numbers


def judge(tally: Tally, cell: int = 0, division: str = "", regime: str = "") -> Judgement:
    """Judge one label in one regime."""
    numbers = tally.numbers(cell)
    name = tally.label.name
    if numbers.stars < LEAST_STARS:
        return Judgement(name, division, regime, "too few stars", (), numbers)
    errors = REGIME_ERRORS if cell else ERRORS
    state: State
    state, reason = ("agrees", "") if _same(numbers) else _scatter(numbers, tally, errors)
    reasons = [*_offset(numbers, tally, errors), *([reason] if reason else [])]
    if len(reasons) > bool(reason):
        state = "drifts"
    return Judgement(name, division, regime, state, tuple(reasons), numbers)


def judgements(comparison: Comparison) -> list[Judgement]:
    """Judge every label, for all stars."""
    return [judge(tally) for tally in comparison.tallies.values()]


def regime_judgements(comparison: Comparison) -> Iterator[Judgement]:
    """Judge every label in every regime that has a name; with its division's title."""
    for tally in comparison.tallies.values():
        for division in comparison.divisions:
            first = comparison.first_cell(division)
            for place, regime in enumerate(division.regimes):
                yield judge(tally, first + place, division.title, regime)


def in_words(comparison: Comparison) -> str:
    """Return the verdict in one sentence."""
    if not comparison.stars:
        return "Nothing to compare: the two have no star in common."
    found = judgements(comparison)
    few = [each.label for each in found if each.state == "too few stars"]
    found = [each for each in found if each.state != "too few stars"]
    if not found:
        return f"Not judged: no label has {LEAST_STARS} stars in both."
    rest = f" Not judged, for too few stars: {', '.join(few)}." if few else ""
    return f"{_of_judged(found)}{rest}"


def _of_judged(found: list[Judgement]) -> str:
    drifting = [each for each in found if each.state == "drifts"]
    if drifting:
        words = "; ".join(f"{each.label}: {', '.join(each.reasons)}" for each in drifting)
        return f"Drift in {len(drifting)} of {len(found)} labels. {words}."
    if all(_same(each.numbers) for each in found):
        return f"No drift: all {len(found)} labels are the same, to the last digit."
    return " ".join([f"No drift in {len(found)} labels.", *_notes(found)])


def _notes(found: list[Judgement]) -> Iterator[str]:
    """Yield what is to be said of labels that do not drift."""
    if shared := [each.label for each in found if each.state == "within bounds"]:
        yield (
            f"Differences of {', '.join(shared)} are not those of the adopted correlation, but such"
            " as errors have that are partly shared."
        )
    if small := [each.label for each in found if each.state == "too small"]:
        yield (
            f"Differences of {', '.join(small)} are smaller than their uncertainties allow: sigma"
            " is too large."
        )


def _offset(numbers: Numbers, tally: Tally, errors: float) -> Iterator[str]:
    size, error = abs(numbers.median), numbers.median_error
    if size > MEDIAN * numbers.sigma_new and size > errors * error:
        digits = tally.label.decimals + 1
        words = f"{numbers.median:+.{digits}f} ± {error:.{digits}f} ({numbers.pull:+.2f} σ)"
        yield f"median difference {words.replace('-', '−')}"


def _scatter(numbers: Numbers, tally: Tally, errors: float) -> tuple[State, str]:
    """Judge the share of stars within one expected difference; say what is wrong with it."""
    if not _far(numbers.shares[tally.lines[0].name].within_1, numbers.stars, errors):
        return "agrees", ""
    most, least = numbers.shares[INDEPENDENT].within_1, numbers.least_within_1
    if most < WITHIN_ONE and _far(most, numbers.stars, errors):
        return "drifts", f"only {most:.1%} within one expected difference of independent errors"
    if least > WITHIN_ONE and _far(least, numbers.stars, errors):
        return "too small", f"{least:.1%} within one expected difference of wholly shared errors"
    return "within bounds", ""


def _far(share: float, stars: int, errors: float) -> bool:
    error = math.sqrt(WITHIN_ONE * (1 - WITHIN_ONE) / stars)
    return abs(share - WITHIN_ONE) > max(SHARE, errors * error)


def _same(numbers: Numbers) -> bool:
    return numbers.unchanged == numbers.stars
