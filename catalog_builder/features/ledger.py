"""The books of one partition's ingest: who was asked for, and why some did not make it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.rejects import REASON_NUMBER, REASONS, RejectReason, RowRejects

__all__ = ["REASONS", "Ids", "Ledger", "unique"]

Ids = NDArray[np.int64]

_COLUMNS = {"source_id": np.int64, "reason": np.uint8, "table": np.uint8, "row": np.int64}

#: Rows of one table and one reason that a receipt names.
_EXAMPLES = 3
#: Entries collected before repetitions are dropped, and again whenever there are twice as many.
_COMPACT_FROM = 1 << 18


class Ledger:
    """Collects requests and rejects while files are read.

    It grows with the number of different ids, by about 30 bytes each; never with the spectra, nor
    with a row that stands in a file a million times: of many rejected rows it keeps the first of
    each source, table and reason, and counts the others.

    Parameters
    ----------
    tables : sequence of str
        Tables of the release; stores keep a table by its place here.
    driving_tables : collection of str
        Tables whose rows are requests.

    Attributes
    ----------
    nameless : Counter
        Rows of driving tables without a readable id, by reason: requested without a name.
    cell_nulls : Counter
        Bad cells that became null, by ``table.column``.
    rows_read : Counter
        Rows looked at, good or not, by table.
    files : dict of str to dict
        Files that cannot be used, or only in part, by name: ``table``, ``reason``, ``detail``.
    """

    def __init__(self, tables: Sequence[str], driving_tables: Sequence[str]) -> None:
        self._places = {table: place for place, table in enumerate(tables)}
        self._requested: dict[str, list[Ids]] = {table: [] for table in driving_tables}
        self._announced: dict[str, list[Ids]] = {table: [] for table in driving_tables}
        self._rejected: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
        self._requested_size = {table: _Size() for table in driving_tables}
        self._rejected_size = _Size()
        self._row_counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._examples: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.nameless: Counter[str] = Counter()
        self.cell_nulls: Counter[str] = Counter()
        self.rows_read: Counter[str] = Counter()
        self.files: dict[str, dict[str, str]] = {}
        self._lost: list[Ids] = []

    @property
    def requested(self) -> Ids:
        """Source ids that have a row in a driving table, sorted, each once; and those lost."""
        return unique([*self._lost, *(ids for parts in self._requested.values() for ids in parts)])

    def request(self, table: str, ids: Ids) -> None:
        """Note who has a row in a table; only driving tables ask for anybody."""
        if table in self._requested:
            parts = self._requested[table]
            parts.append(ids)
            if self._requested_size[table].is_due(ids.size):
                parts[:] = [unique(parts)]
                self._requested_size[table].restart(parts[0].size)

    def announce(self, table: str, ids: Ids) -> None:
        """Note who should have a row in a driving table, by what the source table says."""
        if table in self._announced and ids.size:
            self._announced[table].append(ids)

    def announced(self, table: str) -> Ids:
        """Return who should have a row in a table, sorted, each once."""
        return unique(self._announced.get(table, []))

    def lose(self, table: str, reason: RejectReason, ids: Ids) -> None:
        """Request and reject announced sources that no row that was read requests.

        Parameters
        ----------
        table : str
            A driving table that was not read to its end.
        reason : RejectReason
            Why not.
        ids : ndarray of int64
            Who should have a row in it, sorted, each once.
        """
        lost = np.setdiff1d(ids, self.requested, assume_unique=True)
        self._lost.append(lost)
        self._append(table, np.full(lost.size, REASONS.index(reason)), lost, np.full(lost.size, -1))
        for source_id in lost[:_EXAMPLES].tolist():
            self._exemplify(table, reason, -1, source_id, "")

    def reject(self, table: str, reason: RejectReason, ids: Ids, rows: NDArray[np.int64]) -> None:
        """Note rows of a table as unusable; `rows` are their numbers in the file, -1 for none."""
        if ids.size == 0:
            return
        self._row_counts[table][reason.value] += ids.size
        self._append(table, np.full(ids.size, REASON_NUMBER[reason]), ids, rows)
        for source_id, row in zip(ids[:_EXAMPLES].tolist(), rows[:_EXAMPLES].tolist(), strict=True):
            self._exemplify(table, reason, row, source_id, "")

    def reject_unread(self, table: str, rejects: RowRejects) -> None:
        """Note rows that a reader could not make sense of, and the sources they stood for."""
        if not rejects:
            return
        named = rejects.source_ids > 0
        ids = rejects.source_ids[named]
        self.request(table, ids)
        self._append(table, rejects.reasons[named], ids, rejects.rows[named])
        self._row_counts[table].update(_count(rejects.reasons))
        if table in self._requested:
            self.nameless.update(_count(rejects.reasons[~named]))
        for number in np.unique(rejects.reasons).tolist():
            for place in np.flatnonzero(rejects.reasons == number)[:_EXAMPLES].tolist():
                reject = rejects[place]
                self._exemplify(table, reject.reason, reject.row, reject.source_id, reject.detail)

    def reject_file(self, table: str, name: str, reason: RejectReason, detail: str) -> None:
        """Note a file that cannot be used, or not to its end."""
        self.files[name] = {"table": table, "reason": reason.value, "detail": detail}

    def reason_of_file(self, name: str) -> RejectReason | None:
        """Return why a file cannot be used, or not to its end; None where nothing is wrong."""
        return RejectReason(self.files[name]["reason"]) if name in self.files else None

    def rejected_rows(self) -> dict[str, NDArray[Any]]:
        """Return rejected rows by column, in the order they were met.

        All of them, unless they are very many: then the first of each source, table and reason.
        """
        return {
            name: np.concatenate([np.empty(0, dtype), *self._rejected[name]])
            for name, dtype in _COLUMNS.items()
        }

    def reasons_of(self, lost: Ids, rows: Mapping[str, NDArray[Any]]) -> dict[str, int]:
        """Count lost sources, and the nameless, by the first reason met for each.

        Raises
        ------
        RuntimeError
            If a source was lost without a reason: a defect, never accepted in silence.
        """
        counts = Counter(self.nameless)
        if lost.size:
            order = np.argsort(rows["source_id"], kind="stable")
            ids = rows["source_id"][order]
            first = np.searchsorted(ids, lost).clip(max=max(ids.size - 1, 0))
            if ids.size == 0 or not np.array_equal(ids[first], lost):
                raise RuntimeError(f"sources were lost without a reason, among {lost[:5]}")
            counts.update(_count(rows["reason"][order][first]))
        return dict(sorted((+counts).items()))

    def absent(self) -> dict[str, int]:
        """Count the announced sources that no row of a table names, by table."""
        counts = {
            table: np.setdiff1d(unique(ids), unique(self._requested[table])).size
            for table, ids in self._announced.items()
        }
        return {table: count for table, count in sorted(counts.items()) if count}

    def notes(self) -> dict[str, Any]:
        """Return what else a receipt should say: rejected rows, nulled cells, bad files ..."""
        return {
            "rows_read": dict(sorted(self.rows_read.items())),
            "row_rejects": {
                table: dict(sorted(counts.items()))
                for table, counts in sorted(self._row_counts.items())
            },
            "examples": self._examples,
            "cell_nulls": dict(sorted(self.cell_nulls.items())),
            "file_rejects": dict(sorted(self.files.items())),
            "absent": self.absent(),
        }

    def _append(self, table: str, reasons: NDArray[Any], ids: Ids, rows: NDArray[np.int64]) -> None:
        place = np.full(ids.size, self._places[table])
        for name, values in zip(_COLUMNS, (ids, reasons, place, rows), strict=True):
            self._rejected[name].append(values.astype(_COLUMNS[name]))
        if self._rejected_size.is_due(ids.size):
            held = self.rejected_rows()
            kinds = np.stack(
                [held[name].astype(np.int64) for name in ("source_id", "reason", "table")]
            )
            first = np.sort(np.unique(kinds, axis=1, return_index=True)[1])
            self._rejected = {name: [values[first]] for name, values in held.items()}
            self._rejected_size.restart(first.size)

    def _exemplify(
        self, table: str, reason: RejectReason, row: int, source_id: int | None, detail: str
    ) -> None:
        kept = self._examples.setdefault(table, {}).setdefault(reason.value, [])
        if len(kept) < _EXAMPLES:
            kept.append({"row": row, "source_id": source_id, "detail": detail or reason.sentence})


class _Size:
    """How many entries are held, and when it is time to drop repetitions among them."""

    def __init__(self) -> None:
        self._held, self._limit = 0, _COMPACT_FROM

    def is_due(self, more: int) -> bool:
        """Count more entries; say whether they have become twice what was kept last."""
        self._held += more
        return self._held > self._limit

    def restart(self, kept: int) -> None:
        """Go on from what was kept."""
        self._held, self._limit = kept, max(_COMPACT_FROM, 2 * kept)


def _count(numbers: NDArray[Any]) -> dict[str, int]:
    """Count reasons, given by number."""
    counts = np.bincount(numbers, minlength=len(REASONS)).tolist()
    return {str(reason): count for reason, count in zip(REASONS, counts, strict=True) if count}


def unique(parts: Sequence[Ids]) -> Ids:
    """Return the ids of several arrays, sorted, each once."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *parts]))
