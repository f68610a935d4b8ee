"""The sections of docs/science.md that set the network beside others: the limit, the peers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog_builder.labels.agreed import default_contract
from tests.benchmarks.science.markdown import NAMES, number, table

LABELS = default_contract().labels.names

_LIMIT_WORDS = """\
The exact Bayesian posterior of test stars like the training ones: the simulation's emulator, its
true noise (correlated RVS pixels, full covariance of the XP coefficients, photometry, parallax),
its population as prior; broadening, distance, extinction, frame and continuum marginalised.
*Limit* is the root of the mean posterior variance, *ratio* the network's RMSE over it (goal:
1.25), *reference's own* the RMSE of the posterior mean over it (1 if the reference is right);
intervals are 95 %, by bootstrap. *Ranks p*: Kolmogorov-Smirnov of the truth's ranks, uniform or
not."""
_PEERS_WORDS = """\
Trained on the same fit stars, tuned on the same validation stars; all see 60 RVS and 80 XP
components, photometry, parallax and what is absent. Scatter / RMSE on test stars like the
training ones, of the network; """
_PEER_WORDS = {
    "trees": "gradient-boosted *trees* (three settings per label)",
    "perceptron": "a *perceptron* of two hidden layers (three settings, three members)",
    "layers of 2020": "a network with the *layers of* Guiglion et al. *2020* on the RVS pixels,\n"
    "XP components, photometry, parallax and what is absent in its side branch, joined after\n"
    "the convolutions (three settings of step size and dropout in short trainings, two members,\n"
    "batches of 64 in place of 16, early stopping)",
}
#: What was tried to come nearer, told by hand: each line is a training.
_TRIED = Path(__file__).parent / "limit" / "tried.md"
#: Bins of S/N that show how peers compare.
_BINS_SHOWN = ("all", "15 to 25", ">= 100")
#: Group in which the network must halve what the peers have beyond the limit.
_LOW = "15 to 25"
#: A reference whose ranks are less uniform than this by chance is not published as one.
_BROKEN = 1e-3


def limit(result: dict[str, Any], figures: Path) -> str:
    """Return the section of part `limit`."""
    del figures
    rows = [
        [
            f"S/N {row['group']}",
            NAMES[row["label"]],
            f"{row['n']:,}",
            number(row["label"], row["limit"]),
            number(row["label"], row["rmse"]),
            f"{row['ratio']:.2f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f})",
            f"{row['own']:.2f} ({row['own_low']:.2f} to {row['own_high']:.2f})",
            f"{row['rank_p']:.3f}",
        ]
        for row in result["groups"]
    ]
    head = ("stars", "label", "n", "limit", "network RMSE", "ratio", "reference's own", "ranks p")
    verdict, seconds = _verdict(result["groups"]), result["cpu_seconds"]
    cost = "" if seconds is None else f"; one took {seconds:.1f} s of one core (median)"
    return "\n\n".join(
        [
            "## Information limit",
            _LIMIT_WORDS,
            table(head, rows),
            verdict,
            f"{result['posteriors']} posteriors, {result['poor']} of them with fewer than 30\n"
            f"effective draws{cost}. Left out: stars within 0.04 mag of G_RVS 12,\n"
            "whose published normalisation class may be the wrong one. The posterior knows what\n"
            "the network does not see (correlations of XP errors) and does not use what errors\n"
            "tell of magnitudes.",
            _TRIED.read_text(encoding="utf-8").strip(),
        ]
    )


def _verdict(rows: list[dict[str, Any]]) -> str:
    """Say whether the reference may be believed."""
    named = {id(row): f"{NAMES[row['label']]} at S/N {row['group']}" for row in rows}
    broken = [named[id(row)] for row in rows if row["rank_p"] < _BROKEN or row["ratio"] < 0.95]
    off = [named[id(row)] for row in rows if not row["own_low"] <= 1.0 <= row["own_high"]]
    text = (
        f"**The reference is broken** for {', '.join(broken)}: ranks not uniform, or beaten."
        if broken
        else "The ranks of the truth in the posteriors are as good as uniform."
    )
    if off:
        text += (
            f"\nThe 95 % interval of the reference's own ratio leaves out 1 for {', '.join(off)}."
        )
    return text


def peers(result: dict[str, Any], figures: Path) -> str:
    """Return the section of part `peers`."""
    del figures
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in result["rows"]:
        lines.setdefault((row["bin"], row["method"]), {})[row["label"]] = row
    rows = [
        [bin_, method, f"{mine['teff']['n']:,}"]
        + [
            f"{number(label, mine[label]['scatter'])} / {number(label, mine[label]['rmse'])}"
            for label in LABELS
        ]
        for (bin_, method), mine in lines.items()
        if bin_ in _BINS_SHOWN
    ]
    excess: dict[tuple[str, str], dict[str, Any]] = {}
    for row in result["excess"]:
        excess.setdefault((row["group"], row["method"]), {})[row["label"]] = row
    missed = _missed(excess)
    cells = len(LABELS) * sum(method != "network" for _, method in excess)
    over = [
        [group, method, f"{mine['teff']['n']:,}"]
        + [
            _excess_cell(mine[label]["excess"], (group, method, label) in missed)
            for label in LABELS
        ]
        for (group, method), mine in excess.items()
    ]
    labels = [NAMES[label] for label in LABELS]
    seen = {method for _, method in lines}
    words = [text for name, text in _PEER_WORDS.items() if name in seen]
    return "\n\n".join(
        [
            "## Peers on the same inputs",
            _PEERS_WORDS + "; ".join(words) + ":",
            table(("S/N", "method", "n", *labels), rows),
            "Excess variance over the information limit, RMSE^2 / mean posterior variance - 1:",
            table(("S/N", "method", "n", *labels), over),
            f"Aim: the network has at most half of each peer's excess at S/N {_LOW} and never\n"
            f"more elsewhere; missed against {len(missed)} of {cells} numbers of peers (bold).",
            "Their training: "
            + "; ".join(_training(*one) for one in result["notes"].items())
            + ".",
        ]
    )


def _missed(excess: dict[tuple[str, str], dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Cells (group, peer, label) where the network's excess is not as small as it should be."""
    return {
        (group, method, label)
        for (group, method), mine in excess.items()
        if method != "network"
        for label in LABELS
        if excess[group, "network"][label]["excess"]
        > (0.5 if group == _LOW else 1.0) * mine[label]["excess"]
    }


def _excess_cell(excess: float, missed: bool) -> str:
    return f"**{excess:.2f}**" if missed else f"{excess:.2f}"


def _training(name: str, notes: dict[str, Any]) -> str:
    text = f"{name} {notes['cpu_seconds']:.0f} s of processor time"
    members = notes["choices"].get("members", ())
    if members:
        epochs = " and ".join(str(member["epochs"]) for member in members)
        text += f", {epochs} epochs at step size {members[0]['rate']:g} and dropout "
        text += f"{members[0]['dropout']:g}"
    return text
