"""The sections of docs/science.md, one for each part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catalog_builder.labels.agreed import default_contract
from tests.benchmarks.science import anomaly_sections, real_sections, reference_sections
from tests.benchmarks.science import figures as drawing
from tests.benchmarks.science.markdown import NAMES, misses, number, shares, signed, table
from tests.benchmarks.science.summary import USUAL

LABELS = default_contract().labels.names

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
_HALO_WORDS = """\
Mean of predicted minus true [M/H] +- its error (n), by true [M/H]: all test stars like the
training ones, and those that have an exact posterior. Aim: within 0.1 dex of the truth, or on the
same stars within 0.03 of the posterior's bias:"""
_SEQUENCE_WORDS = """\
Share of stars put on the wrong sequence of [alpha/M] (the boundary is half-way between the two),
%, with its 95 % interval and the number of stars, for true [M/H] -0.7 to 0.1 and all four inputs.
The posterior takes the more probable sequence; *expected* is how often it says itself that this is
wrong, which is steadier than counting. *Ratios*: the network's share of the same stars, at most a
thousand of each place, over the posterior's and over the expected one (goal: 1.25 where each
sequence has a tenth of the stars or more):"""
_PLACE_HEAD = (
    "place", "n", "high", "network", "network, same stars", "posterior", "expected", "ratios",
)  # fmt: skip
_SHUFFLE_HEAD = (
    "inputs", "spectra", "label", "RMSE", "median sigma", "within, %", "information",
    "within if no warning, %",
)  # fmt: skip
#: Largest bias of [M/H] in the halo, or largest difference from the posterior's, in dex.
_HALO_BIAS, _HALO_APART = 0.1, 0.03
#: Stars that a bin of the coverage should hold.
_FEW = 3000


def _coverage(result: dict[str, Any], figures: Path) -> str:
    text = [
        "## Precision and coverage",
        "Bins are of predicted values. *Scatter* is 1.4826 MAD of predicted minus true, *bias*\n"
        "its median. Coverage: share of stars within sigma / within the 95 % interval, %, +- half\n"
        "its binomial 95 % interval. Aim: 68 +- 3 and 95 +- 2; misses are bold.",
    ]
    for population in dict.fromkeys(row["population"] for row in result["bins"]):
        rows = [row for row in result["bins"] if row["population"] == population]
        keyed = [(f"{row['kind']} {row['bin']}".replace("all all", "all"), row) for row in rows]
        text.append(f"### Stars {population}")
        # Coverage hardly differs from one population to the next: how many cells miss says it.
        shown = _two_tables("bin", keyed)
        text += shown if population == USUAL else shown[:1]
        text.append(misses(rows))
        if few := _small_bins(rows):
            text.append(f"Bins of fewer than {_FEW:,} stars: {', '.join(few)}.")
    text.append("### By sigma")
    text.append("Stars like the training ones, label by label in the order of their own sigma.")
    text += _two_tables("sigma", [(row["bin"], row) for row in result["sigma_bins"]])
    text.append(misses(result["sigma_bins"]))
    text.append("### With inputs hidden")
    text.append("Stars like the training ones that have all four inputs.")
    text += _two_tables("inputs", [(_VIEW_WORDS[row["view"]], row) for row in result["views"]])
    text.append(misses(result["views"]))
    text.append("With one input hidden, bin by bin: " + misses(result["view_bins"]))
    if off := _off(result["view_bins"]):
        text.append("The bins with a miss:")
        text.append(_two_tables("inputs, bin", off)[1].partition("\n\n")[2])
    figure = "science-precision.png"
    drawing.precision(result["bins"], figures / figure)
    text.append(f"![Scatter against S/N](figures/{figure})")
    return "\n\n".join(text)


def _off(rows: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of bins in which any label misses its aim, with their names."""
    keyed = [
        (f"{_VIEW_WORDS[row['view']]}, {row['kind']} {row['bin']}".replace("all all", "all"), row)
        for row in rows
    ]
    missed = {name for name, row in keyed if row.get("missed")}
    return [(name, row) for name, row in keyed if name in missed]


def _two_tables(first: str, keyed: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return the tables of precision and of coverage: a line per bin, a column per label."""
    lines: dict[str, dict[str, dict[str, Any]]] = {}
    for name, row in keyed:
        lines.setdefault(name, {})[row["label"]] = row
    head = (first, "n", *(NAMES[label] for label in LABELS))
    precision, coverage = [], []
    for name, rows in lines.items():
        n = f"{rows['teff']['n']:,}"
        if all(row["n"] == 0 for row in rows.values()):
            continue
        precision.append([name, n, *(_precision(rows[label]) for label in LABELS)])
        coverage.append([name, n, *(shares(rows[label]) for label in LABELS)])
    return [
        "Scatter (bias):\n\n" + table(head, precision),
        "Coverage 68 / 95:\n\n" + table(head, coverage),
    ]


def _small_bins(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Names of bins with fewer stars than a bin should hold."""
    small = [row for row in rows if row["label"] == LABELS[0] and 0 < row["n"] < _FEW]
    return [f"{row['kind']} {row['bin']} ({row['n']:,})" for row in small]


def _precision(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "-"
    return f"{number(row['label'], row['scatter'])} ({signed(row['label'], row['bias'])})"


def _evidence(result: dict[str, Any], figures: Path) -> str:
    figure = "science-gradients.png"
    drawing.gradients(result["gradient"], figures / figure)
    regions = [
        [row["region"], str(row["windows"]), *(f"{row[label]:.1f}" for label in LABELS)]
        for row in result["regions"]
    ]
    shuffled = [
        [
            row["inputs"],
            row["spectra"],
            NAMES[row["label"]],
            number(row["label"], row["rmse"]),
            number(row["label"], row["sigma"]),
            _two_shares(row["within"]),
            f"{row['information']:.2f}",
            _two_shares(row["unflagged"]),
        ]
        for row in result["shuffle"]["rows"]
    ]
    return "\n\n".join(
        [
            "## Spectra or habits",
            "Mean |d label / d flux| of\n"
            f"{result['gradient']['stars']} stars with S/N > 50 when 0.12 nm of the RVS go up and\n"
            "down by 2 %, in the lines of an element over the median of the windows without any:",
            table(("lines", "windows", *(NAMES[label] for label in LABELS)), regions),
            f"![Gradients](figures/{figure})",
            f"RVS spectra of {result['shuffle']['stars']} stars with S/N > 50 shuffled among\n"
            "neighbours in colour, luminosity and G. *Information* is 1 - RMSE^2 over the\n"
            "variance of the label among neighbours: 1 if all is known, 0 or less if nothing.\n"
            "Without XP, what the labels owe to the RVS must be lost; with XP, sigma must grow\n"
            "with their errors. *Within*: share within sigma and within the 95 % interval:",
            table(_SHUFFLE_HEAD, shuffled),
            "Share of these stars with a warning bit, %:",
            _warning_table(result["shuffle"]["flags"]),
        ]
    )


def _two_shares(within: Sequence[float]) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in within) or "-"


def _warning_table(flagged: Sequence[dict[str, Any]]) -> str:
    """Return a line per warning, a column per kind of spectra."""
    names = dict.fromkeys(name for one in flagged for name in one["shares"])
    rows = [
        [name, *(f"{100 * one['shares'].get(name, 0.0):.1f}" for one in flagged)] for name in names
    ]
    return table(("warning", *(one["spectra"] for one in flagged)), rows)


def _galaxy(result: dict[str, Any], figures: Path) -> str:
    figure = "science-sequences.png"
    drawing.sequences(result["maps"], figures / figure)
    halo = [
        [f"{row['low']:g} to {row['high']:g}", *(_bias(row, name) for name in _WHO), _met(row)]
        for row in result["halo"]
    ]
    places = [
        [
            row["place"] + ("" if row["both"] else " (one sequence)"),
            f"{row['n']:,}",
            f"{row['high']:,}",
            *(f"{_share(row, name)}, {row[f'{name}_n']}" for name in _WHO),
            f"{100 * row['expected']:.1f}" if "expected" in row else "-",
            f"{_ratio(row, 'posterior')}, {_ratio(row, 'expected')}",
        ]
        for row in result["sequences"]
        if row["n"]
    ]
    return "\n\n".join(
        [
            "## Halo and the two sequences, 15 < S/N < 25",
            _HALO_WORDS,
            table(("true [M/H]", "network", "network, same stars", "posterior", "aim met"), halo),
            _SEQUENCE_WORDS,
            table(_PLACE_HEAD, places),
            "Columns: the truth, the network, and what errors of GSP-Spec's size leave:",
            f"![Sequences of alpha](figures/{figure})",
        ]
    )


_WHO = ("network", "network_same", "posterior")


def _bias(row: dict[str, Any], name: str) -> str:
    if f"{name}_bias" not in row:
        return f"- ({row[f'{name}_n']})"
    return f"{row[f'{name}_bias']:+.3f} +- {row[f'{name}_error']:.3f} ({row[f'{name}_n']})"


def _met(row: dict[str, Any]) -> str:
    """Say whether the bias in a bin of the halo is as small as it should be."""
    if "network_bias" not in row:
        return "-"
    apart = np.inf
    if "network_same_bias" in row and "posterior_bias" in row:
        apart = abs(row["network_same_bias"] - row["posterior_bias"])
    return "yes" if abs(row["network_bias"]) <= _HALO_BIAS or apart <= _HALO_APART else "no"


def _share(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return "-"
    low, high = 100 * row[f"{name}_low"], 100 * row[f"{name}_high"]
    return f"{100 * row[name]:.1f} ({low:.1f} to {high:.1f})"


def _ratio(row: dict[str, Any], name: str) -> str:
    return f"{row['network_same'] / row[name]:.2f}" if row.get(name, 0.0) > 0.0 else "-"


SECTIONS: dict[str, Callable[[dict[str, Any], Path], str]] = {
    "coverage": _coverage,
    "limit": reference_sections.limit,
    "peers": reference_sections.peers,
    "evidence": _evidence,
    "galaxy": _galaxy,
    "anomalies": anomaly_sections.anomalies,
    "real_stars": real_sections.stars,
    "real_flaws": real_sections.flaws,
    "real_split": real_sections.split,
}
