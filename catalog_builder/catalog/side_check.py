"""The tables beside a catalogue against what RELEASE.json says, in every one of their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.catalog.exports import ExportedRows
from catalog_builder.catalog.exports.fits import (
    DAMAGE as FITS_DAMAGE,
)
from catalog_builder.catalog.exports.fits import (
    FitsRows,
    check_fits,
    check_fits_header,
    quiet,
)
from catalog_builder.catalog.finding import FindingLog, unequal
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.catalog.side_files import in_plain_letters
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.catalog.zarr_store import in_words
from catalog_builder.contract.columns import differences
from catalog_builder.contract.side_table import SideTable
from catalog_builder.ground.errors import CatalogBuilderError
from catalog_builder.stores.whole_store import DAMAGE, EVERY_CHUNK, CatalogueStore

Rows = Mapping[str, NDArray[Any]]
#: Rows compared at a time.
_ROWS: Final = 1 << 16


def check_tables(
    folder: Path, tables: Mapping[str, SideFacts] | None, log: FindingLog, *, rows: bool = True
) -> None:
    """Check the tables beside a catalogue: their declarations, and that their files agree.

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
        opened = {}
        for kind, file in facts.files.items():
            if not (folder / file).exists():
                log.add(file, "missing")
                continue
            try:
                opened[file] = _open(kind, folder / file, facts.declared, log, rows=rows)
            except side_damage() as error:
                log.add(file, f"cannot be read: {error}")
        _compare(folder, facts, opened, log, rows=rows)


def _open(kind: str, path: Path, table: SideTable, log: FindingLog, *, rows: bool) -> ExportedRows:
    """Check what a file says of itself, and open it."""
    if kind == "zarr":
        store = ZarrRows(path, table)
        for column in table.columns:
            for mismatch in differences(column, store.arrays[column.name]):
                log.add(path.name, mismatch.problem, mismatch.column)
        return store
    if kind == "fits":
        (check_fits if rows else check_fits_header)(path, table, log)
        with quiet():
            return FitsRows(path)
    return _parquet(path, table, log)


def _parquet(path: Path, table: SideTable, log: FindingLog) -> ExportedRows:
    from catalog_builder.catalog.side_parquet import ParquetRows

    found = ParquetRows(path, table)
    for name in found.undeclared():
        log.add(f"{path.name}/{name}", "its columns are not those of the table")
    return found


def side_damage() -> tuple[type[Exception], ...]:
    """Return what reading a damaged file of a table raises."""
    import pyarrow as pa

    return (*FITS_DAMAGE, *DAMAGE, pa.ArrowException, CatalogBuilderError)


def _compare(
    folder: Path, facts: SideFacts, opened: dict[str, ExportedRows], log: FindingLog, *, rows: bool
) -> None:
    for file, one in opened.items():
        if one.rows != facts.rows:
            log.add(file, f"has {one.rows} rows, RELEASE.json says {facts.rows}")
    whole = {file: one for file, one in opened.items() if one.rows == facts.rows}
    if not rows or not whole:
        return
    first = next(iter(whole))
    try:
        for start in range(0, facts.rows, _ROWS):
            count = min(_ROWS, facts.rows - start)
            blocks = {file: one.block(start, count) for file, one in whole.items()}
            if facts.by_rows:
                ids = _ids(folder, start, count)
                wrong = unequal(blocks[first]["source_id"], ids)
                problem = f"is not that of {STORE_NAME}"
                log.add_rows(first, problem, "source_id", start, wrong)
            for file, block in blocks.items():
                for column in facts.declared.columns if file != first else ():
                    both = block[column.name], blocks[first][column.name]
                    if facts.files.get("fits") in (file, first):
                        both = in_plain_letters(both[0]), in_plain_letters(both[1])
                    wrong = unequal(*both)
                    log.add_rows(file, f"differs from {first}", column.name, start, wrong)
    except side_damage() as error:
        log.add(first, f"its rows cannot be compared: {error}")


def _ids(folder: Path, start: int, count: int) -> NDArray[Any]:
    array = zarr.open_array(CatalogueStore(folder / STORE_NAME), path="source_id", mode="r")
    return np.asarray(array.with_config(EVERY_CHUNK)[start : start + count])


class ZarrRows:
    """The rows of a table's zarr store.

    Raises
    ------
    KeyError
        If a column is missing.
    """

    def __init__(self, path: Path, table: SideTable) -> None:
        self.arrays: dict[str, zarr.Array[Any]] = {
            column.name: zarr.open_array(
                CatalogueStore(path), path=column.name, mode="r"
            ).with_config(EVERY_CHUNK)
            for column in table.columns
        }
        self.rows = min(int(array.shape[0]) for array in self.arrays.values())
        self._texts = {column.name for column in table.columns if column.is_text}

    def block(self, start: int, rows: int) -> Rows:
        """Return every column of some rows."""
        found = {
            name: np.asarray(array[start : start + rows]) for name, array in self.arrays.items()
        }
        return {name: in_words(v) if name in self._texts else v for name, v in found.items()}
