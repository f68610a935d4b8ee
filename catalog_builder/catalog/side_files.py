"""The files of a table beside a catalogue: zarr, FITS and Parquet, written by the tasks of chunks.

The table has a row for each row of the catalogue, in the same order, cut into the same chunks. In
zarr and FITS it is one store and one file, as the catalogue itself; in Parquet a folder with a file
for each chunk, in the order of their names. A table of words alone has no store, and is always in
Parquet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.chunk_files import chunk_file, read_chunk, write_chunk
from catalog_builder.catalog.exports import ByChunks, Part, Target, Written
from catalog_builder.catalog.exports import _fits_by_chunks as fits_file
from catalog_builder.catalog.exports._place import write_at
from catalog_builder.catalog.zarr_store import as_declared, create_store
from catalog_builder.contract.side_table import SideTable
from catalog_builder.ground.disk import sync
from catalog_builder.ground.errors import StoreError
from catalog_builder.runtime.workdir import remove_tree

#: What the name of a table's files ends in, by kind: of Parquet it is a folder.
ENDINGS: Final = {"zarr": ".zarr", "fits": ".fits", "parquet": ""}
#: By the name of an export of the catalogue, the kind that a table beside it has then.
OF_FORMAT: Final = {"fits": "fits", "hats": "parquet"}
MEDIA: Final = {
    "zarr": "application/vnd+zarr",
    "fits": "application/fits",
    "parquet": "application/vnd.apache.parquet",
}
_DIGITS: Final = 12
_ASCII: Final = 128

Rows = Mapping[str, NDArray[Any]]


def kinds_of(table: SideTable, formats: Iterable[str]) -> tuple[str, ...]:
    """Return in which ways a table is written beside a catalogue with such exports."""
    always = "parquet" if table.of_words else "zarr"
    wanted = (OF_FORMAT[name] for name in formats if name in OF_FORMAT)
    return tuple(dict.fromkeys((always, *wanted)))


def side_file(table: SideTable, kind: str) -> str:
    """Return the name of a table's file or folder."""
    return f"{table.name}{ENDINGS[kind]}"


def writer_of(kind: str, chunk_rows: int) -> ByChunks:
    """Return how a table is written.

    Parameters
    ----------
    kind : str
        ``zarr``, ``fits`` or ``parquet``.
    chunk_rows : int
        Rows of a chunk of the catalogue.
    """
    if kind == "fits":
        return ByChunks(fits_file.begin, _write_fits, fits_file.end)
    if kind == "parquet":
        return ByChunks(_begin_folder, _write_part, lambda _target, _written: ())
    return ByChunks(
        lambda target: _begin_store(target, chunk_rows),
        lambda target, start, rows: _write_store(target, start, rows, chunk_rows),
        lambda target, _written: _end_store(target, chunk_rows),
    )


def _begin_store(target: Target, chunk_rows: int) -> bool:
    """Make the metadata of the store; say whether there was none."""
    anew = not target.path.exists()
    for name, content in _metadata(target, chunk_rows):
        file = target.path / name
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_at(file, 0, content, whole=True)
    return anew


def _metadata(target: Target, chunk_rows: int) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a store that has no rows yet."""
    partial = target.path.with_name(f".{target.path.name}.partial")
    remove_tree(partial)
    title = getattr(target.schema, "title", "")
    create_store(partial, target.schema, target.rows, chunk_rows, {"title": title})
    for file in sorted(partial.rglob("zarr.json")):
        yield file.relative_to(partial).as_posix(), file.read_bytes()
    remove_tree(partial)


def _write_store(target: Target, start: int, rows: Rows, chunk_rows: int) -> Written:
    parts = []
    for column in target.schema.columns:
        file = chunk_file(target.path, column.name, start // chunk_rows)
        file = file / "0" if column.is_text else file  # an array of two dimensions
        values = as_declared(target.path, column, rows[column.name])
        write_chunk(file, column, values, chunk_rows)
        sync(file)
        content, found = read_chunk(file, column, len(values))
        if found.tobytes() != values.tobytes():
            raise StoreError(f"{file} does not have the rows that were written.")
        parts.append(_part(target, file, content))
    return Written(tuple(parts))


def _end_store(target: Target, chunk_rows: int) -> tuple[Part, ...]:
    _begin_store(target, chunk_rows)
    return tuple(
        _part(target, target.path / name, content)
        for name, content in _metadata(target, chunk_rows)
    )


def _write_fits(target: Target, start: int, rows: Rows) -> Written:
    plain = {name: in_plain_letters(values) for name, values in rows.items()}
    return fits_file.write(target, start, plain)


def in_plain_letters(values: NDArray[Any]) -> NDArray[Any]:
    """Return text as FITS can hold it, with ``?`` for bytes beyond ASCII; numbers as given."""
    if values.dtype.kind != "S" or not values.size:
        return values
    letters = np.ascontiguousarray(values).view(np.uint8)
    if letters.max() < _ASCII:
        return values
    return np.where(letters < _ASCII, letters, np.uint8(ord("?"))).view(values.dtype)


def _begin_folder(target: Target) -> bool:
    if target.path.is_dir():
        return False
    target.path.mkdir()
    return True


def part_file(folder: Path, start: int) -> Path:
    """Return the Parquet file of the chunk that begins with a row."""
    return folder / f"part-{start:0{_DIGITS}d}.parquet"


def _write_part(target: Target, start: int, rows: Rows) -> Written:
    # pyarrow takes a while to load: only where the format is asked for.
    from catalog_builder.catalog.voparquet import in_bytes, table_of

    data = in_bytes(table_of(rows, target.schema, target.record))
    file = part_file(target.path, start)
    write_at(file, 0, data, whole=True)
    return Written((_part(target, file, data),))


def _part(target: Target, file: Path, content: bytes) -> Part:
    name = file.relative_to(target.path.parent).as_posix()
    return Part(name, 0, len(content), hashlib.sha256(content).hexdigest())
