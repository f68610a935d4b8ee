"""Data files of the CDS: a ``ReadMe`` that says in which bytes of a line each column is."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.readers.guard import guarded
from catalog_builder.comparing.outside.columns import BLOCK_ROWS, Columns, Kind
from catalog_builder.comparing.outside.text import open_text
from catalog_builder.ground.errors import InputError

README: Final = "ReadMe"


class CdsFile:
    """A data file beside its ReadMe.

    Attributes
    ----------
    path : str
    units : dict of str to str
        Of the columns in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._places: dict[str, slice] = {}
        self._nulls: dict[str, tuple[str, ...]] = {}
        self.units: dict[str, str] = {}
        for column in _described(path):
            self._places[column.name] = slice(column.start, column.end)
            self.units[column.name] = str(column.unit or "")
            null = getattr(column, "null", None)
            self._nulls[column.name] = () if null in {None, ""} else (str(null),)

    def blocks(self, kinds: Mapping[str, Kind]) -> Iterator[Columns]:
        """Yield these columns of consecutive lines.

        Raises
        ------
        InputError
            If a cell is not of its column's kind.
        """
        return guarded(self.path, self._blocks(kinds))

    def _blocks(self, kinds: Mapping[str, Kind]) -> Any:
        width = max(self._places[name].stop for name in kinds)
        first = 0
        with open_text(self.path) as stream:
            while lines := list(itertools.islice(stream, BLOCK_ROWS)):
                cells = [line.rstrip(b"\r\n")[:width].ljust(width) for line in lines]
                letters = np.array(cells, dtype=f"S{width}").view("S1").reshape(len(cells), width)
                yield {name: self._column(letters, name, kinds[name], first) for name in kinds}
                first += len(lines)

    def _column(
        self, letters: NDArray[np.bytes_], name: str, kind: Kind, first: int
    ) -> NDArray[Any]:
        place = self._places[name]
        part = np.ascontiguousarray(letters[:, place])
        size = place.stop - place.start
        words = np.char.strip(np.char.decode(part.view(f"S{size}")[:, 0], "latin-1"))
        if kind == "text":
            return words
        known = (words != "") & ~np.isin(words, self._nulls[name])
        found = np.zeros(len(words), np.int64) if kind == "id" else np.full(len(words), np.nan)
        try:
            found[known] = words[known].astype(found.dtype)
        except ValueError as error:
            raise InputError(
                f"{self.path}: lines {first + 1} to {first + len(words)}, {name} (bytes"
                f" {place.start + 1}-{place.stop}): {error}.",
                "Is it the data file that the ReadMe describes?",
            ) from error
        return found


def described_files(readme: Path) -> tuple[Path, ...]:
    """Return the data files of a ReadMe that lie beside it and are described column by column."""
    text = readme.read_text(encoding="latin-1")
    marks = [line for line in text.splitlines() if line.startswith("Byte-by-byte")]
    named = {word.strip(",") for mark in marks for word in mark.split(":")[-1].split()}
    found = [readme.parent / f"{name}{end}" for name in sorted(named) for end in ("", ".gz")]
    return tuple(path for path in found if path.is_file())


def _described(path: Path) -> list[Any]:
    from astropy.io import ascii as tables
    from astropy.io.ascii.core import InconsistentTableError

    readme = path.parent / README
    reader = tables.Cds(str(readme))
    header: Any = reader.header
    reader.data.table_name = path.name.removesuffix(".gz")
    header.data.table_name = reader.data.table_name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header.get_cols([])
        except (InconsistentTableError, ValueError, IndexError, KeyError) as error:
            raise InputError(
                f"{readme} does not describe {path.name}: {error}.", "Fetch both again."
            ) from error
    return list(header.cols)
