"""Reader of FITS binary tables: arrays of fixed or variable length, nulls by TNULL or NaN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers.block import Block, check_unit, match_columns
from catalog_builder.archive.readers.fits.table import open_fits_table
from catalog_builder.archive.readers.typed import check_kind, make_block
from catalog_builder.archive.tables import ColumnSpec, TableSpec, TextRule


def read_fits(
    file: FileRef,
    name: str,
    table: TableSpec,
    wanted: Mapping[str, ColumnSpec],
    text: TextRule,
    block_rows: int,
) -> Iterator[Block]:
    """Yield blocks of the first binary table in a FITS file.

    Raises
    ------
    InputError
        If a column is missing or of another kind or unit than described.
    DamagedFileError
        If the file is no FITS file, has no table, or ends before the table does.
    """
    with open_fits_table(file.url) as fits_table:
        places = match_columns(file.url, fits_table.names, table, wanted)
        native = {canonical: fits_table.names[place] for canonical, place in places.items()}
        for canonical, column in native.items():
            kind, is_list = fits_table.kind(column)
            is_key = canonical == "source_id"
            check_kind(file.url, column, wanted[canonical], kind, is_list=is_list, is_key=is_key)
            check_unit(file.url, column, wanted[canonical], fits_table.unit(column))
        lengths = {column: wanted[canonical].length or 0 for canonical, column in native.items()}
        first_row = 0
        for columns in fits_table.blocks(list(native.values()), block_rows, lengths):
            raw = {canonical: columns[column] for canonical, column in native.items()}
            n_read = raw["source_id"].null.size
            yield make_block(name, wanted, raw, first_row, n_read, text)
            first_row += n_read
