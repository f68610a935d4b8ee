"""The rows of the tables beside a catalogue: where those of a chunk are, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from catalog_builder.contract.side_table import IDENTIFIERS, SideTable
from catalog_builder.features.repeated_values import values_for
from catalog_builder.publish.identifiers import words_for
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt

#: Outputs of tasks by the name of the table.
Stores = dict[str, list[str]]


def stores_beside(
    values: Mapping[str, Mapping[str, Receipt]], partitions: Iterable[str]
) -> tuple[Stores, list[Need]]:
    """Return where the values for a chunk are, and the tasks that found them.

    Parameters
    ----------
    values : mapping of str to mapping of str to Receipt
        By the name of the table and of the partition.
    partitions : iterable of str
        Those of which the chunk has rows.
    """
    stores: Stores = {}
    needs: list[Need] = []
    for name, receipts in values.items():
        used = [receipts[part] for part in partitions if part in receipts]
        stores[name] = [one.output for one in used]
        needs += [Need(one.stage, one.task) for one in used]
    return stores, needs


def rows_beside(
    root: Path, stores: Stores, tables: Iterable[SideTable], ids: NDArray[Any]
) -> dict[str, Mapping[str, NDArray[Any]]]:
    """Return the rows of each table for the stars of a chunk, without their ids.

    Parameters
    ----------
    root : Path
        Of the workdir.
    stores : dict of str to list of str
        Of `stores_beside`.
    tables : iterable of SideTable
        Their columns.
    ids : ndarray of int64, shape (n,)
        ``source_id`` of the chunk's rows; they increase.
    """
    found: dict[str, Mapping[str, NDArray[Any]]] = {}
    for table in tables:
        paths = [root / store for store in stores.get(table.name, ())]
        if table.name == IDENTIFIERS:
            found[table.name] = words_for(paths, table, ids)
        else:
            dtypes = {column.name: column.numpy_dtype for column in table.columns[1:]}
            found[table.name] = values_for(paths, ids, dtypes)
    return found
