"""The files of one partition: a writer for each table that the release has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.archive.tables import TableName
from catalog_builder.simulate.writing import layout, tables
from catalog_builder.simulate.writing.apogee import own_ids
from catalog_builder.simulate.writing.ecsv import Column, TableWriter, md5
from catalog_builder.simulate.writing.fits_files import FitsFiles
from catalog_builder.simulate.writing.label_file import PAIR
from catalog_builder.simulate.writing.words import Words


@dataclass(frozen=True)
class PartitionReceipt:
    """What a partition wrote: checksums by folder and file name, and numbers of rows."""

    index: int
    checksums: dict[str, dict[str, str]]
    rows: dict[str, int]


class Writers:
    """One writer per table that the release has and the simulation writes.

    Parameters
    ----------
    stack : ExitStack
        Closes them.
    release : ReleaseSpec
        Whose tables they are.
    out : Path
        Root of the archive.
    range_ : str
        The partition.
    spell_nulls : bool
        See `ecsv.TableWriter`.
    """

    def __init__(
        self, stack: ExitStack, release: ReleaseSpec, out: Path, range_: str, *, spell_nulls: bool
    ) -> None:
        self.columns: dict[TableName, list[tuple[str, Column]]] = {}
        self._pairs: list[NDArray[np.void]] = []
        self.files: dict[TableName, TableWriter | FitsFiles] = {}
        for table in layout.written_tables(release):
            spec = release.tables[table]
            self.columns[table] = layout.columns_of(release, table)
            folder = layout.table_folder(release, table, out)
            columns = [column for _, column in self.columns[table]]
            writer: TableWriter | FitsFiles
            if layout.by_field(release):
                writer = FitsFiles(folder, spec.stem, columns, _of_samples(release, table))
            else:
                path = folder / layout.file_name(spec, range_)
                writer = TableWriter(path, columns, spell_nulls=spell_nulls)
            stack.enter_context(writer)
            self.files[table] = writer
        self.driving = release.driving_tables

    def go_to(self, words: Words) -> None:
        """Say of what night and field the next block is; spectra are in folders by night."""
        for table, writer in self.files.items():
            if isinstance(writer, FitsFiles):
                night = words.night if table in self.driving else ""
                writer.place = f"{night}/{words.field}"

    def lost(self, without: Sequence[TableName], *, last: bool) -> tuple[TableName, ...]:
        """Return the tables of `without` whose rows of the next block are in no file.

        A range lacks its file. Of files by field that of the last block is missing, if there is
        another.
        """

        def is_lost(table: TableName) -> bool:
            writer = self.files.get(table)
            return not isinstance(writer, FitsFiles) or (last and writer.rows > 0)

        return tuple(filter(is_lost, without))

    def pair(self, words: Words, labelled: NDArray[np.bool_]) -> None:
        """Note which star of the label survey is which of the archive."""
        stars = np.flatnonzero(labelled)
        made = np.zeros(len(stars), dtype=PAIR)
        made["star"], made["own"] = words.stars[stars], own_ids(words.numbers[stars])
        self._pairs.append(made)

    def pairs(self) -> NDArray[np.void]:
        """Return all pairs of the partition."""
        return np.concatenate(self._pairs) if self._pairs else np.zeros(0, dtype=PAIR)

    def write(
        self, table: TableName, block: tables.Block, replaced: dict[str, dict[int, str]]
    ) -> None:
        """Write rows of a table by canonical columns; `replaced` is what is damaged."""
        if table not in self.files:
            return
        n = len(block["source_id"])
        if n == 0:
            return
        by_file_name: dict[str, NDArray[np.generic]] = {}
        for canonical, column in self.columns[table]:
            # What the release has and the simulation does not know is null.
            values = block.get(canonical)
            by_file_name[column.name] = _unknown(n, column) if values is None else values
        names = {canonical: column.name for canonical, column in self.columns[table]}
        texts = {names[column]: text for column, text in replaced.items() if column in names}
        writer = self.files[table]
        if isinstance(writer, FitsFiles):
            writer.write(by_file_name, texts)
        else:
            writer.write(by_file_name, texts)

    def finish(self, index: int, without: Sequence[TableName]) -> PartitionReceipt:
        """Return what was written; files of tables that the range lacks are gone."""
        checksums: dict[str, dict[str, str]] = {}
        rows: dict[str, int] = {}
        for table, writer in self.files.items():
            if isinstance(writer, FitsFiles):
                rows[table] = writer.rows
                continue
            if writer.rows == 0 or table in without:
                # The archive has no file where a table has no source in the range.
                writer.path.unlink()
                continue
            rows[table] = writer.rows
            checksums.setdefault(str(writer.path.parent), {})[writer.path.name] = md5(writer.path)
        return PartitionReceipt(index, checksums, rows)


def _of_samples(release: ReleaseSpec, table: TableName) -> dict[str, tuple[float | str, str]]:
    """Return what a header says of the samples in a table, for who has no description at hand."""
    cards: dict[str, tuple[float | str, str]] = {}
    for one in release.spectra.values():
        if table not in {product.table for product in one.products}:
            continue
        samples = one.grid.nanometres()
        cards["WAVEUNIT"] = ("nm", "unit of the wavelengths of samples")
        cards["WAVEMIN"] = (round(float(samples[0]), 5), "wavelength of the first sample")
        cards["WAVEMAX"] = (round(float(samples[-1]), 5), "wavelength of the last sample")
        if isinstance(one, LineSpectrum):
            cards["WAVEMED"] = (one.medium, "medium of the wavelengths")
            cards["WAVEREF"] = (one.frame, "frame of the wavelengths")
            if one.resolution is not None:
                cards["RESOLUT"] = (one.resolution, "wavelength over full width at half maximum")
        steps = np.diff(samples)
        if np.ptp(steps) < 1e-6 * abs(float(steps[0])):
            cards["WAVESTEP"] = (round(float(steps[0]), 5), "from one sample to the next")
    return cards


def _unknown(n: int, column: Column) -> NDArray[np.generic]:
    if column.array:
        return np.full((n, 1), np.nan)
    if column.dtype == "string":
        return np.ma.array(np.full(n, ""), mask=True)
    return np.ma.array(np.zeros(n), mask=True)
