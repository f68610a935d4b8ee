"""Tables in the archive's text layout: an ECSV header in comments, CSV, `null`, gzip.

Numbers are turned into text by the columns library, not by a Python loop. A writer takes blocks of
rows, so its memory does not depend on the size of the file. The gzip header carries no time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import numpy as np
import polars as pl
from isal import igzip
from numpy.typing import NDArray

from catalog_builder.archive.marks import KEYWORD, SENTENCE

#: Gzip level of ISA-L, 0 to 3: its fastest useful one; text of spectra gains little from more.
_LEVEL = 1
#: In place of `null`, by type without its size.
_NO_VALUE: Final = {"float": "NaN", "int": "0", "bool": '"False"'}


@dataclass(frozen=True)
class Column:
    """A column as the header describes it.

    Parameters
    ----------
    name : str
        Its name.
    dtype : str
        int16, int64, float32, float64, bool or string; for arrays the type of the elements.
    unit : str
        As the archive spells it; empty for none.
    array : bool
        Whether cells are arrays, written as JSON lists in quotes.
    """

    name: str
    dtype: str
    unit: str = ""
    array: bool = False

    def header(self) -> list[str]:
        """Lines of the ECSV header for this column."""
        kind = "string" if self.array else self.dtype
        lines = ["-", f"  name: {self.name}", f"  datatype: {kind}"]
        if self.array:
            lines.append(f"  subtype: '{self.dtype}[null]'")
        if self.unit:
            lines.append(f"  unit: {self.unit}")
        return lines


def column_header(columns: list[Column]) -> str:
    """Return the ECSV header, which says that the table is simulated, and the column names."""
    mark = f"meta: {{{KEYWORD}: true, ORIGIN: '{SENTENCE}'}}"
    lines = ["%ECSV 1.0", "---", "delimiter: ','", mark, "datatype:"]
    for column in columns:
        lines += column.header()
    comments = "".join(f"# {line}\n" for line in lines)
    return comments + ",".join(column.name for column in columns) + "\n"


class TableWriter:
    """Write one file block by block; use as a context manager.

    Parameters
    ----------
    path : Path
        The ``.csv.gz`` file; written under a temporary name and renamed when complete.
    columns : list of Column
        In the order of the file.
    spell_nulls : bool
        Whether a cell without a value is ``null``, as in the archive; else it is what every
        reader takes: NaN, 0 among integers, False; only a string is ``null``.
    """

    def __init__(self, path: Path, columns: list[Column], *, spell_nulls: bool = True) -> None:
        self.path = path
        self.columns = columns
        self.spell_nulls = spell_nulls
        self.rows = 0
        self._part = path.with_name(path.name + ".part")
        self._raw: IO[bytes] = self._part.open("wb")
        # An empty file name and time 0: the same bytes whenever and wherever it is written.
        self._gzip = igzip.IGzipFile("", "wb", compresslevel=_LEVEL, fileobj=self._raw, mtime=0)
        self._gzip.write(column_header(columns).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gzip.close()
        self._raw.close()
        if kind is None:
            self._part.replace(self.path)
        else:
            self._part.unlink()

    def write(
        self,
        block: Mapping[str, NDArray[np.generic]],
        replaced: Mapping[str, Mapping[int, str]] | None = None,
    ) -> None:
        """Append rows.

        Parameters
        ----------
        block : mapping of str to numpy.ndarray
            Every column's values, (n,) or (n, k) for arrays. NaN in a scalar and a row of NaN in
            an array become ``null``; NaN inside an array stays ``NaN``. Masked arrays are honoured.
        replaced : mapping, optional
            Column -> row -> text to write instead of the value: the file's own mistakes.
        """
        cells = [_cells(block[column.name], column, self.spell_nulls) for column in self.columns]
        frame = pl.DataFrame(cells)
        for name, texts in (replaced or {}).items():
            for row, text in texts.items():
                frame[row, name] = text
        lines = frame.select(pl.concat_str(pl.all(), separator=",")).to_series()
        self._gzip.write("\n".join([*lines.to_list(), ""]).encode())
        self.rows += frame.height


def _cells(values: NDArray[np.generic], column: Column, spell_nulls: bool) -> pl.Series:
    """Return the text of every cell of a column, `null` included."""
    if column.array:
        return _array_cells(np.ma.filled(values, np.nan), column)
    mask = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    if column.dtype == "string":
        text = pl.Series(column.name, data.tolist(), dtype=pl.String)
        text = '"' + text + '"'
    elif column.dtype == "bool":
        text = pl.Series(column.name, np.where(data, '"True"', '"False"').tolist())
    else:
        number = data.astype(column.dtype)
        if number.dtype.kind == "f":
            mask = mask | ~np.isfinite(number)
        text = pl.Series(column.name, number).cast(pl.String)
    null = "null" if spell_nulls else _NO_VALUE.get(column.dtype.rstrip("0123456789"), "null")
    return text.alias(column.name).set(pl.Series(mask), null)


def _array_cells(values: NDArray[np.generic], column: Column) -> pl.Series:
    data = np.ascontiguousarray(values, dtype=column.dtype)
    n, k = data.shape
    empty = ~np.isfinite(data).any(axis=1)
    flat = pl.Series(column.name, data.reshape(-1)).cast(pl.String)
    lists = flat.reshape((n, k)).arr.join(",")
    quoted = '"[' + lists + ']"'
    return quoted.alias(column.name).set(pl.Series(empty), "null")


def md5(path: Path) -> str:
    """MD5 of a file, as the archive's checksum lists have it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
