"""Tables as FITS files by night and field, for archives whose files do not say where stars lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.marks import KEYWORD, SENTENCE
from catalog_builder.simulate.writing.ecsv import Column

#: Letters of FITS for the types of columns.
_LETTERS: Final = {
    "float32": "E",
    "float64": "D",
    "int8": "I",
    "int16": "I",
    "int32": "J",
    "int64": "K",
    "bool": "L",
}


class FitsFiles:
    """Write a table block by block, each into a file of its own; use as a context manager.

    Parameters
    ----------
    folder : Path
        Of the table.
    stem : str
        What the names of its files begin with.
    columns : list of Column
        In the order of the files.
    """

    def __init__(self, folder: Path, stem: str, columns: list[Column]) -> None:
        self.folder, self.stem, self.columns = folder, stem, columns
        self.rows = 0
        #: Below the folder, of the next block: its night, if the table has one, and its field.
        self.place = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Every file is whole already."""

    def write(self, block: Mapping[str, NDArray[np.generic]]) -> None:
        """Write a block into the file of its place: values as for `ecsv.TableWriter.write`."""
        from astropy.io import fits

        made = [_column(column, block[column.name]) for column in self.columns]
        table = fits.BinTableHDU.from_columns(made)
        primary = fits.PrimaryHDU()
        for each in (primary.header, table.header):
            each[KEYWORD] = (True, SENTENCE)
        night, _, field = self.place.rpartition("/")
        path = self.folder / night / f"{self.stem}{field}.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        fits.HDUList([primary, table]).writeto(part, overwrite=True)
        part.replace(path)
        self.rows += len(table.data)


def _column(column: Column, values: NDArray[np.generic]) -> object:
    from astropy.io import fits

    unit = column.unit.replace("**", "").replace(".", " ") or None
    if values.dtype.kind == "S":
        return fits.Column(column.name, f"{values.dtype.itemsize}A", array=values)
    letter = _LETTERS[column.dtype]
    null = np.nan if letter in "ED" else 0
    plain = np.ma.filled(values, null).astype("int16" if letter == "I" else column.dtype)
    form = f"{plain.shape[1]}{letter}" if column.array else letter
    return fits.Column(column.name, form, unit=unit, array=plain)
