"""Ingest of one partition: archive files in, one feature store out, every source accounted for.

A source is requested when it has a row in a driving table. It is published downstream when at
least one of its spectra is usable and the source table knows it, whatever the joined tables know;
otherwise it is rejected, with the first reason met. Files are streamed in blocks of rows; what
grows with the partition is only its columns of scalars (about 30 MB for the largest of DR3).
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.layout import Partition
from catalog_builder.archive.readers import Block
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import Reading
from catalog_builder.archive.tables import TableName
from catalog_builder.features import cells
from catalog_builder.features.counts import How, how_counted
from catalog_builder.features.faint import faint_sources
from catalog_builder.features.ledger import Ids, Ledger, unique
from catalog_builder.features.names import SpeltNames
from catalog_builder.features.population import NOTE, InputCollector
from catalog_builder.features.reading import NotCheckedError, PartitionReader
from catalog_builder.features.seen import SeenIds, is_among
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.several import Repeated
from catalog_builder.features.sources import SpectraOfSources, complete_sources, look_up
from catalog_builder.features.spectra import convert
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
    partition: Partition,
    release: ReleaseSpec,
    settings: IngestSettings,
    out: Path,
    only: Ids | None = None,
) -> IngestResult:
    """Make the feature store of one partition.

    Parameters
    ----------
    partition : Partition
        HEALPix range and its files.
    release : ReleaseSpec
        What the files look like.
    settings : IngestSettings
        Block size, coverage limits.
    out : Path
        Folder of the new store.
    only : ndarray of int64, optional
        Sources that are wanted, sorted; the books are theirs alone. All by default.

    Returns
    -------
    IngestResult
        Balanced: ``rows_in == rows_out + sum(rejected.values())``.

    Raises
    ------
    InputError
        If a file changed since the run was planned.
    OSError
        If the store cannot be written.
    """
    try:
        # Files are checked as they are used, which is one pass; nearly all are whole.
        return _PartitionIngest(partition, release, settings, out, only, check_first=False).run()
    except NotCheckedError:
        shutil.rmtree(out)
        return _PartitionIngest(partition, release, settings, out, only, check_first=True).run()


class _PartitionIngest:
    """The state of one partition's ingest; :meth:`run` reads downwards."""

    def __init__(
        self,
        partition: Partition,
        release: ReleaseSpec,
        settings: IngestSettings,
        out: Path,
        only: Ids | None,
        *,
        check_first: bool,
    ) -> None:
        self.partition, self.release, self.settings = partition, release, settings
        self.ledger = Ledger(list(release.tables), release.driving_tables)
        self.reader = PartitionReader(
            partition, release, settings, self.ledger, check_first=check_first, only=only
        )
        self.inputs = release.inputs
        self.writer = FeatureWriter(out, settings.store_chunk_rows, self.inputs)
        self.population = InputCollector(self.inputs)
        self.spectra = {name: SpectraOfSources(_NO_IDS, {}) for name in release.spectra}
        self.faint: dict[str, Ids] = {}
        grid = cells.CellGrid.of(release, settings.count_order)
        self.cells = None if grid is None else cells.SourceCells(grid)
        self.names = SpeltNames(release)
        self.repeated = Repeated(release)

    def run(self) -> IngestResult:
        self.faint = faint_sources(self.release, self.reader)
        for table, readings in self.release.readings.items():
            if self.reader.has(table):
                self.repeated.find(table, self.reader)
                self._read_spectra(table, readings)
        usable = unique([stored.ids for stored in self.spectra.values()])
        published, columns = self._look_up(usable)
        self._note_lost()
        sources = complete_sources(published, columns, self.spectra, self.release)
        sources |= self.names.columns(sources)
        return self._finish(published, sources)

    def _read_spectra(self, table: TableName, readings: Sequence[Reading]) -> None:
        # Another product of a source that has its spectrum already is no news.
        known = {reading.name: np.sort(self.spectra[reading.name].ids) for reading in readings}
        kept = {name: [self.spectra[name].ids] for name in known}
        seen = SeenIds()
        for block in self.reader.blocks(table):
            ids, rows = block.columns["source_id"], block.row_numbers
            self.names.add(block.columns)
            first = seen.add(ids) | self.repeated.among(ids)
            again = ~first
            self.ledger.reject(table, RejectReason.DUPLICATE_SOURCE_ID, ids[again], rows[again])
            for reading in readings:
                new = first & ~is_among(ids, known[reading.name])
                faint = new & is_among(ids, self.faint.get(reading.name, _NO_IDS))
                self.ledger.reject(
                    table, RejectReason.BELOW_LEAST_SIG_TO_NOISE, ids[faint], rows[faint]
                )
                new &= ~faint
                kept[reading.name].append(self._convert(reading, block, new))
        for name, parts in kept.items():
            parts.append(self._write_combined(table, name))
            self.spectra[name].ids = np.concatenate(parts)

    def _convert(self, reading: Reading, block: Block, keep: NDArray[np.bool_]) -> Ids:
        """Write the usable spectra of some rows; return whose they are."""
        if not keep.any():
            return _NO_IDS
        columns = _select(block.columns, keep)
        ids, rows = columns["source_id"], block.row_numbers[keep]
        made = convert(reading, columns, self.settings)
        for reason, wrong in made.reasons.items():
            self.ledger.reject(reading.product.table, reason, ids[wrong], rows[wrong])
        usable: Ids = ids[made.usable]
        spectra, scalars = (_select(each, made.usable) for each in (made.rows, made.scalars))
        samples = None
        if self.release.several_spectra == "combined":
            samples = columns[reading.product.flux][made.usable]
        single = self.repeated.hold(reading.name, usable, spectra, scalars, samples)
        if not single.all():
            usable = usable[single]
            spectra, scalars = (_select(each, single) for each in (spectra, scalars))
        self._write(reading.name, spectra, scalars)
        return usable

    def _write_combined(self, table: TableName, name: str) -> Ids:
        """Write the means of the spectra of stars with several; return whose they are."""
        ids, spectra, scalars, copies = self.repeated.take(name)
        reason = RejectReason.DUPLICATE_SOURCE_ID
        self.ledger.reject(table, reason, copies, np.full(copies.size, -1))
        if ids.size:
            self._write(name, spectra, scalars)
        return ids

    def _write(
        self, name: str, spectra: Mapping[str, NDArray[Any]], scalars: Mapping[str, NDArray[Any]]
    ) -> None:
        self.writer.append(name, spectra)
        self.population.add_spectra(name, spectra)
        kept = self.spectra[name].scalars
        for scalar, values in scalars.items():
            kept.setdefault(scalar, []).append(values)

    def _look_up(self, wanted: Ids) -> tuple[Ids, dict[str, NDArray[Any]]]:
        """Return who of the wanted is published, and their columns of all looked-up tables."""
        release, ledger = self.release, self.ledger
        source, reason = release.source_table, RejectReason.NO_GAIA_SOURCE_ROW
        if self.cells is not None:
            self.cells.expect(ledger.requested)
        blocks = {table: self._note_announced(table) for table in release.looked_up}
        columns, found = look_up(source, wanted, blocks[source], release, ledger)
        if self.cells is not None:
            deque(blocks[source], maxlen=0)  # no source was wanted, so none was looked up
        if self.reader.has(source):
            # Who is not found in a file that gave not all its rows is lost through that file.
            reason = self.reader.why_incomplete(source) or reason
        strangers = wanted[~found]
        ledger.reject(source, reason, strangers, np.full(strangers.size, -1))
        published = wanted[found]
        columns = {name: values[found] for name, values in columns.items()}
        for table in release.joined_tables:
            columns |= look_up(table, published, blocks[table], release, ledger)[0]
        if self.reader.unread:  # who else is announced matters now
            for rest in blocks.values():
                deque(rest, maxlen=0)
        return published, columns

    def _note_lost(self) -> None:
        """Ask for those whose rows no file gave, by what looked-up tables say of them."""
        for table in self._driving():
            if table in self.reader.unread:
                announced = self.ledger.announced(table)
                announced = announced[self._in_range(announced)]
                self.ledger.lose(table, self.reader.unread[table], announced)

    def _counts(self) -> dict[str, How]:
        """Say how the rows of each driving table were counted."""
        unread = self.reader.unread
        return {
            table: how_counted(
                whole=table not in unread,
                announced=self.ledger.announced(table),
                announcers_whole=all(
                    self.reader.has(announcer) and announcer not in unread
                    for announcer in self.release.announcers(table)
                ),
            )
            for table in self._driving()
        }

    def _note_of(self, counted: cells.SourceCounts) -> dict[str, Any]:
        """Say what was counted, and whether these are all sources of the piece."""
        source = self.release.source_table
        whole = self.reader.has(source) and self.reader.why_incomplete(source) is None
        piece = [self.partition.start, self.partition.stop]
        return {"piece": piece, "whole": whole, "first": counted.first, "digest": counted.digest}

    def _driving(self) -> list[TableName]:
        return [table for table in self.release.driving_tables if self.reader.has(table)]

    def _note_announced(self, table: TableName) -> Iterator[Block]:
        """Yield the rows of a looked-up table, and note whom it says to have which spectra."""
        if not self.reader.has(table):
            return
        announcing = self.release.announced_in(table)
        for block in self.reader.blocks(table):
            unread = np.zeros(block.n_rows, bool)
            for spectra, announcement in announcing:
                said = announcement.said_by(block.columns[announcement.column])
                self.ledger.announce(spectra, block.columns["source_id"][said])
                if spectra in self.reader.unread:
                    unread |= said
            if table == self.release.source_table:
                self.names.add(block.columns)
            if self.cells is not None and table == self.release.source_table:
                self.cells.add(block.columns, unread)
            yield block

    def _in_range(self, ids: Ids) -> NDArray[np.bool_]:
        if not self.release.partition.ids_tell:
            return np.ones(ids.size, bool)  # only rows that lie here were read
        pixel = ids >> self.release.partition.source_id_shift
        return (pixel >= self.partition.start) & (pixel <= self.partition.stop)

    def _finish(self, published: Ids, sources: Mapping[str, NDArray[Any]]) -> IngestResult:
        requested, rejected_rows = self.ledger.requested, self.ledger.rejected_rows()
        counted = None if self.cells is None else self.cells.counts()
        digest = self.writer.finish(
            sources, rejected_rows, {} if counted is None else counted.columns
        )
        notes = self.ledger.notes()
        if counted is not None:
            notes[cells.NOTE] = self._note_of(counted)
        self.population.add_sources(sources)
        notes[NOTE] = self.population.counts().model_dump(mode="json")
        notes["with"] = {name: int(sources[f"has_{name}"].sum()) for name in self.inputs.names}
        if self.release.has_fallback:
            notes["parallax_fallback"] = int(sources["parallax_fallback"].sum())
        if self.reader.unread:
            notes["counts"] = self._counts()
        return IngestResult(
            rows_in=requested.size + self.ledger.nameless.total(),
            rows_out=published.size,
            rejected=self.ledger.reasons_of(np.setdiff1d(requested, published), rejected_rows),
            digest=digest,
            notes=notes,
        )


_NO_IDS: Ids = np.empty(0, np.int64)


def _select(columns: Mapping[str, NDArray[Any]], rows: NDArray[np.bool_]) -> dict[str, Any]:
    """Return some rows of columns; all of them, mostly, and then without a copy."""
    return dict(columns) if rows.all() else {name: v[rows] for name, v in columns.items()}
