"""Numbers of one check become its state, and a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from catalog_builder.catalog.check_record import Check, State
from catalog_builder.verdict.numbers import Many, Number, errors_of, warn_errors

#: Numbers that are named beside the one that is furthest off.
_NAMED = 5
#: Least and greatest number; infinite where there is no limit.
Limits = tuple[float, float]


@dataclass(frozen=True)
class Question:
    """One check before it is judged.

    Attributes
    ----------
    name, title, figure : str
        As of `Check`.
    what : str
        What its numbers are, in a sentence: ``of the stars are within one sigma``.
    numbers : sequence of Number
        All that are tested.
    why_not : str
        Why there are none.
    among : int
        How many were tested, where those are the furthest off of more.
    """

    name: str
    title: str
    what: str
    numbers: Sequence[Number] = ()
    why_not: str = ""
    figure: str = ""
    among: int = 0

    @property
    def tests(self) -> int:
        """How many numbers were tested."""
        return max(self.among, len(self.numbers))


def judge(question: Question, rate: float) -> Check:
    """Judge a check of which chance alone may fail this share of catalogues."""
    known = {"name": question.name, "title": question.title, "figure": question.figure}
    numbers = question.numbers
    if not numbers:
        return Check(**known, state="not tested", words=f"{question.why_not}.")
    tests = question.tests
    errors = errors_of(rate, tests)
    off = [one for one in numbers if one.beyond > errors]
    odd = [one for one in numbers if one.beyond > 0 and one.odd > warn_errors(tests)]
    state: State = "fail" if off else "warn" if odd else "pass"
    worst = max(numbers, key=lambda one: (one.beyond > errors, one.beyond, one.odd))
    low, high = worst.limits(errors)
    more = _others([one for one in (off or odd) if one is not worst], tests, bool(off))
    lead = "" if state != "pass" else f"{tests} numbers; furthest off: "
    lead = "" if tests == 1 else lead
    passes = worst.passes(warn_errors(tests))
    words = f"{lead}{_said(question, worst, (low, high), passes)}.{more}"
    return Check(
        **known,
        state=state,
        words=words,
        about=worst.about,
        number=worst.number,
        expected=worst.expected,
        low=_finite(low),
        high=_finite(high),
        warn_low=_finite(passes[0]),
        warn_high=_finite(passes[1]),
        stars=worst.stars,
        tests=tests,
    )


def _others(others: Sequence[Number], tests: int, failing: bool) -> str:
    """Name the other numbers that are beyond a limit, those that are furthest off first."""
    if not others:
        return ""
    ordered = sorted(others, key=lambda one: (-one.beyond, -one.odd))
    named = "; ".join(
        f"{one.said or one.about}: {shown(one, one.number)}" for one in ordered[:_NAMED]
    )
    more = len(ordered) - _NAMED
    rest = f"; and {more} more" if more > 0 else ""
    kind = "failing" if failing else "warning"
    return f" {len(others) + 1} of {tests} numbers are beyond the {kind} limit: also {named}{rest}."


def _finite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None


def _said(question: Question, one: Number, fails: Limits, passes: Limits) -> str:
    """Say what was found and expected, and beyond which numbers it warns and fails."""
    name = one.said or one.about
    about = f"{name}: " if name else ""
    of = f" ({one.stars} stars)" if one.stars else ""
    warning, failing = _beyond(one, passes), _beyond(one, fails)
    if not failing:
        limits = f"warns {warning}, fails nowhere" if warning else "fails nowhere"
    else:
        limits = f"fails {failing}" if failing == warning else f"warns {warning}, fails {failing}"
    return (
        f"{about}{question.what} {shown(one, one.number)}{of}, expected"
        f" {shown(one, one.expected)}; {limits}"
    )


def _beyond(one: Number, limits: Limits) -> str:
    """Return what lies beyond limits: "below 3 K or above 7 K"; no limit is at the end of all."""
    low, high = limits
    share = one.decimals < 0
    below = math.isfinite(low) and not isinstance(one, Many) and not (share and low <= 0)
    above = math.isfinite(high) and not (share and high >= 1)
    # Of a count that is never too small no number is.
    below = below and not (low <= 0 and not above)
    ends = (
        f"below {shown(one, low)}" if below else "",
        f"above {shown(one, high)}" if above else "",
    )
    return " or ".join(filter(None, ends))


def shown(one: Number, value: float) -> str:
    """Return a number in print."""
    if one.decimals < 0:
        return f"{100 * value:.1f} %"
    rounded = round(value, one.decimals) + 0.0
    sign = "+" if one.signed and rounded else ""
    text = f"{rounded:{sign}.{one.decimals}f}"
    return f"{text}{f' {one.unit}' if one.unit else ''}".replace("-", "−")
