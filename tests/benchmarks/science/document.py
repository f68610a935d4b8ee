"""docs/science.md, made from the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog_builder.model.inputs import LABELS

_NAMES = {
    "teff": "Teff [K]",
    "logg": "log g",
    "m_h": "[M/H]",
    "alpha_m": "[alpha/M]",
    "fe_h": "[Fe/H]",
}
_VIEW_WORDS = {
    "all": "all four",
    "no_rvs": "no RVS",
    "no_xp": "no XP",
    "no_parallax": "no parallax",
    "no_photometry": "no photometry",
    "only_rvs": "RVS alone",
    "only_xp": "XP alone",
    "only_photometry": "photometry alone",
}


def write(results: Path, docs: Path) -> None:
    """Write ``science.md`` into `docs` from the JSON files in `results`."""
    found = {file.stem: json.loads(file.read_text()) for file in sorted(results.glob("*.json"))}
    sections = [_head(found)]
    for part, section in SECTIONS.items():
        if part in found:
            sections.append(section(found[part]["result"]))
    (docs / "science.md").write_text("\n\n".join(sections) + "\n")


def _head(found: dict[str, Any]) -> str:
    about = next(iter(found.values()))["about"]
    labelled = ", ".join(f"{n} {name}" for name, n in about["labelled"].items())
    sky = about["test_sky"]
    return f"""# How good the labels are

Measured by

```sh
python -m tests.benchmarks.science --workdir W --test-archive A --out DIR --docs docs
```

on a simulated sky with known truth ([simulate.md](simulate.md)). `W` is the workdir of a run, `A` a
sky of another seed. The test sky is predicted once for each model, and `DIR/test-openings.jsonl`
says when; every part leaves its numbers in `DIR/results`, and this page is made from them.

Model `{about["model"][:12]}`: {about["members"]} members, at most {about["epochs"]} epochs;
labelled stars: {labelled}. Test sky: seed {sky["seed"]}, {sky["stars"]:,} stars. *Like the training
stars* means: chosen by the label survey's rule (G < 14.3, giants preferred, inside its limits),
without an anomaly."""


def _coverage(result: dict[str, Any]) -> str:
    text = [
        "## Precision and coverage",
        "Bins are of predicted values. *Scatter* is 1.4826 MAD of predicted minus true, *bias*\n"
        "its median. Coverage is the share of stars within 1 / within 1.96 of the catalogue's\n"
        "sigma, %, with half its 95 % binomial interval; the aim is 68 +- 3 and 95 +- 2.",
    ]
    for population in dict.fromkeys(row["population"] for row in result["bins"]):
        rows = [row for row in result["bins"] if row["population"] == population]
        keyed = [(f"{row['kind']} {row['bin']}".replace("all all", "all"), row) for row in rows]
        text.append(f"### Stars {population}")
        text += _two_tables("bin", keyed)
    text.append("### With inputs hidden")
    text.append("Stars like the training ones that have all four inputs.")
    text += _two_tables("inputs", [(_VIEW_WORDS[row["view"]], row) for row in result["views"]])
    return "\n\n".join(text)


def _two_tables(first: str, keyed: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return the tables of precision and of coverage: a line per bin, a column per label."""
    lines: dict[str, dict[str, dict[str, Any]]] = {}
    for name, row in keyed:
        lines.setdefault(name, {})[row["label"]] = row
    head = (first, "n", *(_NAMES[label] for label in LABELS))
    precision, coverage = [], []
    for name, rows in lines.items():
        n = f"{rows['teff']['n']:,}"
        if all(row["n"] == 0 for row in rows.values()):
            continue
        precision.append([name, n, *(_precision(rows[label]) for label in LABELS)])
        coverage.append([name, n, *(_shares(rows[label]) for label in LABELS)])
    return [
        "Scatter (bias):\n\n" + table(head, precision),
        "Coverage 68 / 95:\n\n" + table(head, coverage),
    ]


def _precision(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "-"
    return f"{number(row['label'], row['scatter'])} ({signed(row['label'], row['bias'])})"


def _shares(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "-"
    return " / ".join(
        f"{100 * row[name]:.1f} +- {50 * (row[name + '_high'] - row[name + '_low']):.1f}"
        for name in ("cover_68", "cover_95")
    )


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


SECTIONS = {"coverage": _coverage}
