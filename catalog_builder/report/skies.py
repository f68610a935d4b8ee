"""Maps of the sky: the median of each label, and by how much labels are off, by HEALPix pixel."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.diagrams import figure
from catalog_builder.report.histogram import Array, Counts
from catalog_builder.report.html import Cell, Html, measure, number, table, text
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.measured import residual_axis, scale
from catalog_builder.report.pictures import GREY, MEAN_MAP, Picture, as_picture, panels
from catalog_builder.report.places import label_axis, medians
from catalog_builder.report.quantities import Quantity, axis_title, difference_unit
from catalog_builder.report.summary import Summary

#: Cells of a map along its longer side; stars of a median.
_ACROSS: Final = 300
_LEAST: Final = 20
#: Told apart with any colour vision, white in the middle.
_RESIDUAL_MAP: Final = "PuOr"
_BANDS: Final = ((-90, -30), (-30, 0), (0, 30), (30, 90))


def labels(summary: Summary, schema: CatalogSchema) -> str:
    """Return maps of the median of each label, of stars inside its training range."""
    found = {
        name: medians(histogram.counts, label_axis(summary.shown[name]), _LEAST)
        for name, histogram in summary.places.labels.items()
    }
    values = {name: value for name, (value, _) in found.items() if np.isfinite(value).any()}
    shown = [summary.shown[name] for name in values]
    titles = [axis_title(schema, one) for one in shown]
    words = (
        "Median of each label on the sky, of stars inside its training range: galactic coordinates"
        " as in the map above, cells of 13 square degrees. Of a cell with fewer than"
        f" {_LEAST} stars it is that of the smallest larger cell around it which has so many."
    )
    absent = f"No region of the sky has {_LEAST} stars with a label: there is no map of medians."
    counted = {name: summary.places.labels[name].counts for name in values}
    numbers = _bands(shown, {n: (counted[n], label_axis(summary.shown[n])) for n in values}, {})
    alt = f"Maps of the sky of the median of {', '.join(values)}."
    picture = _maps(list(values.values()), titles, alt, MEAN_MAP) if values else None
    return figure(picture, words, absent, numbers)


def residuals(labelled: Labelled, schema: CatalogSchema) -> str:
    """Return maps of the median of answer minus label."""
    counted = dict(zip(labelled.shown, labelled.sky, strict=True))
    found: dict[str, Array] = {}
    for name, counts in counted.items():
        value, _ = medians(counts, residual_axis(), _LEAST)
        if np.isfinite(value).any():
            found[name] = np.sinh(value) * scale(labelled.shown[name])
    shown = [labelled.shown[name] for name in found]
    titles = [f"Δ{q.symbol} [{difference_unit(schema, q.name)}]" for q in shown]
    words = (
        "Median of answer minus label on the sky, of stars with labels; colours reach equally far"
        " to both sides of 0. A region that stands out has answers or labels that are off there,"
        " by extinction or by another telescope of the label survey, say."
    )
    absent = f"No region of the sky has {_LEAST} stars with labels: there is no map of residuals."
    scales = {name: scale(labelled.shown[name]) for name in found}
    numbers = _bands(shown, {n: (counted[n], residual_axis()) for n in found}, scales)
    alt = f"Maps of the sky of the median of answer minus label of {', '.join(found)}."
    picture = _maps(list(found.values()), titles, alt, _RESIDUAL_MAP) if found else None
    return figure(picture, words, absent, numbers)


def _maps(values: Sequence[Array], titles: Sequence[str], alt: str, colours: str) -> Picture:
    drawn, grid = panels(len(values), columns=2, size=(5.1, 2.9))
    for panel, value, title in zip(grid, values, titles, strict=True):
        finite = value[np.isfinite(value)]
        low, high = np.quantile(finite, [0.02, 0.98]).tolist()
        if colours == _RESIDUAL_MAP:
            low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
        if high <= low:
            low, high = low - 0.5, high + 0.5
        pixels = _pixels_of_cells(len(value))
        image = np.where(pixels >= 0, value[pixels.clip(0)], np.nan)
        shown = panel.imshow(
            np.ma.masked_invalid(image), cmap=colours, norm=Normalize(low, high), origin="lower",
            extent=(-2, 2, -1, 1), aspect="equal",
        )  # fmt: skip
        panel.add_patch(Ellipse((0, 0), 4, 2, fill=False, edgecolor=GREY, linewidth=0.8))
        panel.set_xlim(-2.02, 2.02)
        panel.set_ylim(-1.02, 1.02)
        panel.axis("off")
        drawn.colorbar(shown, ax=panel, label=title, extend="both", shrink=0.8, pad=0.02)
    return as_picture(drawn, "png", alt)


@functools.lru_cache(maxsize=2)
def _pixels_of_cells(pixels: int) -> NDArray[np.int64]:
    """Return the HEALPix pixel, nested and ICRS, in the middle of each cell of a map, (y, x)."""
    from astropy.coordinates import Galactic, SkyCoord
    from astropy_healpix.healpy import ang2pix

    across, up = np.meshgrid(
        (np.arange(_ACROSS) + 0.5) / _ACROSS * 4 - 2,
        (np.arange(_ACROSS // 2) + 0.5) / (_ACROSS // 2) * 2 - 1,
    )
    inside = (across / 2) ** 2 + up**2 < 1
    theta = np.arcsin(up[inside])
    latitude = np.arcsin((2 * theta + np.sin(2 * theta)) / np.pi)
    longitude = -np.pi * across[inside] / (2 * np.cos(theta))
    place: Any = SkyCoord(longitude, latitude, unit="rad", frame=Galactic()).icrs
    found = np.full(across.shape, -1)
    side = round((pixels / 12) ** 0.5)
    found[inside] = ang2pix(side, place.ra.deg, place.dec.deg, nest=True, lonlat=True)
    return found


def _bands(
    shown: Sequence[Quantity],
    counted: Mapping[str, tuple[Counts, Any]],
    scales: Mapping[str, float],
) -> str:
    """Return medians by bands of galactic latitude."""
    from astropy.coordinates import ICRS, SkyCoord
    from astropy_healpix.healpy import pix2ang

    from catalog_builder.report.histogram import quantiles

    rows: list[tuple[Cell, ...]] = []
    for quantity in shown:
        counts, axis = counted[quantity.name]
        side = round((len(counts) / 12) ** 0.5)
        ra, dec = pix2ang(side, np.arange(len(counts)), nest=True, lonlat=True)
        place: Any = SkyCoord(ra, dec, unit="deg", frame=ICRS())
        latitude = place.galactic.b.deg
        cells: list[Cell] = []
        for low, high in _BANDS:
            some = counts[(latitude >= low) & (latitude < high)].sum(axis=0)
            (middle,) = quantiles(some, axis, 0.5)
            if quantity.name in scales:
                middle = np.sinh(middle) * scales[quantity.name]
            stars = int(some.sum())
            signed = quantity.name in scales
            value = measure(float(middle), quantity.decimals, signed=signed)
            cells.append(Html(f"{text(value)} ({text(number(stars))})") if stars else "–")
        rows.append((Html(quantity.html), *cells))
    head = ("Label", *(f"b {low}° to {high}°".replace("-", "−") for low, high in _BANDS))
    return table("Median by galactic latitude, and stars", head, rows)
