"""Figures of the page about clusters."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.comparing.clusters.engine import Clusters
from catalog_builder.contract.labels import Label
from catalog_builder.report.pictures import (
    BLUE,
    FILL,
    GREY,
    ORANGE,
    Picture,
    as_picture,
    panels,
)
from catalog_builder.report.quantities import difference_unit

_SIZE: Final = (3.4, 2.8)
#: Bins of temperature, of equal numbers of stars, and the least of these.
_BINS, _LEAST = 8, 10


def scatters(found: Clusters) -> Picture | None:
    """Draw the scatter of each cluster against the uncertainty of its stars."""
    shown = [label for label in found.labels if found.fits[label.name]]
    if not shown:
        return None
    figure, grid = panels(len(shown), columns=3, size=_SIZE)
    for label, panel in zip(shown, grid, strict=True):
        fits = list(found.fits[label.name].values())
        sigma = np.array([each.sigma for each in fits])
        scatter = np.array([each.scatter for each in fits])
        errors = scatter / np.sqrt(2.0 * np.array([each.stars - 1 for each in fits]))
        top = 1.1 * float(np.max(np.concatenate([sigma, scatter + errors])))
        panel.plot([0, top], [0, top], color=GREY, linewidth=0.9)
        panel.errorbar(sigma, scatter, errors, fmt="o", color=ORANGE, markersize=4, linewidth=0.9)
        panel.set_xlim(0, top)
        panel.set_ylim(0, top)
        unit = difference_unit(found.side.schema, label.name)
        panel.set_xlabel(f"median σ({label.tex}) [{unit}]")
        panel.set_ylabel(f"scatter [{unit}]")
    said = (f"{label.name} {found.pooled[label.name].factor:.2f}" for label in shown)
    alt = (
        "One panel per label, a point per cluster: robust scatter against median uncertainty, with"
        f" the line on which both are equal. All together scatter / sigma is {', '.join(said)}."
    )
    return as_picture(figure, "svg", alt)


def trends(found: Clusters) -> Picture | None:
    """Draw differences from the clusters' means along the temperature."""
    shown = [(label, bins) for label in found.labels if len(bins := _binned(found, label))]
    if not shown:
        return None
    figure, grid = panels(len(shown), columns=3, size=_SIZE)
    heat = found.side.schema.labels.first("temperature")
    for (label, bins), panel in zip(shown, grid, strict=True):
        at, low, middle, high, error = bins.T
        panel.fill_between(at, low, high, color=FILL, linewidth=0)
        panel.axhline(0, color=GREY, linewidth=0.8)
        panel.errorbar(at, middle, error, fmt="o", color=ORANGE, markersize=4, capsize=2)
        each = found.pooled[label.name]
        middle_heat = float(np.average(at))
        panel.plot(at, each.slope * (at - middle_heat) / 1000.0, color=BLUE, linewidth=1.2)
        panel.set_xlabel("temperature" if heat is None else f"{heat.tex} [K]")
        unit = difference_unit(found.side.schema, label.name)
        panel.set_ylabel(f"{label.tex} − mean of cluster [{unit}]")
    said = (
        f"{label.name} {found.pooled[label.name].slope:+.3g} ±"
        f" {found.pooled[label.name].slope_error:.2g}"
        for label, _ in shown
    )
    alt = (
        "One panel per label: medians of the differences from the cluster's mean along the"
        f" temperature, with the range of 68 %. Slopes per 1000 K: {', '.join(said)}."
    )
    return as_picture(figure, "svg", alt)


def literature(found: Clusters) -> Picture | None:
    """Draw the clusters' means less the literature's."""
    pairs = [(label, np.array(_beside(found, label))) for label in found.labels]
    shown = [(label, each) for label, each in pairs if len(each)]
    if not shown:
        return None
    figure, grid = panels(len(shown), columns=3, size=_SIZE)
    for (label, each), panel in zip(shown, grid, strict=True):
        value, error, mean, mean_error = each.T
        errors = np.hypot(mean_error, np.nan_to_num(error))
        panel.axhline(0, color=GREY, linewidth=0.8)
        panel.errorbar(value, mean - value, errors, fmt="o", color=ORANGE, markersize=4)
        unit = difference_unit(found.side.schema, label.name)
        panel.set_xlabel(f"{label.tex} of the literature [{unit}]")
        panel.set_ylabel(f"ours − literature [{unit}]")
    said = (
        f"{label.name} {float(np.median(each[:, 2] - each[:, 0])):+.3f}" for label, each in shown
    )
    alt = (
        "One panel per label, a point per cluster: its mean less the literature's. Medians:"
        f" {', '.join(said)}."
    )
    return as_picture(figure, "svg", alt)


def _binned(found: Clusters, label: Label) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return temperature, 16 %, median, 84 % and the median's error in bins of equal numbers."""
    heat, off = found.residuals[label.name]
    known = np.isfinite(heat) & np.isfinite(off)
    heat, off = heat[known], off[known]
    bins = min(_BINS, len(heat) // _LEAST)
    if not bins:
        return np.empty((0, 5))
    rows = []
    for part in np.array_split(np.argsort(heat, kind="stable"), bins):
        low, middle, high = np.percentile(off[part], [16, 50, 84])
        error = 1.25 * (high - low) / 2 / np.sqrt(len(part))
        rows.append([float(np.median(heat[part])), low, middle, high, error])
    return np.array(rows)


def _beside(found: Clusters, label: Label) -> list[tuple[float, float, float, float]]:
    return [
        (*said, each.mean, each.mean_error)
        for cluster, each in found.fits[label.name].items()
        if (said := found.of_literature(label.name, cluster)) is not None
    ]
