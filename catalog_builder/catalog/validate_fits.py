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
    with _quiet():
        try:
            broken = broken_hdus(path)
            header = fits.getheader(path, EXTENSION)
        except DAMAGE as error:
            log.add(path.name, f"cannot be read: {error}")
            return
    for number in broken:
        log.add(path.name, f"the checksum of HDU {number} does not hold")
    names = [header.get(f"TTYPE{n}") for n in range(1, header["TFIELDS"] + 1)]
    for name in names:
        if name not in {column.name for column in schema.all_columns}:
            log.add(path.name, "not in the schema", str(name))
    for column in schema.all_columns:
        if column.name not in names:
            log.add(path.name, "missing", column.name)
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
                log.add(path.name, f"{keyword} is {found!r}, declared {value!r}", column.name)


class FitsRows:
    """The table of a FITS file, a slice of rows at a time, read with astropy."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.rows = len(table)
        self._names = frozenset(table.names)

    def column(self, name: str, start: int, stop: int) -> NDArray[Any] | None:
        """Return values of rows ``[start, stop)``; None if there is no such column."""
        if name not in self._names:
            return None
        values = np.asarray(self._table[start:stop][name])
        return values.astype("S") if values.dtype.kind == "U" else values


@contextmanager
def open_fits_rows(path: Path) -> Iterator[FitsRows | None]:
    """Open the catalogue's table; None if the file is absent or cannot be read."""
    if not path.is_file():
        yield None
        return
    with _quiet():
        try:
            hdus = fits.open(path, memmap=True)
        except DAMAGE:
            yield None
            return
        with hdus:
            try:
                rows = FitsRows(hdus[EXTENSION].data)
            except DAMAGE:
                rows = None
            yield rows


@contextmanager
def _quiet() -> Iterator[None]:
    # A damaged file makes astropy warn; every damage is found, and named, by us.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield
