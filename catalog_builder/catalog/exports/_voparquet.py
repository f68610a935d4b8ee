"""VOParquet: what a VOTable says of its columns, in the metadata of a Parquet file.

As the IVOA's convention VOParquet 1.0 has it: the table of the VOTable has no data, for these are
in the file that the document lies in.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree  # only written here, never read

import pyarrow as pa

from catalog_builder.contract.schema import CatalogSchema, Column

VERSION_KEY: Final = b"IVOA.VOTable-Parquet.version"
CONTENT_KEY: Final = b"IVOA.VOTable-Parquet.content"

_NAMESPACE: Final = "http://www.ivoa.net/xml/VOTable/v1.3"
_TYPES: Final = {
    "int64": ("long", pa.int64()),
    "uint8": ("unsignedByte", pa.uint8()),
    "float64": ("double", pa.float64()),
    "float32": ("float", pa.float32()),
    "bool": ("boolean", pa.bool_()),
}


def arrow_type(column: Column) -> pa.DataType:
    """Return the type of a column in Parquet; text has no fixed length there."""
    return pa.string() if column.dtype.startswith("str") else _TYPES[column.dtype][1]


def described(schema: CatalogSchema, index: str, index_words: str) -> dict[bytes, bytes]:
    """Return the metadata of a Parquet file with these columns.

    Parameters
    ----------
    schema : CatalogSchema
        Its columns, in order, with units, UCDs and descriptions.
    index, index_words : str
        Name and description of the column of pixels, which comes first.
    """
    root = ElementTree.Element("VOTABLE", version="1.4", xmlns=_NAMESPACE)
    table = ElementTree.SubElement(ElementTree.SubElement(root, "RESOURCE"), "TABLE")
    _field(table, {"name": index, "datatype": "long", "ucd": "pos.healpix"}, index_words)
    for column in schema.all_columns:
        attributes = {"name": column.name}
        if column.dtype.startswith("str"):
            # Not "*": astropy takes that for objects, and cannot put text to them.
            size = str(column.numpy_dtype.itemsize)
            attributes |= {"datatype": "char", "arraysize": size}
        else:
            attributes["datatype"] = _TYPES[column.dtype][0]
        attributes |= {"unit": column.unit} if column.unit else {}
        words = column.description
        if column.null_meaning:
            words += f" Null: {column.null_meaning}."
        _field(table, {**attributes, "ucd": column.ucd}, words)
    text = ElementTree.tostring(root, encoding="unicode")
    declaration = '<?xml version="1.0" encoding="utf-8"?>\n'
    return {VERSION_KEY: b"1.0", CONTENT_KEY: (declaration + text).encode()}


def _field(table: ElementTree.Element, attributes: dict[str, str], words: str) -> None:
    field = ElementTree.SubElement(table, "FIELD", attributes)
    ElementTree.SubElement(field, "DESCRIPTION").text = words
