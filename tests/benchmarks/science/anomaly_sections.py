"""The section of docs/science.md on strange stars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog_builder.labels.agreed import default_contract
from catalog_builder.simulate.population.truth import ANOMALIES
from tests.benchmarks.science import figures as drawing
from tests.benchmarks.science.anomalies import FITTED, LEAST_EXCESS
from tests.benchmarks.science.markdown import NAMES, number, table

LABELS = default_contract().labels.names

_LABEL_NAMES = tuple(NAMES[label] for label in LABELS)


def anomalies(result: dict[str, Any], figures: Path) -> str:
    """Return the section of part `anomalies`."""
    figure = "science-rejection.png"
    drawing.rejection(result["rejection"], figures / figure)
    return "\n\n".join(
        [
            "## Strange stars",
            f"All {result['stars']:,} stars of the test sky, {result['with_rvs']:,} with RVS;\n"
            "what the tests are is in [flags.md](flags.md). ROC area of a star's largest distance\n"
            "against ordinary stars with the same inputs, share caught where 3 % of these are\n"
            "flagged, share that carries a bit of 18 to 23. All injected amplitudes, however\n"
            "small:",
            _classes(result["classes"]),
            f"Those that no clean spectrum explains: at most {FITTED} stars of each class with\n"
            "RVS are fitted with the emulator (labels, broadening, shift and continuum free), and\n"
            f"those count whose chi-square exceeds its mean for clean stars by {LEAST_EXCESS:g}.\n"
            "Published errors are right to 5 %, so that holds for\n"
            f"{100 * result['ordinary_excess']:.0f} % of the ordinary stars, too. Aim: area 0.95.",
            _strong(result["strong"]),
            "Each test alone: share of ordinary stars beyond its limit, %, and ROC area per class\n"
            "for stars with RVS:",
            _tests(result["single_tests"]),
            "Tiers: 1.4826 times the median absolute error (root mean square error), ordinary and\n"
            "strange stars together; *spoilt* are stars of the injected classes whose spectrum\n"
            "shows it:",
            _tiers(result["tiers"]),
            "Error (root mean square) when the strangest stars are left out, all stars:",
            f"![Error against the share left out](figures/{figure})",
        ]
    )


def _classes(rows: list[dict[str, Any]]) -> str:
    body = [
        [
            f"`{row['class']}`",
            "yes" if row["with_rvs"] else "no",
            f"{row['n']:,}",
            f"{row['roc_area']:.3f}",
            *(f"{100 * row[name]:.1f}" for name in ("caught", "flagged")),
        ]
        for row in rows
    ]
    return table(("class", "RVS", "n", "ROC area", "caught at 3 %, %", "flagged, %"), body)


def _strong(rows: list[dict[str, Any]]) -> str:
    body = [
        [
            f"`{row['class']}`",
            f"{row['fitted']:,}",
            f"{row['n']:,}",
            _area(row["roc_area"]),
            *(_share(row[name]) for name in ("caught", "flagged")),
        ]
        for row in rows
    ]
    head = ("class", "fitted", "unexplained", "ROC area", "caught at 3 %, %", "flagged, %")
    return table(head, body)


def _area(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _tests(rows: list[dict[str, Any]]) -> str:
    bins = [name for name in rows[0] if name.startswith(("S/N", "G "))]
    body = [
        [
            f"`{row['test']}`",
            f"{100 * row['false']:.1f}",
            *(_share(row[name]) for name in bins),
            *(_area(row[name]) for name in ANOMALIES),
        ]
        for row in rows
    ]
    return table(("test", "all", *bins, *(f"`{name}`" for name in ANOMALIES)), body)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _tiers(rows: list[dict[str, Any]]) -> str:
    body = [
        [
            row["tier"],
            *(f"{_share(row[name])} %" for name in ("share", "spoilt", "outside labels")),
            *(_error(row, label) for label in LABELS),
        ]
        for row in rows
    ]
    return table(("tier", "share", "spoilt", "outside labels", *_LABEL_NAMES), body)


def _error(row: dict[str, Any], label: str) -> str:
    if row[label] is None:
        return "-"
    return f"{number(label, row[label])} ({number(label, row[f'{label} rmse'])})"
