"""One Parquet file, with what its columns are in its metadata (VOParquet)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.catalog.voparquet import arrow_columns, parquet_schema
from catalog_builder.exporting.request import Request, count

_ROW_GROUP: Final = 1 << 17


def write_parquet(request: Request, path: Path) -> int:
    """Write a Parquet file; return how many rows it has."""
    schema = parquet_schema(request.schema, request.record)
    facts = {f"catalogue.{name}": words for name, words in request.facts().items()}
    schema = schema.with_metadata({**schema.metadata, **facts})
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    rows = 0
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=texts, store_schema=False
    ) as file:
        file.add_key_value_metadata(schema.metadata)
        waiting: list[pa.Table] = []
        for block in request.blocks():
            if not count(block):
                continue
            waiting.append(
                pa.Table.from_arrays(arrow_columns(block, request.schema), schema=schema)
            )
            rows += count(block)
            # A condition leaves few rows of a chunk: those of several are one group.
            if sum(table.num_rows for table in waiting) >= _ROW_GROUP:
                file.write_table(pa.concat_tables(waiting), row_group_size=_ROW_GROUP)
                waiting = []
        if waiting:
            file.write_table(pa.concat_tables(waiting), row_group_size=_ROW_GROUP)
    return rows
