"""Figures of which sources of the archive are in the catalogue, by magnitude and colour."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.features.cells import Bins
from catalog_builder.report.chosen import PUBLISHED, REQUESTED, SOURCES, TIERS, Chosen
from catalog_builder.report.diagrams import figure
from catalog_builder.report.histogram import Array, Counts, span
from catalog_builder.report.html import Cell, number, paragraph, percent, table, text
from catalog_builder.report.multiples import Multiples, Scale, coloured
from catalog_builder.report.pictures import COLOURS, DENSITY_MAP, Picture, named
from catalog_builder.report.summary import Summary

#: Sources of a share that is drawn; bins of the magnitude that are one in the figure.
_LEAST, _JOINED = 10, 2
_SIZE: Final = (395.0, 230.0)


def section(chosen: Chosen, summary: Summary) -> str:
    """Return which share of the archive's sources is in the catalogue, as figure and tables."""
    by_magnitude = _joined(chosen.counts[: chosen.grid.magnitudes.count].sum(axis=1))
    drawn = np.flatnonzero(by_magnitude[:, SOURCES] >= _LEAST)
    if chosen.grid.magnitude is None or not len(drawn):
        return ""
    band = summary.shown.magnitude_title
    words = paragraph(
        "Of all sources in the archive's source table, in the parts of the sky where all of them"
        " were counted: which share was asked for, and which is in the catalogue. The same by"
        " position is in the folder selection.",
        " The archive that was read holds hardly any source that was not asked for: this says"
        " nothing of stars without spectra."
        if chosen.subset
        else "",
    )
    picture = _picture(chosen, by_magnitude, drawn, summary)
    caption = (
        f"First: share of the archive's sources against {band}: asked for, published, and of each"
        f" tier or a better one. Bins of fewer than {_LEAST} sources are left out."
    )
    if chosen.grid.colour is not None:
        caption += " Second: share published, by magnitude and colour."
    numbers = _table(chosen, by_magnitude, drawn, band)
    return "\n".join([words, figure(picture, caption, "", numbers)])


def _picture(chosen: Chosen, counts: Counts, drawn: Counts, summary: Summary) -> list[Picture]:
    bins, band = chosen.grid.magnitudes, summary.shown.magnitude_title
    edges = _edges(bins, _JOINED)
    low, high = float(edges[drawn[0]]), float(edges[drawn[-1] + 1])
    across = Scale(low, high, f"{text(band)} [mag]")
    left = Multiples([across], [Scale(0.0, 1.02, "share of the archive's sources")], _SIZE, [""])
    shares = _shares(counts)
    centres = (edges[:-1] + edges[1:]) / 2
    for place, (title, share) in enumerate(_curves(chosen, shares)):
        colour = COLOURS[place % len(COLOURS)]
        left.line(0, 0, centres, share, colour)
        left.legend(colour, text(title))
    panels = [left]
    if chosen.grid.colour is not None:
        panels.append(_by_colour(chosen, across))
    alt = (
        f"Share of the archive's sources in the catalogue against {band}, from {low:g} to"
        f" {high:g}{', and by magnitude and colour' if len(panels) > 1 else ''}."
    )
    return named([one.picture("") for one in panels], alt)


def _by_colour(chosen: Chosen, across: Scale) -> Multiples:
    colours = chosen.grid.colours
    counts = _joined(chosen.counts[: chosen.grid.magnitudes.count, : colours.count])
    share = _shares(counts)[..., PUBLISHED]
    some = np.flatnonzero(np.isfinite(share).any(axis=0))
    edges = _edges(colours, 1)
    first, last = (some[0], some[-1]) if len(some) else (0, colours.count - 1)
    one, other = chosen.grid.colour or ("", "")
    title = f"{one} − {other}".replace("_mean_mag", "").replace("phot_", "")
    drawn = Multiples(
        [across], [Scale(float(edges[first]), float(edges[last + 1]), text(title))], _SIZE,
        ["share published, dark 0 to bright 1"],
    )  # fmt: skip
    magnitudes = _edges(chosen.grid.magnitudes, _JOINED)
    extent = (magnitudes[0], magnitudes[-1]), (edges[0], edges[-1])
    drawn.cells(0, 0, coloured(share, 0.0, 1.0, DENSITY_MAP), extent)
    return drawn


def _curves(chosen: Chosen, shares: Array) -> list[tuple[str, Array]]:
    """Return what is drawn: those asked for, those published, and tiers with the better ones."""
    found = [("asked for", shares[:, REQUESTED]), ("published", shares[:, PUBLISHED])]
    better = np.cumsum(shares[:, TIERS:], axis=1)
    for place, name in enumerate(chosen.tiers[:-1]):
        title = name.replace("_", " ") + (" or better" if place else "")
        found.append((title, better[:, place]))
    return found


def _table(chosen: Chosen, counts: Counts, drawn: Counts, band: str) -> str:
    edges = _edges(chosen.grid.magnitudes, _JOINED)
    titles = [title for title, _ in _curves(chosen, _shares(counts))]
    rows: list[tuple[Cell, ...]] = []
    for at in drawn.tolist():
        sources = int(counts[at, SOURCES])
        parts = [counts[at, REQUESTED], counts[at, PUBLISHED]]
        parts += np.cumsum(counts[at, TIERS:])[:-1].tolist()
        shares = [percent(float(part), sources) for part in parts]
        rows.append((span(edges[at], edges[at + 1]), number(sources), *shares))
    return table(f"By {band}", (band, "Sources of the archive", *titles), rows)


def _shares(counts: Counts) -> Array:
    """Return counts over those of sources, NaN where these are few."""
    sources = counts[..., SOURCES, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sources >= _LEAST, counts / sources.astype(np.float64), np.nan)


def _joined(counts: Counts) -> Counts:
    """Return counts in bins of the magnitude that are as wide as in the figure."""
    whole = counts[: len(counts) // _JOINED * _JOINED]
    return np.asarray(whole.reshape(-1, _JOINED, *counts.shape[1:]).sum(axis=1))


def _edges(bins: Bins, joined: int) -> Array:
    count = bins.count // joined
    return np.asarray(bins.low + bins.step * joined * np.arange(count + 1, dtype=np.float64))
