"""What a look at one partition shows: headers, first rows of spectra, and their stars' columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.readers import Block, DamagedFileError, Within, read_blocks
from catalog_builder.archive.readers.block import match_columns
from catalog_builder.archive.readers.guard import unforeseen_as_damage
from catalog_builder.archive.rejects import REASON_NUMBER, RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import POSITION, TableName
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.raw import RawTable, read_raw

Ids = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]

#: Rows of a table of spectra that are looked at, and of a looked-up table at most.
SPECTRA_ROWS: Final = 300
SOURCE_ROWS: Final = 200_000
_AT_ONCE: Final = 20_000
#: Cells as they stand in the file, to be quoted.
_QUOTED_ROWS: Final = 200


@dataclass
class TableView:
    """One file of a table.

    Attributes
    ----------
    file : FileRef
        The file.
    raw : RawTable
        Its header and a few rows as they stand there.
    absent : tuple of str
        Described columns that it does not have.
    columns : dict of str to ndarray
        Of the good rows that were kept: the first ones of spectra, those of looked-up stars.
    rows_read, bad_cells : int, dict of str to int
        Rows looked at, and cells among them that are not what is described.
    wrong_lengths : int
        Rows with an array of another length.
    ids : ndarray of int64
        All source ids that were read.
    keys : ndarray of int64
        Of the first file: by which rows are cut: the same, or the column with positions.
    complete : bool
        Whether the whole file was read.
    refused : InputError, optional
        Why the file is not as described.
    damaged : str
        Why it could not be looked at; such files are the ingest's business.
    """

    file: FileRef
    raw: RawTable | None = None
    absent: tuple[str, ...] = ()
    columns: Columns = field(default_factory=dict)
    rows_read: int = 0
    bad_cells: dict[str, int] = field(default_factory=dict)
    wrong_lengths: int = 0
    ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    keys: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    complete: bool = False
    refused: InputError | None = None
    damaged: str = ""

    def note(self, block: Block) -> None:
        """Count what a block has."""
        self.rows_read += block.n_read
        for name, count in block.cell_nulls.items():
            self.bad_cells[name] = self.bad_cells.get(name, 0) + count
        number = REASON_NUMBER[RejectReason.WRONG_ARRAY_LENGTH]
        self.wrong_lengths += int((block.rejects.reasons == number).sum())
        self.ids = np.concatenate([self.ids, block.columns["source_id"]])

    def take_in(self, other: TableView) -> None:
        """Add what another file of the table has shown."""
        self.rows_read += other.rows_read
        for name, count in other.bad_cells.items():
            self.bad_cells[name] = self.bad_cells.get(name, 0) + count
        self.wrong_lengths += other.wrong_lengths
        self.ids = np.concatenate([self.ids, other.ids])
        self.columns = {
            name: np.concatenate([values, other.columns[name]])
            for name, values in self.columns.items()
        }

    def note_keys(self, block: Block) -> None:
        """Keep the values by which rows are cut into files."""
        ids = block.columns["source_id"]
        self.keys = np.concatenate([self.keys, block.columns.get(POSITION, ids)])

    def may_have(self, ids: Ids) -> NDArray[np.bool_]:
        """Say which ids were read if the file has them."""
        if self.complete:
            return np.ones(ids.size, bool)
        in_order = bool(self.ids.size and (np.diff(self.ids) > 0).all())
        return ids <= self.ids[-1] if in_order else np.zeros(ids.size, bool)

    def has(self, column: str) -> bool:
        """Say whether the file has a described column."""
        return self.raw is not None and column not in self.absent


@dataclass(frozen=True)
class View:
    """One partition.

    Attributes
    ----------
    partition : Partition
        Its range and its files.
    tables : mapping of str to TableView
        The tables that it has files of.
    """

    partition: Partition
    tables: Mapping[TableName, TableView]

    def looked_up(self, column: str, ids: Ids, release: ReleaseSpec) -> NDArray[Any] | None:
        """Return a looked-up table's column for some stars, NaN for those not found.

        None where the column was not read: its file is damaged, absent, or has no such column.
        """
        home = release.home_of(column)
        seen = None if home is None else self.tables.get(home)
        if seen is None or not seen.has(column) or column not in seen.columns:
            return None
        known = seen.columns["source_id"]
        values = np.full(ids.size, np.nan)
        if known.size:
            place = np.searchsorted(known, ids).clip(max=known.size - 1)
            hit = known[place] == ids
            values[hit] = seen.columns[column][place[hit]].astype(np.float64)
        return values


def look(partition: Partition, release: ReleaseSpec) -> View:
    """Look at the files of a partition; nothing is raised for what is wrong with them."""
    tables: dict[TableName, TableView] = {}
    wanted: list[Ids] = []
    for table in release.driving_tables:
        if table in partition.files:
            # Of several files the largest: one without rows says nothing.
            file = max(partition.files[table], key=lambda file: file.size)
            seen = tables[table] = _open(table, file, release)
            if not (seen.damaged or seen.refused):
                _guarded(seen, lambda seen=seen, table=table: _read_spectra(seen, table, release))
                _read_more(seen, partition.files[table], table, release)
            wanted.append(seen.ids)
    ids = np.unique(np.concatenate([np.empty(0, np.int64), *wanted]))
    for table in release.looked_up:
        if table in partition.files:
            files = partition.files[table]
            seen = tables[table] = _open(table, files[0], release)
            if not (seen.damaged or seen.refused):
                _guarded(
                    seen,
                    lambda seen=seen, table=table, files=files: _read_sources(
                        seen, files, table, release, ids
                    ),
                )
    return View(partition, tables)


def _open(table: TableName, file: FileRef, release: ReleaseSpec) -> TableView:
    seen = TableView(file)

    def header() -> None:
        raw = seen.raw = read_raw(file.url, _QUOTED_ROWS if table in release.looked_up else 3)
        spec = release.tables[table]
        optional = {
            name: column.model_copy(update={"required": False})
            for name, column in spec.columns.items()
        }
        places = match_columns(file.url, raw.names, spec, optional)
        seen.absent = tuple(name for name in spec.columns if name not in places)

    _guarded(seen, header)
    return seen


def _guarded(seen: TableView, work: Any) -> None:
    try:
        with unforeseen_as_damage(seen.file.url):
            work()
    except DamagedFileError as error:
        seen.damaged = str(error)
    except InputError as error:
        seen.refused = error


def _read_spectra(seen: TableView, table: TableName, release: ReleaseSpec) -> None:
    blocks = read_blocks(seen.file, table, release, block_rows=SPECTRA_ROWS, check_first=False)
    for block in blocks:
        seen.note(block)
        seen.note_keys(block)
        seen.columns = block.columns
        break


def _read_more(
    seen: TableView, files: Sequence[FileRef], table: TableName, release: ReleaseSpec
) -> None:
    """Look at more files of fields, each of which has few spectra, until there are enough."""
    if release.partition.layout != "anywhere":
        return
    for file in sorted(files, key=lambda file: (-file.size, file.name)):
        if seen.rows_read >= SPECTRA_ROWS or seen.damaged or seen.refused:
            return
        more = TableView(file)
        if file != seen.file:
            _guarded(more, lambda more=more: _read_spectra(more, table, release))
        if more.columns.keys() == seen.columns.keys():
            seen.take_in(more)


def _read_sources(
    seen: TableView, files: Sequence[FileRef], table: TableName, release: ReleaseSpec, ids: Ids
) -> None:
    kept: list[Columns] = []
    for block in _blocks_of(files, table, release, ids):
        seen.note(block)
        if block.first_row == 0 and not kept:
            seen.note_keys(block)
        hit = np.isin(block.columns["source_id"], ids)
        kept.append({name: values[hit] for name, values in block.columns.items()})
        past = ids.size and block.n_rows and block.columns["source_id"].min() > ids[-1]
        if (past and len(files) == 1) or seen.rows_read >= SOURCE_ROWS:
            break
    else:
        seen.complete = True
    if kept:
        found = {name: np.concatenate([some[name] for some in kept]) for name in kept[0]}
        order = np.argsort(found["source_id"], kind="stable")
        seen.columns = {name: values[order] for name, values in found.items()}


def _blocks_of(
    files: Sequence[FileRef], table: TableName, release: ReleaseSpec, ids: Ids
) -> Iterator[Block]:
    """Yield the rows of a table's files; of several, those that may be of some stars."""
    within = None
    if ids.size and release.partition.layout != "ranges":
        within = Within("source_id", int(ids[0]), int(ids[-1]))
    for file in files:
        yield from read_blocks(
            file, table, release, block_rows=_AT_ONCE, check_first=False, within=within
        )
