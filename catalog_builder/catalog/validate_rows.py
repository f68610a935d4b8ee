"""The rules that the rows of a catalogue keep, checked in one pass over its chunks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.digest import ColumnDigest
from catalog_builder.catalog.exports import ExportedRows, Format
from catalog_builder.catalog.finding import FindingLog, unequal
from catalog_builder.catalog.layout import RELEASE_FILE, STORE_NAME
from catalog_builder.catalog.release_json import ReleaseRecord
from catalog_builder.catalog.zarr_store import in_pieces
from catalog_builder.contract.schema import CatalogSchema, correlation_column, label_columns

# What zarr's codecs raise for a damaged chunk.
_DAMAGED_CHUNK: Final = (OSError, ValueError, RuntimeError)

# Of a correlation computed in float32.
_ROUNDING: Final = 1e-5

Rows = Mapping[str, NDArray[Any]]


def check_rows(
    folder: Path,
    schema: CatalogSchema,
    present: tuple[str, ...],
    record: ReleaseRecord | None,
    log: FindingLog,
    exports: Mapping[str, Format],
) -> None:
    """Check order, labels, flags, digests and exports of all rows.

    Parameters
    ----------
    folder : Path
        The catalogue.
    schema : CatalogSchema
        The schema it was made with.
    present : tuple of str
        Columns of the schema that the store has.
    record : ReleaseRecord, optional
        The content of ``RELEASE.json``, if it could be read.
    log : FindingLog
        Takes the findings.
    exports : mapping of str to Format
        The files that hold the same rows, and their formats.
    """
    store = folder / STORE_NAME
    arrays = {name: zarr.open_array(str(store), path=name, mode="r") for name in present}
    rows = _common_length(arrays, log)
    if rows is None:
        return
    if record and record.accounting.published != rows:
        log.add(RELEASE_FILE, f"{record.accounting.published} published sources are {rows} rows")
    check = _RowCheck(schema, log)
    opened = _open_exports(folder, schema, rows, log, exports)
    block = min(array.chunks[0] for array in arrays.values())
    for start in range(0, rows, block):
        columns = _read_block(arrays, start, start + block, log)
        # A chunk is held once, not also as rows of the FITS file and what is computed of both.
        for first, some in in_pieces(columns):
            check.block(start + first, some, opened)
    check.digests(record)


def _open_exports(
    folder: Path,
    schema: CatalogSchema,
    rows: int,
    log: FindingLog,
    exports: Mapping[str, Format],
) -> dict[str, ExportedRows]:
    """Return the exports that can be compared row by row."""
    opened = {}
    for name, one in exports.items():
        exported = one.open_rows(folder / name, schema)
        if exported is None:
            continue  # its own check has said so
        if exported.rows == rows:
            opened[name] = exported
        else:
            log.add(name, f"has {exported.rows} rows, {STORE_NAME} has {rows}")
    return opened


def _common_length(arrays: Mapping[str, zarr.Array[Any]], log: FindingLog) -> int | None:
    lengths = {array.shape[0] for array in arrays.values()}
    if len(lengths) == 1:
        return int(lengths.pop())
    if lengths:
        log.add(STORE_NAME, f"the columns have different lengths: {sorted(lengths)}")
    return None


def _read_block(
    arrays: Mapping[str, zarr.Array[Any]], start: int, stop: int, log: FindingLog
) -> dict[str, NDArray[Any]]:
    block = {}
    for name, array in arrays.items():
        try:
            block[name] = np.asarray(array[start:stop])
        except _DAMAGED_CHUNK as error:
            damaged = np.ones(min(stop, array.shape[0]) - start, dtype=bool)
            log.add_rows(STORE_NAME, f"damaged chunk: {error}", name, start, damaged)
    return block


class _RowCheck:
    """One pass: what must be remembered from block to block, and the rules."""

    def __init__(self, schema: CatalogSchema, log: FindingLog) -> None:
        self._schema = schema
        self._log = log
        self._labels = schema.labels.names
        self._last_id = -1
        self._digests = {column.name: ColumnDigest(column) for column in schema.columns}

    def block(self, start: int, rows: Rows, exports: Mapping[str, ExportedRows]) -> None:
        """Check the rows of a block; columns that could not be read are left out."""
        for name in self._digests.keys() - rows.keys():
            del self._digests[name]
        for name, digest in self._digests.items():
            digest.update(rows[name])
        self._order(start, rows)
        self._finite(start, rows)
        for label in self._labels:
            self._label(start, rows, label)
        self._correlations(start, rows)
        self._flags(start, rows)
        if exports and rows:
            complete = self._complete(rows)
            for name, exported in exports.items():
                self._export(start, complete, name, exported)

    def digests(self, record: ReleaseRecord | None) -> None:
        """Compare the digests of the columns that were read in full with those sealed."""
        if record is None:
            return
        for name, digest in self._digests.items():
            if record.columns.get(name) != digest.hexdigest():
                self._log.add(
                    STORE_NAME, f"its values are not those that {RELEASE_FILE} seals", name
                )

    def _order(self, start: int, rows: Rows) -> None:
        if "source_id" not in rows or len(rows["source_id"]) == 0:
            return
        ids = rows["source_id"]
        before = np.concatenate(([self._last_id], ids[:-1]))
        self._wrong(
            "source_id is not larger than in the row before", "source_id", start, ids <= before
        )
        self._last_id = int(ids[-1])

    def _finite(self, start: int, rows: Rows) -> None:
        for column in self._schema.columns:
            if column.nullable and column.name in rows:
                self._wrong("infinite", column.name, start, np.isinf(rows[column.name]))
                if not column.null_meaning:
                    self._wrong("null", column.name, start, np.isnan(rows[column.name]))

    def _label(self, start: int, rows: Rows, label: str) -> None:
        if label not in rows:
            return
        _, sigma, _, aleatoric, epistemic = label_columns(label)
        known = np.isfinite(rows[label])
        if sigma in rows:
            without = known & ~(rows[sigma] > 0)
            self._wrong("a label without a positive sigma", sigma, start, without)
        for name in (sigma, aleatoric, epistemic):
            if name in rows:
                alone = ~known & ~np.isnan(rows[name])
                self._wrong("a sigma without a label", name, start, alone)
        if self._has_flags(rows):
            absent = self._schema.flags.test(rows, f"{label}_not_available")
            self._wrong(
                "null, but its flag is not set, or the reverse", label, start, absent == known
            )

    def _correlations(self, start: int, rows: Rows) -> None:
        for first, second in combinations(self._labels, 2):
            name = correlation_column(first, second)
            if name in rows:
                outside = np.abs(rows[name]) > 1.0 + _ROUNDING
                self._wrong("a correlation outside -1 to 1", name, start, outside)

    def _flags(self, start: int, rows: Rows) -> None:
        flags = self._schema.flags
        for name, declared in flags.declared_masks.items():
            if name in rows:
                undeclared = (rows[name] & ~declared) != 0
                self._wrong("an undeclared bit is set", name, start, undeclared)
        if self._has_flags(rows) and "quality_tier" in rows:
            none = flags.test(rows, "not_predicted")
            known = np.isin(rows["quality_tier"], [tier.tier for tier in flags.tiers])
            self._wrong(
                "no declared tier, or a tier without a label", "quality_tier", start, known == none
            )

    def _has_flags(self, rows: Rows) -> bool:
        return rows.keys() >= {*self._schema.flags.columns}

    def _export(self, start: int, complete: Rows, file: str, exported: ExportedRows) -> None:
        others = exported.block(start, max(len(values) for values in complete.values()))
        for name, values in complete.items():
            if name not in others:
                continue  # the format's own check has said so
            other = others[name]
            if len(values) != len(other):
                self._log.add(file, "the file ends before its last row")
                return
            problem = f"differs from {STORE_NAME}"
            self._log.add_rows(file, problem, name, start, unequal(values, other))

    def _complete(self, rows: Rows) -> Rows:
        """Return the rows with the derived columns, if what these are computed of is there."""
        if not self._has_flags(rows):
            return rows
        readable = tuple(c for c in self._schema.all_columns if c.derived or c.name in rows)
        return with_derived(rows, self._schema.model_copy(update={"all_columns": readable}))

    def _wrong(self, problem: str, column: str, start: int, wrong: NDArray[np.bool_]) -> None:
        self._log.add_rows(STORE_NAME, problem, column, start, wrong)
