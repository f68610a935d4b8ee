"""Maps of the sky: the median of each label, and by how much labels are off, by HEALPix pixel."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.diagrams import figure
from catalog_builder.report.histogram import Array, Counts
from catalog_builder.report.html import Cell, Html, measure, number, table, text
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.measured import residual_axis, scale
from catalog_builder.report.multiples import coloured, png_of, symbol
from catalog_builder.report.pictures import GREY, MEAN_MAP, Picture, named
from catalog_builder.report.places import label_axis, medians
from catalog_builder.report.quantities import Quantity, difference_unit
from catalog_builder.report.summary import Summary

#: Of a map with its title and scale, in CSS pixels.
_WIDTH, _HEIGHT = 460.0, 285.0
#: Cells of a map along its longer side; stars of a median.
_ACROSS: Final = 440
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
    titles = [f"{one.html} [{text(difference_unit(schema, one.name))}]" for one in shown]
    words = (
        "Median of each label on the sky, of stars inside its training range: galactic coordinates"
        " as in the map above, cells of 13 square degrees. Of a cell with fewer than"
        f" {_LEAST} stars it is that of the smallest larger cell around it that has as many."
    )
    absent = f"No region of the sky has {_LEAST} stars with a label: there is no map of medians."
    counted = {name: summary.places.labels[name].counts for name in values}
    numbers = _bands(shown, {n: (counted[n], label_axis(summary.shown[n])) for n in values}, {})
    alt = f"Maps of the sky of the median of {', '.join(values)}."
    digits = [one.decimals for one in shown]
    picture = _maps(list(values.values()), titles, digits, alt, MEAN_MAP) if values else None
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
    titles = [f"Δ {q.html} [{text(difference_unit(schema, q.name))}]" for q in shown]
    words = (
        "Median of answer minus label on the sky, of stars with survey labels, in cells of 54"
        f" square degrees or larger ones with {_LEAST} stars. The median of {_LEAST} stars is off"
        " by a quarter of their scatter by chance: single cells say little, and neighbours of one"
        " colour do. A region that stands out has answers or labels that are off there,"
        " by extinction or by another telescope of the label survey, say."
    )
    absent = (
        f"No region of the sky has {_LEAST} stars with survey labels: there is no map of residuals."
    )
    scales = {name: scale(labelled.shown[name]) for name in found}
    numbers = _bands(shown, {n: (counted[n], residual_axis()) for n in found}, scales)
    alt = f"Maps of the sky of the median of answer minus label of {', '.join(found)}."
    digits = [one.decimals for one in shown]
    picture = _maps(list(found.values()), titles, digits, alt, _RESIDUAL_MAP) if found else None
    return figure(picture, words, absent, numbers)


def _maps(
    values: Sequence[Array], titles: Sequence[str], digits: Sequence[int], alt: str, colours: str
) -> list[Picture]:
    """Draw maps, each with its scale; as text, which takes the seal no time."""
    pictures = []
    for value, title, decimals in zip(values, titles, digits, strict=True):
        content = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"'
            f' width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}">'
            "<style>text{font:12px sans-serif;fill:#222}.s{font-size:11px}</style>"
            '<rect width="100%" height="100%" fill="#fff"/>'
            f"{_one(value, title, decimals, colours)}</svg>"
        )
        pictures.append(Picture(content.encode(), "image/svg+xml", "", _WIDTH / 96.0))
    return named(pictures, alt)


def _one(value: Array, title: str, decimals: int, colours: str) -> str:
    """Return one map, and its scale below it."""
    low, high = _limits(value[np.isfinite(value)], symmetric=colours == _RESIDUAL_MAP)
    pixels = _pixels_of_cells(len(value))
    cells = np.where(pixels >= 0, value[pixels.clip(0)], np.nan)
    across, down = _WIDTH - 20, (_WIDTH - 20) / 2
    ramp = np.linspace(low, high, 100)[None, :]
    ticks = "".join(
        f'<text class="s" text-anchor="{anchor}" x="{at}" y="{down + 52:.0f}">{words}</text>'
        for at, anchor, words in (
            (60, "start", f"{low:.{decimals}f}"),
            (_WIDTH / 2, "middle", f"{(low + high) / 2 + 0.0:.{decimals}f}"),
            (_WIDTH - 60, "end", f"{high:.{decimals}f}"),
        )
    ).replace(">-", ">−")
    return (
        f'<text text-anchor="middle" x="{_WIDTH / 2}" y="14">{symbol(title)}</text>'
        f"{_image(coloured(cells, low, high, colours), 10, 20, across, down)}"
        f'<ellipse cx="{_WIDTH / 2}" cy="{20 + down / 2}" rx="{across / 2}" ry="{down / 2}"'
        f' fill="none" stroke="{GREY}"/>'
        f"{_image(coloured(ramp, low, high, colours), 60, down + 28, _WIDTH - 120, 10)}{ticks}"
    )


def _limits(values: Array, *, symmetric: bool) -> tuple[float, float]:
    """Return between which values colours change: all but the outermost 2 % on either side."""
    low, high = np.quantile(values, [0.02, 0.98]).tolist()
    if symmetric:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _image(colours: NDArray[np.uint8], x: float, y: float, width: float, height: float) -> str:
    data = base64.b64encode(png_of(colours[::-1])).decode("ascii")
    return (
        f'<image x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none"'
        f' style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


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
