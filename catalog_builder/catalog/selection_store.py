"""The counts behind the selection function as they lie in a catalogue: ``selection/``.

``counts.zarr`` has an array for each column below, a row for each cell in which there is a source,
in the order of pixel, magnitude and colour; its attributes say how cells are cut. In
``counts.parquet`` are the same rows with the edges of the bins instead of their numbers.

========================================  ======================================================
``pixel``                                 HEALPix pixel, nested, ICRS
``magnitude_bin``, ``colour_bin``         numbers of bins; the last is that of unknown values
``sources``, ``requested``, ``published``  sources of the archive, those asked for, those published
``tier_gold``, ...                        published sources of each tier, of that tier alone
========================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.layout import SELECTION_NAME
from catalog_builder.catalog.release_json import SelectionFacts
from catalog_builder.features.cells import CellGrid, Codes
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.stores.shards import COMPRESSORS
from catalog_builder.stores.whole_store import DAMAGE, EVERY_CHUNK, WholeStore

ZARR: Final = "counts.zarr"
PARQUET: Final = "counts.parquet"
#: Cells of a chunk, and of a row group.
_ROWS: Final = 1 << 17
#: Of the sources of an archive, the share that was asked for from which on it is no more than a
#: list of those that have spectra.
MOST_REQUESTED: Final = 0.9
_PLACES: Final = {"pixel": "uint32", "magnitude_bin": "uint16", "colour_bin": "uint16"}

Counts = NDArray[np.int64]


class About(BaseModel):
    """What the attributes of the store say.

    Attributes
    ----------
    grid : CellGrid
        How cells are cut.
    tiers : tuple of str
        Tiers with counts of their own, from the best to the last.
    counted : tuple of (int, int)
        First and last pixel of the parts of the sky all of whose sources were counted.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    grid: CellGrid
    tiers: tuple[str, ...] = Field(max_length=9)
    counted: tuple[tuple[int, int], ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the names of the columns of counts."""
        return ("sources", "requested", "published", *(f"tier_{name}" for name in self.tiers))

    def covers(self, pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say in which pixels all sources were counted."""
        if not self.counted:
            return np.zeros(pixels.shape, bool)
        first, last = np.array(self.counted).T
        place = np.searchsorted(first, pixels, side="right") - 1
        return np.asarray((place >= 0) & (pixels <= last[place]))


class SelectionWriter:
    """Writes ``selection/`` from cells in order; what it holds does not grow with them.

    Parameters
    ----------
    folder : Path
        New folder.
    about : About
        What it holds.
    """

    def __init__(self, folder: Path, about: About) -> None:
        import pyarrow.parquet as pq

        folder.mkdir(parents=True)
        self._about = about
        attributes = {
            "kind": "selection",
            "title": "Counts of sources by position, magnitude and colour",
            "condition": CONDITION,
            **about.model_dump(mode="json"),
        }
        group = zarr.create_group(store=folder / ZARR, zarr_format=3, attributes=attributes)
        dtypes = {**_PLACES, **dict.fromkeys(about.kinds, "uint32")}
        self._arrays = {
            name: group.create_array(
                name,
                shape=(0,),
                chunks=(_ROWS,),
                dtype=dtype,
                compressors=COMPRESSORS,
                config=EVERY_CHUNK,
                dimension_names=("cell",),
            )
            for name, dtype in dtypes.items()
        }
        schema = table_schema(about)
        self._parquet = pq.ParquetWriter(folder / PARQUET, schema, compression="zstd")
        self._waiting: list[tuple[Codes, Counts]] = []
        self._n_waiting = self._rows = 0
        self.totals = np.zeros(len(about.kinds), np.int64)

    def append(self, codes: Codes, counts: Counts) -> None:
        """Append cells, (n,), and their counts, (n, kinds)."""
        self._waiting.append((codes, counts))
        self._n_waiting += codes.size
        self.totals += counts.sum(axis=0)
        if self._n_waiting >= _ROWS:
            self._write(self._n_waiting // _ROWS * _ROWS)

    def finish(self) -> None:
        """Write what is left."""
        if self._n_waiting:
            self._write(self._n_waiting)
        self._parquet.close()

    def _write(self, rows: int) -> None:
        codes = np.concatenate([codes for codes, _ in self._waiting])
        counts = np.concatenate([counts for _, counts in self._waiting])
        self._waiting = [(codes[rows:], counts[rows:])]
        self._n_waiting -= rows
        start, stop = self._rows, self._rows + rows
        columns = dict(zip(_PLACES, self._about.grid.parts(codes[:rows]), strict=True))
        columns |= dict(zip(self._about.kinds, counts[:rows].T, strict=True))
        for name, array in self._arrays.items():
            array.resize((stop,))
            array[start:stop] = columns[name].astype(array.dtype)
        for first in range(0, rows, _ROWS):
            part = {name: values[first : first + _ROWS] for name, values in columns.items()}
            self._parquet.write_table(table_of(self._about, part))
        self._rows = stop


#: What every number of a selection function is conditional on.
CONDITION: Final = (
    "Counted are the rows of the archive's source table: a share of them, not of all stars."
)


def table_schema(about: About) -> Any:
    """Return the schema of the Parquet table."""
    import pyarrow as pa

    fields = [
        pa.field("healpix", pa.int32(), nullable=False),
        pa.field("magnitude_low", pa.float32()),
        pa.field("colour_low", pa.float32()),
        *(pa.field(name, pa.int64(), nullable=False) for name in about.kinds),
    ]
    return pa.schema(fields, {"selection": about.model_dump_json(), "condition": CONDITION})


def table_of(about: About, columns: dict[str, NDArray[Any]]) -> Any:
    """Return rows of the Parquet table; an edge is null where the value is not known."""
    import pyarrow as pa

    made = {"healpix": columns["pixel"].astype(np.int32)}
    for name, bins in (("magnitude", about.grid.magnitudes), ("colour", about.grid.colours)):
        place = columns[f"{name}_bin"]
        edge = (bins.low + bins.step * place).astype(np.float32)
        made[f"{name}_low"] = pa.array(edge, mask=place == bins.unknown)
    made |= {name: columns[name].astype(np.int64) for name in about.kinds}
    return pa.table(made, schema=table_schema(about))


class SelectionStore:
    """The counts of a catalogue, opened.

    Parameters
    ----------
    folder : Path
        ``selection/`` of a catalogue.

    Raises
    ------
    CatalogueError
        Here and on every read, if something is absent or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ZARR
        try:
            self._group = zarr.open_group(WholeStore(self._path), mode="r")
            self.about = About.model_validate(dict(self._group.attrs))
            self._names = (*_PLACES, *self.about.kinds)
            lengths = {self._array(name).shape for name in self._names}
            if len(lengths) > 1:
                raise ValueError("its columns are not of one length")
            ((self._cells,),) = lengths
        except (*DAMAGE, ValidationError) as error:
            raise self._damaged(error) from error

    def column(self, name: str, rows: slice = slice(None)) -> NDArray[Any]:
        """Return a column, or some of its rows."""
        try:
            return np.asarray(self._array(name)[rows])
        except DAMAGE as error:
            raise self._damaged(error) from error

    def codes(self) -> Codes:
        """Return the codes of all cells, in order."""
        grid = self.about.grid
        codes = self.column("pixel").astype(np.int64) * grid.magnitudes.size
        codes += self.column("magnitude_bin")
        codes *= grid.colours.size
        codes += self.column("colour_bin")
        return codes

    def blocks(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield all columns, some cells at a time."""
        for start in range(0, self._cells, _ROWS):
            yield {name: self.column(name, slice(start, start + _ROWS)) for name in self._names}

    def _array(self, name: str) -> zarr.Array[Any]:
        array = self._group[name]
        if not isinstance(array, zarr.Array):
            raise TypeError(f"{name} is not an array")
        return array

    def _damaged(self, error: Exception) -> CatalogueError:
        return CatalogueError(
            f"{self._path} cannot be read: {error}.",
            "See `catalog-builder validate`, and restore the catalogue from a copy.",
        )


def check_selection(folder: Path, facts: SelectionFacts | None, log: FindingLog) -> None:
    """Check the counts of a catalogue against each other and against ``RELEASE.json``."""
    there = (folder / SELECTION_NAME).is_dir()
    if facts is None or not there:
        if facts is not None:
            log.add(SELECTION_NAME, "missing")
        return
    try:
        store = SelectionStore(folder / SELECTION_NAME)
        _check(folder, store, facts, log)
    except CatalogueError as error:
        log.add(SELECTION_NAME, error.problem.replace(f"{folder}/", ""))


def _check(folder: Path, store: SelectionStore, facts: SelectionFacts, log: FindingLog) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = f"{SELECTION_NAME}/{ZARR}"
    about = store.about
    totals = dict.fromkeys(about.kinds, 0)
    last = -1
    try:
        table = pq.ParquetFile(folder / SELECTION_NAME / PARQUET)
        groups = (table.read_row_group(k) for k in range(table.num_row_groups))
        for block in store.blocks():
            codes = _codes(about.grid, block)
            if codes[0] <= last or (np.diff(codes) <= 0).any():
                log.add(where, "cells are not in order")
            last = int(codes[-1])
            if problem := impossible(about, np.stack([block[n] for n in about.kinds], axis=1)):
                log.add(where, problem)
            for name in about.kinds:
                totals[name] += int(block[name].astype(np.int64).sum())
            if next(groups, None) != table_of(about, block):
                log.add(f"{SELECTION_NAME}/{PARQUET}", f"its rows are not those of {ZARR}")
        if next(groups, None) is not None:
            log.add(f"{SELECTION_NAME}/{PARQUET}", f"has more rows than {ZARR}")
    except (OSError, pa.ArrowException) as error:
        log.add(f"{SELECTION_NAME}/{PARQUET}", f"cannot be read: {error}")
        return
    if totals != facts.totals:
        log.add(where, f"its sums {totals} are not those of RELEASE.json, {facts.totals}")


def _codes(grid: CellGrid, block: dict[str, NDArray[Any]]) -> Codes:
    codes = block["pixel"].astype(np.int64) * grid.magnitudes.size + block["magnitude_bin"]
    return np.asarray(codes * grid.colours.size + block["colour_bin"])


def impossible(about: About, counts: NDArray[Any]) -> str:
    """Say how counts, (n, kinds), contradict each other; empty if they do not."""
    numbers = counts.astype(np.int64)
    sources, requested, published = numbers[:, :3].T
    if (requested > sources).any() or (published > requested).any():
        return "more are published than asked for, or more asked for than there are"
    if (numbers[:, 3 : 3 + len(about.tiers)].sum(axis=1) > published).any():
        return "more have a tier than are published"
    return ""
