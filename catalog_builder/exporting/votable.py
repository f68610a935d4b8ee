"""VOTable 1.4 with BINARY2: the rows of the FITS table behind the masks of their nulls, in base64.

The document is written from front to back. How many rows it has is known at its end, and then
written into the space that was left for it.
"""

from __future__ import annotations

import binascii
from pathlib import Path
from typing import BinaryIO, Final
from xml.etree import ElementTree  # only written here, never read

import numpy as np

from catalog_builder.catalog.fits_table import fill, row_type
from catalog_builder.catalog.votable import DECLARATION, add_columns, root_element
from catalog_builder.catalog.zarr_store import in_pieces
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.exporting.request import Request, Rows, count

_MASK: Final = "null mask"
#: Bytes that are encoded at a time, three of them as four letters; and digits of the largest table.
_BLOCK, _DIGITS = 3 << 16, 20
_END: Final = b"</STREAM></BINARY2></DATA></TABLE></RESOURCE></VOTABLE>\n"


def write_votable(request: Request, path: Path) -> int:
    """Write a VOTable; return how many rows it has."""
    rows = 0
    with path.open("w+b") as file:
        file.write(_head(request, 0))
        stream = _Base64(file)
        for block in request.blocks():
            if count(block):
                for _, some in in_pieces(block):
                    stream.write(_binary2(some, request.schema))
                rows += count(block)
        stream.close()
        file.write(_END)
        file.seek(0)
        file.write(_head(request, rows))
    return rows


def _head(request: Request, rows: int) -> bytes:
    """Return all before the first row; it has the same length for every number of rows."""
    facts = request.facts()
    root = root_element()
    resource = ElementTree.SubElement(root, "RESOURCE", name=request.folder.name)
    ElementTree.SubElement(resource, "DESCRIPTION").text = facts["title"]
    for name, words in facts.items():
        ElementTree.SubElement(resource, "INFO", name=name, value=words)
    for words in request.credit.thanks:
        ElementTree.SubElement(resource, "INFO", name="acknowledgement", value=words)
    for cited in request.credit.references:
        info = ElementTree.SubElement(resource, "INFO", name="reference", value=cited.line)
        info.text = f"doi:{cited.doi}" if cited.doi else None
    table = ElementTree.SubElement(resource, "TABLE", name="CATALOG", nrows="@")
    add_columns(table, request.schema)
    data = ElementTree.SubElement(ElementTree.SubElement(table, "DATA"), "BINARY2")
    ElementTree.SubElement(data, "STREAM", encoding="base64").text = "@"
    text = DECLARATION + ElementTree.tostring(root, encoding="unicode")
    text = text[: text.rindex("@")]
    digits = str(rows)
    text = text.replace('nrows="@"', f'nrows="{digits}"' + " " * (_DIGITS - len(digits)), 1)
    return text.encode()


def _binary2(rows: Rows, schema: CatalogSchema) -> bytes:
    """Return rows as BINARY2 has them: a bit for each null, then the fields as in FITS."""
    columns = schema.all_columns
    fields = row_type(schema)
    width = -(-len(columns) // 8)
    table = np.empty(count(rows), dtype=[(_MASK, np.uint8, (width,)), *fields.descr])
    nulls = np.zeros((len(table), len(columns)), dtype=bool)
    for place, column in enumerate(columns):
        if column.nullable:
            # Not `out=`: NumPy 2.4's isnan of float32 writes wrong values to columns of a matrix.
            nulls[:, place] = np.isnan(rows[column.name])
    table[_MASK] = np.packbits(nulls, axis=1)
    fill(table, dict(rows), schema)
    return table.tobytes()


class _Base64:
    """Encodes what is written to it, in blocks that end with a line break."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, b""

    def write(self, data: bytes) -> None:
        data = self._left + data
        whole = len(data) // _BLOCK * _BLOCK
        view = memoryview(data)
        for start in range(0, whole, _BLOCK):
            self._file.write(binascii.b2a_base64(view[start : start + _BLOCK]))
        self._left = data[whole:]

    def close(self) -> None:
        if self._left:
            self._file.write(binascii.b2a_base64(self._left))
