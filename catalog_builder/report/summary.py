"""One pass over a catalogue store: everything the report shows, in histograms of fixed size."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.zarr_store import in_pieces, read_rows
from catalog_builder.contract.inputs import PARALLAX
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.counted import PIXELS, carried, carried_histograms, pixels_of
from catalog_builder.report.declared import (
    flagged,
    range_digits,
    undeclared,
)
from catalog_builder.report.histogram import Axis, Histogram, MeanMap
from catalog_builder.report.places import Places
from catalog_builder.report.priors import Priors
from catalog_builder.report.quantities import Quantities
from catalog_builder.report.regions import Regions

Block = Mapping[str, NDArray[Any]]

#: Half a magnitude is the habit of completeness plots; ten bins per decade of S/N.
MAGNITUDE: Final = Axis(0.0, 23.0, 46)
SIGNAL_TO_NOISE: Final = Axis(1.0, 10000.0, 40, log=True)

#: The plane of Mollweide's projection for a sphere of radius 1. It keeps areas, so its square
#: cells all hold the same area of the sky.
SKY_X: Final = Axis(-2 * np.sqrt(2), 2 * np.sqrt(2), 360)
SKY_Y: Final = Axis(-np.sqrt(2), np.sqrt(2), 180)

#: A map of spectra, which a model scales to this square; new stars may lie just outside.
SPECTRA_MAP: Final = Axis(-1.0, 1.0, 100, clip=True)

# Auxiliary angle of the projection: pi sin(latitude) = 2 theta + sin(2 theta). Steps of theta are a
# sixtieth of a cell, so that interpolation serves for the inverse.
_THETA: Final = np.linspace(-np.pi / 2, np.pi / 2, 10001)
_SINE_LATITUDE: Final = (2 * _THETA + np.sin(2 * _THETA)) / np.pi

#: In the place of a spectrum where there is none to compare stars with and without.
NO_SPECTRUM: Final = ""


class Summary:
    """What is known of a catalogue after its blocks were added.

    Attributes
    ----------
    shown : Quantities
        Labels and inputs.
    digit_names : tuple of str
        Columns that the digits of the training-range string stand for, in order.
    rows : int
        Sources.
    filled : Counter
        Column -> values that are not null (for a boolean column: that are true).
    bits, undeclared : Counter, int
        Flag bit number -> stars that have it; stars with a bit that no declaration knows.
    tiers : Counter
        Value of quality_tier -> stars that have it.
    digits : ndarray of int64, shape (digits, 3)
        Training range: stars inside, outside, with nothing to test, per digit.
    with_all_labels : int
        Stars for which every label is given.
    wholly_inside, outside : int
        Stars whose digits all say inside, and those of which one says outside; of the others
        something could not be tested.
    in_range : Counter
        Label -> stars that have it and lie inside its training range.
    magnitude : dict of str to Histogram
        Magnitude of all sources (``all``), of those with a label, and of those that used an input;
        empty if there is no magnitude.
    labels, labels_in_range : dict of str to Histogram
        Values of each label, of all stars and of those inside its training range.
    sigma : dict of str to Histogram
        Uncertainty of each label.
    sigma_by_magnitude : dict of (str, str, bool) to Histogram
        Magnitude against sigma per label and spectrum, of stars that used the spectrum or did not.
    sigma_by_snr : dict of (str, str) to Histogram
        S/N of a spectrum against sigma per label and spectrum, where the spectrum was used.
    kiel : Histogram or None
        Temperature against gravity, of stars inside the training ranges of both; None where one of
        the two is no label.
    kiel_metallicity : dict of str to MeanMap
        The same with each metallicity summed per cell.
    abundance : dict of (str, str) to Histogram
        Planes of two labels, of stars inside the training ranges of both.
    spectra_map : dict of (str, str) to MeanMap
        The map of the training spectra of lines, by spectrum and label, with the label summed per
        cell, of stars that have it.
    sky : Histogram
        The plane of Mollweide's projection, galactic longitude increasing to the left.
    pixels : Histogram
        Pixels of HEALPix (`report.counted`), ICRS.
    carried : dict of str to Histogram
        Columns that the ingest counts, too, in its bins.
    regions : Regions
        Stars of each tier, and places in the Galaxy.
    places : Places
        Labels by place on the sky.
    priors : Priors
        How much of the answers is the training population's.
    """

    def __init__(self, schema: CatalogSchema) -> None:
        self.schema = schema
        self.shown = shown = Quantities(schema.contract)
        self._inputs = inputs = shown.contract.inputs
        self.digit_names = (
            *shown,
            *((inputs.magnitude,) if inputs.magnitude else ()),
            *((PARALLAX,) if inputs.parallax else ()),
        )
        self.rows = 0
        self.with_all_labels = 0
        self.wholly_inside = self.outside = 0
        self.undeclared = 0
        self.filled: Counter[str] = Counter()
        self.bits: Counter[int] = Counter()
        self.tiers: Counter[int] = Counter()
        self.in_range: Counter[str] = Counter()
        self.digits = np.zeros((len(self.digit_names), 3), dtype=np.int64)
        names = ("all", *shown, *(f"{name}_used" for name in inputs.names))
        self.magnitude = {name: Histogram(MAGNITUDE) for name in names if inputs.magnitude}
        self.labels = {name: Histogram(q.axis) for name, q in shown.items()}
        self.labels_in_range = {name: Histogram(q.axis) for name, q in shown.items()}
        self.sigma = {name: Histogram(q.sigma) for name, q in shown.items()}
        self.sigma_by_magnitude = {
            (name, spectrum, used): Histogram(MAGNITUDE, q.sigma)
            for name, q in shown.items()
            for spectrum in shown.compared or (NO_SPECTRUM,)
            for used in (True, False)
            if inputs.magnitude
        }
        self.sigma_by_snr = {
            (name, spectrum): Histogram(SIGNAL_TO_NOISE, q.sigma)
            for spectrum in shown.measured
            for name, q in shown.items()
        }
        kiel = shown.kiel
        self.kiel = Histogram(kiel[0].axis, kiel[1].axis) if kiel else None
        self.kiel_metallicity = (
            {name: MeanMap(kiel[0].axis, kiel[1].axis) for name in shown.metallicities}
            if kiel
            else {}
        )
        self.abundance = {
            (x, y): Histogram(shown[x].axis, shown[y].axis)
            for x, y in (*shown.alpha_planes, *shown.other_planes)
        }
        self.spectra_map = {
            (spectrum, name): MeanMap(SPECTRA_MAP, SPECTRA_MAP)
            for spectrum in inputs.lines
            for name in shown.mapped
        }
        self.sky = Histogram(SKY_X, SKY_Y)
        self.pixels = Histogram(PIXELS)
        self.carried = carried_histograms(inputs)
        self.regions = Regions(schema, shown)
        self.places = Places(shown)
        self.priors = Priors(schema)

    def add(self, block: Block) -> None:
        """Add the rows of a block: every stored column, ndarrays of shape (n,)."""
        self.rows += len(block["source_id"])
        self._count_columns(block)
        self._count_flags(block)
        values, counts = np.unique(block["quality_tier"], return_counts=True)
        self.tiers.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        inside = {name: self._inside(block, name) for name in self.shown}
        self._count_labels(block, inside)
        self._count_uncertainties(block)
        self._count_planes(block, inside)
        self.sky.add(*galactic_mollweide(block["ra"], block["dec"]))
        pixels = pixels_of(block["ra"], block["dec"])
        self.pixels.add(pixels)
        self.places.add(pixels, block, inside)
        self.priors.add(block)
        self.regions.add(block)
        for name, places in carried(block, self._inputs):
            self.carried[name].add(places)

    @property
    def histograms(self) -> list[Histogram]:
        """Return every histogram, always in the same order."""
        kinds = (
            *(self.magnitude, self.labels, self.labels_in_range, self.sigma),
            *(self.sigma_by_magnitude, self.sigma_by_snr, self.kiel_metallicity),
            *(self.abundance, self.spectra_map, self.carried),
        )
        found: list[Histogram] = [one for kind in kinds for one in kind.values()]
        found += [*((self.kiel,) if self.kiel else ()), self.sky, self.pixels]
        parts = (self.regions, self.places, self.priors)
        return [*found, *(one for part in parts for one in part.histograms)]

    def _count_columns(self, block: Block) -> None:
        for column in self.schema.columns:
            values = block[column.name]
            if column.nullable:
                self.filled[column.name] += int(np.count_nonzero(~np.isnan(values)))
            elif column.dtype == "bool":
                self.filled[column.name] += int(np.count_nonzero(values))
            else:
                self.filled[column.name] += len(values)

    def _count_flags(self, block: Block) -> None:
        for bit in self.schema.flags.bits:
            self.bits[bit.bit] += int(np.count_nonzero(flagged(block, self.schema, bit.name)))
        self.undeclared += int(np.count_nonzero(undeclared(block, self.schema)))
        digits = range_digits(block, self.schema)
        self.wholly_inside += int(np.count_nonzero((digits == ord("0")).all(axis=1)))
        self.outside += int(np.count_nonzero((digits == ord("1")).any(axis=1)))
        for column, digit in enumerate(b"019"):
            self.digits[:, column] += np.count_nonzero(digits == digit, axis=0)

    def _count_labels(self, block: Block, inside: Mapping[str, NDArray[np.bool_]]) -> None:
        given = {name: np.isfinite(block[name]) for name in self.shown}
        self.with_all_labels += int(np.count_nonzero(np.all(list(given.values()), axis=0)))
        for name in self.shown:
            self.in_range[name] += int(np.count_nonzero(inside[name]))
            self.labels[name].add(block[name])
            self.labels_in_range[name].add(block[name], where=inside[name])
        if self._inputs.magnitude is None:
            return
        bright = block[self._inputs.magnitude]
        self.magnitude["all"].add(bright)
        for name, has_label in given.items():
            self.magnitude[name].add(bright, where=has_label)
        for name in self._inputs.names:
            self.magnitude[f"{name}_used"].add(bright, where=self._used(block, name))

    def _count_uncertainties(self, block: Block) -> None:
        used = {name: self._used(block, name) for name in (NO_SPECTRUM, *self._inputs.spectra)}
        for name in self.shown:
            self.sigma[name].add(block[f"e_{name}"])
        for (name, spectrum, with_it), histogram in self.sigma_by_magnitude.items():
            where = used[spectrum] == with_it
            histogram.add(block[str(self._inputs.magnitude)], block[f"e_{name}"], where=where)
        for (name, spectrum), histogram in self.sigma_by_snr.items():
            column = self.shown.measured[spectrum]
            histogram.add(block[column], block[f"e_{name}"], where=used[spectrum])

    def _count_planes(self, block: Block, inside: Mapping[str, NDArray[np.bool_]]) -> None:
        self._count_kiel(block, inside)
        for (x, y), plane in self.abundance.items():
            plane.add(block[x], block[y], where=inside[x] & inside[y])
        for (spectrum, name), mean in self.spectra_map.items():
            position = block[f"{spectrum}_map_x"], block[f"{spectrum}_map_y"]
            mean.add_weighted(*position, weight=block[name], where=inside[name])

    def _count_kiel(self, block: Block, inside: Mapping[str, NDArray[np.bool_]]) -> None:
        if self.kiel is None or self.shown.kiel is None:
            return
        teff, logg = (quantity.name for quantity in self.shown.kiel)
        within = inside[teff] & inside[logg]
        self.kiel.add(block[teff], block[logg], where=within)
        for name, mean in self.kiel_metallicity.items():
            where = within & inside[name]
            mean.add_weighted(block[teff], block[logg], weight=block[name], where=where)

    def _inside(self, block: Block, label: str) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = np.isfinite(block[label])
        inside &= ~flagged(block, self.schema, f"{label}_outside_range")
        return inside

    def _used(self, block: Block, name: str) -> NDArray[np.bool_]:
        if name == NO_SPECTRUM:
            return np.ones(len(block["source_id"]), dtype=bool)
        return flagged(block, self.schema, f"{name}_used")


def summarise(store: Path, schema: CatalogSchema) -> Summary:
    """Read a catalogue store once, a chunk at a time.

    Parameters
    ----------
    store : Path
        Made by :mod:`catalog_builder.catalog.zarr_store`.
    schema : CatalogSchema
        That it was made with.

    Raises
    ------
    StoreError
        If a column is missing.
    """
    summary = Summary(schema)
    for _, block in read_rows(store, schema.names):
        for _, some in in_pieces(block):
            summary.add(some)
    return summary


def galactic_mollweide(
    ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where a position lies on a galactic map in Mollweide's projection.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        ICRS, deg; NaN if not known.

    Returns
    -------
    x, y : ndarray of float64, shape (n,)
        On a sphere of radius 1, longitude increasing to the left; NaN if not known.

    References
    ----------
    Snyder 1987, USGS Professional Paper 1395, p. 251.
    """
    x, y = np.full(ra.shape, np.nan), np.full(ra.shape, np.nan)
    known = np.isfinite(ra) & np.isfinite(dec)
    if not known.any():
        return x, y
    alpha, delta = np.radians(ra[known]), np.radians(dec[known])
    icrs = np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)])
    forward, left, up = _to_galactic() @ icrs
    theta = np.interp(up, _SINE_LATITUDE, _THETA)
    x[known] = -2 * np.sqrt(2) / np.pi * np.arctan2(left, forward) * np.cos(theta)
    y[known] = np.sqrt(2) * np.sin(theta)
    return x, y


@functools.cache
def _to_galactic() -> NDArray[np.float64]:
    """Return the rotation from ICRS to galactic axes: astropy's, which takes a frame for each."""
    from astropy.coordinates import ICRS, CartesianRepresentation, Galactic

    axes = ICRS(CartesianRepresentation(np.eye(3)))
    return np.asarray(axes.transform_to(Galactic()).cartesian.xyz.value)
