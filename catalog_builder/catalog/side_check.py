"""Are the tables beside a catalogue what RELEASE.json says, in every one of their files?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.catalog.exports.fits import FitsRows, check_fits, check_fits_header, quiet
from catalog_builder.catalog.fits_table import DAMAGE as FITS_DAMAGE
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.catalog.side_files import part_file
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.contract.columns import Column, differences
from catalog_builder.contract.side_table import SideTable
from catalog_builder.stores.whole_store import DAMAGE, EVERY_CHUNK, CatalogueStore

Rows = Mapping[str, NDArray[Any]]
#: A part of a table: its first row, and its columns.
Block = tuple[int, Rows]
_UNREADABLE: Final = (*FITS_DAMAGE, *DAMAGE)


def check_tables(
    folder: Path, tables: Mapping[str, SideFacts] | None, log: FindingLog, *, rows: bool = True
) -> None:
    """Check the tables beside a catalogue against their declarations, and their files' rows.

    Parameters
    ----------
    folder : Path
        The catalogue.
    tables : mapping of str to SideFacts, optional
        What RELEASE.json says of them.
    log : FindingLog
        Takes the findings.
    rows : bool
        Whether rows are read; otherwise only what is said of them.
    """
    for facts in (tables or {}).values():
        for file in facts.files.values():
            if not (folder / file).exists():
                log.add(file, "missing")
        there = {kind: file for kind, file in facts.files.items() if (folder / file).exists()}
        _check(folder, facts, there, log, rows=rows)


def _check(
    folder: Path, facts: SideFacts, files: Mapping[str, str], log: FindingLog, *, rows: bool
) -> None:
    table, checked = facts.declared, []
    for kind, file in files.items():
        try:
            _DECLARED[kind](folder / file, table, log, rows)
            checked.append((kind, file))
        except _UNREADABLE as error:
            log.add(file, f"cannot be read: {error}")
    if not rows or not checked:
        return
    first, *others = checked
    if facts.by_rows:
        _compare_ids(folder, facts, first[1], log)
    for kind, file in others:
        try:
            _compare(folder, table, first, (kind, file), log)
        except _UNREADABLE as error:
            log.add(file, f"cannot be read: {error}")


def _compare(
    folder: Path,
    table: SideTable,
    one: tuple[str, str],
    other: tuple[str, str],
    log: FindingLog,
) -> None:
    """Compare the rows of two files of a table."""
    kind, file = other
    read = _OPEN[kind](folder / file, table)
    last = 0
    for start, block in _blocks(folder / one[1], one[0], table):
        found = read(start, len(block["source_id"]))
        for column in table.columns:
            values, there = block[column.name], found.get(column.name)
            if there is None or len(there) != len(values):
                log.add(file, "the file ends before its last row", column.name)
                return
            log.add_rows(file, f"differs from {one[1]}", column.name, start, _other(values, there))
        last = start + len(block["source_id"])
    if len(next(iter(read(last, 1).values()), ())):
        log.add(file, f"has more rows than {one[1]}")


def _compare_ids(folder: Path, facts: SideFacts, file: str, log: FindingLog) -> None:
    try:
        ids = _array(folder / STORE_NAME, "source_id")
        for start, block in _blocks(folder / file, "zarr", facts.declared, ("source_id",)):
            mine = np.asarray(ids[start : start + len(block["source_id"])])
            if not np.array_equal(mine, block["source_id"]):
                log.add(file, f"its sources are not those of {STORE_NAME}", "source_id")
                return
    except _UNREADABLE as error:
        log.add(file, f"cannot be compared with {STORE_NAME}: {error}")


def _other(values: NDArray[Any], there: NDArray[Any]) -> NDArray[np.bool_]:
    equal = values == there
    if values.dtype.kind == "f":
        equal |= np.isnan(values) & np.isnan(there)
    return np.asarray(~equal)
