"""Reading a table beside a catalogue from whichever of its files is there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.exports import ExportedRows
from catalog_builder.catalog.exports.fits import FitsRows, quiet
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.catalog.open import open_catalog
from catalog_builder.catalog.release_json import ReleaseRecord, read_release
from catalog_builder.catalog.selected import no_column, refuse_text
from catalog_builder.catalog.side_check import ZarrRows, side_damage
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.catalog.zarr_store import DIMENSION
from catalog_builder.contract.columns import Column
from catalog_builder.contract.side_table import SOURCE_ID, SideTable
from catalog_builder.ground.errors import CatalogueError, ConfigError

if TYPE_CHECKING:
    import xarray as xr

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
        self._record: ReleaseRecord = read_release(folder)
        tables = self._record.tables or {}
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
            raise no_column(unknown, list(known), f"The table {self.facts.declared.name}")
        return tuple(known[name] for name in names)

    def read(self, columns: Sequence[Column], start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return some columns of the rows from the first to the one before the last.

        Raises
        ------
        CatalogueError
            If the file is damaged, or its rows are not those that it should have.
        """
        if not columns:
            return {}
        kind, path = self._file()
        read = {column.name: column for column in (SOURCE_ID, *columns)}
        wanted = self.facts.declared.model_copy(update={"all_columns": tuple(read.values())})
        try:
            rows = _rows_of(kind, path, wanted)
            block = rows.block(start, stop - start)
            plain = {name: _plain(block[name], column) for name, column in read.items()}
        except side_damage() as error:
            raise _damaged(path, f"cannot be read: {error}") from error
        if rows.rows != self.rows:
            raise _damaged(path, f"has {rows.rows} rows, RELEASE.json says {self.rows}")
        for name, values in plain.items():
            if len(values) != stop - start:
                raise _damaged(
                    path, f"has {len(values)} of the {stop - start} rows of {name} from {start} on"
                )
        self._refuse_other_stars(path, plain[SOURCE_ID.name], start)
        return {column.name: plain[column.name] for column in columns}

    def attributes(self) -> dict[str, Any]:
        """Return what the catalogue says of itself, which is true of its tables too."""
        said = {} if self._catalogue is None else dict(self._catalogue.attrs)
        record = self._record
        said |= {"release": record.release, "version": record.version, "seal": record.seal}
        return {**said, "title": self.facts.declared.title}

    @cached_property
    def _catalogue(self) -> xr.Dataset | None:
        """The catalogue itself; none where somebody took its tables alone."""
        there = (self._folder / STORE_NAME).exists()
        return open_catalog(self._folder) if there else None

    def _refuse_other_stars(self, path: Path, ids: NDArray[Any], start: int) -> None:
        """Compare ids with the catalogue's: rows are put beside each other by their numbers."""
        if self._catalogue is None or not self.facts.by_rows:
            return
        stop = start + len(ids)
        meant = self._catalogue[SOURCE_ID.name].isel({DIMENSION: slice(start, stop)})
        if not np.array_equal(ids, meant.values):
            raise _damaged(path, f"has other stars in the rows {start} to {stop} than {STORE_NAME}")

    def _file(self) -> tuple[str, Path]:
        for kind in _KINDS:
            path = self._folder / self.facts.files.get(kind, "")
            if path != self._folder and path.exists():
                return kind, path
        name = self.facts.declared.name
        raise CatalogueError(
            f"No file of the table {name} is in {self._folder}.", "Restore it from a copy."
        )


def _damaged(path: Path, what: str) -> CatalogueError:
    return CatalogueError(
        f"{path} {what}.", "See `catalog-builder validate`, and restore the catalogue from a copy."
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
