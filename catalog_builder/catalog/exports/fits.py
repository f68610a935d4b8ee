"""The catalogue as a FITS binary table, written as a stream from the zarr store, and checked.

The header is known before the first row, so memory does not grow with the catalogue. The bytes
depend on the rows, the schema and the provenance cards alone: no date is written unless given.
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

from catalog_builder.archive.marks import KEYWORD
from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.exports import Format
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.fits_checksum import SummingWriter, broken_hdus, header_bytes
from catalog_builder.catalog.zarr_store import in_pieces, read_rows, row_count
from catalog_builder.contract.schema import CatalogSchema, Column

FITS_NAME: Final = "catalog.fits"
EXTENSION: Final = "CATALOG"
#: What astropy raises for a damaged file, depending on where the damage is.
DAMAGE: Final = (OSError, ValueError, KeyError, IndexError, TypeError, fits.VerifyError)
Card = tuple[str, str | int | float | bool, str]

# FITS 4.0, section 7.3.1.
_MOST_COLUMNS: Final = 999

# Characters of a card beside its keyword and what stands between: for a value and its comment.
_CARD_TEXT: Final = 64

_TFORM: Final = {"int64": "K", "uint8": "B", "float64": "D", "float32": "E", "bool": "L"}


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
    _add(header, table_cards)
    partial = target.with_name(f".{target.name}.partial")
    with partial.open("wb") as file:
        file.write(header_bytes(_primary_header(cards), 0))
        header_at = file.tell()
        file.write(header_bytes(header, 0))
        rows = SummingWriter(file)
        for _, block in read_rows(store, schema.names):
            for _, some in in_pieces(block):
                rows.write(_table_bytes(with_derived(some, schema), schema))
        rows.pad()
        file.seek(header_at)
        file.write(header_bytes(header, rows.total))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)


def table_header(schema: CatalogSchema, rows: int) -> fits.Header:
    """Return the header of the table for a number of rows, checksums not yet filled in."""
    columns = [
        fits.Column(name=column.name, format=tform(column), unit=column.unit or None)
        for column in schema.all_columns
    ]
    header = fits.BinTableHDU.from_columns(columns, nrows=0, name=EXTENSION).header
    header["NAXIS2"] = rows
    for number, column in enumerate(schema.all_columns, start=1):
        last = f"TUNIT{number}" if column.unit else f"TFORM{number}"
        header.set(f"TUCD{number}", column.ucd, after=last)
        header.set(f"TCOMM{number}", column.description, after=f"TUCD{number}")
    header["SCHEMAV"] = (schema.version, "version of the column declarations")
    return header


def tform(column: Column) -> str:
    """Return the FITS format code of a column."""
    if column.dtype.startswith("str"):
        return f"{column.numpy_dtype.itemsize}A"
    return _TFORM[column.dtype]


def _primary_header(cards: Sequence[Card]) -> fits.Header:
    header = fits.PrimaryHDU().header
    header["EXTEND"] = True
    _add(header, cards)
    return header


def _add(header: fits.Header, cards: Sequence[Card]) -> None:
    for keyword, value, comment in cards:
        # Astropy warns of a comment that does not fit, and cuts it.
        fits_in = len(str(value)) + len(comment) <= _CARD_TEXT
        header[keyword] = (value, comment if fits_in else "")


def _table_bytes(rows: Mapping[str, NDArray[Any]], schema: CatalogSchema) -> bytes:
    table = np.empty(
        len(rows["source_id"]), dtype=[(c.name, _stored_dtype(c)) for c in schema.all_columns]
    )
    for column in schema.all_columns:
        values = rows[column.name]
        # FITS spells logical values as the letters T and F.
        table[column.name] = (
            np.where(values, ord("T"), ord("F")) if column.dtype == "bool" else values
        )
    return table.tobytes()


def _stored_dtype(column: Column) -> np.dtype[Any]:
    if column.dtype == "bool":
        return np.dtype(np.uint8)
    return column.numpy_dtype.newbyteorder(">")


def _export(store: Path, target: Path, schema: CatalogSchema, record: Mapping[str, Any]) -> None:
    # Those who read only the table are told of simulated stars, and of unverified labels, too.
    export_fits(
        store, target, schema, _cards(record), [*_mark_cards(record), *_measure_cards(record)]
    )


def _cards(record: Mapping[str, Any]) -> list[Card]:
    model = record["model"]
    return [
        ("CATALOG", str(record["catalogue"]), "name of the catalogue"),
        ("RELEASE", str(record["release"]), "archive release, or its layout"),
        ("RELDESC", record["release_digest"], "digest of its description"),
        ("VERSION", str(record["version"]), "version of the catalogue"),
        ("MODELID", str(record["model_digest"])[:32], "digest of the model"),
        ("MODELREL", model["release"] or "not recorded", "release the model was trained on"),
        ("MODELSRV", model["survey"] or "not recorded", "label survey of the model"),
        ("MODELARC", model["archive"] or "not recorded", "digest of the model's archive"),
        *_mark_cards(record),
        ("CONFIGID", str(record["config_digest"])[:32], "digest of the settings"),
        ("CREATOR", f"catalog-builder {record['software']['catalog-builder']}", "software"),
    ]


def _mark_cards(record: Mapping[str, Any]) -> list[Card]:
    """Return the cards of what readers must be told: what is simulated, what was not measured."""
    cards: list[Card] = [(KEYWORD, record["simulated"], "whether stars are simulated")]
    learnt = record["model"]["simulated"]
    if learnt is not None:
        cards.append(("MODELSIM", learnt, "whether the model learnt from such stars"))
    return [*cards, *_measure_cards(record)]


def _measure_cards(record: Mapping[str, Any]) -> list[Card]:
    """Return the card on whether a model of another release was measured on this one."""
    if record.get("unverified"):
        return [("UNVERIF", True, "model of another release, not measured here")]
    if measured := record.get("measured_here"):
        return [("UNVERIF", False, f"model measured here on {measured['stars']} stars")]
    return []


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
    FITS_NAME, "application/fits", _export, check_fits_header, open_fits_rows, _MOST_COLUMNS
)
