"""A simulated archive put into a layout that no description knows, as another survey might."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.inspecting.profile import parse_list
from catalog_builder.inspecting.raw import read_raw

RENAMED = {
    "source_id": "gaia_dr4_source_id",
    "parallax_error": "e_parallax",
    "phot_g_mean_mag": "g_mag",
    "phot_bp_mean_mag": "bp_mag",
    "phot_rp_mean_mag": "rp_mag",
    "grvs_mag": "rvs_mag",
    "rvs_spec_sig_to_noise": "rvs_sig_to_noise",
    "bp_coefficients": "bp_coeffs",
    "rp_coefficients": "rp_coeffs",
    "flux": "norm_flux",
    "flux_error": "norm_flux_err",
}
#: Of the new grid: DR4's, as it is inferred.
START, STEP, COUNT = 846.0, 0.025, 961
FLAGS = ("has_rvs", "has_xp_continuous", "has_xp_sampled")


def put_elsewhere(sky: Path, out: Path, *, shift: float = 0.0, bp: int = 51) -> Path:
    """Write a DR3 sky anew: other names, folders, ranges, nulls, grid, numbers and formats.

    `shift` moves the samples of RVS, nm, while the rest says the grid is DR4's.
    """
    release = load_release("dr3")
    for part in list_partitions(str(sky), release):
        label = f"{part.start:07d}_to_{part.stop:07d}"
        for table, write in _WRITERS.items():
            if table in part.files:
                raw = read_raw(part.files[table][0].url, 10**9)
                write(out, label, raw.cells, shift, bp)
    return out


def _sources(out: Path, label: str, cells: dict[str, list[str]], shift: float, bp: int) -> None:
    names = [name for name in cells if name not in FLAGS]
    with _file(out / "objects", f"obj-{label}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([RENAMED.get(name, name) for name in names])
        for row in zip(*(cells[name] for name in names), strict=True):
            writer.writerow(["n.a." if cell == "null" else cell for cell in row])
    flags = {"gaia_dr4_source_id": pa.array([int(cell) for cell in cells["source_id"]])}
    flags |= {name: pa.array([cell == "True" for cell in cells[name]]) for name in FLAGS}
    values = [3 if cell == "True" else 0 for cell in cells["has_rvs"]]
    flags["has_rvs"] = pa.array(values, pa.int8())
    pq.write_table(pa.table(flags), _file(out / "flags", f"flag-{label}.parquet"))


def _rvs(out: Path, label: str, cells: dict[str, list[str]], shift: float, bp: int) -> None:
    old = 846.0 + 0.01 * np.arange(2401)
    new = START + shift + STEP * np.arange(COUNT)
    columns = {"gaia_dr4_source_id": pa.array([int(cell) for cell in cells["source_id"]])}
    for name in ("flux", "flux_error"):
        rows = [np.interp(new, old, _full(cell, 2401)).astype("f4") for cell in cells[name]]
        columns[RENAMED[name]] = pa.array(rows, pa.list_(pa.float32()))
    pq.write_table(pa.table(columns), _file(out / "lines", f"rvs-{label}.parquet"))


def _coefficients(
    out: Path, label: str, cells: dict[str, list[str]], shift: float, bp: int
) -> None:
    columns = {"gaia_dr4_source_id": pa.array([int(cell) for cell in cells["source_id"]])}
    for name, values in cells.items():
        if not re.search("coefficient", name):
            continue
        count = bp if name.startswith("bp_") else 55
        kept = count * (count - 1) // 2 if "correlations" in name else count
        full = 1485 if "correlations" in name else 55
        rows = [None if cell == "null" else _full(cell, full)[:kept] for cell in values]
        columns[RENAMED.get(name, name)] = pa.array(rows, pa.list_(pa.float64()))
    pq.write_table(pa.table(columns), _file(out / "low", f"xp-{label}.parquet"))


def _full(cell: str, length: int) -> np.ndarray:
    values = parse_list(cell)
    return values if values.size == length else np.full(length, np.nan)


def _file(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


_WRITERS: dict[str, Callable[[Path, str, dict[str, list[str]], float, int], None]] = {
    "gaia_source": _sources,
    "rvs_mean_spectrum": _rvs,
    "xp_continuous_mean_spectrum": _coefficients,
}
