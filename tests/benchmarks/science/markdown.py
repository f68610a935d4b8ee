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
    """Return coverage 68 / 95 in %, with half their binomial intervals; misses are bold."""
    if not row["n"]:
        return "-"
    parts = []
    for name in ("cover_68", "cover_95"):
        half = 50 * (row[f"{name}_high"] - row[f"{name}_low"])
        words = f"{100 * row[name]:.1f} +- {half:.1f}"
        parts.append(f"**{words}**" if name in row.get("missed", ()) else words)
    return " / ".join(parts)


def misses(rows: Sequence[dict[str, Any]]) -> str:
    """Return in words how many cells of coverage miss their aim."""
    counted = [row for row in rows if row["n"]]
    cells = 2 * len(counted)
    missed = sum(len(row["missed"]) for row in counted)
    surely = sum(len(row["surely_missed"]) for row in counted)
    return (
        f"{missed} of {cells} cells miss their aim (bold), {surely} of them with the whole of "
        "their binomial interval."
    )
