"""Reader of Parquet files, a few rows of one row group at a time."""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers.block import (
    Block,
    DamagedFileError,
    Within,
    check_unit,
    match_columns,
)
from catalog_builder.archive.readers.parquet.pages import RowGroup, good_groups
from catalog_builder.archive.readers.typed import RawColumn, check_kind, make_block
from catalog_builder.archive.storage import open_bytes
from catalog_builder.archive.tables import ColumnSpec, TableSpec, TextRule


def read_parquet(
    file: FileRef,
    name: str,
    table: TableSpec,
    wanted: Mapping[str, ColumnSpec],
    text: TextRule,
    block_rows: int,
    within: Within | None = None,
) -> Iterator[Block]:
    """Yield blocks of a Parquet file; lists are array columns.

    A unit may stand in a field's metadata under ``unit``. Where only some rows are wanted, row
    groups are taken one by one, so that a row is in the same block whichever others are wanted.

    Raises
    ------
    InputError
        If a column is missing or of another kind or unit than described.
    DamagedFileError
        If the file is no Parquet file or is damaged.
    """
    try:
        with open_bytes(file.url) as stream:
            yield from _read(file.url, name, stream, table, wanted, text, block_rows, within)
    except (OSError, pa.ArrowException) as error:
        raise DamagedFileError(f"{file.url} cannot be read as Parquet: {error}.") from error


def _open(stream: Any) -> Any:
    try:
        parquet = pq.ParquetFile(stream, page_checksum_verification=True)
        _ = parquet.schema_arrow  # made when it is first asked for
    except (ValueError, LookupError) as error:  # a footer of wrong bytes
        raise OSError(str(error)) from error
    return parquet


def _read(
    url: str,
    name: str,
    stream: Any,
    table: TableSpec,
    wanted: Mapping[str, ColumnSpec],
    text: TextRule,
    block_rows: int,
    within: Within | None,
) -> Iterator[Block]:
    parquet = _open(stream)
    schema = parquet.schema_arrow
    places = match_columns(url, list(schema.names), table, wanted)
    for canonical, place in places.items():
        is_key = canonical == "source_id"
        _check_field(url, schema.field(place), wanted[canonical], is_key=is_key)
    lengths = {schema.names[place]: wanted[canonical].length for canonical, place in places.items()}
    if within is not None and wanted[within.column].is_text:
        within = None  # what a footer says of words says nothing of their keys
    key = "" if within is None else schema.names[places[within.column]]
    groups, damage = good_groups(url, stream, parquet.metadata, lengths, key)
    for first_row, numbers in _runs(groups, within):
        row = first_row
        for batch in parquet.iter_batches(
            block_rows, row_groups=numbers, columns=list(lengths), use_threads=False
        ):
            raw = {
                canonical: _raw(batch.column(schema.names[place]))
                for canonical, place in places.items()
            }
            yield make_block(name, wanted, raw, row, batch.num_rows, text)
            row += batch.num_rows
    if damage is not None:
        raise damage


def _runs(groups: Sequence[RowGroup], within: Within | None) -> Iterator[tuple[int, list[int]]]:
    """Yield row groups to be read together, with the number of their first row in the file."""
    if within is None:
        yield 0, list(range(len(groups)))
        return
    row = 0
    for number, (n_rows, limits) in enumerate(groups):
        if limits is None or not within.has_none(*limits):
            yield row, [number]
        row += n_rows


def _check_field(url: str, field: Any, spec: ColumnSpec, *, is_key: bool) -> None:
    is_list = _is_list(field.type)
    element = field.type.value_type if is_list or _is_coded(field.type) else field.type
    kind = "b" if pa.types.is_boolean(element) else "O"
    if pa.types.is_decimal(element):
        kind = "f" if element.scale > 0 or is_list else "i"
    elif pa.types.is_integer(element) or pa.types.is_floating(element):
        kind = np.dtype(element.to_pandas_dtype()).kind
    elif pa.types.is_string(element) or pa.types.is_large_string(element):
        kind = "U"
    check_kind(url, field.name, spec, kind, is_list=is_list, is_key=is_key)
    unit = (field.metadata or {}).get(b"unit")
    check_unit(url, field.name, spec, None if unit is None else unit.decode("utf-8", "replace"))


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_coded(kind: Any) -> bool:
    return bool(pa.types.is_dictionary(kind))


def _raw(column: Any) -> RawColumn:
    if _is_coded(column.type):
        column = column.dictionary_decode()
    null = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_decimal(column.type):
        values, beyond = _decimals(column)
        return RawColumn(values, null | beyond)
    if not _is_list(column.type):
        return RawColumn(_numbers(column), null)
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return RawColumn(_numbers(column.flatten()), null, np.asarray(lengths, np.int64))


def _decimals(column: Any) -> tuple[Any, Any]:
    """Return decimals as numbers, and which are beyond int64; whole ones keep every digit."""
    if column.type.scale > 0:
        return _numbers(column.cast(pa.float64())), np.zeros(len(column), bool)
    wide = column.cast(pa.decimal256(76, 0)).fill_null(0)
    ends = [pa.scalar(decimal.Decimal(end), wide.type) for end in (-(2**63), 2**63 - 1)]
    fits = pc.and_(pc.greater_equal(wide, ends[0]), pc.less_equal(wide, ends[1]))
    whole = pc.if_else(fits, wide, pa.scalar(decimal.Decimal(0), wide.type)).cast(pa.int64())
    return whole.to_numpy(zero_copy_only=False), ~fits.to_numpy(zero_copy_only=False)


def _numbers(column: Any) -> Any:
    """Return a NumPy array; null floats are NaN, other nulls 0 (their mask is kept apart)."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.fill_null("").to_numpy(zero_copy_only=False)
    if pa.types.is_floating(column.type):
        return column.fill_null(np.nan).to_numpy(zero_copy_only=False)
    return column.fill_null(False if pa.types.is_boolean(column.type) else 0).to_numpy(
        zero_copy_only=False
    )
