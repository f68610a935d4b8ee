"""The catalogue as a FITS binary table, written as a stream from the zarr store.

The header is known before the first row, so memory does not grow with the catalogue. The bytes
depend on the rows, the schema and the provenance cards alone: no date is written unless given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.fits_checksum import SummingWriter, header_bytes
from catalog_builder.catalog.zarr_store import in_pieces, read_rows, row_count
from catalog_builder.schema import CatalogSchema, Column

EXTENSION: Final = "CATALOG"
Card = tuple[str, str | int | float | bool, str]

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
