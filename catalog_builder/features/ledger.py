"""The books of one partition's ingest: who was asked for, and why some did not make it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.rejects import RejectReason

Ids = NDArray[np.int64]

#: Reasons in the order in which stores keep them as numbers.
REASONS: tuple[RejectReason, ...] = tuple(RejectReason)

_COLUMNS = {"source_id": np.int64, "reason": np.uint8, "table": np.uint8, "row": np.int64}


class Ledger:
    """Collects requests and rejects while files are read.

    Parameters
    ----------
    tables : sequence of str
        Tables of the release; stores keep a table by its place here.

    Attributes
    ----------
    requested : list of ndarray of int64
        Source ids seen in driving tables, in blocks.
    nameless : Counter
        Rows of driving tables without a readable id, by reason: requested by nobody knows whom.
    cell_nulls : Counter
        Bad cells that became null, by ``table.column``.
    files : dict of str to str
        Files that ended badly, and how.
    """

    def __init__(self, tables: Sequence[str]) -> None:
        self._tables = list(tables)
        self._rejected: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
        self._row_counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.requested: list[Ids] = []
        self.nameless: Counter[str] = Counter()
        self.cell_nulls: Counter[str] = Counter()
        self.files: dict[str, str] = {}

    def reject(self, table: str, reason: RejectReason, ids: Ids, rows: NDArray[np.int64]) -> None:
        """Note rows of a table as unusable; `rows` are their numbers in the file, -1 for none."""
        if ids.size == 0:
            return
        self._row_counts[table][reason.value] += ids.size
        place = self._tables.index(table)
        for name, values in (
            ("source_id", ids),
            ("reason", np.full(ids.size, REASONS.index(reason))),
            ("table", np.full(ids.size, place)),
            ("row", rows),
        ):
            self._rejected[name].append(values.astype(_COLUMNS[name]))

    def reject_nameless(self, table: str, reason: RejectReason, *, requested: bool) -> None:
        """Note a row whose id cannot be read; in a driving table somebody asked for it."""
        self._row_counts[table][reason.value] += 1
        if requested:
            self.nameless[reason.value] += 1

    def rejected_rows(self) -> dict[str, NDArray[Any]]:
        """Return all rejected rows by column, in the order they were met."""
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
            counts.update(REASONS[int(n)].value for n in rows["reason"][order][first])
        return dict(sorted(counts.items()))

    def notes(self) -> dict[str, Any]:
        """Return what else a receipt should say: rejected rows, nulled cells, bad files."""
        return {
            "row_rejects": {
                table: dict(sorted(counts.items()))
                for table, counts in sorted(self._row_counts.items())
            },
            "cell_nulls": dict(sorted(self.cell_nulls.items())),
            "file_rejects": dict(sorted(self.files.items())),
        }
