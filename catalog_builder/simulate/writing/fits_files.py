"""Tables as FITS files by night and field, for archives whose files do not say where stars lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    cards : mapping of str to (value, str)
        What the header of each table says besides: values and comments by keyword.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        columns: list[Column],
        cards: Mapping[str, tuple[float | str, str]] | None = None,
    ) -> None:
        self.cards = cards or {}
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

    def write(
        self,
        block: Mapping[str, NDArray[np.generic]],
        damaged: Mapping[str, Iterable[int]] | None = None,
    ) -> None:
        """Write a block into the file of its place: values as for `ecsv.TableWriter.write`.

        Of `damaged` columns the cells of these rows are NaN throughout.
        """
        from astropy.io import fits

        spoilt = {name: _without(block[name], rows) for name, rows in (damaged or {}).items()}
        whole = {**block, **spoilt}
        made = [_column(column, whole[column.name]) for column in self.columns]
        table = fits.BinTableHDU.from_columns(made)
        primary = fits.PrimaryHDU()
        for each in (primary.header, table.header):
            each[KEYWORD] = (True, SENTENCE)
        table.header.update(self.cards)
        night, _, field = self.place.rpartition("/")
        path = self.folder / night / f"{self.stem}{field}.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        fits.HDUList([primary, table]).writeto(part, overwrite=True)
        part.replace(path)
        self.rows += len(table.data)


def _without(values: NDArray[np.generic], rows: Iterable[int]) -> NDArray[np.float64]:
    spoilt = np.array(values, dtype=np.float64)
    spoilt[list(rows)] = np.nan
    return spoilt


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
