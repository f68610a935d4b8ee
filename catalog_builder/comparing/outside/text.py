"""Tables of text: CSV and ECSV, plain or gzipped, of any number of rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.archive.readers.guard import guarded
from catalog_builder.archive.readers.stream import read_pieces
from catalog_builder.archive.readers.text.header import parse_header
from catalog_builder.comparing.outside.columns import Columns, Kind, from_arrow
from catalog_builder.ground.errors import InputError

_DELIMITERS: Final = (",", ";", "\t", "|")
_NULLS: Final = ("", "null", "NULL", "NaN", "nan", "NA", "N/A", "--", "None", "masked")
_BLOCK_BYTES: Final = 1 << 23
_COMMENT: Final = b"#"


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def open_text(path: str) -> io.BufferedReader:
    """Open a file of text, plain or gzipped, as a stream of its bytes."""
    return io.BufferedReader(_Pieces(read_pieces(path, check_first=False)), 1 << 20)


def _delimiter(comments: list[str]) -> str | None:
    """Return the delimiter that an ECSV header gives: a space where it says nothing."""
    if not comments or not comments[0].startswith("%ECSV"):
        return None
    said = re.search(r"^delimiter: *['\"]?(.)", "\n".join(comments), re.MULTILINE)
    return " " if said is None else said[1]


class TextFile:
    """A table of text: comment lines that begin with ``#``, a line of names, and rows.

    Attributes
    ----------
    path : str
    units : dict of str to str
        Of the columns in order, as an ECSV header gives them.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        stream, comments = self._open()
        with stream:
            line = stream.readline().decode("utf-8-sig", "replace").rstrip("\r\n")
        self._delimiter = _delimiter(comments) or max(_DELIMITERS, key=line.count)
        names = ",".join(f'"{n}"' for n in next(csv.reader([line], delimiter=self._delimiter), []))
        header = parse_header(path, comments, names, self._delimiter)
        self._names = header.names
        found = {name: header.described.get(name, {}).get("unit") for name in header.names}
        self.units = {name: str(unit or "") for name, unit in found.items()}

    def _open(self) -> tuple[io.BufferedReader, list[str]]:
        """Return the stream behind the comments, and these."""
        stream, comments = open_text(self.path), []
        while stream.peek(1)[:1] == _COMMENT:
            line = stream.readline().decode("utf-8", "replace")
            comments.append(line.lstrip("#").removeprefix(" ").rstrip("\r\n"))
        return stream, comments

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[Columns]:
        """Yield these columns of consecutive rows.

        Raises
        ------
        InputError
            If a cell is not of its column's kind.
        """
        return guarded(self.path, self._blocks(kinds))

    def _blocks(self, kinds: Mapping[str, Kind]) -> Any:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        types = {"id": pa.string(), "number": pa.float64(), "text": pa.string()}
        stream, _ = self._open()
        with stream:
            stream.readline()
            try:
                reader = arrow_csv.open_csv(
                    stream,
                    arrow_csv.ReadOptions(column_names=self._names, block_size=_BLOCK_BYTES),
                    arrow_csv.ParseOptions(delimiter=self._delimiter),
                    arrow_csv.ConvertOptions(
                        column_types={name: types[kind] for name, kind in kinds.items()},
                        include_columns=list(kinds),
                        null_values=list(_NULLS),
                        strings_can_be_null=True,
                    ),
                )
                for batch in reader:
                    yield {n: from_arrow(self.path, n, batch[n], kinds[n]) for n in kinds}
            except pa.ArrowInvalid as error:
                if "Empty CSV" in str(error):  # names, and no row
                    return
                if "conversion error" not in str(error):
                    raise DamagedFileError(f"{self.path} cannot be read: {error}.") from error
                raise InputError(
                    f"{self.path}: {error}.",
                    "Ids are whole numbers and labels numbers; nothing, null or NaN where there is"
                    " none. Correct the table or the mapping.",
                ) from error
