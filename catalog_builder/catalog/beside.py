"""Reading a table beside a catalogue from whichever of its files is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.exports import ExportedRows
from catalog_builder.catalog.exports.fits import FitsRows, quiet
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.selected import no_column, refuse_text
from catalog_builder.catalog.side_check import ZarrRows, side_damage
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.contract.columns import Column
from catalog_builder.contract.side_table import SideTable
from catalog_builder.ground.errors import CatalogueError, ConfigError

#: In which order the files are preferred: FITS has only ASCII.
_KINDS: Final = ("zarr", "parquet", "fits")


class Beside:
    """A table that lies beside a sealed catalogue.

    Parameters
    ----------
    folder : Path
        Of the catalogue.
    name : str
        Of the table.

    Raises
    ------
    CatalogueError
        If the catalogue has no such table, or none of its files is there.
    """

    def __init__(self, folder: Path, name: str) -> None:
        tables = read_release(folder).tables or {}
        if name not in tables:
            there = f"There is {', '.join(sorted(tables))}." if tables else "There is none at all."
            raise CatalogueError(f"{folder} has no table {name} beside it.", there)
        self.facts: SideFacts = tables[name]
        self._folder = folder

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return self.facts.rows

    def refuse_unless_by_rows(self) -> None:
        """Raise ConfigError if the rows are not those of the catalogue, one for one."""
        if not self.facts.by_rows:
            name = self.facts.declared.name
            raise ConfigError(
                f"`where` asks for columns of the catalogue, of which {name} has other rows.",
                "Open the table without it, and join by source_id.",
            )

    def columns(self, names: Sequence[str] | None) -> tuple[Column, ...]:
        """Return the declarations of some columns, in that order; of all without names.

        Raises
        ------
        CatalogueError
            If there is no such column.
        """
        known = {column.name: column for column in self.facts.declared.columns}
        if names is None:
            return tuple(known.values())
        refuse_text(names)
        if unknown := [name for name in names if name not in known]:
            raise no_column(unknown, list(known))
        return tuple(known[name] for name in names)

    def read(self, columns: Sequence[Column], start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return some columns of the rows from the first to the one before the last.

        Raises
        ------
        CatalogueError
            If the file is damaged.
        """
        kind, path = self._file()
        wanted = self.facts.declared.model_copy(update={"all_columns": tuple(columns)})
        try:
            block = _rows_of(kind, path, wanted).block(start, stop - start)
            return {column.name: _plain(block[column.name], column) for column in columns}
        except side_damage() as error:
            raise CatalogueError(
                f"{path} cannot be read: {error}.",
                "See `catalog-builder validate`, and restore the catalogue from a copy.",
            ) from error

    def _file(self) -> tuple[str, Path]:
        for kind in _KINDS:
            path = self._folder / self.facts.files.get(kind, "")
            if path != self._folder and path.exists():
                return kind, path
        name = self.facts.declared.name
        raise CatalogueError(
            f"No file of the table {name} is in {self._folder}.", "Restore it from a copy."
        )


def _rows_of(kind: str, path: Path, table: SideTable) -> ExportedRows:
    if kind == "zarr":
        return ZarrRows(path, table)
    if kind == "fits":
        with quiet():
            return FitsRows(path)
    from catalog_builder.catalog.side_parquet import ParquetRows

    return ParquetRows(path, table)


def _plain(values: NDArray[Any], column: Column) -> NDArray[Any]:
    return np.char.decode(values, "utf-8") if column.is_text else values
