"""Which leaf of a HATS collection a star lies in, and which of them it lies beside.

A leaf is a HEALPix pixel, of an order that leaves it no more than `LEAF_ROWS` rows. All leaves are
planned before the first row is written: rows come in the order of source ids, which begin with the
pixel that a source was found in, so that the ids of a few rows at equal distances bound the rows of
every pixel. A star lies in the leaf of its position. Its id's pixel may be the next one (it was
given before the position was final): such a star crosses a border, and no plan depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.exports import ID_STEP

#: Rows of a leaf, by the pixels of ids.
LEAF_ROWS: Final = 1 << 20
#: Arcseconds around a leaf whose stars its margin has.
MARGIN: Final = 10.0
#: Order of the column `INDEX`.
FINEST: Final = 29
INDEX: Final = "_healpix_29"

_HIGHEST: Final = 10
# Gaia's ids: the pixel of order 12 stands above these bits.
_ID_SHIFT: Final = 35
_ID_ORDER: Final = 12
# Pixels of 1.7': a star in none of those at its leaf's edge is farther from it than the ring.
_EDGE_ORDER: Final = 11
_RING: Final = 16

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Leaves:
    """Pixels that cover the sky.

    Attributes
    ----------
    first : ndarray of int64, shape (leaves,)
        First pixel of order `FINEST` in each; they increase.
    order : ndarray of int64, shape (leaves,)
        Their orders.
    """

    first: Ints
    order: Ints

    def of(self, index: Ints) -> Ints:
        """Return which leaf each pixel of order `FINEST` lies in."""
        return np.asarray(np.searchsorted(self.first, index, side="right") - 1, dtype=np.int64)

    def name(self, leaf: int) -> tuple[int, int]:
        """Return order and pixel of a leaf."""
        order = int(self.order[leaf])
        return order, int(self.first[leaf]) >> 2 * (FINEST - order)


def plan_leaves(ids: Iterable[int], leaf_rows: int = LEAF_ROWS, step: int = ID_STEP) -> Leaves:
    """Cut the sky into leaves.

    Parameters
    ----------
    ids : iterable of int
        ``source_id`` of every ``step``-th row, in order.
    leaf_rows : int
        Rows that a leaf may have.
    step : int
        Rows from one id to the next.
    """
    pixels = np.array(list(ids), dtype=np.int64) >> _ID_SHIFT
    waiting = [(0, pixel) for pixel in reversed(range(12))]
    first, orders = [], []
    while waiting:
        order, pixel = waiting.pop()
        shift = 2 * (_ID_ORDER - order)
        found = np.searchsorted(pixels, [pixel << shift, (pixel + 1) << shift])
        # Of the rows looked at; there may be up to `step` more before the first and after the last.
        if (int(found[1] - found[0]) + 1) * step <= leaf_rows or order == _HIGHEST:
            first.append(pixel << 2 * (FINEST - order))
            orders.append(order)
        else:
            waiting += [(order + 1, 4 * pixel + quarter) for quarter in (3, 2, 1, 0)]
    return Leaves(np.array(first, dtype=np.int64), np.array(orders, dtype=np.int64))


def ids_of_places(ra: Floats, dec: Floats) -> tuple[int, ...]:
    """Return what `plan_leaves` takes, of stars whose ids do not say where they lie.

    Parameters
    ----------
    ra, dec : ndarray of float64, shape (n,)
        Of every ``step``-th row, which are a fair sample where ids are keys of words. In degrees;
        who has no position is left out.
    """
    known = np.isfinite(ra) & np.isfinite(dec)
    pixels = _pixels(ra[known], dec[known]) >> 2 * (FINEST - _ID_ORDER)
    return tuple((np.sort(pixels) << _ID_SHIFT).tolist())


def index_of(ids: Ints, ra: Floats, dec: Floats) -> Ints:
    """Return the pixel of order `FINEST` of each star; of one without a position, its id's first.

    Parameters
    ----------
    ids : ndarray of int64, shape (n,)
        ``source_id``.
    ra, dec : ndarray of float64, shape (n,)
        In degrees; null where the position is not known.
    """
    known = np.isfinite(ra) & np.isfinite(dec)
    last = 12 * 4**_ID_ORDER - 1
    index: Ints = np.clip(ids >> _ID_SHIFT, 0, last) << 2 * (FINEST - _ID_ORDER)
    index[known] = _pixels(ra[known], dec[known])
    return index


def _pixels(ra: Floats, dec: Floats) -> Ints:
    from astropy_healpix.healpy import ang2pix

    found: Any = ang2pix(1 << FINEST, ra, dec, nest=True, lonlat=True)
    return np.asarray(found, dtype=np.int64)


def beside(leaves: Leaves, index: Ints, ra: Floats, dec: Floats) -> tuple[Ints, Ints]:
    """Return which stars belong to the margins of which leaves.

    All stars within `MARGIN` of a leaf that they do not lie in are among them, and some up to twice
    as far: whichever leaf a ring of that radius around the star meets.

    Parameters
    ----------
    leaves : Leaves
        All of them.
    index, ra, dec : ndarray of shape (n,)
        As `index_of` takes and returns them.

    Returns
    -------
    rows, leaf : ndarray of int64
        Pairs, sorted by leaf, then by row.
    """
    own = leaves.of(index)
    near = np.flatnonzero(_at_edge(index, leaves.order[own]) & np.isfinite(ra) & np.isfinite(dec))
    met = leaves.of(_ring(ra[near], dec[near]))
    rows = np.repeat(near, _RING)
    other = met.ravel() != own[rows]
    pairs = np.unique(np.stack([met.ravel()[other], rows[other]]), axis=1)
    return pairs[1], pairs[0]


def _at_edge(index: Ints, order: Ints) -> NDArray[np.bool_]:
    """Tell which stars are in a pixel of `_EDGE_ORDER` that lies at an edge of their leaf."""
    side = (1 << (_EDGE_ORDER - order)) - 1
    inside = (index >> 2 * (FINEST - _EDGE_ORDER)) & ((side + 1) ** 2 - 1)
    found = np.zeros(len(index), dtype=bool)
    for bits in (inside, inside >> 1):
        place = _every_other(bits)
        found |= (place == 0) | (place == side)
    return found


def _every_other(bits: Ints) -> Ints:
    """Return the bits 0, 2, 4 and so on, up to 22, put together."""
    found = np.zeros_like(bits)
    for bit in range(_EDGE_ORDER):
        found |= ((bits >> 2 * bit) & 1) << bit
    return found


def _ring(ra: Floats, dec: Floats) -> Ints:
    """Return the pixels of points twice `MARGIN` away, shape (n, `_RING`)."""
    lon, lat = np.radians(ra)[:, None], np.radians(dec)[:, None]
    angle = np.arange(_RING) * (2 * np.pi / _RING)
    radius = np.radians(2 * MARGIN / 3600)
    east, north = np.sin(radius) * np.sin(angle), np.sin(radius) * np.cos(angle)
    along = np.cos(radius) * np.cos(lat) - north * np.sin(lat)
    z = np.cos(radius) * np.sin(lat) + north * np.cos(lat)
    x = along * np.cos(lon) - east * np.sin(lon)
    y = along * np.sin(lon) + east * np.cos(lon)
    lon, lat = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
    return _pixels(lon.ravel(), lat.ravel()).reshape(lon.shape)
