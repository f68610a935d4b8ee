"""Readers: one function, :func:`read_blocks`, for every file format of an archive."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers.block import (
    Block,
    DamagedFileError,
    Within,
    select_columns,
)
from catalog_builder.archive.readers.content import look_at
from catalog_builder.archive.readers.guard import UnforeseenDamageError, guarded
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import POSITION, ColumnSpec, TableName, TableSpec

__all__ = ["Block", "DamagedFileError", "UnforeseenDamageError", "Within", "read_blocks"]


def read_blocks(
    file: FileRef,
    table: TableName,
    release: ReleaseSpec,
    *,
    block_rows: int = 2048,
    columns: Collection[str] | None = None,
    check_first: bool = True,
    within: Within | None = None,
) -> Iterator[Block]:
    """Stream a file of a table in blocks of rows; memory does not grow with the file.

    Parameters
    ----------
    file : FileRef
        The file; its content tells the format, whatever its name: CSV, ECSV or FITS (these also
        gzipped), or Parquet.
    table : str
        Logical name of the table.
    release : ReleaseSpec
        Describes the table's columns and the spellings of nulls and booleans.
    block_rows : int
        Good rows per block; the last has fewer.
    columns : collection of str, optional
        Canonical names to read beside the source_id; all that are described by default.
    check_first : bool
        Whether compressed text is gone through once beforehand, so that nothing is given of a
        gzip member with a wrong CRC. That takes half as long again. A caller that goes without must
        throw away all that was given when an error comes, and read again with it.
    within : Within, optional
        Which rows are wanted. A Parquet file's row groups that have none, by what its footer says
        of them, are passed over; of others rows that are not wanted come too.

    Yields
    ------
    Block
        Good rows, and an account of the others.

    Raises
    ------
    InputError
        Before the first block: a required column is absent, a wanted one is there twice, or the
        header contradicts the description.
    DamagedFileError
        After the last good block: the file is unreadable from there on, for its `reason`. An
        `UnforeseenDamageError` where its content made a reader fail in a way that is not known.
    """
    if block_rows < 1:
        raise ValueError("block_rows must be at least 1")
    blocks = guarded(
        file.url,
        _read_blocks(
            file, table, release, block_rows, columns, check_first=check_first, within=within
        ),
    )
    described = select_columns(release.tables[table], columns)
    nulls = {name: spec.nulls for name, spec in described.items() if spec.nulls}
    for block in blocks:
        yield block.without(nulls) if nulls else block


def _read_blocks(
    file: FileRef,
    table: TableName,
    release: ReleaseSpec,
    block_rows: int,
    columns: Collection[str] | None,
    *,
    check_first: bool,
    within: Within | None,
) -> Generator[Block]:
    spec = release.tables[table]
    if release.partition.position_column is not None:
        spec = _with_position(spec, release.partition.position_column)
        columns = None if columns is None else {*columns, POSITION}
    wanted = select_columns(spec, columns)
    content = look_at(file.url)
    if content.format == "text":
        # Imported here, for it brings the compiler with it.
        from catalog_builder.archive.readers.stream import read_pieces
        from catalog_builder.archive.readers.text.reader import TextReader

        pieces = read_pieces(file.url, check_first=check_first)
        yield from TextReader(
            file.url, pieces, table, spec, wanted, release.text, block_rows
        ).blocks()
    elif content.format == "fits":
        from catalog_builder.archive.readers.fits.reader import read_fits

        yield from read_fits(file, table, spec, wanted, release.text, block_rows)
    else:
        from catalog_builder.archive.readers.parquet.reader import read_parquet

        yield from read_parquet(file, table, spec, wanted, release.text, block_rows, within)


def _with_position(spec: TableSpec, column: str) -> TableSpec:
    """Return a table with the column that says where its rows lie."""
    position = ColumnSpec(dtype="int64", names=(column,), required=True)
    return spec.model_copy(update={"columns": {**spec.columns, POSITION: position}})
