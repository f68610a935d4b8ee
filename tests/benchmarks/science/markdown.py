"""Numbers, names and tables of the document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NAMES = {
    "teff": "Teff [K]",
    "logg": "log g",
    "m_h": "[M/H]",
    "alpha_m": "[alpha/M]",
    "fe_h": "[Fe/H]",
}


def number(label: str, value: float) -> str:
    """Return a label's value with the digits that make sense for it."""
    return f"{value:.0f}" if label == "teff" else f"{value:.3f}"


def signed(label: str, value: float) -> str:
    """Return a difference of a label with its sign."""
    return f"{value:+.0f}" if label == "teff" else f"{value:+.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def shares(row: dict[str, Any]) -> str:
    """Return coverage 68 / 95 in %, with half their binomial intervals."""
    if not row["n"]:
        return "-"
    return " / ".join(
        f"{100 * row[name]:.1f} +- {50 * (row[name + '_high'] - row[name + '_low']):.1f}"
        for name in ("cover_68", "cover_95")
    )
