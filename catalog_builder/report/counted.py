"""What checks ask of all rows: how many lie where, and whether columns are those of the ingest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.places import colours_of
from catalog_builder.features.population import Axis as IngestAxis
from catalog_builder.features.population import axis_of
from catalog_builder.report.histogram import Axis, Histogram

#: HEALPix, nested, level 6: cells of 0.84 square degrees.
PIXEL_LEVEL: Final = 6
PIXELS: Final = Axis(0.0, 12.0 * 4**PIXEL_LEVEL, 12 * 4**PIXEL_LEVEL)


def pixels_of(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the middle of each position's cell of `PIXELS`; NaN if it is not known."""
    from astropy_healpix.healpy import ang2pix

    pixels = np.full(ra.shape, np.nan)
    known = np.isfinite(ra) & np.isfinite(dec)
    if known.any():
        side = 2**PIXEL_LEVEL
        pixels[known] = 0.5 + ang2pix(side, ra[known], dec[known], nest=True, lonlat=True)
    return pixels


def carried_histograms(inputs: Inputs) -> dict[str, Histogram]:
    """Return empty histograms of the columns that the ingest counts, too, in its bins."""
    found = {}
    for name, axis in _axes(inputs):
        bins = round((axis.high - axis.low) / axis.step)
        found[name] = Histogram(Axis(0.0, float(bins), bins))
    return found


def carried(
    block: Mapping[str, NDArray[Any]], inputs: Inputs
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield what a block adds to `carried_histograms`, by name."""
    values: dict[str, NDArray[Any]] = {}
    for name, spectrum in inputs.spectra.items():
        if (column := spectrum.sig_to_noise) is not None:
            values[column] = block[column][np.asarray(block[f"has_{name}"], dtype=bool)]
    if inputs.magnitude:
        values[inputs.magnitude] = block[inputs.magnitude]
    for name, (_, one), (_, other) in colours_of(inputs):
        with np.errstate(over="ignore"):
            values[name] = block[one.column] - block[other.column]
    for name, axis in _axes(inputs):
        yield name, (axis.bins(values[name]) - _first(axis)).astype(np.float64) + 0.5


def as_ingested(histograms: Mapping[str, Histogram], inputs: Inputs) -> dict[str, dict[int, int]]:
    """Return stars by quantity and bin, numbered as the ingest does it."""
    counts = {}
    for name, axis in _axes(inputs):
        found = histograms[name].counts
        counts[name] = {_first(axis) + int(at): int(found[at]) for at in np.flatnonzero(found)}
    return counts


def _axes(inputs: Inputs) -> list[tuple[str, IngestAxis]]:
    columns = [spec.sig_to_noise for spec in inputs.spectra.values() if spec.sig_to_noise]
    columns += [inputs.magnitude] if inputs.magnitude else []
    columns += [name for name, *_ in colours_of(inputs)]
    return [(name, axis) for name in columns if (axis := axis_of(name, inputs)) is not None]


def _first(axis: IngestAxis) -> int:
    return round(axis.low / axis.step)
