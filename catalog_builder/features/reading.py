"""The files of one partition, read with the books kept: what is wrong with them stops at its grain.

A bad cell is null, a bad row is left out, a file that is damaged gives what it can, and one that
differs from its checksum or from its description gives nothing but the names of who is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np

from catalog_builder.archive.files import FileRef, refuse_if_changed
from catalog_builder.archive.layout import Partition, checksum_matches
from catalog_builder.archive.readers import Block, DamagedFileError, read_blocks
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.shares import Share
from catalog_builder.archive.tables import TableName
from catalog_builder.features.ledger import Ids, Ledger
from catalog_builder.features.seen import is_among
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.errors import InputError


class NotCheckedError(Exception):
    """Something is wrong with a file that was not checked before its rows were used."""


class PartitionReader:
    """Reads the tables of one partition.

    Parameters
    ----------
    partition : Partition
        Its files, as they were when the run was planned.
    release : ReleaseSpec
        What the files look like.
    settings : IngestSettings
        Rows per block; whether checksums are compared.
    ledger : Ledger
        Takes the rejects.
    check_first : bool
        Whether compressed files are checked as a whole before their rows are used.
    only : ndarray of int64, optional
        Sources that are wanted, sorted; of others no row is met. All by default.

    Attributes
    ----------
    unread : dict of str to RejectReason
        Tables with rows of which not even the ids were read, and why.
    """

    def __init__(
        self,
        partition: Partition,
        release: ReleaseSpec,
        settings: IngestSettings,
        ledger: Ledger,
        *,
        check_first: bool = True,
        only: Ids | None = None,
    ) -> None:
        self.partition, self.release = partition, release
        self.only = only
        self.check_first = check_first
        self.settings, self.ledger = settings, ledger
        self.unread: dict[TableName, RejectReason] = {}
        self._trusted: dict[str, bool] = {}

    def has(self, table: TableName) -> bool:
        """Say whether the partition has a file of a table."""
        return table in self.partition.files

    def blocks(self, table: TableName) -> Iterator[Block]:
        """Yield the good rows of a table, block by block; the ledger gets the others.

        Of files that other partitions have too, only the rows that are this one's. Rows of driving
        tables that lie outside of the range of their file are among the others.

        Raises
        ------
        InputError
            If a file is not the one that was planned: it changed, or is gone.
        NotCheckedError
            If something is wrong with one, and it was not checked first.
        """
        for file in self.partition.files[table]:
            if self._is_trusted(table, file):
                yield from self._good_rows(table, file)
            refuse_if_changed(file)

    def glance(self, table: TableName, columns: Iterable[str]) -> Iterator[Block]:
        """Yield a few columns of a table that will be read again: no books are kept.

        Of a damaged file as much as will be good again.
        """
        for file in self.partition.files[table]:
            if not self._is_trusted(table, file):
                continue
            share = Share.of(self.partition, file, self.release.partition)
            blocks = read_blocks(
                file,
                table,
                self.release,
                block_rows=self.settings.block_rows,
                columns=["source_id", *columns],
                check_first=self.check_first,
                within=share.within,
            )
            with suppress(InputError):  # met again, and noted, when the rows are read
                yield from map(share.part, blocks)

    def why_incomplete(self, table: TableName) -> RejectReason | None:
        """Return why rows of a table may be missing that the archive has; None if none are."""
        reasons = map(
            self.ledger.reason_of_file, (file.name for file in self.partition.files[table])
        )
        return next((reason for reason in reasons if reason is not None), None)

    def _is_trusted(self, table: TableName, file: FileRef) -> bool:
        if file.url not in self._trusted:
            self._trusted[file.url] = self._has_its_checksum(table, file)
        return self._trusted[file.url]

    def _has_its_checksum(self, table: TableName, file: FileRef) -> bool:
        if not self.settings.verify_checksums:
            return True
        try:
            if checksum_matches(file):
                return True
        except InputError as error:
            self.unread[table] = RejectReason.UNREADABLE_FILE
            self._reject_file(table, file, RejectReason.UNREADABLE_FILE, error)
            return False
        algorithm = (file.checksum or "").partition(":")[0]
        self.ledger.reject_file(
            table,
            file.name,
            RejectReason.CHECKSUM_MISMATCH,
            f"its {algorithm} is not the one in the archive's list; fetch the file again",
        )
        self._reject_all(table, file, RejectReason.CHECKSUM_MISMATCH)
        return False

    def _good_rows(self, table: TableName, file: FileRef) -> Iterator[Block]:
        share = Share.of(self.partition, file, self.release.partition)
        blocks = read_blocks(
            file,
            table,
            self.release,
            block_rows=self.settings.block_rows,
            check_first=self.check_first,
            within=share.within,
        )
        end = 0
        try:
            for block in blocks:
                end = block.end
                yield self._inside(table, share, self._note(table, share, block))
        except InputError as error:
            if not self.check_first:
                raise NotCheckedError from error
            # What a damaged file gave before is good; one that is not as described gave nothing.
            reason = RejectReason.FILE_NOT_AS_DESCRIBED
            if isinstance(error, DamagedFileError):
                reason = error.reason
            self._reject_file(table, file, reason, error)
            self._reject_all(table, file, reason, after=end)

    def _note(self, table: TableName, share: Share, block: Block) -> Block:
        """Write down what a block has for this partition; return that part of it."""
        part = share.part(block)
        if self.only is not None:
            wanted = (part.columns["source_id"], part.rejects.source_ids)
            part = part.take(*(is_among(ids, self.only) for ids in wanted))
        self.ledger.rows_read[table] += part.n_read
        self.ledger.request(table, part.columns["source_id"])
        self.ledger.reject_unread(table, part.rejects)
        self.ledger.cell_nulls.update(
            {f"{table}.{name}": count for name, count in part.cell_nulls.items()}
        )
        return part

    def _inside(self, table: TableName, share: Share, part: Block) -> Block:
        """Reject the rows that lie outside of the range of their file."""
        # By a range in a name nothing is refused to a star that is looked up.
        by_name = self.release.partition.layout == "ranges"
        if by_name and table not in self.release.driving_tables:
            return part
        outside = share.outside(part)
        if not outside.any():
            return part
        ids, rows = part.columns["source_id"][outside], part.row_numbers[outside]
        self.ledger.reject(table, RejectReason.OUTSIDE_PARTITION_RANGE, ids, rows)
        return part.take(~outside, np.zeros(len(part.rejects), bool))

    def _reject_file(
        self, table: TableName, file: FileRef, reason: RejectReason, error: InputError
    ) -> None:
        # Receipts and catalogues name files, never the folders of somebody's machine.
        detail = str(error).replace(file.url, file.name)
        self.ledger.reject_file(table, file.name, reason, detail)

    def _reject_all(
        self, table: TableName, file: FileRef, reason: RejectReason, *, after: int = 0
    ) -> None:
        """Reject the rows of a driving table's file, for as long as ids can be read from it.

        Those `after` the ones that were read: a Parquet file may have lost its spectra only.
        """
        if table not in self.release.driving_tables:
            self.unread[table] = reason
            return
        share = Share.of(self.partition, file, self.release.partition)
        try:
            for block in read_ids(file, table, self.release, self.settings.block_rows, share):
                rest = self._note(table, share, block.after(after))
                self.ledger.reject(table, reason, rest.columns["source_id"], rest.row_numbers)
        except InputError:  # that something is wrong with the file is noted already
            self.unread[table] = reason


def read_ids(
    file: FileRef,
    table: TableName,
    release: ReleaseSpec,
    block_rows: int,
    share: Share,
    beside: Iterable[str] = (),
) -> Iterator[Block]:
    """Yield blocks with source ids, and the columns asked for beside them, but nothing else.

    Blocks without a row of the share may be missing; of others, rows come that are not of it.

    Raises
    ------
    InputError
        If the file cannot be read, or not to its end: after its last good row.
    """
    columns = ["source_id", *beside]
    yield from read_blocks(
        file, table, release, block_rows=block_rows, columns=columns, within=share.within
    )
