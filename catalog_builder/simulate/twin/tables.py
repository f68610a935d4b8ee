"""The tables of the later release, from the stars as it sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.simulate.instruments.observed import Observed
from catalog_builder.simulate.population.streams import Draws
from catalog_builder.simulate.population.truth import Stars
from catalog_builder.simulate.twin.again import Again
from catalog_builder.simulate.twin.columns import TABLES
from catalog_builder.simulate.twin.ids import Ids
from catalog_builder.simulate.twin.neighbourhood import EPOCH, Seconds
from catalog_builder.simulate.twin.places import place_columns
from catalog_builder.simulate.twin.sheets import Sheet, Values, sheet, taken
from catalog_builder.simulate.writing import tables

Sheets = dict[str, Sheet]
Bool = NDArray[np.bool_]

_SOLUTION: Final = 4_000_000_000_000_000_001
#: Masks of solved parameters that stars of 5 and of 6 parameters may have, and how often: the third
#: and later ones are of orbits and accelerations.
_MASKS: Final = {
    31: ((31, 63, 2079, 4127), (0.94, 0.02, 0.03, 0.01)),
    95: ((95, 479, 4575), (0.95, 0.02, 0.03)),
}
#: What `has_rvs` says of a source with a mean spectrum; a guess.
HAS_RVS: Final = 1
#: GSP-Spec's offset in log g, which calibrated values do not have.
_LOGG_OFFSET: Final = -0.28


def make(
    draws: Draws, star: Stars, again: Again, ids: Ids, older: ReleaseSpec, seconds: Seconds
) -> Sheets:
    """Return all tables but the neighbourhood of a block, without the stars that are no more.

    Parameters
    ----------
    draws : callable
        Random numbers of this release.
    star : Stars
        With the later ids and positions.
    again : Again
        What the release sees of them.
    ids : Ids
        Of the same stars.
    older : ReleaseSpec
        The older release, whose columns are those that are taken over.
    seconds : Seconds
        Second sources of those that were split: without spectra.
    """
    seen = again.seen
    rvs, xp = tables.rvs_mean_spectrum(star, seen, older), tables.xp_continuous(star, seen)
    rvs["flux"], rvs["flux_error"] = seen.rvs_flux, seen.rvs_error
    ap = tables.astrophysical_parameters(draws("parameters"), star, seen)
    has_rvs = np.isin(star.source_id, rvs["source_id"])
    known = tables.gaia_source(star, seen, older) | _of_sources(draws, star, again, ap, has_rvs)
    known["random_index"] = tables.random_index(draws("random index"), len(star))
    if seen.motion is not None:
        known["radial_velocity_single"] = seen.motion.radial_velocity
        known["radial_velocity_single_error"] = seen.motion.radial_velocity_error
    both = _with_seconds(known, seconds)
    held = {
        "gaia_source": both,
        "all_source_flags": both,
        "all_source_photometry": both,
        "all_source_rvs": {name: values[has_rvs] for name, values in known.items()},
        "rvs_mean_spectrum": rvs,
        "xp_continuous_mean_spectrum": xp,
        "ap_rvs": _calibrated(_where(ap, np.isfinite(ap["teff_gspspec"].astype(np.float64)))),
        "ap_xp": _where(ap, np.isfinite(ap["teff_gspphot"].astype(np.float64))),
    }
    gone = ids.old[~ids.stays]
    made = {}
    for table, columns in held.items():
        same = {**columns, "solution_id": np.full(len(columns["source_id"]), _SOLUTION)}
        whole = sheet(TABLES[table], same)
        made[table] = whole.rows(~np.isin(whole.values["source_id"], gone))
    return made


def _of_sources(
    draws: Draws, star: Stars, again: Again, ap: Mapping[str, Values], has_rvs: Bool
) -> dict[str, Values]:
    """Columns of the stars that the older release does not have, or has otherwise."""
    n, seen = len(star), again.seen
    g, bp, rp = seen.magnitudes.T
    where, found = _places(star.source_id, ap["source_id"])
    in_spec, in_xp = (
        np.isfinite(taken(ap[f"teff_{kind}"], where, found)) for kind in ("gspspec", "gspphot")
    )
    parameters: dict[str, Values] = {}
    for name in ("teff", "logg", "mh"):
        one, other = (taken(ap[f"{name}_{kind}"], where, found) for kind in ("gspspec", "gspphot"))
        parameters[name] = np.where(in_spec, one, other)
    origin = np.where(in_spec, "GSPSPEC", "GSPPHOT")
    epochs = np.digitize(-seen.exact_grvs, [-14.0, -12.0]) + 1
    yes, no = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    mask, blends = _masks(draws("masks"), seen), draws("blends")
    return (
        parameters
        | place_columns(star.ra, star.dec)
        | {
            "designation": np.char.add("Gaia DR4 ", star.source_id.astype("U20")),
            "ref_epoch": np.full(n, EPOCH),
            "unreliable_astrometry": np.nan_to_num(seen.astrometry.ruwe, nan=9.0) > 1.4,
            "unreliable_g_photometry": no,
            "astrometric_params": mask,
            "tentative_parallax_bias": again.bias,
            "phot_proc_flag": np.zeros(n),
            "bp_g": bp - g,
            "g_rp": g - rp,
            "unreliable_g": no,
            "unreliable_bp": ~np.isfinite(bp),
            "unreliable_rp": ~np.isfinite(rp),
            "rv_assumed_sb2": no,
            # The templates are a coarse grid.
            "rv_template_teff": 250.0 * np.round(star.teff / 250.0),
            "rv_template_logg": 0.5 * np.round(star.logg / 0.5),
            "rv_template_fe_h": 0.25 * np.round(star.fe_h / 0.25),
            "phot_bp_n_blended_transits": blends.poisson(1.0, n),
            "phot_rp_n_blended_transits": blends.poisson(1.0, n),
            "ap_origin": np.ma.array(origin, mask=~(in_spec | in_xp)),
            "in_gaia_source": yes,
            "non_single_star": (mask > 2047).astype(np.int16),
            "has_xp": seen.has_xp,
            "has_rvs": np.where(has_rvs, HAS_RVS, 0),
            "has_epoch_rvs": np.where(has_rvs, epochs, 0),
            "in_ap_xp": in_xp,
            "in_ap_rvs": in_spec,
        }
    )


def _masks(rng: np.random.Generator, seen: Observed) -> NDArray[np.int64]:
    masks = seen.astrometry.params_solved.astype(np.int64)
    for solved, (values, shares) in _MASKS.items():
        drawn = rng.choice(np.array(values), len(masks), p=shares)
        masks = np.where(masks == solved, drawn, masks)
    return masks


def _places(ids: NDArray[np.int64], of: Values) -> tuple[NDArray[np.int64], Bool]:
    """Return where each id stands in another list, which rises, and whether it does."""
    where = np.searchsorted(of, ids).clip(max=max(len(of) - 1, 0))
    return where, (of[where] == ids if len(of) else np.zeros(len(ids), dtype=bool))


def _with_seconds(known: Mapping[str, Values], seconds: Seconds) -> dict[str, Values]:
    """Append sources that are nothing but a place and a G magnitude, in the order of ids."""
    more = seconds.columns()
    m = len(more["source_id"])
    order = np.argsort(np.concatenate([known["source_id"], more["source_id"]]), kind="stable")
    nobody = np.zeros(m, dtype=np.int64), np.zeros(m, dtype=bool)
    joined: dict[str, Values] = {}
    for name, values in known.items():
        last = more[name] if name in more else taken(values, *nobody)
        masks = [np.ma.getmaskarray(one) for one in (values, last)]
        whole = np.concatenate([np.ma.getdata(values), np.ma.getdata(last)])
        joined[name] = np.ma.array(whole, mask=np.concatenate(masks))[order]
    return joined


def _where(block: Mapping[str, Values], rows: Bool) -> dict[str, Values]:
    return {name: values[rows] for name, values in block.items()}


def _calibrated(block: dict[str, Values]) -> dict[str, Values]:
    """Add calibrated parameters: those without the offset in log g."""
    more = {}
    for column in TABLES["ap_rvs"]:
        plain = column.name.removesuffix("_calib")
        if plain != column.name and plain in block:
            offset = _LOGG_OFFSET if plain.startswith("logg") else 0.0
            more[column.name] = block[plain].astype(np.float64) - offset
    return block | more
