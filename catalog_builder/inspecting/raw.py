"""The first rows of a file as they stand there, whatever a description says of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.content import look_at, read_head
from catalog_builder.archive.readers.fits.table import FitsTable, open_fits_table
from catalog_builder.archive.readers.stream import read_pieces
from catalog_builder.archive.readers.text.buffer import TextBuffer
from catalog_builder.archive.storage import open_bytes
from catalog_builder.ground.documents import DocumentError, parse_yaml

#: What may part fields, beside blanks; and where it is looked for.
_DELIMITERS: Final = (",", ";", "\t", "|")
_HEAD_BYTES: Final = 1 << 16
#: A cell of text may hold the longest array of a row.
_MAX_CELL = 1 << 25


@dataclass(frozen=True)
class RawTable:
    """The first rows of one file.

    Attributes
    ----------
    url, format : str
        The file, and what it is: ``text``, ``fits`` or ``parquet``.
    units, types : dict of str to str
        Of the columns whose file says so: in its own words.
    cells : dict of str to list
        By column, in the order of the file. Text as it stands there, also numbers and arrays; of
        typed files numbers, booleans, lists, and None for null.
    delimiter : str
        What parts the fields of text.
    """

    url: str
    format: str
    units: dict[str, str]
    types: dict[str, str]
    cells: dict[str, list[Any]]
    delimiter: str = ","

    @property
    def names(self) -> list[str]:
        """Columns in the order of the file."""
        return list(self.cells)

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return max(map(len, self.cells.values()), default=0)


def read_raw(url: str, rows: int) -> RawTable:
    """Read the first rows of a file: CSV or ECSV (also gzipped), FITS or Parquet.

    Parameters
    ----------
    url : str
        Path or URL.
    rows : int
        At most this many; 0 for the header alone.

    Raises
    ------
    InputError
        If the file cannot be opened, is none of these, or its header is damaged. Of a file that
        is damaged behind its header, the rows before that are given.
    """
    content = look_at(url)
    if content.format == "text":
        return _read_text(url, rows)
    if content.format == "fits":
        with open_fits_table(url) as table:
            return _read_fits(url, table, rows)
    try:
        with open_bytes(url) as stream:
            return _read_parquet(url, stream, rows)
    except (OSError, pa.ArrowException, ValueError, LookupError) as error:
        raise DamagedFileError(f"{url} cannot be read as Parquet: {error}.") from error


def _read_text(url: str, rows: int) -> RawTable:
    delimiter = find_delimiter(url)
    if delimiter != ",":
        return _read_delimited(url, rows, delimiter)
    text = TextBuffer(url, read_pieces(url, check_first=False))
    header = text.read_header()
    units = {name: str(entry["unit"]) for name, entry in _with(header.described, "unit")}
    types = {
        name: f"{entry['datatype']} {entry.get('subtype', '')}".strip()
        for name, entry in _with(header.described, "datatype")
    }
    cells: dict[str, list[Any]] = {name: [] for name in header.names}
    csv.field_size_limit(_MAX_CELL)
    try:
        for row in islice(csv.reader(_lines(text), skipinitialspace=True), rows):
            if len(row) == len(header.names):
                for name, cell in zip(header.names, row, strict=True):
                    cells[name].append(cell.strip())
    except csv.Error:
        pass  # a damaged row: those before it say what the table is
    return RawTable(url, "text", units, types, cells)


def find_delimiter(url: str) -> str:
    """Return what parts the names of a text table's columns: of what may, what is there most."""
    for line in read_head(url, _HEAD_BYTES)[1].decode("utf-8", "replace").splitlines():
        if not line.startswith("#") and line.strip():
            counts = {each: line.count(each) for each in _DELIMITERS}
            best = max(counts, key=counts.__getitem__)
            return best if counts[best] else " " if len(line.split()) > 1 else ","
    return ","


def _read_delimited(url: str, rows: int, delimiter: str) -> RawTable:
    comments: list[str] = []
    lines = _text_lines(url)
    for line in lines:
        if line.startswith("#"):
            comments.append(line[1:].removeprefix(" "))
        elif line.strip():
            break
    else:
        line = ""
    names = [name.strip() for name in next(_parted([line], delimiter), [])]
    try:
        content = parse_yaml("\n".join(comments[1:])) if comments else {}
    except DocumentError:
        content = {}
    entries = content.get("datatype") if isinstance(content, dict) else None
    described = {
        str(entry.get("name")): entry for entry in entries or [] if isinstance(entry, dict)
    }
    units = {name: str(entry["unit"]) for name, entry in _with(described, "unit")}
    types = {name: str(entry["datatype"]) for name, entry in _with(described, "datatype")}
    cells: dict[str, list[Any]] = {name: [] for name in names}
    csv.field_size_limit(_MAX_CELL)
    with suppress(csv.Error):
        for row in islice(_parted(lines, delimiter), rows):
            if len(row) == len(names):
                for name, cell in zip(names, row, strict=True):
                    cells[name].append(cell.strip())
    return RawTable(url, "text", units, types, cells, delimiter)


def _parted(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of each line; of blanks any number part two."""
    if delimiter == " ":
        lines = (f"{' '.join(line.split())}\n" for line in lines)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != "\t")


def _text_lines(url: str) -> Iterator[str]:
    rest = ""
    for piece in read_pieces(url, check_first=False):
        *whole, rest = (rest + piece.decode("utf-8", "replace")).split("\n")
        yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest


def _with(described: dict[str, dict[str, Any]], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, entry) for name, entry in described.items() if entry.get(key) is not None)


def _lines(text: TextBuffer) -> Iterator[str]:
    while True:
        if text.parsable > text.start:
            content = text.buffer[text.start : text.parsable].tobytes()
            text.start = text.parsable
            yield from io.StringIO(content.decode("utf-8", "replace"))
        if not text.refill():
            return


def _read_fits(url: str, table: FitsTable, rows: int) -> RawTable:
    kinds = {name: table.kind(name) for name in dict.fromkeys(table.names)}
    lengths = {name: table.length(name) for name, (_, is_list) in kinds.items() if is_list}
    cells: dict[str, list[Any]] = {name: [] for name in kinds}
    if rows:
        for columns in islice(table.blocks(list(kinds), rows, lengths), 1):
            for name, column in columns.items():
                values = column.values
                if name in lengths and column.lengths is not None:
                    values = values.reshape(-1, max(1, lengths[name]))
                    filled = iter(values.tolist())
                    cells[name] = [next(filled) if n else None for n in column.lengths.tolist()]
                    continue
                is_boolean = kinds[name][0] == "b"
                plain = [value == 1 if is_boolean else _words(value) for value in values.tolist()]
                nulls = column.null.tolist()
                cells[name] = [
                    None if null else value for value, null in zip(plain, nulls, strict=False)
                ]
    units = {name: str(table.unit(name)) for name in kinds if table.unit(name) is not None}
    return RawTable(url, "fits", units, {name: kind for name, (kind, _) in kinds.items()}, cells)


def _words(value: Any) -> Any:
    return value.decode("ascii", "replace").strip() if isinstance(value, bytes) else value


def _read_parquet(url: str, stream: Any, rows: int) -> RawTable:
    parquet = pq.ParquetFile(stream)
    schema = parquet.schema_arrow
    units = {
        field.name: (field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace")
        for field in schema
    }
    cells: dict[str, list[Any]] = {name: [] for name in schema.names}
    if rows:
        for batch in islice(parquet.iter_batches(rows, use_threads=False), 1):
            cells = {name: batch.column(name).to_pylist() for name in schema.names}
    types = {field.name: str(field.type) for field in schema}
    return RawTable(
        url, "parquet", {name: unit for name, unit in units.items() if unit}, types, cells
    )
