"""The verdict on a catalogue, check by check: for RELEASE.json and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["pass", "warn", "fail", "not tested"]
#: From what is to be looked at first.
STATES: Final[tuple[State, ...]] = ("fail", "warn", "not tested", "pass")


class Check(BaseModel):
    """One check: what was found, what was expected, and what chance and tolerance allow.

    Attributes
    ----------
    name, title : str
        By which it is known, and as people call it.
    state : str
        ``pass``; ``warn``: beyond its tolerance, but not by more than chance may bring; ``fail``;
        ``not tested``.
    words : str
        A sentence: what was found, or why nothing was tested.
    about : str
        Of all that was tested, what is furthest off: a label, a regime, a flag.
    number, expected : float, optional
        Of that.
    low, high : float, optional
        Between which the number does not fail: the tolerance, and what chance adds to it.
    warn_low, warn_high : float, optional
        Between which it passes; what lies between these limits and those warns.
    stars : int
        On which the number rests.
    tests : int
        How many numbers were tested.
    figure : str
        Section of the report that shows it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    title: str
    state: State
    words: str
    about: str = ""
    number: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    warn_low: float | None = None
    warn_high: float | None = None
    stars: Annotated[int, Field(ge=0)] = 0
    tests: Annotated[int, Field(ge=0)] = 0
    figure: str = ""

    @property
    def line(self) -> str:
        """Say it in a line."""
        return f"CHECK {self.state}: {self.title}: {self.words}"


def closing_lines(checks: Sequence[Check]) -> list[str]:
    """Return a line of all, and one for each that did not pass."""
    return [f"Checks: {counted(checks)}.", *(one.line for one in checks if one.state != "pass")]


def counted(checks: Sequence[Check]) -> str:
    """Return how many are of each state, in words: ``11 pass, 1 warn``."""
    states = [one.state for one in checks]
    found = [f"{states.count(state)} {state}" for state in reversed(STATES) if state in states]
    return ", ".join(found) or "none"
