"""Figures of one variable: completeness, uncertainty, distribution of each label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from catalog_builder.contract.schema import CatalogSchema
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
    GREY,
    INK,
    ORANGE,
    Picture,
    as_pictures,
    panels_apart,
    plain_logarithmic,
    thousands,
)
from catalog_builder.report.quantities import (
    Quantity,
    axis_title,
    difference_unit,
    sigma_title,
)
from catalog_builder.report.summary import MAGNITUDE, NO_SPECTRUM, SIGNAL_TO_NOISE, Summary

# A median of fewer stars says more about these stars than about the catalogue.
MIN_STARS = 10

# Curves that can be told apart by colour, and names that a legend has room for.
_MOST_COLOURS, _MOST_NAMES = len(COLOURS) - 1, 5


def completeness(summary: Summary) -> list[Picture] | None:
    """Draw number of sources, share with each label and with each input against the magnitude."""
    if not summary.magnitude or not summary.magnitude["all"].counts.any():
        return None
    total, inputs = summary.magnitude["all"].counts, summary.shown.contract.inputs
    given = [
        (quantity.symbol, _share(summary.magnitude[name].counts, total))
        for name, quantity in summary.shown.items()
        if summary.filled[name]
    ]
    used = [
        (inputs.title(name), _share(summary.magnitude[f"{name}_used"].counts, total))
        for name in inputs.names
    ]
    figures, grid = panels_apart(3 if given else 2, columns=3, size=(3.4, 3.0))
    _numbers(grid[0], total)
    if given:
        places = [place for place, name in enumerate(summary.shown) if summary.filled[name]]
        _shares(grid[1], given, places)
        grid[1].set_ylabel("Share with label")
    _shares(grid[-1], used, range(len(used)))
    grid[-1].set_ylabel("Share with input used")
    for panel in grid:
        _magnitude_axis(panel, summary)
        _frame(panel, MAGNITUDE, total)
    first, last = _reach(MAGNITUDE, total)
    band = summary.shown.magnitude_title
    alt = (
        f"Against {band} magnitude from {first:g} to {last:g}: number of sources per half"
        f" magnitude, largest at {band} = {MAGNITUDE.centres()[int(total.argmax())]:g}; share of"
        " sources with each label; share of sources for which each input was used."
    )
    return as_pictures(figures, "svg", alt)


def uncertainty_by_magnitude(
    summary: Summary, schema: CatalogSchema, spectrum: str
) -> list[Picture] | None:
    """Draw median sigma of each label against the magnitude, with and without a spectrum."""
    counted = {
        (name, used): histogram.counts
        for (name, seen, used), histogram in summary.sigma_by_magnitude.items()
        if seen == spectrum
    }
    names = (
        [name for name in summary.shown if any(_enough(counted[name, u]) for u in (True, False))]
        if counted
        else []
    )
    if not names:
        return None
    figures, grid = panels_apart(len(names), columns=3, size=(3.4, 2.7))
    title = summary.shown.contract.inputs.title(spectrum)
    looks = {True: (ORANGE, f"{title} used"), False: (BLUE, f"{title} not used")}
    if spectrum == NO_SPECTRUM:
        looks = {True: (ORANGE, "all stars")}
    for name, panel in zip(names, grid, strict=True):
        both = np.zeros(MAGNITUDE.bins, dtype=np.int64)
        for used, look in looks.items():
            counts = counted[name, used]
            _band(panel, MAGNITUDE, counts, summary.shown[name], look)
            both += np.where(_filled(counts), counts.sum(axis=-1), 0)
        _frame(panel, MAGNITUDE, both)
        _magnitude_axis(panel, summary)
        panel.set_ylabel(sigma_title(schema, summary.shown[name]))
    grid[0].legend(*_entries(grid), loc="best")
    which = "" if spectrum == NO_SPECTRUM else f" whose {title} spectrum was used and was not"
    alt = (
        "One panel per label: median uncertainty with its 16 to 84 per cent range against"
        f" {summary.shown.magnitude_title} magnitude, for stars{which}. Median of all stars: "
        + _medians(summary, schema, names)
        + "."
    )
    return as_pictures(figures, "svg", alt)


def uncertainty_by_snr(
    summary: Summary, schema: CatalogSchema, spectrum: str
) -> list[Picture] | None:
    """Draw median sigma of each label against the S/N of a spectrum that was used."""
    counted = {name: summary.sigma_by_snr[name, spectrum].counts for name in summary.shown}
    names = [name for name, counts in counted.items() if _enough(counts)]
    if not names:
        return None
    figures, grid = panels_apart(len(names), columns=3, size=(3.4, 2.7))
    title = summary.shown.contract.inputs.title(spectrum)
    for name, panel in zip(names, grid, strict=True):
        counts = counted[name]
        _band(panel, SIGNAL_TO_NOISE, counts, summary.shown[name], (ORANGE, f"{title} used"))
        panel.set_xscale("log")
        plain_logarithmic(panel.xaxis)
        _frame(panel, SIGNAL_TO_NOISE, np.where(_filled(counts), counts.sum(axis=-1), 0))
        panel.set_xlabel(f"S/N of the {title} spectrum")
        panel.set_ylabel(sigma_title(schema, summary.shown[name]))
    alt = (
        "One panel per label: median uncertainty with its 16 to 84 per cent range against the"
        f" signal-to-noise ratio of the {title} spectrum."
    )
    return as_pictures(figures, "svg", alt)


def distributions(summary: Summary, schema: CatalogSchema) -> list[Picture] | None:
    """Draw the histogram of each label, of all stars and of those inside its training range."""
    names = [name for name in summary.shown if summary.labels[name].stars]
    if not names:
        return None
    figures, grid = panels_apart(len(names), columns=3, size=(3.4, 2.5))
    for name, panel in zip(names, grid, strict=True):
        counts, axis = summary.labels[name].counts, summary.shown[name].axis
        factor = merge_factor(counts, wanted=50.0)
        drawn = axis.merged(factor)
        every, inside = merge(counts, factor), merge(summary.labels_in_range[name].counts, factor)
        panel.stairs(inside, drawn.edges(), fill=True, color=FILL, label="inside training range")
        panel.stairs(every, drawn.edges(), color=INK, linewidth=1.0, label="all stars")
        _frame(panel, drawn, every, left_out=0.0005)
        panel.set_ylim(0.0, 1.12 * every.max())
        panel.set_xlabel(axis_title(schema, summary.shown[name]))
        panel.set_ylabel(f"Stars per bin{thousands(panel.yaxis, float(every.max()))}")
    grid[0].legend(*_entries(grid), loc="best")
    middles = "; ".join(
        f"{name} {quantiles(summary.labels[name].counts, summary.shown[name].axis, 0.5)[0]:.4g}"
        for name in names
    )
    alt = f"Histogram of each label. Medians: {middles}."
    return as_pictures(figures, "svg", alt)


def _numbers(panel: Axes, total: Counts) -> None:
    panel.stairs(total, MAGNITUDE.edges(), fill=True, color=FILL)
    panel.stairs(total, MAGNITUDE.edges(), color=INK, linewidth=1.0)
    panel.set_yscale("log")
    panel.set_ylim(0.7, 2.0 * total.max())
    plain_logarithmic(panel.yaxis)
    panel.set_ylabel("Sources per half magnitude")


def _shares(panel: Axes, shares: Sequence[tuple[str, Array]], places: Sequence[int]) -> None:
    """Draw each curve once; where there are too many to tell apart, all but two in grey."""
    curves = _equal_curves([curve for _, curve in shares])
    titles, edges = [title for title, _ in shares], MAGNITUDE.edges()
    many = len(curves) > _MOST_COLOURS
    means = [float(np.nanmean(curve)) for _, curve in curves]
    ends = (int(np.argmin(means)), int(np.argmax(means)))
    for number, (equal, curve) in enumerate(curves):
        if many and number not in ends:
            colour, title, width = GREY, "others", 0.7
        else:
            colour = COLOURS[ends.index(number) if many else places[equal[0]] % _MOST_COLOURS]
            title, width = _listed([titles[place] for place in equal]), 1.8
        panel.stairs(curve, edges, baseline=None, color=colour, label=title, lw=width)
    panel.set_ylim(-0.04, 1.04)
    panel.legend(*_entries([panel]), loc="best")


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def _medians(summary: Summary, schema: CatalogSchema, names: Sequence[str]) -> str:
    medians = {
        name: quantiles(summary.sigma[name].counts, summary.shown[name].sigma, 0.5)[0]
        for name in names
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


def _magnitude_axis(panel: Axes, summary: Summary) -> None:
    title = summary.shown.magnitude_title
    panel.set_xlabel(f"${title}$ [mag]" if title.isalnum() else title.replace("$", r"\$"))
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


def _equal_curves(curves: Sequence[Array]) -> list[tuple[list[int], Array]]:
    """Return each curve once, with the places of all that coincide with it."""
    found: list[tuple[list[int], Array]] = []
    for place, curve in enumerate(curves):
        for places, known in found:
            if np.array_equal(curve, known, equal_nan=True):
                places.append(place)
                break
        else:
            found.append(([place], curve))
    return found


def _filled(counts: Counts) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(counts.sum(axis=-1) >= MIN_STARS)


def _enough(counts: Counts) -> bool:
    return bool(_filled(counts).any())
