"""Which source of the later release is which of the older one, as a table of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.twin.columns import TABLES
from catalog_builder.simulate.twin.ids import SPLIT, Ids
from catalog_builder.simulate.twin.places import place_columns
from catalog_builder.simulate.twin.sheets import Sheet, Values, sheet

Float = NDArray[np.float64]

#: Julian year of the later positions.
EPOCH: Final = 2017.5
_MAS: Final = 1.0 / 3.6e6  # deg
#: Typical distance of a source from itself in the other release, mas.
_TYPICAL_MAS: Final = 1.5
#: Share of the sources that have another neighbour, which is no match.
_OTHERS: Final = 0.02


@dataclass(frozen=True)
class Seconds:
    """Second sources of those that were split, (m,) each: a place and a magnitude.

    `first` is the row of the other one.
    """

    source_id: NDArray[np.int64]
    first: NDArray[np.int64]
    ra: Float
    dec: Float
    g: Float
    distance: Float

    def columns(self) -> dict[str, Values]:
        """Columns of the tables of sources; the others are null."""
        m = len(self.source_id)
        yes, no = np.ones(m, dtype=bool), np.zeros(m, dtype=bool)
        return {
            "source_id": self.source_id,
            "designation": np.char.add("Gaia DR4 ", self.source_id.astype("U20")),
            "ref_epoch": np.full(m, EPOCH),
            **place_columns(self.ra, self.dec),
            "phot_g_mean_mag": self.g,
            # Two parameters: a position, no parallax.
            "astrometric_params": np.full(m, 3),
            "in_gaia_source": yes,
            "unreliable_astrometry": yes,
            "unreliable_bp": yes,
            "unreliable_rp": yes,
            **dict.fromkeys(("has_xp", "in_ap_xp", "in_ap_rvs", "rv_assumed_sb2"), no),
            **dict.fromkeys(("has_rvs", "has_epoch_rvs", "non_single_star"), np.zeros(m)),
            "phot_proc_flag": np.zeros(m),
            **dict.fromkeys(("unreliable_g", "unreliable_g_photometry"), no),
        }


def displaced(rng: np.random.Generator, star: Stars, mas: Float) -> tuple[Float, Float]:
    """Return positions so far away, in any direction; deg."""
    angle = rng.uniform(0.0, 2.0 * np.pi, len(mas))
    dec = np.clip(star.dec + mas * _MAS * np.sin(angle), -90.0, 90.0)
    ra = star.ra + mas * _MAS * np.cos(angle) / np.maximum(np.cos(np.radians(star.dec)), 1e-6)
    return np.mod(ra, 360.0), dec


def distances(rng: np.random.Generator, n: int) -> Float:
    """Return how far sources lie from where the older release had them, mas."""
    return rng.exponential(_TYPICAL_MAS, n)


def seconds(rng: np.random.Generator, star: Stars, ids: Ids, g: Float) -> Seconds:
    """Make the second sources; `star` and `g` (n,) are of all stars of the block."""
    first = np.flatnonzero(ids.fate == SPLIT)
    mas = rng.uniform(100.0, 400.0, len(star))
    ra, dec = displaced(rng, star, mas)
    fainter = rng.uniform(1.5, 3.5, len(star))
    return Seconds(
        ids.second[first], first, ra[first], dec[first], (g + fainter)[first], mas[first]
    )


def neighbourhood(
    rng: np.random.Generator, ids: Ids, distance: Float, g: tuple[Float, Float], seconds: Seconds
) -> Sheet:
    """Return the table of neighbours of a block.

    Of every older source it has the one that it is now. Of one that was split also the second, of
    one that was taken in the one that took it: probable matches as well, but further away and of
    another magnitude. And of some sources a neighbour that is no match.

    Parameters
    ----------
    rng : numpy.random.Generator
        Used for nothing else.
    ids : Ids
        Of n stars.
    distance : numpy.ndarray
        (n,) mas, of those that stay.
    g : pair of numpy.ndarray
        (n,) magnitudes in the older release and in the later one.
    seconds : Seconds
        Of those that were split.
    """
    n, (older, later) = len(ids.old), g
    mas = np.where(ids.stays, distance, rng.uniform(150.0, 400.0, n))
    # Who took a star in is the one before it.
    now = np.where(ids.stays, np.arange(n), np.arange(n) - 1)
    other = np.arange(1, n)[(rng.random(n) < _OTHERS)[: max(n - 1, 0)]]
    other = other[ids.stays[other] & (ids.new[other] != ids.new[other - 1])]
    wide = rng.uniform(400.0, 900.0, n)[other]
    first = seconds.first
    columns: dict[str, list[Values]] = {
        "source_id": [ids.new, seconds.source_id, ids.new[other]],
        "dr3_source_id": [ids.old, ids.old[first], ids.old[other - 1]],
        "angular_distance": [mas, seconds.distance, wide],
        "magnitude_difference": [
            later[now] - older,
            seconds.g - older[first],
            later[other] - older[other - 1],
        ],
        "probable_match": [np.ones(n + len(first), dtype=bool), np.zeros(len(other), dtype=bool)],
    }
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = np.lexsort((whole["angular_distance"], whole["source_id"]))
    known = {name: values[order] for name, values in whole.items()}
    known["proper_motion_propagation"] = np.ones(len(order), dtype=bool)
    return sheet(TABLES["dr3_neighbourhood"], known)
