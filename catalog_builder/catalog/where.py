"""Conditions on rows: ``quality_tier <= 2 and not rvs_xp_conflict and teff > 4000``.

A condition is Python's grammar of comparisons, and nothing else of Python: no calls (but `abs`), no
attributes, no subscripts. It is parsed to a tree, each node of which is looked up in a list of what
is known, and evaluated with NumPy; nothing is ever executed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.where_words import (
    is_abs,
    is_null,
    spelt,
    unknown,
    unreadable,
    word_for,
    wrong,
)
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import ConfigError

Rows = Mapping[str, NDArray[Any]]
Bools = NDArray[np.bool_]
#: Numbers or text of rows, and whether they are null; or one number or text.
_Value = Callable[[Rows], Any]
_Test = Callable[[Rows], Bools]

TIER: Final = "quality_tier"
#: Characters, and levels of brackets and operators, that a condition may have.
_LONGEST, _DEEPEST = 4_000, 60
_SPACES: Final = str.maketrans("\n\r\t", "   ")

_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True)
class Where:
    """A condition on the rows of a catalogue.

    Attributes
    ----------
    text : str
        As it was given, in one line.
    columns : tuple of str
        Those that it looks at, in the order of the schema.
    """

    text: str
    columns: tuple[str, ...]
    _test: _Test

    def __call__(self, rows: Rows) -> Bools:
        """Tell which rows meet it.

        Parameters
        ----------
        rows : mapping of str to ndarray of shape (n,)
            At least ``columns``.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        with np.errstate(all="ignore"):  # a division by zero is larger than any limit, or null
            return self._test(rows)


def parse_where(text: str, schema: CatalogSchema) -> Where:
    """Read a condition.

    Names are those of columns, of flags (``rvs_xp_conflict`` is true where the bit is set) and of
    tiers (``gold`` is true where ``quality_tier`` is that; beside a number it is its number).
    There are comparisons (``4000 < teff <= 6000`` too), ``in (1, 2)``, ``and``, ``or``, ``not``,
    brackets, ``is null``, ``is not null``, and sums, products and `abs` of numbers. A comparison
    with a null is false, ``!=`` too.

    Parameters
    ----------
    text : str
        The condition.
    schema : CatalogSchema
        Of the catalogue that it is about.

    Raises
    ------
    ConfigError
        If it is no such condition; the message says where, and what was perhaps meant.
    """
    if len(text) > _LONGEST:
        raise wrong(f"it has {len(text)} characters, and may have {_LONGEST}")
    flat = text.translate(_SPACES).strip()
    # Backslashes would be escapes, and headers, which say the condition, hold what can be printed.
    if "\\" in flat or not flat.isprintable():
        raise wrong("it has a backslash, or a character that cannot be printed")
    try:
        tree = ast.parse(flat, mode="eval")
    except (SyntaxError, ValueError) as error:
        raise wrong(unreadable(text, error)) from error
    except (MemoryError, RecursionError) as error:
        raise wrong("it is nested too deeply") from error
    reader = _Reader(schema)
    test = reader.test(tree.body)
    used = tuple(column.name for column in schema.all_columns if column.name in reader.used)
    return Where(flat, used, test)


class _Reader:
    """Turns a syntax tree into functions of rows, and keeps the columns that they look at."""

    def __init__(self, schema: CatalogSchema) -> None:
        self.schema = schema
        self.columns = {column.name: column for column in schema.all_columns}
        self.flags = {bit.name: bit for bit in schema.flags.bits}
        self.tiers = {tier.name: tier.tier for tier in schema.flags.tiers}
        self.used: set[str] = set()
        self._depth = 0

    # --- what is true or false -------------------------------------------------------------------

    def test(self, node: ast.expr) -> _Test:
        """Return what tells which rows meet a part of the condition."""
        with self._deeper(node):
            if isinstance(node, ast.BoolOp):
                tests = [self.test(value) for value in node.values]
                both = isinstance(node.op, ast.And)
                return lambda rows: _joined((test(rows) for test in tests), both=both)
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                inner = self.test(node.operand)
                return lambda rows: ~inner(rows)
            if isinstance(node, ast.Compare):
                return self._comparison(node)
            if isinstance(node, ast.Name):
                return self._named_test(node.id)
            if word := word_for(node):
                raise wrong(f"{spelt(node)!r}: write `{word}`")
            raise wrong(f"{spelt(node)!r} is neither true nor false")

    def _named_test(self, name: str) -> _Test:
        column = self.columns.get(name)
        if column is not None and column.dtype == "bool":
            self.used.add(name)
            return lambda rows: np.asarray(rows[name], dtype=bool)
        if name in self.flags and column is None:
            bit = self.flags[name]
            if bit.column not in self.columns:
                raise wrong(f"the catalogue has no column {bit.column}, where {name} would be")
            self.used.add(bit.column)
            return lambda rows: (rows[bit.column] & bit.mask) != 0
        if name in self.tiers and column is None:
            tier, value = self.tiers[name], self._column(TIER)
            return lambda rows: np.asarray(value(rows) == tier)
        self._column(name)
        raise wrong(f"{name} is a column of {column.dtype if column else 'numbers'}: compare it")

    def _comparison(self, node: ast.Compare) -> _Test:
        sides = [node.left, *node.comparators]
        tests = [
            self._pair(left, how, right)
            for left, how, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return lambda rows: _joined((test(rows) for test in tests), both=True)

    def _pair(self, left: ast.expr, how: ast.cmpop, right: ast.expr) -> _Test:
        if isinstance(how, ast.Is | ast.IsNot):
            return self._null_test(left, right, wanted=isinstance(how, ast.Is))
        if isinstance(how, ast.In | ast.NotIn):
            return self._membership(left, right, wanted=isinstance(how, ast.In))
        compare = _COMPARISONS[type(how)]
        one, other = self.value(left), self.value(right)
        self._refuse_mixed(left, right)
        if isinstance(how, ast.NotEq):
            return lambda rows: _differ(one(rows), other(rows), len(_any(rows)))
        return lambda rows: _spread(compare(one(rows), other(rows)), rows)

    def _null_test(self, left: ast.expr, right: ast.expr, *, wanted: bool) -> _Test:
        if not is_null(right):
            raise wrong(f"`is` goes with null alone: write == {spelt(right)}")
        value = self.value(left)
        return lambda rows: _spread(_null(value(rows)) == wanted, rows)

    def _membership(self, left: ast.expr, right: ast.expr, *, wanted: bool) -> _Test:
        if not isinstance(right, ast.Tuple | ast.List):
            # (1) is no list to Python, but to anybody who reads it.
            right = ast.Tuple([right])
        value = self.value(left)
        for one in right.elts:
            self._refuse_mixed(left, one)
        choices = [self.value(one) for one in right.elts]

        def test(rows: Rows) -> Bools:
            found = value(rows)
            met = (_spread(found == choice(rows), rows) for choice in choices)
            inside = _joined(met, both=False) if choices else _spread(np.False_, rows)
            met_or_not: Bools = (inside == wanted) & _spread(~_null(found), rows)
            return met_or_not

        return test

    # --- numbers and texts -----------------------------------------------------------------------

    def value(self, node: ast.expr) -> _Value:
        """Return what gives the numbers, or texts, of rows."""
        with self._deeper(node):
            if isinstance(node, ast.Constant):
                return self._constant(node)
            if isinstance(node, ast.Name):
                if node.id in self.tiers and node.id not in self.columns:
                    tier = self.tiers[node.id]
                    return lambda _: tier
                return self._column(node.id)
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
                return self._signed(node)
            if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
                compute = _ARITHMETIC[type(node.op)]
                one, other = self._number(node.left), self._number(node.right)
                return lambda rows: compute(one(rows), other(rows))
            if isinstance(node, ast.Call) and is_abs(node):
                inner = self._number(node.args[0])
                return lambda rows: abs(inner(rows))
        if word := word_for(node):  # gold & teff > 4000: to Python & binds closer than >
            raise wrong(f"{spelt(node)!r}: write `{word}`")
        raise wrong(f"{spelt(node)!r} is no number, column or sum of them")

    def _constant(self, node: ast.Constant) -> _Value:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise wrong(
                f"{spelt(node)!r} is no number; of a column of true and false write"
                " the name, or `not` and the name"
            )
        given = value.encode("ascii", "replace") if isinstance(value, str) else _within(value)
        return lambda _: given

    def _signed(self, node: ast.UnaryOp) -> _Value:
        if isinstance(node.operand, ast.Constant):  # as it is: doubles do not hold every id
            constant = node.operand.value
            if isinstance(constant, int | float) and not isinstance(constant, bool):
                number = _within(-constant if isinstance(node.op, ast.USub) else constant)
                return lambda _: number
        inner = self._number(node.operand)
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        return lambda rows: sign * inner(rows)

    def _number(self, node: ast.expr) -> _Value:
        """Return what gives numbers in double precision, for sums and products."""
        if self._is_text(node):
            raise wrong(f"{spelt(node)!r} is text, of which there are no sums")
        inner = self.value(node)
        return lambda rows: np.asarray(inner(rows), dtype=np.float64)

    def _column(self, name: str) -> _Value:
        if name not in self.columns:
            raise self._unknown(name)
        self.used.add(name)
        return lambda rows: rows[name]

    def _is_text(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str)
        name = self.columns.get(node.id) if isinstance(node, ast.Name) else None
        return name is not None and name.dtype.startswith("str")

    def _refuse_mixed(self, left: ast.expr, right: ast.expr) -> None:
        if self._is_text(left) != self._is_text(right):
            text, number = (left, right) if self._is_text(left) else (right, left)
            raise wrong(f"{spelt(text)} is text, {spelt(number)} is not")

    def _unknown(self, name: str) -> ConfigError:
        return unknown(name, self.columns, self.flags, self.tiers)

    def _deeper(self, node: ast.expr) -> _Deeper:
        return _Deeper(self, node)


class _Deeper:
    """One level deeper in the tree of a condition."""

    def __init__(self, reader: _Reader, node: ast.expr) -> None:
        self._reader, self._node = reader, node

    def __enter__(self) -> None:
        self._reader._depth += 1
        if self._reader._depth > _DEEPEST:
            raise wrong(f"it is nested more than {_DEEPEST} levels deep")

    def __exit__(self, *_: object) -> None:
        self._reader._depth -= 1


def _within(number: float) -> float:
    """Return a number; an integer that no column can hold becomes infinite."""
    largest = np.iinfo(np.int64).max
    if isinstance(number, int) and abs(number) > largest:
        return np.inf if number > 0 else -np.inf
    return number


def _any(rows: Rows) -> NDArray[Any]:
    return next(iter(rows.values()))


def _spread(found: Any, rows: Rows) -> Bools:
    """Return one truth for each row; constants compared with constants have one in all."""
    return np.broadcast_to(np.asarray(found, dtype=bool), len(_any(rows)))


def _joined(found: Iterable[Bools], *, both: bool) -> Bools:
    parts: Iterator[Bools] = iter(found)
    total = next(parts).copy()
    for part in parts:
        total = total & part if both else total | part
    return total


def _differ(one: Any, other: Any, rows: int) -> Bools:
    differ = (one != other) & ~_null(one) & ~_null(other)
    return np.broadcast_to(np.asarray(differ, dtype=bool), rows)


def _null(values: Any) -> NDArray[np.bool_]:
    found = np.asarray(values)
    return np.isnan(found) if found.dtype.kind == "f" else np.zeros(found.shape, dtype=bool)
