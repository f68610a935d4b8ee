"""What contradicts a release description."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: How a draft marks what is to be filled in; and the name of a column that is not known yet.
NOT_FOUND: Final = "NOT FOUND"
UNKNOWN: Final = "?"


@dataclass(frozen=True)
class Finding:
    """One contradiction between files and their description.

    Attributes
    ----------
    line : str
        The line of the description that is contradicted: ``spectra.rvs.grid.start``.
    table : str
        Whose files contradict it.
    problem, way_out : str
        What was seen, and what helps.
    """

    line: str
    table: str
    problem: str
    way_out: str

    @property
    def mark(self) -> tuple[str, str]:
        """What two files must agree in for this to count."""
        return self.line, self.table


@dataclass
class Looked:
    """What was looked at, and what was found.

    Attributes
    ----------
    findings : list of Finding
        All that contradicts.
    facts : dict
        What was measured, by the line of the description that it confirms or contradicts.
    judged : set of (str, str)
        Of which lines, and of what about them, there was enough to contradict them.
    """

    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    judged: set[tuple[str, str]] = field(default_factory=set)

    def judges(self, line: str, other: Looked) -> bool:
        """Say whether there was enough to judge all about a line that another look judged."""
        return {each for each in other.judged if each[0] == line} <= self.judged

    def add(self, line: str, table: str, problem: str, way_out: str) -> None:
        """Note a contradiction."""
        self.findings.append(Finding(line, table, problem, way_out))


def common(several: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Return the findings of the first look that all looks have, each once."""
    counts = Counter(mark for findings in several for mark in {found.mark for found in findings})
    kept: dict[tuple[str, str], Finding] = {}
    for found in several[0] if several else ():
        if counts[found.mark] == len(several):
            kept.setdefault(found.mark, found)
    return list(kept.values())


def listed(words: Iterable[str], shown: int = 8) -> str:
    """Return words with commas, the first ones if there are many."""
    words = list(words)
    return ", ".join(words[:shown]) + (f" and {len(words) - shown} more" * (len(words) > shown))
