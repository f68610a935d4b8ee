"""What a column is by its cells: type, nulls and how they are spelt, values, lengths of arrays."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from catalog_builder.inspecting.raw import RawTable

Kind = Literal["integer", "float", "boolean", "text", "array", "empty"]

#: Spellings that are nulls wherever they stand; among numbers, every other word that comes again.
_NULLS: Final[Set[str]] = {"", "null", "nan", "none", "--", "\\n", "n/a", "na", "-", "nil"}
#: What stands for the nulls of typed files.
_NULL_CELL: Final = "(null)"
#: Spellings of booleans, true first.
_BOOLEANS: Final = (
    ("true", "false"),
    ("t", "f"),
    ("yes", "no"),
    ("y", "n"),
    ("ja", "nein"),
    ("oui", "non"),
    ("si", "no"),
    ("on", "off"),
)
#: Different values that are counted in full.
_FEW: Final = 24
_MOST_NULL_WORDS, _LEAST_TIMES = 2, 3
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?|[+-]?(inf|infinity)", re.I)
_INTEGER: Final = re.compile(r"[+-]?\d+")
#: Numbers that may stand for no value: nines alone, the ends of types.
_NINES: Final = re.compile(r"-?9{2,}(\.9+)?")
_TYPE_ENDS: Final = frozenset(
    {-128.0, -(2.0**15), -(2.0**31), -(2.0**63), 2.0**15 - 1, 2.0**31 - 1}
)
_MOST_SENTINELS: Final = 2
#: Rows of arrays whose elements are looked at; letters of a word that means something alone.
_LISTS, _WORD = 50, 2
_OPENED: Final = ("[", "(", "{")


@dataclass(frozen=True)
class Profile:
    """A column by its first cells.

    Attributes
    ----------
    name, unit : str
        As the file says.
    kind : str
        What the cells are.
    rows, nulls : int
        Cells looked at, and those without a value.
    null_spellings, values : dict of str to int
        How often each stands there; values of integers, booleans and text that has few.
    lengths : dict of int to int
        Of arrays: how often each length comes.
    low, high : float
        Of numbers.
    sentinels : tuple of float
        Numbers that stand for no value: they come again and again, far from all others.
    """

    name: str
    kind: Kind
    unit: str = ""
    rows: int = 0
    nulls: int = 0
    null_spellings: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    lengths: dict[int, int] = field(default_factory=dict)
    low: float = math.nan
    high: float = math.nan
    sentinels: tuple[float, ...] = ()

    @property
    def length(self) -> int | None:
        """The length that arrays of the column have most often; None for scalars."""
        return max(self.lengths, key=self.lengths.__getitem__) if self.lengths else None

    def is_beyond(self, value: float) -> bool:
        """Say whether a number is none of those that were seen, or an end of them."""
        return not self.low < value < self.high

    @property
    def dtype(self) -> str:
        """A type of the program that holds it; the empty text for words."""
        if self.kind in {"float", "array", "empty"}:
            return "float32" if self.kind != "float" or abs(self.high) < 1e6 else "float64"
        if self.kind == "integer":
            widest = max(abs(self.low), abs(self.high))
            return next((f"int{bits}" for bits in (16, 32) if widest < 2.0 ** (bits - 1)), "int64")
        return "bool" if self.kind == "boolean" else ""


def profile_columns(table: RawTable) -> dict[str, Profile]:
    """Return what each column of a table is, by name."""
    is_typed = table.format != "text"
    found = {
        name: _profile(name, table.units.get(name, ""), cells, is_typed=is_typed)
        for name, cells in table.cells.items()
    }
    # A null of the archive's own shows among numbers; then it is one in every other column too.
    own = {
        word.lower()
        for profile in found.values()
        for word in profile.null_spellings
        if word.lower() not in _NULLS and word != _NULL_CELL
    }
    if not own:
        return found
    return {
        name: _profile(name, table.units.get(name, ""), cells, _NULLS | own, is_typed=is_typed)
        for name, cells in table.cells.items()
    }


def _profile(
    name: str,
    unit: str,
    cells: Sequence[Any],
    null_words: Set[str] = _NULLS,
    *,
    is_typed: bool = False,
) -> Profile:
    if any(isinstance(cell, str) for cell in cells):
        words = [cell if isinstance(cell, str) else "" for cell in cells]
        return _of_text(name, unit, words, null_words, is_typed=is_typed)
    present = [cell for cell in cells if _there(cell)]
    facts: dict[str, Any] = {"unit": unit, "rows": len(cells), "nulls": len(cells) - len(present)}
    if facts["nulls"]:
        facts["null_spellings"] = {_NULL_CELL: facts["nulls"]}
    if not present:
        return Profile(name, "empty", **facts)
    if isinstance(present[0], list):
        elements = [part for cell in present[:_LISTS] for part in cell if _there(part)]
        facts["sentinels"] = find_sentinels(elements)
        return Profile(name, "array", **facts, lengths=dict(Counter(map(len, present))))
    return _of_scalars(name, present, facts)


def _of_scalars(name: str, present: Sequence[Any], facts: dict[str, Any]) -> Profile:
    if all(isinstance(cell, bool) for cell in present):
        return Profile(name, "boolean", **facts, values=_counted(map(str, present)))
    if all(isinstance(cell, int) for cell in present):
        facts |= {"values": _counted(map(str, present))} | _numbers(present)
        return Profile(name, "integer", **facts)
    numbers = [float(cell) for cell in present if isinstance(cell, int | float)]
    if not numbers:
        return Profile(name, "text", **facts, values=_counted(map(str, present)))
    return Profile(name, "float", **facts | _numbers(numbers))


def _numbers(values: Sequence[float]) -> dict[str, Any]:
    """Return the smallest and the largest number, and what stands for no number."""
    sentinels = find_sentinels(values)
    rest = [value for value in values if value not in sentinels] or values
    return {"low": min(rest), "high": max(rest), "sentinels": sentinels}


def find_sentinels(values: Sequence[Any]) -> tuple[float, ...]:
    """Return the numbers that stand for no value.

    They are written with nines alone, or are the end of a type or beyond all measure; they are the
    smallest or the largest of all, come at least three times, and are farther from the rest than
    nine tenths of it are wide.
    """
    numbers = np.array(values, np.float64)
    numbers = numbers[np.isfinite(numbers)]
    found: list[float] = []
    while numbers.size and len(found) < _MOST_SENTINELS:
        ends = [float(end) for end in (numbers.min(), numbers.max()) if _may_be_none(float(end))]
        for end in ends:
            rest = numbers[numbers != end]
            width = float(np.subtract(*np.percentile(rest, [95, 5]))) if rest.size else 0.0
            gap = float(np.abs(rest - end).min()) if rest.size else math.inf
            if numbers.size - rest.size >= _LEAST_TIMES and gap > max(width, 1.0):
                found.append(end)
                numbers = rest
                break
        else:
            break
    return tuple(found)


def _may_be_none(value: float) -> bool:
    return _NINES.fullmatch(f"{value:.10g}") is not None or abs(value) > 1e19 or value in _TYPE_ENDS


def _there(cell: Any) -> bool:
    return cell is not None and not (isinstance(cell, float) and math.isnan(cell))


def _of_text(
    name: str, unit: str, cells: Sequence[str], null_words: Set[str], *, is_typed: bool
) -> Profile:
    facts: dict[str, Any] = {"unit": unit, "rows": len(cells)}
    nulls = Counter(cell for cell in cells if cell.lower() in null_words)
    present = [cell for cell in cells if cell.lower() not in null_words]
    if present and sum(_is_list(cell) for cell in present) > 0.5 * len(present):
        parsed = [parse_list(cell) for cell in present if _is_list(cell)]
        lengths = Counter(values.size for values in parsed)
        if parsed:
            facts["sentinels"] = find_sentinels(np.concatenate(parsed[:_LISTS]).tolist())
        facts |= {"nulls": sum(nulls.values()), "null_spellings": dict(nulls)}
        return Profile(name, "array", **facts, lengths=dict(lengths))
    words = Counter(cell for cell in present if not _NUMBER.fullmatch(cell))
    numbers = [cell for cell in present if _NUMBER.fullmatch(cell)]
    if words and len(words) <= _MOST_NULL_WORDS and len(set(numbers)) >= _LEAST_TIMES:
        # Words that come again among numbers are nulls of an archive's own; others are damage.
        nulls += Counter({word: n for word, n in words.items() if n >= _LEAST_TIMES})
        present = numbers
    facts |= {"nulls": sum(nulls.values()), "null_spellings": dict(nulls)}
    if not present:
        return Profile(name, "empty", **facts)
    if len(numbers) == len(present):
        kind: Kind = "integer" if all(map(_INTEGER.fullmatch, present)) else "float"
        found = [float(cell.replace("D", "e").replace("d", "e")) for cell in present]
        if kind == "integer":
            facts["values"] = _counted(present)
        return Profile(name, kind, **facts | _numbers(found))
    values = _counted(present)
    lowered = {value.lower() for value in values}  # of none where there are many
    # One letter alone may stand for anything.
    alone = len(lowered) == 1 and len(next(iter(lowered))) < _WORD
    if lowered and any(lowered <= set(pair) for pair in _BOOLEANS) and not (alone and is_typed):
        return Profile(name, "boolean", **facts, values=values)
    return Profile(name, "text", **facts, values=values)


def _counted(values: Any) -> dict[str, int]:
    counts = Counter(values)
    return dict(counts.most_common()) if len(counts) <= _FEW else {}


def truths(values: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which spellings are true, and which false; the other one, where one is missing."""
    lowered = {value.lower() for value in values}
    pair = next((pair for pair in _BOOLEANS if lowered <= set(pair)), ("true", "false"))
    return (
        [value for value in values if value.lower() == pair[0]] or [pair[0]],
        [value for value in values if value.lower() == pair[1]] or [pair[1]],
    )


def _is_list(cell: str) -> bool:
    return cell.startswith(_OPENED) or (cell.count(",") > 1) or (cell.count(" ") > 3)


def parse_list(cell: str) -> NDArray[np.float64]:
    """Return the numbers of a list as text; NaN for what is none."""
    inner = cell.strip("[](){} ")
    parts = inner.split(",") if "," in inner else re.split(r"[;\s]+", inner)
    try:
        return np.array(parts, np.float64)
    except ValueError:
        return np.array([_number(part) for part in parts])


def _number(part: str) -> float:
    try:
        return float(part)
    except ValueError:
        return math.nan


def arrays(cells: Sequence[Any], length: int) -> NDArray[np.float64]:
    """Return cells as an array of shape (n, length), NaN where they have another length."""
    made = np.full((len(cells), length), np.nan)
    for row, cell in enumerate(cells):
        if cell is None or cell == "":
            continue
        if isinstance(cell, str):
            values = parse_list(cell)
        else:
            values = np.array([math.nan if part is None else part for part in cell], np.float64)
        if values.size == length:
            made[row] = values
    return made


def integers(cells: Sequence[Any]) -> NDArray[np.int64]:
    """Return cells as integers, 0 for what is none or has too many digits."""
    found = (
        int(cell) if isinstance(cell, int) or _INTEGER.fullmatch(str(cell)) else 0 for cell in cells
    )
    return np.array([each if abs(each) < 2**63 else 0 for each in found], np.int64)
