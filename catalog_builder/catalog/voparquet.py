"""VOParquet: columns in Arrow, and what a VOTable says of them in the metadata of the file.

As the IVOA's convention VOParquet 1.0 has it: the table of the VOTable has no data, for these are
in the file that the document lies in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree  # only written here, never read

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from catalog_builder.archive.marks import KEYWORD, SENTENCE
from catalog_builder.catalog.votable import DECLARATION, add_columns, add_field, root_element
from catalog_builder.contract.columns import Column, Declared

VERSION_KEY: Final = b"IVOA.VOTable-Parquet.version"
CONTENT_KEY: Final = b"IVOA.VOTable-Parquet.content"

_ROW_GROUP: Final = 1 << 17
_TYPES: Final = {
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
}


def parquet_schema(
    schema: Declared,
    record: Mapping[str, Any] | None = None,
    index: tuple[str, str] | None = None,
) -> pa.Schema:
    """Return columns and metadata of a Parquet file.

    Parameters
    ----------
    schema : CatalogSchema
        Its columns, in order, with units, UCDs and descriptions.
    record : mapping, optional
        The facts of RELEASE.json: the mark of a simulation is taken from there.
    index : (str, str), optional
        Name and description of a column of HEALPix pixels, which comes first.
    """
    fields = [] if index is None else [pa.field(index[0], pa.int64(), nullable=False)]
    fields += [pa.field(c.name, _arrow_type(c), c.nullable) for c in schema.all_columns]
    metadata = _described(schema, index)
    for column in schema.all_columns:
        if column.dtype.startswith("str"):  # astropy warns where it is not told
            length = str(column.numpy_dtype.itemsize)
            metadata[f"table::len::{column.name}".encode()] = length.encode()
    if record is not None and record["simulated"]:
        metadata |= {KEYWORD.encode(): b"true", b"ORIGIN": SENTENCE.encode()}
    return pa.schema(fields, metadata)


def arrow_columns(rows: Mapping[str, NDArray[Any]], schema: Declared) -> list[pa.Array]:
    """Return the columns of rows as Arrow has them, in order; NaN is null."""
    columns = []
    for column in schema.all_columns:
        values = rows[column.name]
        if column.nullable:
            columns.append(pa.array(values, from_pandas=True))
        elif column.dtype.startswith("str"):
            columns.append(pa.array(values).cast(pa.string()))
        else:
            columns.append(pa.array(values))
    return columns


def table_of(
    rows: Mapping[str, NDArray[Any]], schema: Declared, record: Mapping[str, Any] | None = None
) -> pa.Table:
    """Return rows with all that their columns are, as they lie in a file."""
    described = parquet_schema(schema, record)
    return pa.Table.from_arrays(arrow_columns(rows, schema), schema=described)


def in_bytes(table: pa.Table) -> bytes:
    """Return a table as a Parquet file, whose bytes depend on it alone."""
    sink = pa.BufferOutputStream()
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    # Arrow's own copy of the schema would repeat the metadata; nothing in it is missed.
    with pq.ParquetWriter(
        sink, table.schema, compression="zstd", use_dictionary=texts, store_schema=False
    ) as file:
        file.add_key_value_metadata(table.schema.metadata)
        if table.num_rows:
            file.write_table(table, row_group_size=_ROW_GROUP)
    return bytes(sink.getvalue())


def _arrow_type(column: Column) -> pa.DataType:
    """Return the type of a column in Parquet; text has no fixed length there."""
    return pa.string() if column.dtype.startswith("str") else _TYPES[column.dtype]


def _described(schema: Declared, index: tuple[str, str] | None) -> dict[bytes, bytes]:
    root = root_element()
    table = ElementTree.SubElement(ElementTree.SubElement(root, "RESOURCE"), "TABLE")
    if index is not None:
        name, words = index
        add_field(table, {"name": name, "datatype": "long", "ucd": "pos.healpix"}, words)
    add_columns(table, schema)
    text = ElementTree.tostring(root, encoding="unicode")
    return {VERSION_KEY: b"1.0", CONTENT_KEY: (DECLARATION + text).encode()}
