"""What docs/science.md says first: how good the labels are, and where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from catalog_builder.labels.agreed import default_contract
from tests.benchmarks.science.markdown import NAMES, number, table

LABELS = default_contract().labels.names

#: The stars of which most is shown.
USUAL = "like the training stars"
_FAINT = "15 to 25"


def summary(found: Mapping[str, Any]) -> str:
    """Return the first paragraphs, of the parts that there are."""
    results = {part: one["result"] for part, one in found.items()}
    text = [_good(results), _coverage(results), _limit(results), _not(results)]
    return "\n\n".join(part for part in text if part)


def _good(results: Mapping[str, Any]) -> str:
    """Return the table of scatters: simulated stars, faint ones of them, real ones."""
    lines = []
    usual = [row for row in _bins(results) if row["population"] == USUAL]
    for title, name in (("simulated", "all"), (f"simulated, S/N {_FAINT}", _FAINT)):
        if rows := [row for row in usual if row["bin"] == name]:
            lines.append(_line(title, rows))
    split = results.get("real_split", {}).get("rows", ())
    if real := [r for r in split if r["range"] == "all" and r["method"] == "network" and r["n"]]:
        lines.append(_line("real, against APOGEE's labels", real))
    head = ("stars", "n", *(NAMES[label] for label in LABELS))
    return (
        "Scatter of labels about the truth, for stars like those that taught the model:\n\n"
        + table(head, lines)
    )


def _line(title: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    of = {row["label"]: row for row in rows}
    shown = [number(label, of[label]["scatter"]) if label in of else "-" for label in LABELS]
    return [title, f"{max(row['n'] for row in rows):,}", *shown]


def _bins(results: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return results.get("coverage", {}).get("bins", ())


def _coverage(results: Mapping[str, Any]) -> str:
    rows = [r for r in _bins(results) if r["population"] == USUAL and r["bin"] == "all"]
    if not rows:
        return ""
    inner, outer = (sorted(100 * row[f"cover_{share}"] for row in rows) for share in (68, 95))
    return (
        f"Sigma holds {inner[0]:.1f} to {inner[-1]:.1f} % of the errors, the 95 % interval"
        f" {outer[0]:.1f} to {outer[-1]:.1f} %."
    )


def _limit(results: Mapping[str, Any]) -> str:
    ratios = sorted(row["ratio"] for row in results.get("limit", {}).get("groups", ()))
    if not ratios:
        return ""
    return (
        f"Errors are {ratios[0]:.2f} to {ratios[-1]:.2f} times the *information limit* of these"
        " inputs."
    )


def _not(results: Mapping[str, Any]) -> str:
    """Return where the labels are not good, as a list."""
    lines = ["Hot stars and cool giants are worse: [The edges](edges.md)."]
    for row in results.get("evidence", {}).get("shuffle", {}).get("rows", ()):
        if (row["inputs"], row["spectra"], row["label"]) == ("no XP", "shuffled", "m_h"):
            lines.append(
                "Without XP, nothing contradicts the RVS spectrum of another star: sigma then\n"
                f"  holds {100 * row['within'][0]:.1f} % of the errors in [M/H]."
            )
    for row in results.get("anomalies", {}).get("classes", ()):
        if row["class"] == "outside_labels" and row["with_rvs"]:
            lines.append(
                f"Distances flag only {100 * row['flagged']:.1f} % of the stars beyond the limits"
                " of the labels."
            )
    for row in results.get("real_stars", {}).get("benchmark", {}).get("compared", ()):
        if row["label"] == "teff":
            lines.append(
                "By photometry and parallax alone, sigma of a model of simulated stars holds\n"
                f"  {100 * row['cover_68']:.1f} % of the errors in Teff of real ones."
            )
    return "Where not to trust them:\n\n" + "\n".join(f"- {line}" for line in lines)
