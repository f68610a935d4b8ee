"""The sections of docs/science.md on real stars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog_builder.labels.agreed import default_contract
from tests.benchmarks.science.markdown import NAMES, misses, number, shares, signed, table

LABELS = default_contract().labels.names


def stars(result: dict[str, Any], figures: Path) -> str:
    """Return the section of part `real_stars`."""
    del figures
    rows = [[row["name"], f"{row['sig_to_noise']:.0f}", *_answer(row)] for row in result["rvs"]]
    bench = result["benchmark"]
    compared = [
        [
            NAMES[row["label"]],
            str(row["n"]),
            signed(row["label"], row["bias"]),
            number(row["label"], row["scatter"]),
            shares(row),
        ]
        for row in bench["compared"]
    ]
    flags = ", ".join(f"{name} {count}" for name, count in bench["flags"].items())
    return "\n\n".join(
        [
            "## The simulated sky's model on real stars",
            "Real RVS spectra with nothing else (no magnitudes, no XP, normalisation unknown).\n"
            "Known: Kepler-409 is a dwarf of about 5 460 K, log g 4.5, [M/H] about 0, and\n"
            "HD 176650 a red giant.",
            table(("star", "S/N", *(NAMES[label] for label in LABELS), "warnings"), rows),
            f"Gaia FGK benchmark stars, {bench['rows']} rows, by photometry\n"
            f"({bench['with_photometry']}) and parallax ({bench['with_parallax']}) alone, against\n"
            "fundamental Teff and log g and literature [Fe/H]; most are brighter than any star of\n"
            f"the training set. Flags: {flags}.",
            table(("label", "n", "bias", "scatter", "68 / 95"), compared),
        ]
    )


def flaws(result: dict[str, Any], figures: Path) -> str:
    """Return the section of part `real_flaws`."""
    del figures
    rows = [[row["name"], row["training"], *_answer(row)] for row in result["rvs"]]
    rows.sort(key=lambda row: row[0])
    lines: dict[tuple[str, str], list[str]] = {}
    for row in result["test"]:
        line = lines.setdefault((row["training"], row["spectra"]), [])
        line.append(number(row["label"], row["scatter"]))
    labels = [NAMES[label] for label in LABELS]
    return "\n\n".join(
        [
            "## Flaws of the synthesis, drawn at random in training",
            f"Networks that read RVS alone ({result['fit_stars']:,} fit stars,"
            f" {result['members']} members, {result['epochs']}\n"
            "epochs), trained on spectra as simulated; on the same, half of them without being\n"
            "told their normalisation; and on these with shallower cores of the calcium triplet\n"
            "and of the blend at 850.42 nm and errors of line strengths, continuum, resolution\n"
            "and wavelengths (`add_flaws`). Their sizes follow the residuals of real spectra from\n"
            "the synthesis, those of these stars among them. The real stars:",
            table(("star", "training", *labels, "warnings"), rows),
            "Scatter (1.4826 median absolute error) by RVS alone on "
            f"{result['stars']:,} test stars:",
            table(
                ("training", "test spectra", *labels),
                [[*name, *line] for name, line in lines.items()],
            ),
        ]
    )


def _answer(row: dict[str, Any]) -> list[str]:
    """Labels with sigma, and the warnings."""
    warnings = [name for name in row["flags"] if not name.endswith("_used")]
    return [*(_value(row, label) for label in LABELS), ", ".join(warnings) or "none"]


def _value(row: dict[str, Any], label: str) -> str:
    if row[label] is None:
        return "null"
    return f"{number(label, row[label])} +- {number(label, row[f'e_{label}'])}"


def split(result: dict[str, Any], figures: Path) -> str:
    """Return the section of part `real_split`."""
    del figures
    peer = {
        (row["range"], row["label"]): row["scatter"]
        for row in result["rows"]
        if row["method"] == "perceptron" and row["n"]
    }
    shown = [row for row in result["rows"] if row["range"] == "all" and row["n"]]
    measured = [row for row in shown if "cover_68" in row]
    rows = [
        [
            NAMES[row["label"]],
            row["method"],
            str(row["n"]),
            number(row["label"], row["scatter"]),
            number(row["label"], row["rmse"]),
            f"{row['scatter'] / peer[row['range'], row['label']]:.2f}" if row in measured else "-",
            shares(row) if row in measured else "-",
        ]
        for row in shown
    ]
    head = ("label", "method", "n", "scatter", "RMSE", "network / perceptron", "68 / 95")
    return "\n\n".join(
        [
            "## Real stars: the run's test split",
            f"Model `{result['model'][:12]}`, trained on the real archive; predictions against\n"
            "the survey's labels, coverage against sqrt(sigma^2 + e^2), *scatter* 1.4826 MAD.\n"
            "The perceptron sees principal components and all else that the network sees; width,\n"
            "dropout and weight decay are the best of three on the validation split. Aims: 75 K,\n"
            "0.18 (log g), 0.105 ([Fe/H]), 0.033 ([alpha/M]) over all Teff; network / perceptron\n"
            "at most 0.90.",
            table(head, rows),
            misses(measured),
        ]
    )
