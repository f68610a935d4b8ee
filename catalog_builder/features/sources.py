"""The looked-up tables' columns of the stars that have spectra, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.readers import Block
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import FixedRule, LineSpectrum, ThresholdRule
from catalog_builder.archive.tables import TableName, spelt
from catalog_builder.features import lines, parallax
from catalog_builder.features.ledger import Ids, Ledger
from catalog_builder.features.seen import first_of_each

Columns = dict[str, NDArray[Any]]

#: Magnitudes of a relative error of the flux: 2.5 / ln 10.
_MAGNITUDES: Final = 2.5 / np.log(10.0)
#: A position that is not on the sky is no position. Degrees.
_LIMITS = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}


@dataclass
class SpectraOfSources:
    """The spectra of one input in the store: whose they are, and what else is known of them.

    Attributes
    ----------
    ids : ndarray of int64, shape (m,)
        Source of each, in the order of the store.
    scalars : dict of str to list of ndarray
        Columns that go with them, in pieces: see `ReleaseSpec.scalars_of`.
    """

    ids: Ids
    scalars: dict[str, list[NDArray[Any]]]


def look_up(
    table: TableName,
    wanted: Ids,
    blocks: Iterable[Block],
    release: ReleaseSpec,
    ledger: Ledger,
    *,
    in_words: bool = False,
) -> tuple[Columns, NDArray[np.bool_]]:
    """Find the wanted sources in a table with one row for each source.

    Parameters
    ----------
    table : str
        The source table, or one that is joined to it.
    wanted : ndarray of int64, shape (n,)
        Source ids, sorted, each once.
    blocks : iterable of Block
        Rows of the table.
    release : ReleaseSpec
        Describes its columns.
    ledger : Ledger
        Takes later rows of a source that has one, and cells that cannot be.
    in_words : bool
        Whether columns of text are given as they are, and not as the keys of identifiers.

    Returns
    -------
    columns : dict of str to ndarray of shape (n,)
        Without the source_id. Null where a source was not found.
    found : ndarray of bool, shape (n,)
    """
    described = release.tables[table].columns
    words = {name for name, column in described.items() if in_words and column.is_text}
    columns = {
        name: _nulls(
            wanted.size,
            np.dtype(f"S{column.characters}") if name in words else column.numpy_dtype,
        )
        for name, column in described.items()
        if name != "source_id"
    }
    found = np.zeros(wanted.size, bool)
    if wanted.size == 0:
        return columns, found
    for block in blocks:
        ids = block.columns["source_id"]
        place = np.searchsorted(wanted, ids).clip(max=wanted.size - 1)
        hit = wanted[place] == ids
        again = hit & (found[place] | ~first_of_each(ids))
        if release.several_spectra != "combined":  # else a star has a row for each of its spectra
            rows = block.row_numbers[again]
            ledger.reject(table, RejectReason.DUPLICATE_SOURCE_ID, ids[again], rows)
        hit &= ~again
        for name, target in columns.items():
            values, impossible = _possible(
                name, block.columns[spelt(name) if name in words else name][hit]
            )
            target[place[hit]] = values
            if impossible:
                ledger.cell_nulls[f"{table}.{name}"] += impossible
        found[place[hit]] = True
    return columns, found


def complete_sources(
    ids: Ids, columns: Columns, spectra: Mapping[str, SpectraOfSources], release: ReleaseSpec
) -> Columns:
    """Add what follows from the columns: rows of spectra, presence, corrected parallax, errors.

    Parameters
    ----------
    ids : ndarray of int64, shape (n,)
        Sources, sorted.
    columns : dict of str to ndarray of shape (n,)
        Of the looked-up tables.
    spectra : mapping of str to SpectraOfSources
        By the name of the input.
    release : ReleaseSpec
        Names the columns that the rules need.
    """
    made = {**columns, "source_id": ids}
    for name, stored in spectra.items():
        rows = _row_of(ids, stored.ids)
        made[f"{name}_row"] = rows
        made[f"has_{name}"] = rows >= 0
        for scalar, dtype in release.scalars_of(name).items():
            pieces = stored.scalars.get(scalar, [])
            made[scalar] = _take(np.concatenate([np.empty(0, dtype), *pieces]), rows)
    for name, spectrum in release.spectra.items():
        rule = spectrum.normalisation if isinstance(spectrum, LineSpectrum) else None
        if isinstance(rule, ThresholdRule | FixedRule):  # codes came with the spectra
            classes = _normalisation(rule, made, ids.size)
            made[f"{name}_normalisation"] = np.where(
                made[f"has_{name}"], classes, np.uint8(lines.ABSENT)
            )
    if release.parallax:
        zero = parallax.zero_point(release.parallax_zero_point, made, ids.size)
        made["parallax_corrected"] = made["parallax"] - zero
        if release.has_fallback:
            fallen = parallax.by_fallback(release.parallax_zero_point, made, zero)
            made["parallax_fallback"] = fallen & np.isfinite(made["parallax"])
        made["has_parallax"] = np.isfinite(made["parallax"]) & (made["parallax_error"] > 0)
    for name, column in release.measured_errors.items():
        made[name] = _magnitude_errors(made[column])
    for group, bands in release.photometry.items():
        made[f"has_{group}"] = np.all([np.isfinite(made[name]) for name in bands.columns], axis=0)
    return made


def _normalisation(
    rule: ThresholdRule | FixedRule, columns: Columns, count: int
) -> NDArray[np.uint8]:
    if isinstance(rule, ThresholdRule):
        return lines.class_by_threshold(columns[rule.column], rule)
    return lines.class_of_all(rule, count)


def _magnitude_errors(over_error: NDArray[Any]) -> NDArray[np.float32]:
    """Return errors of magnitudes from fluxes over their errors; NaN where these say nothing."""
    with np.errstate(divide="ignore", over="ignore"):
        errors = (_MAGNITUDES / over_error.astype(np.float64)).astype(np.float32)
    return np.where((errors > 0) & np.isfinite(errors), errors, np.float32(np.nan))


def _possible(name: str, values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Make values null that cannot be: infinite ones, positions off the sky; and count them."""
    if values.dtype.kind != "f":
        return values, 0
    impossible = np.isinf(values)
    if name in _LIMITS:
        low, high = _LIMITS[name]
        impossible |= (values < low) | (values > high)
    count = int(np.count_nonzero(impossible))
    return (np.where(impossible, np.nan, values) if count else values), count


def _row_of(ids: Ids, in_store: Ids) -> NDArray[np.int32]:
    """Return the position in the store of each id, -1 where it is not there."""
    if in_store.size == 0:
        return np.full(ids.size, -1, np.int32)
    order = np.argsort(in_store, kind="stable")
    place = np.searchsorted(in_store, ids, sorter=order).clip(max=in_store.size - 1)
    row = order[place]
    return np.where(in_store[row] == ids, row, -1).astype(np.int32)


def _take(values: NDArray[Any], rows: NDArray[np.int32]) -> NDArray[Any]:
    result = _nulls(rows.size, values.dtype)
    result[rows >= 0] = values[rows[rows >= 0]]
    return result


def _nulls(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.full(size, np.nan, dtype) if dtype.kind == "f" else np.zeros(size, dtype)
