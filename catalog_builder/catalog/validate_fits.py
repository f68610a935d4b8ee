"""The FITS file against the schema and against its own checksums."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.fits_checksum import broken_hdus
from catalog_builder.catalog.fits_export import EXTENSION, tform
from catalog_builder.schema import CatalogSchema

# What astropy raises for a damaged file, depending on where the damage is.
DAMAGE: Final = (OSError, ValueError, KeyError, IndexError, TypeError, fits.VerifyError)


def check_fits_header(path: Path, schema: CatalogSchema, log: FindingLog) -> None:
    """Compare names, formats, units, UCDs, comments and checksums with what they must be."""
    with quiet():
        try:
            for number in broken_hdus(path):
                log.add(path.name, f"the checksum of HDU {number} does not hold")
            _compare(path.name, fits.getheader(path, EXTENSION), schema, log)
        except DAMAGE as error:
            log.add(path.name, f"cannot be read: {error}")


def _compare(file: str, header: fits.Header, schema: CatalogSchema, log: FindingLog) -> None:
    names = [header.get(f"TTYPE{n}") for n in range(1, header["TFIELDS"] + 1)]
    for name in names:
        if name not in {column.name for column in schema.all_columns}:
            log.add(file, "not in the schema", str(name))
    for column in schema.all_columns:
        if column.name not in names:
            log.add(file, "missing", column.name)
            continue
        number = names.index(column.name) + 1
        declared = {
            "TFORM": tform(column),
            "TUNIT": column.unit,
            "TUCD": column.ucd,
            "TCOMM": column.description,
        }
        for keyword, value in declared.items():
            if (found := header.get(f"{keyword}{number}", "")) != value:
                log.add(file, f"{keyword} is {found!r}, declared {value!r}", column.name)


class FitsRows:
    """The table of a FITS file, read a block of rows at a time.

    The blocks are read, not mapped: mapped pages count as memory of the process.
    """

    def __init__(self, path: Path) -> None:
        with fits.open(path, memmap=True) as hdus:
            table = hdus[EXTENSION]
            if not isinstance(table, fits.BinTableHDU):
                raise OSError("the header of the table is damaged")
            self._dtype = table.columns.dtype.newbyteorder(">")
            self._offset = int(table.fileinfo()["datLoc"])
            self.rows = int(table.header["NAXIS2"])
            self._logical = {c.name for c in table.columns if c.format == "L"}
        self._path = path

    def block(self, start: int, rows: int) -> dict[str, NDArray[Any]]:
        """Return every column of the rows from ``start`` on; fewer rows if the file is cut."""
        offset = self._offset + start * self._dtype.itemsize
        table = np.fromfile(self._path, dtype=self._dtype, count=rows, offset=offset)
        return {
            name: table[name] == ord("T") if name in self._logical else table[name]
            for name in self._dtype.names
        }


def open_fits_rows(path: Path) -> FitsRows | None:
    """Open the catalogue's table; None if the file is absent or its header cannot be read."""
    if not path.is_file():
        return None
    with quiet():
        try:
            return FitsRows(path)
        except DAMAGE:
            return None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep astropy from warning of a damaged file: every damage is found, and named, by us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield
