"""The source table's columns of the stars that have spectra, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.readers import Block
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import ThresholdRule
from catalog_builder.features import parallax, rvs
from catalog_builder.features.ledger import Ids, Ledger
from catalog_builder.features.seen import first_of_each

Columns = dict[str, NDArray[Any]]

#: A position that is not on the sky is no position. Degrees.
_LIMITS = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}


def look_up_sources(
    wanted: Ids, blocks: Iterable[Block], release: ReleaseSpec, ledger: Ledger
) -> tuple[Columns, NDArray[np.bool_]]:
    """Find the wanted sources in the source table.

    Parameters
    ----------
    wanted : ndarray of int64, shape (n,)
        Source ids, sorted, each once.
    blocks : iterable of Block
        Rows of the source table.
    release : ReleaseSpec
        Describes its columns.
    ledger : Ledger
        Takes later rows of a source that has one, and cells that cannot be.

    Returns
    -------
    columns : dict of str to ndarray of shape (n,)
        Null where a source was not found.
    found : ndarray of bool, shape (n,)
    """
    table = release.source_table
    columns = {
        name: _nulls(wanted.size, column.numpy_dtype)
        for name, column in release.tables[table].columns.items()
    }
    found = np.zeros(wanted.size, bool)
    if wanted.size == 0:
        return columns, found
    for block in blocks:
        ids = block.columns["source_id"]
        place = np.searchsorted(wanted, ids).clip(max=wanted.size - 1)
        hit = wanted[place] == ids
        again = hit & (found[place] | ~first_of_each(ids))
        ledger.reject(table, RejectReason.DUPLICATE_SOURCE_ID, ids[again], block.row_numbers[again])
        hit &= ~again
        for name, target in columns.items():
            values, impossible = _possible(name, block.columns[name][hit])
            target[place[hit]] = values
            if impossible:
                ledger.cell_nulls[f"{table}.{name}"] += impossible
        found[place[hit]] = True
    return columns, found


def complete_sources(
    ids: Ids,
    columns: Columns,
    spectra_ids: Mapping[str, Ids],
    xp_scales: Sequence[NDArray[np.float32]],
    release: ReleaseSpec,
) -> Columns:
    """Add what follows from the columns: rows of spectra, presence, corrected parallax.

    Parameters
    ----------
    ids : ndarray of int64, shape (n,)
        Sources, sorted.
    columns : dict of str to ndarray of shape (n,)
        Of the source table.
    spectra_ids : mapping of str to ndarray of int64
        Source of each spectrum in the store, by kind (``"rvs"``, ``"xp"``).
    xp_scales : sequence of ndarray of float32
        Flux scale of each XP spectrum in the store, in pieces, W m-2 nm-1.
    release : ReleaseSpec
        Names the columns that the rules need.
    """
    made = {**columns, "source_id": ids}
    for kind, in_store in spectra_ids.items():
        made[f"{kind}_row"] = _row_of(ids, in_store)
        made[f"has_{kind}"] = made[f"{kind}_row"] >= 0
    scales = np.concatenate([np.empty(0, np.float32), *xp_scales])
    made["xp_flux_scale"] = _take(scales, made["xp_row"])
    made["rvs_normalisation"] = np.zeros(ids.size, np.uint8)
    rule = None if release.rvs is None else release.rvs.normalisation
    if isinstance(rule, ThresholdRule) and release.rvs is not None and release.rvs.sig_to_noise:
        made["rvs_normalisation"] = rvs.normalisation_class(
            made[rule.column], made["has_rvs"], rule
        )
        made["rvs_spec_sig_to_noise"] = made[release.rvs.sig_to_noise]
    zero = parallax.zero_point(release.parallax_zero_point, made, ids.size)
    made["parallax_corrected"] = made["parallax"] - zero
    made["has_parallax"] = np.isfinite(made["parallax"]) & (made["parallax_error"] > 0)
    made["has_photometry"] = np.isfinite(
        made["phot_g_mean_mag"] + made["phot_bp_mean_mag"] + made["phot_rp_mean_mag"]
    )
    return made


def _possible(name: str, values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Make values null that cannot be: infinite ones, positions off the sky; and count them."""
    if values.dtype.kind != "f":
        return values, 0
    low, high = _LIMITS.get(name, (-np.inf, np.inf))
    impossible = np.isinf(values) | (values < low) | (values > high)
    return np.where(impossible, np.nan, values), int(impossible.sum())


def _row_of(ids: Ids, in_store: Ids) -> NDArray[np.int32]:
    """Return the position in the store of each id, -1 where it is not there."""
    if in_store.size == 0:
        return np.full(ids.size, -1, np.int32)
    order = np.argsort(in_store, kind="stable")
    place = np.searchsorted(in_store, ids, sorter=order).clip(max=in_store.size - 1)
    row = order[place]
    return np.where(in_store[row] == ids, row, -1).astype(np.int32)


def _take(values: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.float32]:
    result = np.full(rows.size, np.nan, np.float32)
    result[rows >= 0] = values[rows[rows >= 0]]
    return result


def _nulls(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.full(size, np.nan, dtype) if dtype.kind == "f" else np.zeros(size, dtype)
