"""Any table of rows, read some at a time, whatever its format.

Of all but VOTables memory holds one block of the columns that are asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from catalog_builder.archive.readers.block import DamagedFileError, inexact_key
from catalog_builder.archive.readers.content import look_at, read_head
from catalog_builder.archive.readers.fits.table import open_fits_table
from catalog_builder.archive.readers.guard import guarded
from catalog_builder.comparing.outside.columns import (
    BLOCK_ROWS,
    Columns,
    Kind,
    from_arrow,
    from_astropy,
    from_fits,
    no_numbers,
)
from catalog_builder.comparing.outside.fixed import README, CdsFile, described_files
from catalog_builder.comparing.outside.text import TextFile


class Named(Protocol):
    """What a table calls its columns.

    Attributes
    ----------
    path : str
    units : mapping of str to str
        Its columns in order, with the unit that the file gives; empty where it gives none.
    """

    @property
    def path(self) -> str: ...  # noqa: D102

    @property
    def units(self) -> dict[str, str]: ...  # noqa: D102


class Rows(Named, Protocol):
    """A table of rows."""

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[Columns]:
        """Yield these columns of consecutive rows."""
        ...


def open_rows(path: Path, hdu: int | None = None) -> Rows:
    """Open a table: CSV, ECSV, FITS (these also gzipped), Parquet, VOTable, a file of the CDS.

    Raises
    ------
    InputError
        If it is no table, or damaged.
    """
    readme = path.parent / README
    if readme.is_file() and path in described_files(readme):
        return CdsFile(path)
    _, head = read_head(str(path), 1 << 12)
    # FITS of TOPCAT has a VOTable in its first unit, and is FITS all the same.
    if b"<VOTABLE" in head.upper() and head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return _VoTable(str(path))
    content = look_at(str(path))
    if content.format == "parquet":
        return _Parquet(str(path))
    return _Fits(str(path), hdu) if content.format == "fits" else TextFile(str(path))


class _Parquet:
    def __init__(self, path: str) -> None:
        from pyarrow import parquet

        self.path = path
        try:
            schema = parquet.read_schema(path)
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{path} cannot be read as Parquet: {error}.") from error
        said = {one.name: (one.metadata or {}).get(b"unit", b"") for one in schema}
        self.units = {name: unit.decode("utf-8", "replace") for name, unit in said.items()}

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[Columns]:
        """Yield these columns of consecutive rows."""
        return guarded(self.path, self._blocks(kinds))

    def _blocks(self, kinds: Mapping[str, Kind]) -> Any:
        from pyarrow import parquet

        with parquet.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BLOCK_ROWS, columns=list(kinds)):
                yield {n: from_arrow(self.path, n, batch[n], kind) for n, kind in kinds.items()}


class _Fits:
    def __init__(self, path: str, hdu: int | None) -> None:
        self.path, self._hdu = path, hdu
        with open_fits_table(path, hdu) as table:
            self.units = {name: table.unit(name) or "" for name in table.names}

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[Columns]:
        """Yield these columns of consecutive rows."""
        return guarded(self.path, self._blocks(kinds))

    def _blocks(self, kinds: Mapping[str, Kind]) -> Any:
        with open_fits_table(self.path, self._hdu) as table:
            for name, kind in kinds.items():
                letter, is_list = table.kind(name)
                if kind == "id" and letter == "f" and not is_list:
                    raise inexact_key(self.path, name)
                numbers = "iuSU" if kind == "id" else "iufb"
                if is_list or (kind != "text" and letter not in numbers):
                    raise no_numbers(self.path, name, "arrays" if is_list else "no numbers")
            for raw in table.blocks(list(kinds), BLOCK_ROWS):
                yield {name: from_fits(raw[name], kind) for name, kind in kinds.items()}


class _VoTable:
    def __init__(self, path: str) -> None:
        self.path = path
        self._table = self._read()
        self.units = {name: str(self._table[name].unit or "") for name in self._table.colnames}

    def _read(self) -> Any:
        from astropy.io.votable import parse_single_table

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of spellings that other programs took
            try:
                return parse_single_table(self.path).to_table(use_names_over_ids=True)
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise DamagedFileError(f"{self.path}: no readable VOTable: {error}.") from error

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[Columns]:
        """Yield these columns of consecutive rows."""
        for first in range(0, len(self._table), BLOCK_ROWS):
            rows = self._table[first : first + BLOCK_ROWS]
            yield {n: from_astropy(self.path, n, rows[n], kind) for n, kind in kinds.items()}
