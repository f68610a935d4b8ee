"""A catalogue as a Dask DataFrame; as LSDB's, where it has a HATS collection and LSDB is there."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from catalog_builder.catalog.layout import STORE_NAME, find_catalogue
from catalog_builder.catalog.selected import read_selected, schema_stored, schema_with
from catalog_builder.catalog.where import Where, parse_where
from catalog_builder.catalog.zarr_store import open_columns, row_count
from catalog_builder.contract.schema import CatalogSchema, Column
from catalog_builder.ground.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_HATS: Final = "hats"


def open_lazy(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    where: str | None = None,
    lsdb: bool | None = None,
) -> Any:
    """Open a catalogue as a Dask DataFrame or an LSDB catalogue, to be computed part by part.

    Parameters
    ----------
    path : str or Path
        What :func:`catalog_builder.open_catalog` takes.
    columns : sequence of str, optional
        Those to read, in this order; all of them by default.
    where : str, optional
        Only the rows that meet a condition, as in `open_table`; it may ask for other columns.
    lsdb : bool, optional
        Whether to open it with LSDB, which knows places on the sky. By default that is done where
        the catalogue has a HATS collection (``publish.formats``) and LSDB is installed.

    Returns
    -------
    dask.dataframe.DataFrame or lsdb catalogue
        A Dask DataFrame has a part for each chunk of the store, and the number of the row in the
        catalogue as its index. An LSDB catalogue has LSDB's own. A null is NaN in both.

    Raises
    ------
    CatalogueError
        If there is no sealed catalogue, or it has no such column; where values are computed, if a
        chunk is damaged.
    ConfigError
        If the condition cannot be used, or LSDB is asked for and is not
        installed, or has nothing to read.

    Examples
    --------
    >>> stars = open_lazy("workdir/catalogs/dr3", ["teff"], where="gold")  # doctest: +SKIP
    >>> stars.teff.mean().compute()  # doctest: +SKIP
    """
    folder = find_catalogue(path)
    schema = schema_stored(folder)
    wanted = [column.name for column in schema_with(schema, columns).all_columns]
    condition = None if where is None else parse_where(where, schema)
    there = (folder / _HATS).is_dir(), importlib.util.find_spec("lsdb") is not None
    if lsdb is None:
        lsdb = all(there)
    if lsdb:
        _refuse_absent(folder, *there)
        return _with_lsdb(folder, schema, wanted, condition)
    return _with_dask(folder, schema, wanted, where)


def _with_dask(folder: Path, schema: CatalogSchema, wanted: list[str], where: str | None) -> Any:
    import dask.dataframe as dd

    store = folder / STORE_NAME
    rows = row_count(store)
    (some,) = open_columns(store, ["source_id"]).values()
    step = int(some.chunks[0])
    starts = list(range(0, rows, step))
    # The condition travels as text: a task reads it again, and nothing of it is unpickled.
    read = functools.partial(_part, store, schema, wanted, where, rows, step)
    empty = {name: np.empty(0, schema[name].numpy_dtype) for name in wanted}
    meta = _frame(empty, np.empty(0, np.int64), wanted)
    return dd.from_map(read, starts, meta=meta, divisions=(*starts, rows - 1))


def _part(
    store: Path,
    schema: CatalogSchema,
    wanted: list[str],
    where: str | None,
    rows: int,
    step: int,
    start: int,
) -> pd.DataFrame:
    piece = start, min(start + step, rows)
    condition = None if where is None else parse_where(where, schema)
    ((_, places, values),) = read_selected(store, schema, wanted, condition, piece)
    return _frame(values, places, wanted)


def _frame(values: dict[str, Any], places: Any, wanted: list[str]) -> pd.DataFrame:
    import pandas as pd

    texts = [name for name in wanted if values[name].dtype.kind == "S"]
    columns = {name: values[name] for name in wanted}
    columns |= {name: values[name].astype(np.str_) for name in texts}
    frame = pd.DataFrame(columns, index=pd.Index(places, name="row"))
    return frame.astype(dict.fromkeys(texts, "string[pyarrow]"))


def _with_lsdb(folder: Path, schema: CatalogSchema, wanted: list[str], where: Where | None) -> Any:
    import lsdb

    asked = () if where is None else where.columns
    opened = lsdb.open_catalog(folder / _HATS, columns=list(dict.fromkeys((*wanted, *asked))))
    if where is None:
        return opened
    return opened.map_partitions(functools.partial(_meeting, where.text, schema, wanted))


def _meeting(where: str, schema: CatalogSchema, wanted: list[str], frame: Any) -> Any:
    """Return the rows of a partition that meet a condition."""
    condition = parse_where(where, schema)
    rows = {name: _as_declared(frame[name], schema[name]) for name in condition.columns}
    if not rows:
        rows = {"row": np.zeros(len(frame))}
    return frame[condition(rows)][wanted]


def _as_declared(values: Any, column: Column) -> Any:
    if column.nullable:
        return values.to_numpy(dtype=column.numpy_dtype, na_value=np.nan)
    return values.to_numpy().astype(column.numpy_dtype)


def _refuse_absent(folder: Path, collection: bool, installed: bool) -> None:
    if not installed:
        raise ConfigError(
            "LSDB is not installed.", "Install it (`pip install lsdb`), or give lsdb=False."
        )
    if not collection:
        raise ConfigError(
            f"{folder} has no HATS collection, which LSDB reads.",
            "Publish with publish.formats=[fits, hats], or give lsdb=False.",
        )
