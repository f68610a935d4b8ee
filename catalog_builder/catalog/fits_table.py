"""How the catalogue lies in a FITS binary table: its headers, and its rows as bytes.

The header is known before the first row. The bytes depend on the rows, the schema and the
provenance cards alone: no date is written unless given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from catalog_builder.archive.marks import KEYWORD
from catalog_builder.catalog.credit_record import Credit, in_ascii
from catalog_builder.catalog.zarr_store import in_pieces
from catalog_builder.contract.columns import Column, Declared

EXTENSION: Final = "CATALOG"
Card = tuple[str, str | int | float | bool, str]

# Characters of a card beside its keyword and what stands between: for a value and its comment.
_CARD_TEXT: Final = 64

_TFORM: Final = {"int64": "K", "uint8": "B", "float64": "D", "float32": "E", "bool": "L"}


def table_header(schema: Declared, rows: int) -> fits.Header:
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
    # Descriptions go on in CONTINUE cards; the convention asks for a card that says so.
    header["LONGSTRN"] = ("OGIP 1.0", "long strings go on in CONTINUE cards")
    header["SCHEMAV"] = (schema.version, "version of the column declarations")
    return header


def tform(column: Column) -> str:
    """Return the FITS format code of a column."""
    if column.dtype.startswith("str"):
        return f"{column.numpy_dtype.itemsize}A"
    return _TFORM[column.dtype]


def primary_header(cards: Sequence[Card]) -> fits.Header:
    """Return the header of the file, checksums not yet filled in."""
    header = fits.PrimaryHDU().header
    header["EXTEND"] = True
    add_cards(header, cards)
    return header


def add_cards(header: fits.Header, cards: Sequence[Card]) -> None:
    """Add cards to a header."""
    for keyword, value, comment in cards:
        # Astropy warns of a comment that does not fit, and cuts it.
        fits_in = len(str(value)) + len(comment) <= _CARD_TEXT
        header[keyword] = (value, comment if fits_in else "")


def row_type(schema: Declared) -> np.dtype[Any]:
    """Return how a row lies in the file."""
    return np.dtype([(column.name, _stored_dtype(column)) for column in schema.all_columns])


def table_of(rows: Mapping[str, NDArray[Any]], schema: Declared) -> NDArray[Any]:
    """Return rows as they lie in the file."""
    table = np.empty(_count(rows), dtype=row_type(schema))
    # A piece at a time: one that stays in the cache while its columns are put in.
    for first, some in in_pieces(rows):
        fill(table[first : first + _count(some)], some, schema)
    return table


def fill(table: NDArray[Any], rows: Mapping[str, NDArray[Any]], schema: Declared) -> None:
    """Put the columns of some rows into a table of as many, which has a field for each."""
    for column in schema.all_columns:
        values = rows[column.name]
        # FITS spells logical values as the letters T and F; so does VOTable.
        table[column.name] = (
            np.where(values, ord("T"), ord("F")) if column.dtype == "bool" else values
        )


def _count(rows: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(rows.values())))


def _stored_dtype(column: Column) -> np.dtype[Any]:
    if column.dtype == "bool":
        return np.dtype(np.uint8)
    return column.numpy_dtype.newbyteorder(">")


def cards_of(record: Mapping[str, Any]) -> list[Card]:
    """Return the cards of the primary header: where the catalogue is from."""
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
        *mark_cards(record),
        ("CONFIGID", str(record["config_digest"])[:32], "digest of the settings"),
        ("CREATOR", f"catalog-builder {record['software']['catalog-builder']}", "software"),
        *credit_cards(record),
    ]


def credit_cards(record: Mapping[str, Any]) -> list[Card]:
    """Return the cards of whom to cite, and of the licence; a list of papers by their DOIs."""
    if record.get("credit") is None:
        return []
    credit = Credit.model_validate(record["credit"])
    cards: list[Card] = []
    if credit.creators:
        names = in_ascii("; ".join(credit.creators))
        if len(names) > _CARD_TEXT:
            names = in_ascii(f"{credit.creators[0]} et al.")[:_CARD_TEXT]
        cards.append(("AUTHOR", names, "who made the catalogue"))
    if credit.year is not None:
        cards.append(("CITEYEAR", credit.year, "year of its citation"))
    if credit.license:
        cards.append(("LICENSE", credit.license, "of the data (SPDX)"))
    cards.append(("REFERENC", "credit in RELEASE.json; catalog-builder cite", "papers to cite:"))
    cards += [
        (f"CITE{number}", in_ascii(paper.doi or paper.bibcode or paper.line), in_ascii(paper.line))
        for number, paper in enumerate(credit.references, start=1)
    ]
    return cards


def mark_cards(record: Mapping[str, Any]) -> list[Card]:
    """Return the cards of what readers must be told: what is simulated, what was not measured."""
    cards: list[Card] = [(KEYWORD, record["simulated"], "whether stars are simulated")]
    learnt = record["model"]["simulated"]
    if learnt is not None:
        cards.append(("MODELSIM", learnt, "whether the model learnt from such stars"))
    # Of a model of another release.
    if record.get("unverified"):
        cards.append(("UNVERIF", True, "model of another release, not measured here"))
    elif measured := record.get("measured_here"):
        cards.append(("UNVERIF", False, f"model measured here on {measured['stars']} stars"))
    return cards
