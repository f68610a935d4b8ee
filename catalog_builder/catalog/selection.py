"""The selection function: with what probability a source of the archive is in a catalogue."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from catalog_builder.catalog.layout import SELECTION_NAME, find_catalogue
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.selection_cells import EVERYTHING, CoarseCells
from catalog_builder.catalog.selection_store import SelectionStore
from catalog_builder.ground.errors import CatalogueError, ConfigError

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Jeffreys' prior for a share: Beta(1/2, 1/2).
PRIOR: Final = 0.5
#: The interval's ends.
_ENDS: Final = (0.158655, 0.841345)


class SubsetWarning(UserWarning):
    """The archive was no list of all stars, but one of those with spectra."""


@dataclass(frozen=True)
class SelectionProbability:
    """A probability for each of n questions, and what it is made of; arrays of shape (n,).

    Where not all sources of a cell's pixel were counted, numbers are NaN, and 0 sources.

    Attributes
    ----------
    mean, lower, upper : ndarray of float
        Mean of the posterior, and the ends of its central 68.3 %.
    sources, selected : ndarray of int
        Sources of the archive in the cell, and how many of them are in the catalogue.
    order : ndarray of int
        HEALPix order of the cell's pixel, -1 for the whole sky.
    magnitude_width, colour_width : ndarray of float
        Widths of the cell, mag; infinite where all are taken together.
    """

    mean: Float
    lower: Float
    upper: Float
    sources: Int
    selected: Int
    order: Int
    magnitude_width: Float
    colour_width: Float


class SelectionFunction:
    """With what probability a source of the archive is in a catalogue, or in one of its tiers.

    What `selection` returns.

    Attributes
    ----------
    tiers : tuple of str
        Tiers that can be asked for, from the best to the last.
    order : int
        HEALPix order of the finest pixels.
    subset : bool
        Whether the archive held hardly a source that was not asked for: then this says nothing of
        stars without spectra.
    sky : float
        Share of the sky all of whose sources were counted; elsewhere probabilities are NaN.
    """

    def __init__(self, store: SelectionStore, *, subset: bool, sky: float) -> None:
        self._store, self._grid = store, store.about.grid
        self.tiers = store.about.tiers
        self.order = self._grid.order
        self.subset, self.sky = subset, sky
        self._cells = CoarseCells(store)

    def probability(
        self,
        ra: ArrayLike,
        dec: ArrayLike,
        g: ArrayLike,
        bp_rp: ArrayLike | None = None,
        *,
        tier: str | None = None,
        minimum: int = 20,
    ) -> SelectionProbability:
        """Return the probability that sources of the archive are in the catalogue.

        It is the share k / n of n sources of the archive in a cell, of which k are in the
        catalogue, with the prior Beta(1/2, 1/2): the posterior is Beta(k + 1/2, n - k + 1/2). Its
        interval begins at 0 where k = 0, and ends at 1 where k = n (Brown, Cai & DasGupta 2001,
        Statistical Science 16, 101). The cell is the finest that has `minimum` sources: first its
        pixel is made larger, a step of the HEALPix order at a time up to the whole sky, then its
        colour wider (0.5, 1 mag, all), then its magnitude (0.25, 0.5, 1, 2 mag, all).

        Every probability is conditional on the archive: of a star that its source table does not
        have, nothing is said.

        Parameters
        ----------
        ra, dec : array_like
            Positions, degrees, ICRS.
        g : array_like
            The magnitude by which stars are called bright or faint, G of Gaia; NaN where it is not
            known, which is a cell of its own.
        bp_rp : array_like, optional
            The colour; NaN likewise. Without it all colours are taken together.
        tier : str, optional
            Count only rows of this tier or a better one, such as ``silver``; or ``requested``: all
            sources that were asked for, in the catalogue or not. By default, the catalogue's rows.
        minimum : int
            Least number of sources of a cell.

        Returns
        -------
        SelectionProbability
            Of the shape to which the arguments broadcast.

        Raises
        ------
        ConfigError
            If there is no such tier, or a declination is none.
        CatalogueError
            If the counts are damaged.
        """
        colour = np.nan if bp_rp is None else bp_rp
        given = np.broadcast_arrays(*(np.asarray(one, float) for one in (ra, dec, g, colour)))
        shape = given[0].shape
        lon, lat, magnitudes, colours = (one.ravel() for one in given)
        if (np.abs(lat) > 90.0).any():
            raise ConfigError("A declination lies beyond the poles.", "Give degrees, -90 to 90.")
        pixel = self._pixels(lon, lat)
        places = self._grid.magnitudes.places(magnitudes), self._grid.colours.places(colours)
        found = self._ask(pixel, *places, tier=tier, minimum=minimum, any_colour=bp_rp is None)
        return SelectionProbability(
            **{one.name: getattr(found, one.name).reshape(shape) for one in fields(found)}
        )

    def map(
        self,
        g: float,
        bp_rp: float | None = None,
        *,
        tier: str | None = None,
        order: int | None = None,
        minimum: int = 20,
    ) -> SelectionProbability:
        """Return the probability at the centre of each pixel of the sky.

        Parameters
        ----------
        g, bp_rp : float
            Magnitude and colour; all colours if that is not given.
        tier, minimum
            As of `probability`.
        order : int, optional
            HEALPix order of the map, nested scheme, ICRS; that of the finest cells if not given.

        Returns
        -------
        SelectionProbability
            Arrays of 12 * 4**order pixels.
        """
        from astropy_healpix import healpix_to_lonlat

        order = self.order if order is None else order
        lon, lat = healpix_to_lonlat(np.arange(12 << 2 * order), 1 << order, order="nested")
        return self.probability(lon.deg, lat.deg, g, bp_rp, tier=tier, minimum=minimum)

    def _pixels(self, lon: Float, lat: Float) -> Int:
        from astropy import units
        from astropy_healpix import lonlat_to_healpix

        known = np.isfinite(lon) & np.isfinite(lat)
        pixel = np.full(lon.shape, -1, np.int64)
        degrees = lon[known] * units.deg, lat[known] * units.deg
        pixel[known] = lonlat_to_healpix(*degrees, 1 << self.order, order="nested")
        return pixel

    def _ask(
        self,
        pixel: Int,
        magnitude: Int,
        colour: Int,
        *,
        any_colour: bool,
        tier: str | None,
        minimum: int,
    ) -> SelectionProbability:
        sources, selected = np.zeros((2, pixel.size), np.int64)
        order = np.full(pixel.size, -1)
        widths = np.full((2, pixel.size), np.inf)
        covered = self._store.about.covers(pixel)
        left = np.flatnonzero(covered)
        cells = self._cells
        finer = cells.finest
        for coarse in cells.steps(any_colour=any_colour):
            if left.size == 0:
                break
            codes = cells.join(cells.finest, coarse, pixel[left], magnitude[left], colour[left])
            n, k = cells.look_up(coarse, finer, tier, codes)
            done = (n >= minimum) | (coarse == EVERYTHING)
            here = left[done]
            sources[here], selected[here], order[here] = n[done], k[done], coarse.order
            widths[0, here] = coarse.magnitude * self._grid.magnitudes.step or np.inf
            widths[1, here] = coarse.colour * self._grid.colours.step or np.inf
            left, finer = left[~done], coarse
        mean, lower, upper = posterior(selected, sources)
        for values in (mean, lower, upper):
            values[~covered] = np.nan
        return SelectionProbability(mean, lower, upper, sources, selected, order, *widths)


def posterior(selected: Int, sources: Int) -> tuple[Float, Float, Float]:
    """Return mean and central 68.3 % of the probability that made k of n, with Jeffreys' prior."""
    from scipy.special import betaincinv

    k, n = np.asarray(selected, float), np.asarray(sources, float)
    one, other = k + PRIOR, n - k + PRIOR
    low, high = (betaincinv(one, other, end) for end in _ENDS)
    mean = np.asarray(one / (one + other))
    return mean, np.where(k == 0, 0.0, low), np.where(k == n, 1.0, high)


def selection(path: str | Path) -> SelectionFunction:
    """Open the selection function of a catalogue.

    Parameters
    ----------
    path : str or Path
        The folder of a version, its ``catalog.zarr``, or the folder of a release, of which the
        latest version is taken.

    Returns
    -------
    SelectionFunction
        Counts are read when they are asked for.

    Warns
    -----
    SubsetWarning
        If the archive held hardly a source that was not asked for.

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue, or it has no selection function.

    Examples
    --------
    >>> chosen = selection("workdir/catalogs/dr3")  # doctest: +SKIP
    >>> chosen.probability(266.4, -29.0, g=13.2, bp_rp=1.4, tier="silver").mean  # doctest: +SKIP
    """
    folder = find_catalogue(path)
    facts = read_release(folder).selection
    if facts is None:
        raise CatalogueError(
            f"{folder} has no selection function.",
            "Publish it with publish.selection=true, from an archive whose source ids say where"
            " stars lie.",
        )
    if facts.subset:
        warnings.warn(subset_in_words(facts.totals), SubsetWarning, stacklevel=2)
    store = SelectionStore(folder / SELECTION_NAME)
    return SelectionFunction(store, subset=facts.subset, sky=facts.sky)


def subset_in_words(totals: Mapping[str, int]) -> str:
    """Say that an archive is no list of all stars."""
    return (
        f"{totals['requested']} of the archive's {totals['sources']} sources were asked for: it is"
        " no list of all stars but one of those with spectra, and these probabilities say only what"
        " became of them. Of a whole gaia_source they would be those of a star."
    )
