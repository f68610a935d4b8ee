"""Ways to spoil one file of an archive, each a kind of damage that archives are known to have.

Each takes the file, a generator and the file's table name, and changes the file in place. What a
reader may make of it is said by `Kind`: a run over harmless changes must give the very catalogue of
the archive as it was; a run over damage may lose stars of that partition, and must say so, but may
publish no star that is not there and no label that another input would give.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
import random
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table


@dataclass(frozen=True)
class Kind:
    """One way to spoil a file."""

    spoil: Callable[[Path, random.Random], None]
    #: Whether the archive holds the same as before, so that the same catalogue must come out.
    harmless: bool = False
    #: Whether values were changed in a way that no reader can see: labels may then differ.
    in_silence: bool = False
    #: Whether rows were added that ask for somebody who is not there.
    asks_for_more: bool = False


def _text(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)


def _write(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=1))


def _head(lines: list[str]) -> int:
    """Return the place of the first row."""
    return next(n for n, line in enumerate(lines) if not line.startswith("#")) + 1


def _columns(path: Path) -> dict[str, list[str]]:
    lines = _text(path)
    names, *rows = csv.reader(lines[_head(lines) - 1 :])
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _table(path: Path, key: str) -> Table:
    """Return a text table's scalars and arrays as numbers, the key in the given dtype."""
    table = Table()
    for name, cells in _columns(path).items():
        if name == "source_id":
            table[name] = np.array(cells, np.int64).astype(key)
        elif cells[0].startswith(("[", "(")):
            table[name] = np.array([_numbers(cell) for cell in cells])
        elif (numbers := _maybe_numbers(cells)) is not None:
            table[name] = numbers
        else:
            table[name] = np.array([cell.lower() in ("true", "t", "1") for cell in cells])
    return table


def _numbers(cell: str) -> np.ndarray:
    return np.array([_number(word) for word in cell.strip("[]()").split(",")])


def _number(word: str) -> float:
    return float("nan") if word.strip(' "').lower() in ("", "null") else float(word)


def _maybe_numbers(cells: list[str]) -> np.ndarray | None:
    try:
        return np.array([_number(cell) for cell in cells])
    except ValueError:
        return None


# --- bytes ----------------------------------------------------------------------------------------


def flip_a_bit(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def flip_ten_bits(path: Path, rng: random.Random) -> None:
    for _ in range(10):
        flip_a_bit(path, rng)


def cut_off(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def append_noise(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randrange(1, 5000)))


def overwrite_a_block(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    start = rng.randrange(len(content))
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    path.write_bytes(content)


def wrong_crc(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-8] + rng.randbytes(4) + content[-4:])


def wrong_crc_of_one_member(path: Path, rng: random.Random) -> None:
    lines = _text(path)
    head = _head(lines)
    half = head + (len(lines) - head) // 2
    members = [gzip.compress("".join(part).encode(), 1) for part in (lines[:half], lines[half:])]
    spoilt = rng.randrange(2)
    members[spoilt] = members[spoilt][:-8] + rng.randbytes(4) + members[spoilt][-4:]
    path.write_bytes(b"".join(members))


def web_page(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>\n")


# --- headers --------------------------------------------------------------------------------------


def _with_header(path: Path, extra: str) -> None:
    lines = _text(path)
    start = 0 if lines[0].startswith("#") else None
    if start is None:
        lines = ["# %ECSV 1.0\n", "# ---\n", "# delimiter: ','\n", *lines]
    _write(path, [*lines[:2], *(f"# {line}\n" for line in extra.splitlines()), *lines[2:]])


def deep_header(path: Path, rng: random.Random) -> None:
    _with_header(path, rng.choice(["x: " + "[" * 200_000, "- " * 100_000, "{a: " * 100_000]))


def header_of_aliases(path: Path, rng: random.Random) -> None:
    laugh = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    _with_header(path, "\n".join(["a0: &a0 [x, x, x, x, x, x]", *laugh]))


def endless_header(path: Path, rng: random.Random) -> None:
    _with_header(path, "x\n" * 1_000_000)


def endless_line(path: Path, rng: random.Random) -> None:
    path.write_bytes(gzip.compress(b"1" * (200 << 20), 1))


def no_such_column(path: Path, rng: random.Random) -> None:
    lines = _text(path)
    head = _head(lines) - 1
    lines[head] = lines[head].replace("source_id", "source", 1)
    _write(path, lines)


# --- rows -----------------------------------------------------------------------------------------


def malformed_rows(path: Path, rng: random.Random) -> None:
    _write(path, [*_text(path), *["x,y\n"] * 200_000])


def repeated_rows(path: Path, rng: random.Random) -> None:
    lines = _text(path)
    rows = lines[_head(lines) :]
    _write(path, [*lines, *rng.choices(rows, k=len(rows))])


def rows_of_elsewhere(path: Path, rng: random.Random) -> None:
    lines = _text(path)
    head = _head(lines)
    place = lines[head - 1].strip().split(",").index("source_id")
    for number in range(head, len(lines), 3):
        cells = next(csv.reader([lines[number]]))
        cells[place] = str(rng.choice([0, -1, 2**63, 2**63 - 1, 3 << 59, "1e18", "12.0"]))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        lines[number] = text.getvalue()
    _write(path, lines)


def wild_cells(path: Path, rng: random.Random) -> None:
    lines = _text(path)
    head = _head(lines)
    for number in range(head, len(lines)):
        cells = next(csv.reader([lines[number]]))
        place = rng.randrange(2, len(cells))
        if "," not in cells[place]:
            cells[place] = rng.choice(["abc", "1e999", "-inf", "", "0x10", "\u0661", "1,2"])
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        lines[number] = text.getvalue()
    _write(path, lines)


# --- formats --------------------------------------------------------------------------------------


def ids_as_double(path: Path, rng: random.Random) -> None:
    _as_fits(path, "float64")


def ids_unsigned(path: Path, rng: random.Random) -> None:
    _as_fits(path, "uint64")


def _as_fits(path: Path, key: str) -> None:
    table = _table(path, key)
    path.unlink()
    stem = path.name.removesuffix(".csv.gz")
    fits.table_to_hdu(table).writeto(path.with_name(f"{stem}.fits"))


def ids_as_double_in_parquet(path: Path, rng: random.Random) -> None:
    table = _table(path, "float64")
    path.unlink()
    columns = {name: pa.array(list(np.asarray(table[name]))) for name in table.colnames}
    name = path.name.replace(".csv.gz", ".parquet")
    pq.write_table(pa.table(columns), path.with_name(name))


def gzip_called_fits(path: Path, rng: random.Random) -> None:
    path.rename(path.with_name(path.name.replace(".csv.gz", ".fits")))


def plain_called_gzip(path: Path, rng: random.Random) -> None:
    path.write_bytes(gzip.decompress(path.read_bytes()))


# --- things that are no files ---------------------------------------------------------------------


def fifo(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def a_socket(path: Path, rng: random.Random) -> None:
    path.unlink()
    # A socket's path has room for some hundred characters.
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):
        server.bind(path.name)


def dangling_link(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to("nowhere")


# --- harmless -------------------------------------------------------------------------------------


def a_link(path: Path, rng: random.Random) -> None:
    stored = path.parent.parent / f"stored-{path.name}"
    path.rename(stored)
    path.symlink_to(stored)


def many_members(path: Path, rng: random.Random) -> None:
    lines = _text(path)
    parts = ["".join(lines[start : start + 7]) for start in range(0, len(lines), 7)]
    path.write_bytes(b"".join(gzip.compress(part.encode(), 1) for part in parts))


def windows_lines(path: Path, rng: random.Random) -> None:
    _write(path, [line.replace("\n", "\r\n") for line in _text(path)])


def columns_elsewhere(path: Path, rng: random.Random) -> None:
    lines = _text(path)
    head = _head(lines) - 1
    rows = list(csv.reader(lines[head:]))
    order = rng.sample(range(len(rows[0])), len(rows[0]))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[row[n] for n in order] for row in rows])
    _write(path, [*lines[:head], text.getvalue()])


def stored_gzip(path: Path, rng: random.Random) -> None:
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    path.write_bytes(packer.compress(gzip.decompress(path.read_bytes())) + packer.flush())


KINDS: dict[str, Kind] = {
    "flip a bit": Kind(flip_a_bit),
    "flip ten bits": Kind(flip_ten_bits),
    "cut off": Kind(cut_off),
    "empty": Kind(empty),
    "append noise": Kind(append_noise),
    "overwrite a block": Kind(overwrite_a_block),
    "wrong CRC": Kind(wrong_crc),
    "wrong CRC of one member": Kind(wrong_crc_of_one_member),
    "web page": Kind(web_page),
    "deep header": Kind(deep_header),
    "header of aliases": Kind(header_of_aliases),
    "endless header": Kind(endless_header),
    "endless line": Kind(endless_line),
    "no such column": Kind(no_such_column),
    "malformed rows": Kind(malformed_rows, asks_for_more=True),
    "repeated rows": Kind(repeated_rows, harmless=True),
    "rows of elsewhere": Kind(rows_of_elsewhere, asks_for_more=True),
    "wild cells": Kind(wild_cells, in_silence=True, asks_for_more=True),
    "ids as double": Kind(ids_as_double),
    "ids unsigned": Kind(ids_unsigned, in_silence=True),
    "ids as double in Parquet": Kind(ids_as_double_in_parquet),
    "gzip called .fits": Kind(gzip_called_fits, harmless=True),
    "plain called .csv.gz": Kind(plain_called_gzip, harmless=True),
    "FIFO": Kind(fifo),
    "folder": Kind(folder),
    "socket": Kind(a_socket),
    "dangling link": Kind(dangling_link),
    "link": Kind(a_link, harmless=True),
    "many members": Kind(many_members, harmless=True),
    "Windows lines": Kind(windows_lines, harmless=True),
    "columns elsewhere": Kind(columns_elsewhere, harmless=True),
    "stored gzip": Kind(stored_gzip, harmless=True),
}
