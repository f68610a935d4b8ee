"""Figures of one variable: completeness, uncertainty, distribution of each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from catalog_builder.report.histogram import (
    Array,
    Axis,
    Counts,
    merge,
    merge_factor,
    quantiles,
    window,
)
from catalog_builder.report.pictures import (
    BLUE,
    COLOURS,
    FILL,
    INK,
    ORANGE,
    Picture,
    as_picture,
    panels,
    plain_logarithmic,
)
from catalog_builder.report.quantities import (
    BY_NAME,
    Quantity,
    axis_title,
    difference_unit,
    sigma_title,
)
from catalog_builder.report.summary import INPUTS, MAGNITUDE, SIGNAL_TO_NOISE, Summary
from catalog_builder.schema import LABELS, CatalogSchema

# A median of fewer stars says more about these stars than about the catalogue.
MIN_STARS = 10

_INPUT_NAMES = {"rvs": "RVS", "xp": "XP", "photometry": "photometry", "parallax": "parallax"}
_INPUT_COLOURS = {"rvs": ORANGE, "xp": BLUE, "photometry": "#009E73", "parallax": "#CC79A7"}


def completeness(summary: Summary) -> Picture | None:
    """Draw number of sources, share with each label and share with each input against G."""
    total = summary.magnitude["all"].counts
    if not total.any():
        return None
    given = {
        name: _share(summary.magnitude[name].counts, total)
        for name in LABELS
        if summary.filled[name]
    }
    used = {name: _share(summary.magnitude[f"{name}_used"].counts, total) for name in INPUTS}
    figure, grid = panels(3 if given else 2, columns=3, size=(3.4, 3.0))
    _numbers(grid[0], total)
    if given:
        symbols = {name: BY_NAME[name].symbol for name in given}
        _shares(grid[1], given, COLOURS, symbols)
        grid[1].set_ylabel("Share with label")
    _shares(grid[-1], used, _INPUT_COLOURS, _INPUT_NAMES)
    grid[-1].set_ylabel("Share with input used")
    for panel in grid:
        _magnitude_axis(panel)
        _frame(panel, MAGNITUDE, total)
    first, last = _reach(MAGNITUDE, total)
    alt = (
        f"Against G magnitude from {first:g} to {last:g}: number of sources per half"
        f" magnitude, largest at G = {MAGNITUDE.centres()[int(total.argmax())]:g}; share of sources"
        " with each label; share of sources for which each input was used."
    )
    return as_picture(figure, "svg", alt)


def uncertainty_by_magnitude(summary: Summary, schema: CatalogSchema) -> Picture | None:
    """Draw median sigma of each label against G, with and without RVS."""
    names = [
        name
        for name in LABELS
        if any(_enough(summary.sigma_by_magnitude[name, rvs].counts) for rvs in (True, False))
    ]
    if not names:
        return None
    figure, grid = panels(len(names), columns=3, size=(3.4, 2.7))
    for name, panel in zip(names, grid, strict=True):
        both = np.zeros(MAGNITUDE.bins, dtype=np.int64)
        for with_rvs, colour, title in ((True, ORANGE, "RVS used"), (False, BLUE, "RVS not used")):
            counts = summary.sigma_by_magnitude[name, with_rvs].counts
            _band(panel, MAGNITUDE, counts, BY_NAME[name], (colour, title))
            both += np.where(_filled(counts), counts.sum(axis=-1), 0)
        _frame(panel, MAGNITUDE, both)
        _magnitude_axis(panel)
        panel.set_ylabel(sigma_title(schema, name))
    figure.legend(*_entries(grid), loc="outside upper right", ncols=2)
    alt = (
        "One panel per label: median uncertainty with its 16 to 84 per cent range against"
        " G magnitude, for stars whose RVS spectrum was used and was not. Median of all stars: "
        + _medians(summary, schema, names)
        + "."
    )
    return as_picture(figure, "svg", alt)


def uncertainty_by_snr(summary: Summary, schema: CatalogSchema) -> Picture | None:
    """Draw median sigma of each label against the S/N of the RVS spectrum that was used."""
    names = [name for name in LABELS if _enough(summary.sigma_by_snr[name].counts)]
    if not names:
        return None
    figure, grid = panels(len(names), columns=3, size=(3.4, 2.7))
    for name, panel in zip(names, grid, strict=True):
        counts = summary.sigma_by_snr[name].counts
        _band(panel, SIGNAL_TO_NOISE, counts, BY_NAME[name], (ORANGE, "RVS used"))
        panel.set_xscale("log")
        plain_logarithmic(panel.xaxis)
        _frame(panel, SIGNAL_TO_NOISE, np.where(_filled(counts), counts.sum(axis=-1), 0))
        panel.set_xlabel("S/N of the RVS spectrum")
        panel.set_ylabel(sigma_title(schema, name))
    alt = (
        "One panel per label: median uncertainty with its 16 to 84 per cent range against the"
        " signal-to-noise ratio of the RVS spectrum."
    )
    return as_picture(figure, "svg", alt)


def distributions(summary: Summary, schema: CatalogSchema) -> Picture | None:
    """Draw the histogram of each label, of all stars and of those inside its training range."""
    names = [name for name in LABELS if summary.labels[name].stars]
    if not names:
        return None
    figure, grid = panels(len(names), columns=3, size=(3.4, 2.5))
    for name, panel in zip(names, grid, strict=True):
        counts, axis = summary.labels[name].counts, BY_NAME[name].axis
        factor = merge_factor(counts, wanted=50.0)
        drawn = axis.merged(factor)
        every, inside = merge(counts, factor), merge(summary.labels_in_range[name].counts, factor)
        panel.stairs(inside, drawn.edges(), fill=True, color=FILL, label="inside training range")
        panel.stairs(every, drawn.edges(), color=INK, linewidth=1.0, label="all stars")
        _frame(panel, drawn, every, left_out=0.0005)
        panel.set_ylim(0.0, 1.12 * every.max())
        panel.set_xlabel(axis_title(schema, name))
        panel.set_ylabel("Stars per bin")
        panel.ticklabel_format(axis="y", style="sci", scilimits=(0, 4))
    figure.legend(*_entries(grid), loc="outside upper right", ncols=2)
    middles = "; ".join(
        f"{name} {quantiles(summary.labels[name].counts, BY_NAME[name].axis, 0.5)[0]:.4g}"
        for name in names
    )
    alt = f"Histogram of each label. Medians: {middles}."
    return as_picture(figure, "svg", alt)


def _numbers(panel: Axes, total: Counts) -> None:
    panel.stairs(total, MAGNITUDE.edges(), fill=True, color=FILL)
    panel.stairs(total, MAGNITUDE.edges(), color=INK, linewidth=1.0)
    panel.set_yscale("log")
    panel.set_ylim(0.7, 2.0 * total.max())
    plain_logarithmic(panel.yaxis)
    panel.set_ylabel("Sources per half magnitude")


def _shares(
    panel: Axes, shares: dict[str, Array], colours: Mapping[str, str], titles: Mapping[str, str]
) -> None:
    for names, share in _equal_curves(shares):
        title = ", ".join(titles[name] for name in names)
        colour = colours[names[0]]
        panel.stairs(share, MAGNITUDE.edges(), baseline=None, color=colour, label=title, lw=1.8)
    panel.set_ylim(-0.04, 1.04)
    panel.legend(loc="best")


def _medians(summary: Summary, schema: CatalogSchema, names: Sequence[str]) -> str:
    medians = {
        name: quantiles(summary.sigma[name].counts, BY_NAME[name].sigma, 0.5)[0] for name in names
    }
    return ", ".join(
        f"{name} {median:.3g} {difference_unit(schema, name)}" for name, median in medians.items()
    )


def _band(
    panel: Axes, axis: Axis, counts: Counts, quantity: Quantity, look: tuple[str, str]
) -> None:
    """Draw median and 16 to 84 per cent of sigma per bin; bins of few stars are left out."""
    filled = _filled(counts)
    if not filled.any():
        return
    low, middle, high = quantiles(counts, quantity.sigma, 0.16, 0.5, 0.84)
    for values in (low, middle, high):
        values[~filled] = np.nan
    colour, title = look
    centres = axis.centres()
    panel.fill_between(centres, low, high, color=colour, alpha=0.22, linewidth=0)
    panel.plot(centres, middle, color=colour, label=title, marker="o", markersize=3)
    panel.set_yscale("log")
    plain_logarithmic(panel.yaxis)


def _magnitude_axis(panel: Axes) -> None:
    panel.set_xlabel("$G$ [mag]")
    panel.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))


def _entries(grid: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Return handles and titles of what the panels show, each title once."""
    entries: dict[str, Artist] = {}
    for panel in grid:
        for handle, title in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(title, handle)
    return list(entries.values()), list(entries)


def _frame(panel: Axes, axis: Axis, counts: Counts, left_out: float = 0.0) -> None:
    """Limit a panel to the bins that hold the stars but for this share on each side."""
    panel.set_xlim(*_reach(axis, counts, left_out))


def _reach(axis: Axis, counts: Counts, left_out: float = 0.0) -> tuple[float, float]:
    first, last = window(counts, left_out)
    edges = axis.edges()
    return float(edges[first]), float(edges[last])


def _share(part: Counts, total: Counts) -> Array:
    share = np.full(len(total), np.nan)
    np.divide(part, total, out=share, where=total > 0)
    return share


def _equal_curves(curves: dict[str, Array]) -> list[tuple[list[str], Array]]:
    """Return each curve once, with the names of all that coincide with it."""
    found: list[tuple[list[str], Array]] = []
    for name, curve in curves.items():
        for names, known in found:
            if np.array_equal(curve, known, equal_nan=True):
                names.append(name)
                break
        else:
            found.append(([name], curve))
    return found


def _filled(counts: Counts) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(counts.sum(axis=-1) >= MIN_STARS)


def _enough(counts: Counts) -> bool:
    return bool(_filled(counts).any())
