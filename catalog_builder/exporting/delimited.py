"""CSV: a line of names, then rows; numbers as short as they are told from all others.

Values are what they are in the catalogue when they are read in its types. A null is empty.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from isal import igzip

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.exporting.request import Request, Rows, count


def write_csv(request: Request, path: Path, *, compressed: bool) -> int:
    """Write a CSV file; return how many rows it has."""
    rows = 0
    with ExitStack() as stack:
        file: Any = stack.enter_context(path.open("wb"))
        if compressed:  # no time and no name in its header: the same rows are the same bytes
            file = stack.enter_context(igzip.IGzipFile("", "wb", fileobj=file, mtime=0))
        names = [column.name for column in request.schema.all_columns]
        file.write((",".join(names) + "\n").encode())
        for block in request.blocks():
            if count(block):
                _frame(block, request.schema).write_csv(file, include_header=False)
                rows += count(block)
    return rows


def _frame(rows: Rows, schema: CatalogSchema) -> pl.DataFrame:
    columns = []
    for column in schema.all_columns:
        values = rows[column.name]
        if column.dtype.startswith("str"):
            values = values.astype(np.str_)
        columns.append(pl.Series(column.name, values, nan_to_null=column.nullable))
    return pl.DataFrame(columns)
