"""Some columns of some rows of a catalogue, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.open import open_catalog, schema_of
from catalog_builder.catalog.where import Where
from catalog_builder.catalog.where_words import near_names
from catalog_builder.catalog.zarr_store import open_columns
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError, ConfigError

Rows = dict[str, NDArray[Any]]


def schema_stored(folder: Path) -> CatalogSchema:
    """Return the schema of a sealed catalogue, less what its store does not have.

    The first catalogues do not say all that is asked of a schema: they get today's, which has
    columns that they lack.

    Parameters
    ----------
    folder : Path
        Of the catalogue.

    Raises
    ------
    CatalogueError
        If there is no catalogue, or its store cannot be opened.
    """
    schema, there = schema_of(folder), open_catalog(folder).attrs["columns"]
    kept = tuple(column for column in schema.all_columns if column.derived or column.name in there)
    return schema.model_copy(update={"all_columns": kept})


def schema_with(schema: CatalogSchema, names: Sequence[str] | None) -> CatalogSchema:
    """Return a schema with only some of its columns, in the order given.

    Parameters
    ----------
    schema : CatalogSchema
        Of the catalogue.
    names : sequence of str, optional
        Columns; all of them without it.

    Raises
    ------
    CatalogueError
        If one is not a column of it; the message says what is near.
    ConfigError
        If one is named twice, none is named, or a text is given in place of a list.
    """
    if names is None:
        return schema
    refuse_text(names)
    known = [column.name for column in schema.all_columns]
    if unknown := [name for name in names if name not in known]:
        raise no_column(unknown, known)
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise ConfigError(f"The column {', '.join(twice)} is named twice.", "Name it once.")
    if not names:
        raise ConfigError("No column is named.", f"There are: {', '.join(known)}.")
    return schema.model_copy(update={"all_columns": tuple(schema[name] for name in names)})


def refuse_text(names: Sequence[str]) -> None:
    """Raise ConfigError if names of columns are one text: to Python that is a list of letters."""
    if isinstance(names, str):
        listed = [name.strip() for name in names.split(",")]
        raise ConfigError(f"columns is the text {names!r}.", f"Give a list of names: {listed}.")


def no_column(
    names: Sequence[str], known: Sequence[str], of: str = "The catalogue"
) -> CatalogueError:
    """Return the error of columns that are none of those known; it says what is near."""
    near = [one for name in names for one in near_names(name, known, 2)]
    return CatalogueError(
        f"{of} has no column {', '.join(names)}.",
        f"Did you mean {' or '.join(near)}?" if near else f"It has: {', '.join(known)}.",
    )


def row_range(rows: slice | tuple[int, int] | None, count: int) -> tuple[int, int]:
    """Return first row and the one behind the last of a range of a catalogue's rows.

    Raises
    ------
    CatalogueError
        If rows are to be left out between them.
    """
    if rows is None:
        return 0, count
    start, stop, step = (rows if isinstance(rows, slice) else slice(*rows)).indices(count)
    if step != 1:
        raise CatalogueError(
            f"rows has a step of {step}: rows are read one after the other.",
            "Give slice(start, stop), and take every n-th of what is returned.",
        )
    return start, max(start, stop)


def read_selected(
    store: Path,
    schema: CatalogSchema,
    names: Sequence[str],
    where: Where | None = None,
    rows: tuple[int, int] | None = None,
) -> Iterator[tuple[int, NDArray[np.int64], Rows]]:
    """Yield columns of the rows that meet a condition, a chunk of the store at a time.

    Parameters
    ----------
    store : Path
        ``catalog.zarr``.
    schema : CatalogSchema
        Of the whole catalogue.
    names : sequence of str
        Columns of it, the derived ones too, in the order in which they are to be.
    where : Where, optional
        The condition; every row meets none.
    rows : (int, int), optional
        First row, and the one behind the last.

    Yields
    ------
    seen : int
        Rows of the range that were looked at so far.
    places : ndarray of int64, shape (m,)
        Which rows of the catalogue these are.
    columns : dict of str to ndarray of shape (m,)
        Their values.
    """
    asked = () if where is None else where.columns
    first = open_columns(store, _stored(schema, asked or names[:1]))
    rest = open_columns(store, [n for n in _stored(schema, names) if n not in first])
    some = next(iter(first.values()))
    begin, end = rows or (0, int(some.shape[0]))
    step = int(some.chunks[0])
    for chunk in range(begin // step * step, end, step):
        start, stop = max(chunk, begin), min(chunk + step, end)
        read = {name: np.asarray(array[start:stop]) for name, array in first.items()}
        places = np.arange(start, stop)
        if where is None:
            kept: slice | NDArray[np.bool_] = slice(None)
        else:
            kept = where(complete(read, schema, asked)) if asked else _all(where, read)
            places = places[kept]
        if len(places):
            read |= {name: np.asarray(array[start:stop]) for name, array in rest.items()}
        else:
            read |= {name: np.empty(stop - start, array.dtype) for name, array in rest.items()}
        chosen = {name: values[kept] for name, values in read.items()}
        yield stop - begin, places, complete(chosen, schema, names)


def complete(rows: Mapping[str, NDArray[Any]], schema: CatalogSchema, names: Iterable[str]) -> Rows:
    """Return columns in an order; those that are not stored are computed of the masks."""
    wanted = list(names)
    columns = tuple(schema[name] for name in wanted)
    if not any(column.derived for column in columns):
        return {name: rows[name] for name in wanted}
    return with_derived(rows, schema.model_copy(update={"all_columns": columns}))


def _all(where: Where, read: Rows) -> NDArray[np.bool_]:
    """Return what a condition without columns says."""
    return np.array(where(read))


def _stored(schema: CatalogSchema, names: Iterable[str]) -> list[str]:
    """Return the columns that must be read for some: the masks for those that are not stored."""
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys(schema.flags.columns if schema[name].derived else (name,))
    return list(found)
