"""A table as the CDS in Strasbourg takes it: rows of fixed width, and a ReadMe that describes them.

The rows are read twice: once to see how wide the fields must be, once to write them. A folder with
both files appears when it is whole.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from isal import igzip

from catalog_builder.catalog.zarr_store import in_pieces
from catalog_builder.exporting.cds_fields import Field
from catalog_builder.exporting.cds_readme import readme
from catalog_builder.exporting.request import Request, Rows, count

DATA: Final = "catalog.dat"
README: Final = "ReadMe"
_BLANK, _NEWLINE = ord(" "), ord("\n")


def write_cds(request: Request, folder: Path, *, compressed: bool) -> int:
    """Write the table and its ReadMe into a folder; return how many rows the table has."""
    fields = [Field(column) for column in request.schema.all_columns]
    tell, rows = request.progress, request.rows
    first = replace(request, progress=lambda seen, _: tell(seen, 2 * rows))
    for block in first.blocks():
        for field in fields:
            field.look(block[field.column.name])
    second = replace(request, progress=lambda seen, _: tell(rows + seen, 2 * rows))
    total = 0
    with ExitStack() as stack:
        name = f"{DATA}.gz" if compressed else DATA
        file: Any = stack.enter_context((folder / name).open("wb"))
        if compressed:  # no time and no name in its header: the same rows are the same bytes
            file = stack.enter_context(igzip.IGzipFile("", "wb", fileobj=file, mtime=0))
        for block in second.blocks():
            if count(block):
                for _, some in in_pieces(block):
                    file.write(_lines(some, fields))
                total += count(block)
    (folder / README).write_text(readme(request, fields, DATA, total), encoding="ascii")
    return total


def _lines(rows: Rows, fields: list[Field]) -> bytes:
    """Return rows as lines, their fields with a blank between them."""
    length = sum(field.width + 1 for field in fields)
    lines = np.full((count(rows), length), _BLANK, dtype=np.uint8)
    place = 0
    for field in fields:
        field.write(lines[:, place : place + field.width], rows[field.column.name])
        place += field.width + 1
    lines[:, -1] = _NEWLINE
    return lines.tobytes()
