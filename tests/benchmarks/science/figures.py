"""Figures of docs/science.md, drawn from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from catalog_builder.labels.agreed import default_contract
from tests.benchmarks.science.evidence import LINES

LABELS = default_contract().labels.names

mpl.use("Agg")

_COLOURS = {
    "Ca II triplet": "tab:blue",
    "Fe I": "tab:red",
    "Si I": "tab:green",
    "Ti I": "tab:purple",
}


def gradients(result: dict[str, Any], path: Path) -> None:
    """Mean absolute gradient of each label against wavelength, with the lines marked."""
    from matplotlib import pyplot

    wavelength, gradient = np.array(result["wavelength"]), np.array(result["gradient"])
    figure, axes = pyplot.subplots(len(LABELS), 1, figsize=(9, 9), sharex=True, layout="tight")
    for axis, label, values in zip(axes, LABELS, gradient.T, strict=True):
        axis.plot(wavelength, values / np.median(values), color="black", lw=0.8)
        for name, (lines, _) in LINES.items():
            for k, line in enumerate(lines):
                axis.axvline(
                    line, color=_COLOURS[name], lw=0.8, alpha=0.6, label=None if k else name
                )
        axis.set_ylabel(f"{label}\n|gradient| / median")
    axes[0].legend(loc="upper right", ncols=4, fontsize=8)
    axes[-1].set_xlabel("vacuum wavelength [nm]")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def sequences(maps: dict[str, Any], path: Path) -> None:
    """[alpha/M] against [M/H] by place: truth, network, GSP-Spec-like."""
    from matplotlib import pyplot

    panels = [panel for panel in maps["panels"] if np.sum(panel["counts"]["truth"]) >= 20]
    names = ("truth", "network", "GSP-Spec-like")
    figure, axes = pyplot.subplots(
        len(panels), len(names), figsize=(9, 2.0 * len(panels)), sharex=True, sharey=True,
        layout="tight", squeeze=False,
    )  # fmt: skip
    for row, panel in zip(axes, panels, strict=True):
        (inner, outer), (low, high) = panel["radius"], panel["height"]
        for axis, name in zip(row, names, strict=True):
            counts = np.array(panel["counts"][name]).T
            axis.pcolormesh(maps["m_h"], maps["alpha_m"], np.sqrt(counts), cmap="Greys")
            axis.text(
                0.03, 0.05, f"{name}\nR {inner:g}-{outer:g}, |z| {low:g}-{high:g} kpc",
                transform=axis.transAxes, fontsize=7,
            )  # fmt: skip
        row[0].set_ylabel("[alpha/M]")
    for axis in axes[-1]:
        axis.set_xlabel("[M/H]")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def precision(bins: list[dict[str, Any]], path: Path) -> None:
    """Scatter against S/N per label, in units of the scatter at 15 to 25."""
    rows = [row for row in bins if row["kind"] == "S/N" and row["population"].startswith("like")]
    curves = {}
    for label in LABELS:
        mine = [row for row in rows if row["label"] == label and row["n"]]
        curves[label] = [row["bin"] for row in mine], [row["scatter"] for row in mine]
    _relative_curves(curves, "RVS S/N", "scatter / scatter at S/N 15 to 25", path)


def rejection(rows: list[dict[str, Any]], path: Path) -> None:
    """Root mean square error of each label against the share left out, 1 where none is."""
    left_out = [100 * row["rejected"] for row in rows]
    curves = {label: (left_out, [row[label] for row in rows]) for label in LABELS}
    _relative_curves(curves, "strangest stars left out [%]", "RMSE / RMSE of all", path)


def _relative_curves(
    curves: dict[str, tuple[list[Any], list[float]]], x: str, y: str, path: Path
) -> None:
    """Draw a curve per label, in units of its first value."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4), layout="tight")
    for label, (places, values) in curves.items():
        axis.plot(places, [value / values[0] for value in values], "o-", label=label)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
