"""What is true of the stars of an archive, as a table."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from catalog_builder.simulate.grid.microturbulence import microturbulence
from catalog_builder.simulate.instruments.observed import Observed
from catalog_builder.simulate.population.truth import Stars, add_wart
from catalog_builder.simulate.writing.beside import Beside


def truth_table(
    star: Stars,
    seen: Observed,
    labelled: NDArray[np.bool_],
    made: dict[str, NDArray[np.float64]],
    beside: Beside,
) -> pa.Table:
    """Return what is true of a block, and what this release has of it."""
    has_rvs = np.zeros(len(star), dtype=bool)
    has_rvs[seen.rvs_rows] = True
    columns = {field.name: getattr(star, field.name) for field in fields(star)}
    grid = np.column_stack([star.teff, star.logg, np.nan_to_num(star.m_h), star.alpha_m])
    columns |= {
        "microturbulence": microturbulence(grid),
        "phot_g_mean_mag": seen.magnitudes[:, 0],
        "bp_rp": seen.magnitudes[:, 1] - seen.magnitudes[:, 2],
        "grvs_mag": seen.grvs,
        "parallax": seen.astrometry.parallax,
        "rvs_spec_sig_to_noise": seen.sig_to_noise,
        "has_rvs": has_rvs,
        "has_xp_continuous": seen.has_xp,
        "has_xp_sampled": seen.has_xp_sampled,
        "in_apogee": labelled,
    }
    columns["wart"] = _measured_warts(columns)
    columns |= made
    for name, found in beside.lines.items():
        columns |= {
            f"has_{name}": np.isfinite(found.sig_to_noise),
            f"{name}_sig_to_noise": found.sig_to_noise,
        }
    columns |= beside.bands
    return pa.table({name: arrow(values) for name, values in columns.items()})


def _measured_warts(columns: dict[str, NDArray[np.generic]]) -> NDArray[np.str_]:
    """Add the defects that were not put in: they came with the measurement."""
    wart = np.asarray(columns["wart"], dtype=np.str_)
    parallax = np.asarray(columns["parallax"], dtype=np.float64)
    wart = add_wart(wart, np.isnan(parallax), "no_parallax")
    wart = add_wart(wart, parallax < 0.0, "negative_parallax")
    rvs, xp = columns["has_rvs"].astype(bool), columns["has_xp_continuous"].astype(bool)
    return add_wart(wart, xp & ~rvs, "xp_only")


def arrow(values: NDArray[np.generic]) -> pa.Array:
    """Return a column as Arrow has it."""
    if values.dtype.kind == "U":
        return pa.array(values.tolist(), type=pa.string())
    return pa.array(np.ascontiguousarray(values))
