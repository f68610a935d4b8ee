"""Files of the later release: text in the older ranges, or Parquet in folders by region."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from catalog_builder.simulate.population import census
from catalog_builder.simulate.twin.columns import FOLDERS, STEMS
from catalog_builder.simulate.twin.places import word
from catalog_builder.simulate.twin.sheets import Sheet, Values
from catalog_builder.simulate.twin.tables import Sheets
from catalog_builder.simulate.writing.ecsv import Column, TableWriter, md5
from catalog_builder.simulate.writing.partition import marked

#: Expected stars of a region: more are cut in four. Tables of spectra are larger and cut earlier,
#: so that regions differ between tables.
_MOST_STARS: Final = {True: 300, False: 600}
_SPECTRA: Final = frozenset({"rvs_mean_spectrum", "xp_continuous_mean_spectrum"})
#: Level of the pixel in the high bits of an id, and where it begins.
_ID_LEVEL, _ID_SHIFT = 12, 35


@dataclass
class Files:
    """Writers of one partition, opened when the first rows of a file come.

    Parameters
    ----------
    stack : ExitStack
        Closes them.
    root : Path
        Of the archive.
    name : str
        Of the partition, in file names.
    stars : int
        Of the whole sky: by it regions are cut. 0 for text in ranges.
    spell_nulls : bool
        Of text, as in `TableWriter`.
    """

    stack: ExitStack
    root: Path
    name: str
    stars: int
    spell_nulls: bool = True
    rows: dict[str, int] = field(default_factory=dict)
    _text: dict[str, TableWriter] = field(default_factory=dict)
    _parquet: dict[Path, pq.ParquetWriter] = field(default_factory=dict)

    def write(self, sheets: Sheets) -> None:
        """Append the rows of a block to their files."""
        for table, sheet in sheets.items():
            if len(sheet) == 0:
                continue
            self.rows[table] = self.rows.get(table, 0) + len(sheet)
            if self.stars:
                self._write_regions(table, sheet)
            else:
                self._write_text(table, sheet)

    def _write_text(self, table: str, sheet: Sheet) -> None:
        if table not in self._text:
            path = self.root / FOLDERS[table] / f"{STEMS[table]}{self.name}.csv.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = TableWriter(path, list(sheet.columns), spell_nulls=self.spell_nulls)
            self._text[table] = self.stack.enter_context(writer)
        self._text[table].write(sheet.values)

    def _write_regions(self, table: str, sheet: Sheet) -> None:
        for region, rows in regions_of(sheet.values["source_id"], self.stars, table in _SPECTRA):
            folder = self.root / FOLDERS[table] / f"region={region}"
            path = folder / f"{STEMS[table]}{self.name}.parquet"
            content = _arrow(sheet.rows(rows))
            if path not in self._parquet:
                folder.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(path, content.schema, compression="zstd")
                self._parquet[path] = self.stack.enter_context(writer)
            self._parquet[path].write_table(content)

    def checksums(self) -> dict[str, dict[str, str]]:
        """Return folder -> file name -> md5, of text, once the writers are closed."""
        found: dict[str, dict[str, str]] = {}
        for writer in self._text.values():
            found.setdefault(str(writer.path.parent), {})[writer.path.name] = md5(writer.path)
        return found


def regions_of(
    source_id: Values, stars: int, fine: bool
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the regions in which sources lie, and which of them lie there.

    Parameters
    ----------
    source_id : numpy.ndarray
        (n,) ids.
    stars : int
        Of the whole sky.
    fine : bool
        Whether regions are those of tables of spectra.
    """
    cells = np.array(_regions(stars, fine))
    pixel = source_id.astype(np.int64) >> (_ID_SHIFT + 2 * (_ID_LEVEL - census.LEVEL))
    mine = cells[pixel]
    for region in np.unique(mine):
        yield str(region), mine == region


@functools.cache
def _regions(stars: int, fine: bool) -> tuple[str, ...]:
    """Return the region of each pixel of the census: one of mixed levels, as empty as they are."""
    counts = census.census().counts.sum(axis=(1, 2))
    expected = stars * counts / counts.sum()
    level = np.zeros(len(expected), dtype=np.int64)
    for finer in range(1, census.LEVEL + 1):
        coarse = np.arange(len(expected)) >> 2 * (census.LEVEL - finer + 1)
        many = np.bincount(coarse, expected)[coarse] > _MOST_STARS[fine]
        level = np.where(many, finer, level)
    whole = word(np.arange(len(expected)), census.LEVEL)
    return tuple(one[: 1 + k] for one, k in zip(whole.tolist(), level.tolist(), strict=True))


def _arrow(sheet: Sheet) -> pa.Table:
    arrays = {c.name: _array(sheet.values[c.name], c) for c in sheet.columns}
    table = pa.table(arrays)
    units = {c.name: {b"unit": c.unit.encode()} if c.unit else None for c in sheet.columns}
    fields = [one.with_metadata(units[one.name]) for one in table.schema]
    return table.cast(marked(pa.schema(fields)))


def _array(values: Values, column: Column) -> pa.Array:
    mask = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    if column.array:
        null = ~np.isfinite(data).any(axis=1)
        # A null list has no elements: pyarrow before 25 writes no other.
        flat = pa.array(data[~null].reshape(-1))
        ends = np.cumsum(~null, dtype=np.int32) * np.int32(data.shape[1])
        offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
        return pa.ListArray.from_arrays(offsets, flat, mask=pa.array(null))
    if column.dtype == "string":
        return pa.array(data.tolist(), type=pa.string(), mask=mask)
    if data.dtype.kind == "f":
        mask = mask | np.isnan(data)
    return pa.array(data, mask=mask)
