"""What validation has to say: findings that name file, column and row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a catalogue.

    Attributes
    ----------
    file : str
        Path inside the catalogue's folder.
    problem : str
        What is wrong.
    column : str
        Empty if no single column is concerned.
    row : int, optional
        First row concerned, counted from 0.
    count : int
        Number of rows concerned; 0 if rows are not.
    """

    file: str
    problem: str
    column: str = ""
    row: int | None = None
    count: int = 0

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        row = f", row {self.row}" if self.row is not None else ""
        more = f" ({self.count} rows in all)" if self.count > 1 else ""
        return f"{self.file}{column}{row}: {self.problem}{more}"


class FindingLog:
    """Collects findings; the same problem in many rows becomes one finding with a count."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str, str], Finding] = {}

    def add(self, file: str, problem: str, column: str = "") -> None:
        """Note a problem that is not one of rows."""
        self._findings.setdefault((file, column, problem), Finding(file, problem, column))

    def add_rows(
        self, file: str, problem: str, column: str, start: int, wrong: NDArray[np.bool_]
    ) -> None:
        """Note a problem of the rows where ``wrong`` is set, ``start`` being the first row's."""
        count = int(np.count_nonzero(wrong))
        if count == 0:
            return
        key = (file, column, problem)
        before = self._findings.get(key)
        row = start + int(np.argmax(wrong)) if before is None else before.row
        total = count + (0 if before is None else before.count)
        self._findings[key] = Finding(file, problem, column, row, total)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Note what was found elsewhere, behind what was found before."""
        for one in findings:
            key = (one.file, one.column, one.problem)
            before = self._findings.get(key)
            if before is None:
                self._findings[key] = one
            elif one.count:
                self._findings[key] = replace(before, count=before.count + one.count)

    def as_list(self) -> list[Finding]:
        """Return the findings in the order in which they were first seen."""
        return list(self._findings.values())


def unequal(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell where two columns differ; NaN equals NaN."""
    differs = np.asarray(left != right, dtype=bool)
    if np.issubdtype(left.dtype, np.floating) and np.issubdtype(right.dtype, np.floating):
        differs &= ~(np.isnan(left) & np.isnan(right))
    return differs
