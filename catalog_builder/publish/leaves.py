"""What the formats that are cut by place plan with: the ids of rows at equal distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from catalog_builder.catalog.exports import ID_STEP
from catalog_builder.catalog.exports._hats_leaves import ids_of_places
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.inference.rows import read_some
from catalog_builder.runtime.chunks import Rows
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.workdir import Workdir


def some_ids(
    workdir: Workdir, schema: CatalogSchema, predictions: Sequence[Receipt]
) -> tuple[int, ...]:
    """Return ``source_id`` of every `ID_STEP`-th row; by its place, where ids do not tell that.

    Parameters
    ----------
    workdir : Workdir
        Where the rows are.
    schema : CatalogSchema
        Says whether ids are keys of words.
    predictions : sequence of Receipt
        Whose rows these are.
    """
    wanted: dict[int, list[int]] = {}
    rows = Rows([receipt.rows_out for receipt in predictions])
    for row in range(0, len(rows), ID_STEP):
        (piece,) = rows.between(row, row + 1)
        wanted.setdefault(piece.partition, []).append(piece.start)
    places = {workdir.root / predictions[n].output: starts for n, starts in wanted.items()}
    names = ("ra", "dec") if schema.contract.inputs.spelt_ids else ("source_id",)
    read = [read_some(path, names, starts) for path, starts in places.items()]
    columns = [
        np.concatenate([np.empty(0, np.int64), *(one[name] for one in read)]) for name in names
    ]
    return ids_of_places(*columns) if len(columns) == 2 else tuple(columns[0].tolist())
