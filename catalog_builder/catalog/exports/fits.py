"""The catalogue as a FITS binary table: written, by chunks or as a stream from the zarr store.

It is checked here too, and its rows are read for the comparison with the store.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import NDArray

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.exports import ByChunks, Format
from catalog_builder.catalog.exports._fits_by_chunks import begin, end, write
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.fits_checksum import SummingWriter, broken_hdus, header_bytes
from catalog_builder.catalog.fits_table import (
    EXTENSION,
    Card,
    add_cards,
    cards_of,
    mark_cards,
    primary_header,
    table_header,
    table_of,
    tform,
)
from catalog_builder.catalog.zarr_store import in_pieces, read_rows, row_count
from catalog_builder.contract.columns import Declared
from catalog_builder.contract.schema import CatalogSchema

FITS_NAME: Final = "catalog.fits"
#: What astropy raises for a damaged file, depending on where the damage is.
DAMAGE: Final = (OSError, ValueError, KeyError, IndexError, TypeError, fits.VerifyError)
# FITS 4.0, section 7.3.1.
_MOST_COLUMNS: Final = 999


def export_fits(
    store: Path,
    target: Path,
    schema: CatalogSchema,
    cards: Sequence[Card] = (),
    table_cards: Sequence[Card] = (),
) -> None:
    """Write a catalogue store as a FITS file.

    Parameters
    ----------
    store : Path
        ``catalog.zarr``.
    target : Path
        File to write; replaced at once when complete.
    schema : CatalogSchema
        Every column, the derived ones included, becomes a table column in order, with TUNIT,
        TUCD and TCOMM.
    cards : sequence of (keyword, value, comment)
        Provenance, written to the primary header.
    table_cards : sequence of (keyword, value, comment)
        What the table's own header says too.
    """
    header = table_header(schema, row_count(store))
    add_cards(header, table_cards)
    partial = target.with_name(f".{target.name}.partial")
    with partial.open("wb") as file:
        file.write(header_bytes(primary_header(cards), 0))
        header_at = file.tell()
        file.write(header_bytes(header, 0))
        rows = SummingWriter(file)
        for _, block in read_rows(store, schema.names):
            for _, some in in_pieces(block):
                rows.write(table_of(with_derived(some, schema), schema).tobytes())
        rows.pad()
        file.seek(header_at)
        file.write(header_bytes(header, rows.total))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)


def _export(store: Path, target: Path, schema: CatalogSchema, record: Mapping[str, Any]) -> None:
    # Those who read only the table are told of simulated stars, and of unverified labels, too.
    export_fits(store, target, schema, cards_of(record), mark_cards(record))


def check_fits_header(path: Path, schema: Declared, log: FindingLog) -> None:
    """Compare names, formats, units, UCDs and comments with what they must be."""
    with quiet():
        try:
            _compare(path.name, fits.getheader(path, EXTENSION), schema, log)
        except DAMAGE as error:
            log.add(path.name, f"cannot be read: {error}")


def check_fits(path: Path, schema: Declared, log: FindingLog) -> None:
    """Compare the checksums with what they must be, and the header as `check_fits_header`."""
    with quiet():
        try:
            for number in broken_hdus(path):
                log.add(path.name, f"the checksum of HDU {number} does not hold")
        except DAMAGE as error:
            log.add(path.name, f"cannot be read: {error}")
            return
    check_fits_header(path, schema, log)


def _compare(file: str, header: fits.Header, schema: Declared, log: FindingLog) -> None:
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


def open_fits_rows(path: Path, schema: CatalogSchema) -> FitsRows | None:
    """Open the catalogue's table; None if its header cannot be read."""
    del schema
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


FORMAT = Format(
    FITS_NAME,
    "application/fits",
    _export,
    check_fits,
    open_fits_rows,
    _MOST_COLUMNS,
    ByChunks(begin, write, end),
    check_fits_header,
)
