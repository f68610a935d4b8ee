"""The rules that the rows of a catalogue keep."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.contract.schema import CatalogSchema, correlation_column, label_columns

#: What is said of a source that is not behind the one before it.
NOT_IN_ORDER: Final = "source_id is not larger than in the row before"

# Of a correlation computed in float32.
_ROUNDING: Final = 1e-5

Rows = Mapping[str, NDArray[Any]]


class RowRules:
    """The rules of rows that follow each other, checked piece by piece.

    Attributes
    ----------
    first_id, last_id : int
        Of the rows so far; -1 while there is none whose id could be read.
    """

    def __init__(self, schema: CatalogSchema, log: FindingLog) -> None:
        self._schema = schema
        self._log = log
        self._labels = schema.labels.names
        self.first_id = self.last_id = -1

    def check(self, start: int, rows: Rows) -> None:
        """Check the next rows; columns that could not be read are left out."""
        self._order(start, rows)
        self._finite(start, rows)
        for label in self._labels:
            self._label(start, rows, label)
        self._correlations(start, rows)
        self._flags(start, rows)

    def _order(self, start: int, rows: Rows) -> None:
        if "source_id" not in rows or len(rows["source_id"]) == 0:
            return
        ids = rows["source_id"]
        before = np.concatenate(([self.last_id], ids[:-1]))
        self._wrong(NOT_IN_ORDER, "source_id", start, ids <= before)
        if self.first_id < 0:
            self.first_id = int(ids[0])
        self.last_id = int(ids[-1])

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
        if has_flags(rows, self._schema):
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
        if has_flags(rows, self._schema) and "quality_tier" in rows:
            none = flags.test(rows, "not_predicted")
            known = np.isin(rows["quality_tier"], [tier.tier for tier in flags.tiers])
            self._wrong(
                "no declared tier, or a tier without a label", "quality_tier", start, known == none
            )

    def _wrong(self, problem: str, column: str, start: int, wrong: NDArray[np.bool_]) -> None:
        self._log.add_rows(STORE_NAME, problem, column, start, wrong)


def has_flags(rows: Rows, schema: CatalogSchema) -> bool:
    """Tell whether all masks are among the columns."""
    return rows.keys() >= {*schema.flags.columns}
