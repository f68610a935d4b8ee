"""Figures of two variables: Kiel diagram, abundance planes, the sky."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patheffects import withStroke

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.histogram import (
    Array,
    Axis,
    Counts,
    MeanMap,
    merge,
    merge_factor,
    window,
)
from catalog_builder.report.pictures import (
    DENSITY_MAP,
    GREY,
    MEAN_MAP,
    Picture,
    as_picture,
    as_pictures,
    new_figure,
    panels_apart,
    plain_logarithmic,
)
from catalog_builder.report.quantities import axis_title
from catalog_builder.report.summary import SKY_X, SKY_Y, Summary

# Stars per occupied cell, on average, that a map should show.
_WANTED = 2.0

_STERADIAN_DEG2 = (180.0 / np.pi) ** 2


def metallicity_of_kiel(summary: Summary) -> str | None:
    """Return the label that colours the Kiel diagram: the first metallicity that is given."""
    return next((name for name, mean in summary.kiel_metallicity.items() if mean.stars), None)


def kiel(summary: Summary, schema: CatalogSchema) -> list[Picture] | None:
    """Draw gravity against temperature: density, and mean metallicity per cell."""
    if summary.kiel is None or summary.shown.kiel is None or not summary.kiel.stars:
        return None
    metallicity = metallicity_of_kiel(summary)
    counts = summary.kiel.counts
    factor = merge_factor(counts, _WANTED)
    teff, logg = (axis.merged(factor) for axis in summary.kiel.axes)
    figures, grid = panels_apart(2 if metallicity else 1, columns=2, size=(5.1, 4.2))
    _density(grid[0], (teff, logg), merge(counts, factor))
    if metallicity:
        mean, title = summary.kiel_metallicity[metallicity], summary.shown[metallicity]
        _draw_mean(grid[1], mean, factor, f"Mean {axis_title(schema, title)}")
    temperature, gravity = summary.shown.kiel
    for panel in grid:
        _crop(panel, (teff, logg), merge(counts, factor))
        panel.invert_xaxis()
        panel.invert_yaxis()
        panel.set_xlabel(axis_title(schema, temperature))
        panel.set_ylabel(axis_title(schema, gravity))
    second = f" Right: mean {schema[metallicity].title} per cell." if metallicity else ""
    alt = (
        f"Kiel diagram of the stars inside the training ranges of {temperature.label.short}"
        f" (increasing to the left) and {gravity.label.short} (increasing downwards)."
        f" Left: number of stars per cell.{second}"
    )
    return as_pictures(figures, "png", alt)


def abundances(summary: Summary, schema: CatalogSchema) -> list[Picture] | None:
    """Draw the label of alpha elements against each metallicity: density."""
    planes = [plane for plane in summary.shown.alpha_planes if summary.abundance[plane].stars]
    if not planes:
        return None
    alpha = summary.shown[planes[0][1]].label.short
    stars = ", ".join(f"{summary.abundance[x, y].stars} stars with {x}" for x, y in planes)
    alt = f"Density of stars in the plane of {alpha} and metallicity: {stars}."
    return _planes(summary, schema, planes, alt)


def other_abundances(summary: Summary, schema: CatalogSchema) -> list[Picture] | None:
    """Draw every other abundance against the first metallicity: density."""
    planes = [plane for plane in summary.shown.other_planes if summary.abundance[plane].stars]
    if not planes:
        return None
    stars = ", ".join(f"{summary.abundance[x, y].stars} stars with {y}" for x, y in planes)
    alt = f"Density of stars in planes of an abundance and {planes[0][0]}: {stars}."
    return _planes(summary, schema, planes, alt)


def _planes(
    summary: Summary, schema: CatalogSchema, planes: Sequence[tuple[str, str]], alt: str
) -> list[Picture]:
    figures, grid = panels_apart(len(planes), columns=2, size=(5.1, 3.9))
    for (x, y), panel in zip(planes, grid, strict=True):
        histogram = summary.abundance[x, y]
        factor = merge_factor(histogram.counts, _WANTED)
        axes = tuple(axis.merged(factor) for axis in histogram.axes)
        counts = merge(histogram.counts, factor)
        _density(panel, (axes[0], axes[1]), counts)
        _crop(panel, (axes[0], axes[1]), counts)
        panel.set_xlabel(axis_title(schema, summary.shown[x]))
        panel.set_ylabel(axis_title(schema, summary.shown[y]))
    return as_pictures(figures, "png", alt)


def spectra(summary: Summary, schema: CatalogSchema, spectrum: str) -> list[Picture] | None:
    """Draw the map of the spectra of a kind, coloured by the mean of a label per cell."""
    found = {name: mean for (seen, name), mean in summary.spectra_map.items() if seen == spectrum}
    names = [name for name, mean in found.items() if mean.stars]
    if not names:
        return None
    figures, grid = panels_apart(len(names), columns=2, size=(5.1, 4.2))
    for name, panel in zip(names, grid, strict=True):
        factor = merge_factor(found[name].counts, _WANTED)
        title = f"Mean {axis_title(schema, summary.shown[name])}"
        _draw_mean(panel, found[name], factor, title)
        panel.set_xlabel(f"{spectrum}_map_x")
        panel.set_ylabel(f"{spectrum}_map_y")
    shown = ", ".join(schema[name].title for name in names)
    title = summary.shown.contract.inputs.title(spectrum)
    alt = f"Map of the {title} spectra by similarity, mean per cell of: {shown}."
    return as_pictures(figures, "png", alt)


def sky(summary: Summary) -> Picture | None:
    """Draw sources per square degree on the whole sky, galactic, Mollweide."""
    if not summary.sky.stars:
        return None
    factor = merge_factor(summary.sky.counts, _WANTED)
    counts = merge(summary.sky.counts, factor)
    x, y = SKY_X.merged(factor), SKY_Y.merged(factor)
    cell = (x.high - x.low) * (y.high - y.low) / counts.size * _STERADIAN_DEG2
    area = cell * np.maximum(_covered(x, y), 0.1)
    density = np.ma.masked_equal(counts / area, 0.0)
    figure = new_figure(9.0, 4.6)
    # matplotlib does not declare the transformations of its geographic axes.
    panel: Any = figure.add_subplot(projection="mollweide")
    norm = LogNorm(density.min(), max(density.max(), 10.0 * density.min()))
    plane = panel.transAffine + panel.transAxes
    mesh = panel.pcolormesh(
        x.edges(), y.edges(), density.T, cmap=DENSITY_MAP, norm=norm, transform=plane
    )
    _graticule(panel)
    bar = figure.colorbar(mesh, ax=panel, shrink=0.75, pad=0.02, label="Sources per square degree")
    plain_logarithmic(bar.ax.yaxis)
    alt = (
        "Map of the sky in galactic coordinates, Mollweide projection, centre of the Galaxy in the"
        f" middle, longitude increasing to the left: sources per square degree, in"
        f" {np.count_nonzero(counts)} cells of {cell:.2g} square degrees that hold any."
    )
    return as_picture(figure, "png", alt)


def _covered(x: Axis, y: Axis) -> Array:
    """Return the share of each cell that lies on the sky, from eight times eight points in it."""
    fine_x, fine_y = (Axis(axis.low, axis.high, 8 * axis.bins).centres() for axis in (x, y))
    inside = (fine_x[:, None] / x.high) ** 2 + (fine_y[None, :] / y.high) ** 2 <= 1.0
    return np.asarray(merge(inside, 8) / 64.0)


def _graticule(panel: Axes) -> None:
    panel.minorticks_off()
    panel.grid(visible=True, color=GREY, linewidth=0.4, alpha=0.6)
    longitudes, latitudes = np.arange(-120, 121, 60), np.arange(-60, 61, 30)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    panel.set_xticks(
        np.radians(longitudes), [f"{-tick % 360}°" for tick in longitudes], path_effects=halo
    )
    panel.set_yticks(np.radians(latitudes), [f"{tick}°".replace("-", "−") for tick in latitudes])


def _density(panel: Axes, axes: tuple[Axis, Axis], counts: Counts) -> None:
    norm = LogNorm(1.0, max(float(counts.max()), 10.0))
    shown = np.ma.masked_equal(counts, 0)
    _draw(panel, axes, shown, "Stars per cell", cmap=DENSITY_MAP, norm=norm)


def _draw(
    panel: Axes,
    axes: tuple[Axis, Axis],
    values: Any,
    title: str,
    *,
    cmap: str,
    norm: Normalize,
    extend: str = "neither",
) -> None:
    x, y = axes
    # An image, not a mesh of as many quadrilaterals: time and memory do not grow with its cells.
    mesh = panel.imshow(
        values.T,
        cmap=cmap,
        norm=norm,
        origin="lower",
        aspect="auto",
        extent=(x.low, x.high, y.low, y.high),
    )
    figure = panel.get_figure(root=True)
    if figure is not None:
        bar = figure.colorbar(mesh, ax=panel, label=title, extend=extend, pad=0.02)
        if isinstance(norm, LogNorm):
            plain_logarithmic(bar.ax.yaxis)


def _draw_mean(panel: Axes, mean: MeanMap, factor: int, title: str) -> None:
    axes = tuple(axis.merged(factor) for axis in mean.axes)
    values = _mean(merge(mean.sums, factor), merge(mean.counts, factor))
    _draw(
        panel,
        (axes[0], axes[1]),
        np.ma.masked_invalid(values),
        title,
        cmap=MEAN_MAP,
        norm=Normalize(*_colour_limits(values)),
        extend="both",
    )


def _crop(panel: Axes, axes: tuple[Axis, Axis], counts: Counts) -> None:
    limits = []
    for number, axis in enumerate(axes):
        first, last = window(counts.sum(axis=1 - number), left_out=0.0005)
        edges = axis.edges()
        limits.append((float(edges[first]), float(edges[last])))
    panel.set_xlim(*limits[0])
    panel.set_ylim(*limits[1])


def _mean(sums: Array, counts: Counts) -> Array:
    mean = np.full(counts.shape, np.nan)
    np.divide(sums, counts, out=mean, where=counts > 0)
    return mean


def _colour_limits(values: Array) -> tuple[float, float]:
    """Return the 2 and 98 per cent quantiles of the cells, never less than 0.2 dex apart."""
    low, high = np.nanquantile(values, [0.02, 0.98])
    missing = max(0.2 - (high - low), 0.0)
    return float(low - missing / 2), float(high + missing / 2)
