"""One pass over a catalogue store: everything the report shows, in histograms of fixed size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.zarr_store import in_pieces, read_rows
from catalog_builder.flags.bits import training_range_string
from catalog_builder.report.histogram import Axis, Histogram, MeanMap
from catalog_builder.report.quantities import BY_NAME, QUANTITIES
from catalog_builder.schema import LABELS, CatalogSchema, FlagSchema

Block = Mapping[str, NDArray[Any]]

#: Half a magnitude is the habit of completeness plots; ten bins per decade of S/N.
MAGNITUDE: Final = Axis(0.0, 23.0, 46)
SIGNAL_TO_NOISE: Final = Axis(1.0, 10000.0, 40, log=True)

#: The plane of Mollweide's projection for a sphere of radius 1. It keeps areas, so its square
#: cells all hold the same area of the sky.
SKY_X: Final = Axis(-2 * np.sqrt(2), 2 * np.sqrt(2), 360)
SKY_Y: Final = Axis(-np.sqrt(2), np.sqrt(2), 180)

#: The map of the RVS spectra, which a model scales to this square; new stars may lie just outside.
SPECTRA_MAP: Final = Axis(-1.0, 1.0, 100, clip=True)

# Auxiliary angle of the projection: pi sin(latitude) = 2 theta + sin(2 theta). Steps of theta are a
# sixtieth of a cell, so that interpolation serves for the inverse.
_THETA: Final = np.linspace(-np.pi / 2, np.pi / 2, 10001)
_SINE_LATITUDE: Final = (2 * _THETA + np.sin(2 * _THETA)) / np.pi

#: Labels that colour the map of the spectra.
MAPPED: Final = ("teff", "logg", "m_h", "alpha_m")
INPUTS: Final = ("rvs", "xp", "photometry", "parallax")


class Summary:
    """What is known of a catalogue after its blocks were added.

    Attributes
    ----------
    rows : int
        Sources.
    filled : Counter
        Column -> values that are not null (for a boolean column: that are true).
    bits, undeclared : Counter, int
        Flag bit number -> stars that have it; stars with a bit that no declaration knows.
    tiers : Counter
        Value of quality_tier -> stars that have it.
    digits : ndarray of int64, shape (7, 3)
        Training range: stars inside, outside, with nothing to test, per digit.
    with_all_labels : int
        Stars for which every label is given.
    wholly_inside : int
        Stars whose seven digits all say inside.
    in_range : Counter
        Label -> stars that have it and lie inside its training range.
    magnitude : dict of str to Histogram
        G of all sources (``all``), of those with a label, and of those that used an input.
    labels, labels_in_range : dict of str to Histogram
        Values of each label, of all stars and of those inside its training range.
    sigma : dict of str to Histogram
        Uncertainty of each label.
    sigma_by_magnitude : dict of (str, bool) to Histogram
        G against sigma per label, of stars whose RVS spectrum was used or was not.
    sigma_by_snr : dict of str to Histogram
        S/N of the RVS spectrum against sigma per label, where the spectrum was used.
    kiel : Histogram
        Teff against log g, of stars inside the training ranges of both.
    kiel_metallicity : dict of str to MeanMap
        The same with [M/H] and [Fe/H] summed per cell.
    abundance : dict of str to Histogram
        [M/H] and [Fe/H] against [alpha/M], of stars inside the training ranges of both.
    spectra_map : dict of str to MeanMap
        The map of the RVS training spectra, with a label summed per cell, of stars that have it.
    sky : Histogram
        The plane of Mollweide's projection, galactic longitude increasing to the left.
    """

    def __init__(self, schema: CatalogSchema) -> None:
        self._schema = schema
        self.rows = 0
        self.with_all_labels = 0
        self.wholly_inside = 0
        self.undeclared = 0
        self.filled: Counter[str] = Counter()
        self.bits: Counter[int] = Counter()
        self.tiers: Counter[int] = Counter()
        self.in_range: Counter[str] = Counter()
        self.digits = np.zeros((7, 3), dtype=np.int64)
        self.magnitude = {
            name: Histogram(MAGNITUDE)
            for name in ("all", *LABELS, *(f"{name}_used" for name in INPUTS))
        }
        self.labels = {q.name: Histogram(q.axis) for q in QUANTITIES}
        self.labels_in_range = {q.name: Histogram(q.axis) for q in QUANTITIES}
        self.sigma = {q.name: Histogram(q.sigma) for q in QUANTITIES}
        self.sigma_by_magnitude = {
            (q.name, with_rvs): Histogram(MAGNITUDE, q.sigma)
            for q in QUANTITIES
            for with_rvs in (True, False)
        }
        self.sigma_by_snr = {q.name: Histogram(SIGNAL_TO_NOISE, q.sigma) for q in QUANTITIES}
        kiel = (BY_NAME["teff"].axis, BY_NAME["logg"].axis)
        self.kiel = Histogram(*kiel)
        self.kiel_metallicity = {name: MeanMap(*kiel) for name in ("m_h", "fe_h")}
        self.abundance = {
            name: Histogram(BY_NAME[name].axis, BY_NAME["alpha_m"].axis) for name in ("m_h", "fe_h")
        }
        self.spectra_map = {name: MeanMap(SPECTRA_MAP, SPECTRA_MAP) for name in MAPPED}
        self.sky = Histogram(SKY_X, SKY_Y)

    def add(self, block: Block) -> None:
        """Add the rows of a block: every stored column, ndarrays of shape (n,)."""
        self.rows += len(block["source_id"])
        self._count_columns(block)
        self._count_flags(block["flags"])
        values, counts = np.unique(block["quality_tier"], return_counts=True)
        self.tiers.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        inside = {name: self._inside(block, name) for name in LABELS}
        self._count_labels(block, inside)
        self._count_uncertainties(block)
        self._count_planes(block, inside)
        self.sky.add(*galactic_mollweide(block["ra"], block["dec"]))

    def _count_columns(self, block: Block) -> None:
        for column in self._schema.columns:
            values = block[column.name]
            if column.nullable:
                self.filled[column.name] += int(np.count_nonzero(~np.isnan(values)))
            elif column.dtype == "bool":
                self.filled[column.name] += int(np.count_nonzero(values))
            else:
                self.filled[column.name] += len(values)

    def _count_flags(self, flags: NDArray[np.int64]) -> None:
        schema = self._schema.flags
        for bit in schema.bits:
            self.bits[bit.bit] += int(np.count_nonzero(flags & bit.mask))
        known = sum(bit.mask for bit in schema.bits)
        self.undeclared += int(np.count_nonzero(flags & ~known))
        digits = training_range_string(flags, schema).view(np.uint8).reshape(len(flags), -1)
        self.wholly_inside += int(np.count_nonzero((digits == ord("0")).all(axis=1)))
        for column, digit in enumerate(b"019"):
            self.digits[:, column] += np.count_nonzero(digits == digit, axis=0)

    def _count_labels(self, block: Block, inside: Mapping[str, NDArray[np.bool_]]) -> None:
        given = np.stack([np.isfinite(block[name]) for name in LABELS])
        self.with_all_labels += int(np.count_nonzero(given.all(axis=0)))
        bright = block["phot_g_mean_mag"]
        self.magnitude["all"].add(bright)
        for name, has_label in zip(LABELS, given, strict=True):
            self.in_range[name] += int(np.count_nonzero(inside[name]))
            self.magnitude[name].add(bright, where=has_label)
            self.labels[name].add(block[name])
            self.labels_in_range[name].add(block[name], where=inside[name])
        for name in INPUTS:
            self.magnitude[f"{name}_used"].add(bright, where=self._set(block, f"{name}_used"))

    def _count_uncertainties(self, block: Block) -> None:
        used_rvs = self._set(block, "rvs_used")
        for name in LABELS:
            sigma = block[f"e_{name}"]
            self.sigma[name].add(sigma)
            for with_rvs in (True, False):
                histogram = self.sigma_by_magnitude[name, with_rvs]
                histogram.add(block["phot_g_mean_mag"], sigma, where=used_rvs == with_rvs)
            self.sigma_by_snr[name].add(block["rvs_spec_sig_to_noise"], sigma, where=used_rvs)

    def _count_planes(self, block: Block, inside: Mapping[str, NDArray[np.bool_]]) -> None:
        teff, logg = block["teff"], block["logg"]
        on_kiel = inside["teff"] & inside["logg"]
        self.kiel.add(teff, logg, where=on_kiel)
        for name in ("m_h", "fe_h"):
            self.kiel_metallicity[name].add_weighted(
                teff, logg, weight=block[name], where=on_kiel & inside[name]
            )
            self.abundance[name].add(
                block[name], block["alpha_m"], where=inside[name] & inside["alpha_m"]
            )

        position = block["rvs_map_x"], block["rvs_map_y"]
        for name, mean in self.spectra_map.items():
            mean.add_weighted(*position, weight=block[name], where=inside[name])

    def _inside(self, block: Block, label: str) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = np.isfinite(block[label])
        return inside & ~self._set(block, f"{label}_outside_range")

    def _set(self, block: Block, flag: str) -> NDArray[np.bool_]:
        return flagged(block["flags"], self._schema.flags, flag)


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


def flagged(flags: NDArray[np.int64], schema: FlagSchema, name: str) -> NDArray[np.bool_]:
    """Tell which stars have a flag."""
    found: NDArray[np.bool_] = (flags & schema[name].mask) != 0
    return found


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
    import astropy.units as u
    from astropy.coordinates import SkyCoord

    x, y = np.full(ra.shape, np.nan), np.full(ra.shape, np.nan)
    known = np.isfinite(ra) & np.isfinite(dec)
    if not known.any():
        return x, y
    position = SkyCoord(ra[known] * u.deg, dec[known] * u.deg, frame="icrs").galactic
    theta = np.interp(np.sin(position.b.rad), _SINE_LATITUDE, _THETA)
    x[known] = -2 * np.sqrt(2) / np.pi * position.l.wrap_at(np.pi * u.rad).rad * np.cos(theta)
    y[known] = np.sqrt(2) * np.sin(theta)
    return x, y
