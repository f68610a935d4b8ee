"""A user's files as tables, whatever their format: told by their content, not their names."""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import ascii as text_tables
from astropy.io import fits, votable
from astropy.io.fits.verify import VerifyError
from astropy.table import Table

from catalog_builder.ground.errors import InputError
from catalog_builder.labelling.images import is_spectrum, table_of_image

#: Bytes of a file, unpacked: the spectra of a hundred thousand stars.
_MOST_BYTES: Final = 4 << 30
#: What is packed may unpack to this many times its bytes, and to at least this many bytes: spectra
#: and ids as text give 20 times, and what is made to fill a memory a thousand.
_UNPACKED_TIMES: Final = 100
_UNPACKED_AT_LEAST: Final = 64 << 20
#: Files within files: a ZIP of gzipped ones is two.
_DEEPEST: Final = 3
#: What readers raise on content that is not what it seems.
_DAMAGE: Final = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, VerifyError),
    *(zipfile.BadZipFile, text_tables.InconsistentTableError, RuntimeError, AttributeError),
)
_DELIMITERS: Final = (",", ";", "\t", "|")
_NULLS: Final = ("", "null", "NULL", "nan", "NaN", "None", "--")
_FORMATS: Final = "CSV, ECSV, FITS, VOTable or Parquet, also gzipped or in a ZIP"


@dataclass(frozen=True)
class GivenTable:
    """A table, and what its file is called in sentences."""

    name: str
    table: Table


def read_tables(path: Path) -> list[GivenTable]:
    """Read all tables of a file; a FITS image of one dimension becomes one.

    Raises
    ------
    InputError
        If the file is not there, or holds no table that can be read.
    """
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MOST_BYTES else b""
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path."
        ) from None
    if size > _MOST_BYTES:
        raise InputError(f"{path} has {size} bytes, more than {_MOST_BYTES}.", "Cut it in parts.")
    found = list(_tables(path.name, content))
    if not found:
        raise InputError(f"{path} holds no table.", f"Give {_FORMATS}.")
    return found


def _most_of(content: bytes) -> int:
    """Return how many bytes may come of packed ones."""
    return min(_MOST_BYTES, max(_UNPACKED_AT_LEAST, _UNPACKED_TIMES * len(content)))


def _gunzipped(content: bytes) -> bytes:
    most, pieces, size = _most_of(content), [], 0
    with gzip.open(io.BytesIO(content)) as stream:
        while piece := stream.read(1 << 20):
            size += len(piece)
            if size > most:
                raise ValueError(f"unpacked it has more than {most} bytes")
            pieces.append(piece)
    return b"".join(pieces)


def _tables(name: str, content: bytes, depth: int = 0) -> Iterator[GivenTable]:
    """Yield the tables of a file's content."""
    if depth > _DEEPEST:
        raise InputError(f"{name} is packed more than {_DEEPEST} times.", "Unpack it.")
    if content.startswith(b"PK\x03\x04"):
        yield from _of_archive(name, content, depth)
        return
    try:
        if content.startswith(b"\x1f\x8b"):
            yield from _tables(name, _gunzipped(content), depth + 1)
            return
        with warnings.catch_warnings():
            # Of units and keywords that astropy would spell otherwise.
            warnings.simplefilter("ignore")
            tables = list(_read(content))
    except _DAMAGE as error:
        raise InputError(
            f"{name} cannot be read: {type(error).__name__}: {str(error)[:300]}.",
            f"Give {_FORMATS}.",
        ) from error
    for label, table in tables:
        table.columns  # noqa: B018 - a table of nothing has none
        if len(table):
            yield GivenTable(f"{name}{label}", table)


def _of_archive(name: str, content: bytes, depth: int) -> Iterator[GivenTable]:
    most = _most_of(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            # No member gives more bytes than it says here.
            if sum(each.file_size for each in members) > most:
                raise ValueError(f"unpacked it has more than {most} bytes")
            unpacked = [(each.filename, archive.read(each)) for each in members]
    except (*_DAMAGE, NotImplementedError) as error:
        raise InputError(f"{name} cannot be unpacked: {error}.", "Fetch it again.") from error
    for member, inside in unpacked:
        if inside.startswith(b"PK\x03\x04"):
            raise InputError(f"{name} has a ZIP within it: {member}.", "Unpack it.")
        yield from _tables(member.rpartition("/")[2], inside, depth + 1)


def _read(content: bytes) -> Iterator[tuple[str, Table]]:
    if content.startswith(b"SIMPLE"):
        yield from _of_fits(content)
    elif content.startswith(b"PAR1"):
        yield "", _of_parquet(content)
    elif b"<VOTABLE" in content[:4096]:
        yield from _of_votable(content)
    else:
        yield "", _of_text(content.decode("utf-8-sig"))


def _of_fits(content: bytes) -> Iterator[tuple[str, Table]]:
    with fits.open(io.BytesIO(content), memmap=False) as hdus:
        tables = [
            (number, hdu)
            for number, hdu in enumerate(hdus)
            if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)
        ]
        for number, hdu in tables:
            table = Table.read(hdu)
            # What holds of the file holds of its tables.
            table.meta = {**dict(hdus[0].header), **table.meta}
            yield f"[{number}]" if len(tables) > 1 else "", table
        if not tables:
            image = next((hdu for hdu in hdus if is_spectrum(hdu)), None)
            if image is None:
                raise ValueError("it holds neither a table nor an image of one dimension")
            yield "", table_of_image(image, list(hdus))


def _of_votable(content: bytes) -> Iterator[tuple[str, Table]]:
    tables = list(votable.parse(io.BytesIO(content), verify="ignore").iter_tables())
    for number, each in enumerate(tables):
        table = each.to_table(use_names_over_ids=True)
        # The archive's products name their source so.
        table.meta.update({str(p.name): p.value for p in each.params if p.name})
        yield f"[{number}]" if len(tables) > 1 else "", table


def _of_parquet(content: bytes) -> Table:
    from pyarrow import parquet

    read = parquet.ParquetFile(io.BytesIO(content)).read()
    table = Table()
    for field, column in zip(read.schema, read.columns, strict=True):
        if str(field.type).startswith(("list", "large_list", "fixed_size_list")):
            values: Any = np.empty(len(column), object)
            values[:] = [np.nan if cell is None else np.array(cell) for cell in column.to_pylist()]
        elif str(field.type).startswith(("float", "double", "bool")) or (
            str(field.type).startswith("int") and not column.null_count
        ):
            values = column.to_numpy()
        else:
            values = np.array(
                ["" if cell is None else str(cell) for cell in column.to_pylist()], dtype=str
            )
        table[field.name] = values
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        if unit:
            table[field.name].unit = unit
    return table


def _of_text(text: str) -> Table:
    # astropy takes a single line without its end for the name of a file, or a URL.
    text = text.rstrip("\r\n") + "\n"
    if text.startswith("# %ECSV"):
        return Table.read(text, format="ascii.ecsv")
    lines = [line for line in text.splitlines() if line.strip()]
    head = next((line for line in lines if not line.startswith("#")), "")
    if lines and all(re.fullmatch(r"\s*\d{1,19}\s*", line) for line in lines):
        ids = np.array([int(line) for line in lines], np.int64)
        return Table({"source_id": ids})
    if not re.search(r"[A-Za-z_]", re.sub(r"[0-9.][eEdD][-+]?[0-9]", "", head)):
        # numpy.savetxt writes the names behind a #.
        named = [line for line in lines if line.startswith("#")]
        if not named:
            raise ValueError("its first line does not name the columns")
        head = named[-1].lstrip("# ")
        text = "\n".join([head, *(line for line in lines if not line.startswith("#"))])
    # Of one column, cells may have blanks in them.
    blank = " " if len(head.split()) > 1 else ","
    delimiter = next((each for each in _DELIMITERS if each in head), blank)
    if delimiter != " " and ("(" in text or "[" in text):
        return _of_text_with_arrays(text, delimiter)
    return text_tables.read(
        text,
        format="basic",
        delimiter=delimiter,
        comment=r"\s*#",
        guess=False,
        fill_values=[(null, "0") for null in _NULLS],
    )


def _of_text_with_arrays(text: str, delimiter: str) -> Table:
    """Read text with lists in its cells, which may be too long for a type of fixed width."""
    import csv

    csv.field_size_limit(1 << 30)
    rows = csv.reader(
        (line for line in text.splitlines() if not line.startswith("#")), delimiter=delimiter
    )
    header = [name.strip() for name in next(rows)]
    columns: list[list[str]] = [[] for _ in header]
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} cells, the header {len(header)}")
        for cells, cell in zip(columns, row, strict=True):
            cells.append(cell.strip())
    return Table({name: _typed(cells) for name, cells in zip(header, columns, strict=True)})


def _typed(cells: list[str]) -> np.ndarray[Any, Any]:
    """Return cells as integers, as numbers, or as they are."""
    if all(re.fullmatch(r"[-+]?\d{1,19}", cell) for cell in cells):
        return np.array([int(cell) for cell in cells], np.int64)
    try:
        return np.array([np.nan if cell in _NULLS else float(cell) for cell in cells])
    except ValueError:
        return np.array(cells, object)
