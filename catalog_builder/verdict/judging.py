"""Numbers of one check become its state, and a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from catalog_builder.catalog.check_record import Check, State
from catalog_builder.verdict.numbers import Many, Number, errors_of, warn_errors

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
    count = len(off or odd)
    more = f" {count} of {tests} numbers are so." if count > 1 else ""
    lead = "" if state != "pass" else f"{tests} numbers; furthest off: "
    lead = "" if tests == 1 else lead
    words = f"{lead}{_said(question, worst, (low, high), worst.passes(warn_errors(tests)))}.{more}"
    return Check(
        **known,
        state=state,
        words=words,
        about=worst.about,
        number=worst.number,
        expected=worst.expected,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        stars=worst.stars,
        tests=tests,
    )


def _said(question: Question, one: Number, fails: Limits, passes: Limits) -> str:
    """Say what was found and expected, which numbers pass, and which fail; others warn."""
    name = one.said or one.about
    about = f"{name}: " if name else ""
    of = f" ({one.stars} stars)" if one.stars else ""
    low, high = (shown(one, limit) if math.isfinite(limit) else "" for limit in passes)
    least = isinstance(one, Many)  # of which no number is too small
    passing = f"from {low} to {high}" if high else f"from {low} on"
    passing = f"up to {high}" if least else passing
    below, above = (shown(one, limit) if math.isfinite(limit) else "" for limit in fails)
    # What lies at the end of all that a share can be does not fail.
    below = "" if least or (fails[0] <= 0 and (one.decimals < 0 or not above)) else below
    above = "" if fails[1] >= 1 and one.decimals < 0 else above
    failing = " or ".join(
        filter(None, [f"below {below}" if below else "", f"above {above}" if above else ""])
    )
    return (
        f"{about}{question.what} {shown(one, one.number)}{of}, expected"
        f" {shown(one, one.expected)}; passes {passing}, fails {failing or 'nowhere'}"
    )


def shown(one: Number, value: float) -> str:
    """Return a number in print."""
    if one.decimals < 0:
        return f"{100 * value:.1f} %"
    text = f"{round(value, one.decimals) + 0.0:.{one.decimals}f}"
    return f"{text}{f' {one.unit}' if one.unit else ''}".replace("-", "−")
