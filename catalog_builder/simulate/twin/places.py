"""What follows from a position: HEALPix pixels as the later release has them, other frames."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.population.galaxy import ecliptic_latitude, galactic
from catalog_builder.simulate.twin.sheets import Values

Float = NDArray[np.float64]

_LEVEL, _FINEST = 12, 29
_BASE_PIXELS: Final = "0123456789ab"


def place_columns(ra: Float, dec: Float) -> dict[str, Values]:
    """Return the columns of the source table that follow from positions in deg, (n,) each.

    Its pixels are a word of level 12 and a number of level 29.
    """
    from astropy import units
    from astropy_healpix import lonlat_to_healpix

    finest = np.asarray(
        lonlat_to_healpix(ra * units.deg, dec * units.deg, 1 << _FINEST, order="nested")
    ).astype(np.int64)
    l, b = galactic(ra, dec)  # noqa: E741 - as the column is called
    return {
        "ra": ra,
        "dec": dec,
        "l": l,
        "b": b,
        "ecl_lat": ecliptic_latitude(ra, dec),
        "healpix29": finest,
        "healpix_id": word(finest >> 2 * (_FINEST - _LEVEL), _LEVEL),
    }


def word(pixel: NDArray[np.int64], level: int) -> NDArray[np.str_]:
    """Spell nested pixels of a level: the base pixel as a hex digit, then 0 to 3 for each level."""
    spelt = np.array(list(_BASE_PIXELS))[pixel >> 2 * level].astype(f"U{level + 1}")
    for k in range(level - 1, -1, -1):
        spelt = np.char.add(spelt, (pixel >> 2 * k & 3).astype("U1"))
    return np.asarray(spelt)
