"""Ingest of one partition: archive files in, one feature store out, every source accounted for.

A source is requested when it has a row in a driving table. It is published downstream when at
least one of its spectra is usable and the source table knows it; otherwise it is rejected, with
the first reason met. Files are streamed in blocks of rows; what grows with the partition is only
its columns of scalars (some 30 MB for the largest of DR3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.layout import Partition, checksum_matches
from catalog_builder.archive.readers import Block, DamagedFileError, read_blocks
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.config import IngestSettings
from catalog_builder.features import parallax, rvs
from catalog_builder.features.ledger import Ids, Ledger
from catalog_builder.features.spectra import SPECTRA_TABLES, convert
from catalog_builder.features.store import FeatureWriter


@dataclass(frozen=True)
class IngestResult:
    """What became of one partition."""

    rows_in: int
    rows_out: int
    rejected: dict[str, int]
    digest: str
    notes: dict[str, Any]


def ingest_partition(
    partition: Partition, release: ReleaseSpec, settings: IngestSettings, out: Path
) -> IngestResult:
    """Make the feature store of one partition.

    Parameters
    ----------
    partition : Partition
        HEALPix range and its files.
    release : ReleaseSpec
        What the files look like.
    settings : IngestSettings
        Block size, coverage limits, XP scale window.
    out : Path
        Folder of the new store.

    Returns
    -------
    IngestResult
        Balanced: ``rows_in == rows_out + sum(rejected.values())``.

    Raises
    ------
    InputError
        If a file is not as the release describes it (a missing column, another unit).
    """
    return _PartitionIngest(partition, release, settings, out).run()


def count_requested(partition: Partition, release: ReleaseSpec, block_rows: int) -> int:
    """Count the sources asked for in a partition, reading nothing but their ids."""
    ids = [
        block.columns["source_id"]
        for table in release.driving_tables
        if table in partition.files
        for block in read_blocks(
            partition.files[table], table, release, block_rows=block_rows, columns=["source_id"]
        )
    ]
    return int(_unique(ids).size)


class _PartitionIngest:
    """The state of one partition's ingest; :meth:`run` reads downwards."""

    def __init__(
        self, partition: Partition, release: ReleaseSpec, settings: IngestSettings, out: Path
    ) -> None:
        self.partition = partition
        self.release = release
        self.settings = settings
        self.ledger = Ledger(list(release.tables))
        self.writer = FeatureWriter(out, settings.store_chunk_rows)
        self.spectra_ids: dict[str, list[Ids]] = {"rvs": [], "xp": []}
        self.xp_scales: list[NDArray[np.float32]] = []

    def run(self) -> IngestResult:
        for table, kind in SPECTRA_TABLES:
            if table in self.release.driving_tables and table in self.partition.files:
                self._read_spectra(table, kind)
        requested = _unique(self.ledger.requested)
        rows = {
            kind: np.concatenate([np.empty(0, np.int64), *ids])
            for kind, ids in self.spectra_ids.items()
        }
        usable = _unique(list(rows.values()))
        columns, found = self._read_sources(usable)
        self._reject_strangers(usable, found)
        published = usable[found]
        sources = {name: values[found] for name, values in columns.items()}
        sources = self._complete(published, sources, rows)
        return self._finish(requested, published, sources)

    # --- spectra ---------------------------------------------------------------------------------

    def _read_spectra(self, table: TableName, kind: str) -> None:
        seen: Ids = np.empty(0, np.int64)
        for block in self._blocks(table):
            ids = block.columns["source_id"]
            self.ledger.requested.append(ids)
            numbers = block.row_numbers
            keep = self._keep(
                table, ids, numbers, self._in_range(ids), RejectReason.OUTSIDE_PARTITION_RANGE
            )
            keep = keep & self._keep(
                table,
                ids,
                numbers,
                ~keep | _first_of_each(ids, seen),
                RejectReason.DUPLICATE_SOURCE_ID,
            )
            seen = np.union1d(seen, ids[keep])
            # The other XP product of a source that has its spectrum already is no news.
            known = np.concatenate([np.empty(0, np.int64), *self.spectra_ids[kind]])
            keep &= ~np.isin(ids, known)
            self._convert(table, kind, block, ids, keep)

    def _convert(
        self, table: TableName, kind: str, block: Block, ids: Ids, keep: NDArray[np.bool_]
    ) -> None:
        chosen = {name: values[keep] for name, values in block.columns.items()}
        numbers = block.row_numbers[keep]
        ids = ids[keep]
        if ids.size == 0:
            return
        made = convert(table, chosen, self.release, self.settings)
        for reason, wrong in made.reasons.items():
            self._keep(table, ids, numbers, ~wrong, reason)
        self.spectra_ids[kind].append(ids[made.usable])
        self.writer.append(kind, {name: values[made.usable] for name, values in made.rows.items()})
        if made.scale is not None:
            self.xp_scales.append(made.scale[made.usable])

    # --- sources ---------------------------------------------------------------------------------

    def _read_sources(self, wanted: Ids) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
        """Return the source table's columns for the wanted ids, and which of them it has."""
        spec = self.release.tables[self.release.source_table]
        found = np.zeros(wanted.size, bool)
        columns = {
            name: _empty(wanted.size, column.numpy_dtype) for name, column in spec.columns.items()
        }
        if self.release.source_table not in self.partition.files:
            return columns, found
        for block in self._blocks(self.release.source_table):
            ids = block.columns["source_id"]
            place = np.searchsorted(wanted, ids).clip(max=max(wanted.size - 1, 0))
            hit = (wanted[place] == ids) if wanted.size else np.zeros(ids.size, bool)
            first = _first_of_each(ids, np.empty(0, np.int64))
            again = hit & (found[place] | ~first) if wanted.size else hit
            self._keep(
                self.release.source_table,
                ids,
                block.row_numbers,
                ~again,
                RejectReason.DUPLICATE_SOURCE_ID,
            )
            hit &= ~again
            for name, target in columns.items():
                if name in block.columns:
                    target[place[hit]] = block.columns[name][hit]
            found[place[hit]] = True
        return columns, found

    def _reject_strangers(self, usable: Ids, found: NDArray[np.bool_]) -> None:
        ids = usable[~found]
        table = self.release.source_table
        self.ledger.reject(table, RejectReason.NO_GAIA_SOURCE_ROW, ids, np.full(ids.size, -1))

    def _complete(
        self, ids: Ids, columns: dict[str, NDArray[Any]], rows: Mapping[str, Ids]
    ) -> dict[str, NDArray[Any]]:
        """Add what follows from the columns: spectra rows, presence, corrected parallax."""
        columns["source_id"] = ids
        for kind, in_file in rows.items():
            columns[f"{kind}_row"] = _row_of(ids, in_file)
            columns[f"has_{kind}"] = columns[f"{kind}_row"] >= 0
        columns["xp_flux_scale"] = _take(
            np.concatenate([np.empty(0, np.float32), *self.xp_scales]), columns["xp_row"]
        )
        spec = self.release.rvs
        columns["rvs_normalisation"] = (
            rvs.normalisation_class(
                columns[spec.normalisation.column], columns["has_rvs"], spec.normalisation
            )
            if spec is not None
            else np.zeros(ids.size, np.uint8)
        )
        if spec is not None:
            columns["rvs_spec_sig_to_noise"] = columns[spec.sig_to_noise]
        zero = parallax.zero_point(self.release.parallax_zero_point, columns, ids.size)
        columns["parallax_corrected"] = columns["parallax"] - zero
        columns["has_parallax"] = np.isfinite(columns["parallax"]) & (columns["parallax_error"] > 0)
        columns["has_photometry"] = np.isfinite(
            columns["phot_g_mean_mag"] + columns["phot_bp_mean_mag"] + columns["phot_rp_mean_mag"]
        )
        return columns

    # --- bookkeeping -----------------------------------------------------------------------------

    def _blocks(self, table: TableName) -> Iterator[Block]:
        """Yield the good rows of a table's file; note the bad ones, and a file that ends badly."""
        file = self.partition.files[table]
        damaged = self.settings.verify_checksums and not checksum_matches(file)
        if damaged:
            self.ledger.files[file.name] = RejectReason.CHECKSUM_MISMATCH.value
        try:
            for block in read_blocks(
                file, table, self.release, block_rows=self.settings.block_rows
            ):
                self._note(table, block)
                if damaged:
                    ids = block.columns["source_id"]
                    self._request(table, ids)
                    self.ledger.reject(
                        table, RejectReason.CHECKSUM_MISMATCH, ids, block.row_numbers
                    )
                else:
                    yield block
        except DamagedFileError as error:
            # What the file gave before is kept; a file that is not as described at all is another
            # matter, and stops the task.
            self.ledger.files[file.name] = error.reason.value

    def _note(self, table: TableName, block: Block) -> None:
        self.ledger.cell_nulls.update(
            {f"{table}.{name}": count for name, count in block.cell_nulls.items()}
        )
        for row in block.rejects:
            if row.source_id is None:
                self.ledger.reject_nameless(
                    table, row.reason, requested=table in self.release.driving_tables
                )
                continue
            ids = np.array([row.source_id], np.int64)
            self._request(table, ids)
            self.ledger.reject(table, row.reason, ids, np.array([row.row]))

    def _request(self, table: TableName, ids: Ids) -> None:
        if table in self.release.driving_tables:
            self.ledger.requested.append(ids)

    def _keep(
        self,
        table: TableName,
        ids: Ids,
        rows: NDArray[np.int64],
        good: NDArray[np.bool_],
        reason: RejectReason,
    ) -> NDArray[np.bool_]:
        self.ledger.reject(table, reason, ids[~good], rows[~good])
        return good

    def _in_range(self, ids: Ids) -> NDArray[np.bool_]:
        pixel = ids >> self.release.partition.source_id_shift
        return (pixel >= self.partition.start) & (pixel <= self.partition.stop)

    def _finish(
        self, requested: Ids, published: Ids, sources: Mapping[str, NDArray[Any]]
    ) -> IngestResult:
        rejected_rows = self.ledger.rejected_rows()
        digest = self.writer.finish(sources, rejected_rows)
        notes = self.ledger.notes()
        notes["with"] = {
            name: int(sources[f"has_{name}"].sum())
            for name in ("rvs", "xp", "photometry", "parallax")
        }
        return IngestResult(
            rows_in=requested.size + self.ledger.nameless.total(),
            rows_out=published.size,
            rejected=self.ledger.reasons_of(np.setdiff1d(requested, published), rejected_rows),
            digest=digest,
            notes=notes,
        )


def _unique(parts: list[Ids]) -> Ids:
    return np.unique(np.concatenate([np.empty(0, np.int64), *parts]))


def _first_of_each(ids: Ids, seen: Ids) -> NDArray[np.bool_]:
    """Say which rows hold an id for the first time."""
    first = np.zeros(ids.size, bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first & ~np.isin(ids, seen)


def _row_of(ids: Ids, in_file: Ids) -> NDArray[np.int32]:
    """Return the position in the file of each id, -1 where it is not there."""
    order = np.argsort(in_file, kind="stable")
    place = np.searchsorted(in_file, ids, sorter=order).clip(max=max(in_file.size - 1, 0))
    if in_file.size == 0:
        return np.full(ids.size, -1, np.int32)
    row = order[place]
    return np.where(in_file[row] == ids, row, -1).astype(np.int32)


def _take(values: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.float32]:
    result = np.full(rows.size, np.nan, np.float32)
    result[rows >= 0] = values[rows[rows >= 0]]
    return result


def _empty(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.full(size, np.nan, dtype) if dtype.kind == "f" else np.zeros(size, dtype)
