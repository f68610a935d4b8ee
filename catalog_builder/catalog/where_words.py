"""What is said of a condition that cannot be used: where it is wrong, what was perhaps meant."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable
from typing import Final

from catalog_builder.ground.errors import ConfigError

_NULL: Final = "null"
#: Columns that a message names where none is near.
_NAMED: Final = 12


def is_null(node: ast.expr) -> bool:
    """Say whether a node is the word null."""
    name = isinstance(node, ast.Name) and node.id.lower() == _NULL
    return name or (isinstance(node, ast.Constant) and node.value is None)


def is_abs(node: ast.Call) -> bool:
    """Say whether a call is that of `abs` with one argument."""
    name = isinstance(node.func, ast.Name) and node.func.id == "abs"
    return name and len(node.args) == 1 and not node.keywords


def spelt(node: ast.expr) -> str:
    """Return a node as it may have been written, cut if it is long."""
    try:
        return ast.unparse(node)[:80]
    except RecursionError:  # what is refused at the top may be of any depth
        return "..."


def word_for(node: ast.expr) -> str | None:
    """Return the word that stands here for an operator of NumPy's masks: & or | or ~."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return "not"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return "and" if isinstance(node.op, ast.BitAnd) else "or"
    return None


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the names that may have been meant: those with this word in them come first."""
    names, word = list(known), name.lower()
    whole = [one for one in names if word in one.lower().split("_")]
    close = difflib.get_close_matches(word, names, n=most)
    return list(dict.fromkeys([*whole, *close]))[:most]


def unreadable(text: str, error: SyntaxError | ValueError) -> str:
    """Say where a condition cannot be read, and how it may have been meant."""
    place = error.offset if isinstance(error, SyntaxError) else None
    near = f" near {text.strip()[max(place - 1, 0) :][:20]!r}" if place else ""
    words = text.split()
    shouted = [word for word in words if word in {"AND", "OR", "NOT", "IS", "IN"}]
    if shouted:
        return f"it cannot be read{near}; write {', '.join(w.lower() for w in shouted)} in small"
    if "=" in text and not any(sign in text for sign in ("==", "<=", ">=", "!=")):
        return f"it cannot be read{near}; equality is =="
    if "<>" in text:
        return "it cannot be read; inequality is !="
    if "&&" in text or "||" in text:
        return "it cannot be read; write `and` and `or`"
    return f"it cannot be read{near}"


def wrong(why: str, way_out: str = "") -> ConfigError:
    """Return the error of a condition."""
    return ConfigError(
        f"The condition cannot be used: {why.rstrip('.')}.",
        way_out or "For example: quality_tier <= 2 and not rvs_xp_conflict and teff is not null.",
    )


def unknown(
    name: str, columns: Iterable[str], flags: Iterable[str], tiers: Iterable[str]
) -> ConfigError:
    """Return the error of a name that is none where it stands."""
    if name.lower() == _NULL:
        return wrong("null goes with `is` and `is not`: teff is null")
    if name in flags:
        return wrong(f"{name} is a flag, which is set or not: write {name} or not {name}")
    known = [*columns, *flags, *tiers]
    if near := near_names(name, known):
        meant = f"Did you mean {' or '.join(near)}?"
    else:
        some = ", ".join(known[:_NAMED])
        meant = f"There are {some} and others: `catalog-builder describe CATALOGUE` has them all."
    return wrong(f"there is no column, flag or tier {name!r}", meant)
