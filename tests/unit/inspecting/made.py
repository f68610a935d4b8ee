"""A few stars of a made-up archive, in files of any form, with columns of any name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from astropy.table import Table

ROWS, SAMPLES = 80, 961
IDS = (np.arange(1, ROWS + 1) << 45) + 17
#: Of the bands, so that stars are of colours that there are.
MAGNITUDES = {"g": (12.4, 12.8), "bp": (12.9, 13.9), "rp": (11.8, 12.3)}
#: A table of the release it is most like, and its columns, as they are called there.
TABLES = {
    "gaia_source": {
        **dict.fromkeys(("ra", "ecl_lat"), (1.0, 300.0)),
        **{f"phot_{band}_mean_mag": MAGNITUDES[band] for band in ("g", "bp", "rp")},
        **{"dec": (-80.0, 80.0), "parallax": (0.1, 9.0), "parallax_error": (0.01, 0.1)},
        **{"grvs_mag": (8.0, 14.0), "rvs_spec_sig_to_noise": (20.0, 90.0)},
    },
    "rvs_mean_spectrum": {"flux": SAMPLES, "flux_error": SAMPLES},
}
Names = Mapping[str, str | None]


def make_archive(
    folder: Path,
    names: Names | None = None,
    *,
    form: str = "parquet",
    beside: Mapping[str, Any] | None = None,
    tables: tuple[str, ...] = tuple(TABLES),
) -> Path:
    """Write it; `names` maps columns to their names in the files, or to None if they lack them.

    `beside` has more columns of the source table, of the table of spectra those that are arrays.
    """
    for table in tables:
        columns = _columns(table, names or {}, beside or {})
        (folder / table).mkdir(parents=True)
        stem = "".join(word.capitalize() for word in table.split("_"))
        path = folder / table / f"{stem}_stars.{form}"
        if form == "parquet":
            pl.DataFrame({k: v.tolist() for k, v in columns.items()}).write_parquet(path)
        elif form == "fits":
            Table(columns).write(path)
        else:
            cells = {
                name: values if values.ndim == 1 else [str(row.tolist()) for row in values]
                for name, values in columns.items()
            }
            pl.DataFrame(cells).write_csv(path)
    return folder


def _columns(table: str, names: Names, beside: Mapping[str, Any]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    made: dict[str, np.ndarray] = {"source_id": IDS}
    for name, what in TABLES[table].items():
        own = names.get(name, name)
        if own is None:
            continue
        if isinstance(what, tuple):
            made[own] = rng.uniform(*what, ROWS)
        else:
            level = 0.02 if name == "flux_error" else 1.0
            made[own] = rng.normal(level, 0.002, (ROWS, what)).round(4)
    arrays = table != "gaia_source"
    return made | {k: v for k, v in beside.items() if (np.ndim(v) == 2) == arrays}


def array(length: int = SAMPLES) -> np.ndarray:
    """Return an array for each star."""
    return np.random.default_rng(3).normal(1, 0.1, (ROWS, length)).round(4)
