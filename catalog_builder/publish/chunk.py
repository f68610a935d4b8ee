"""One chunk of a catalogue: written in every format, read back, checked, summed up; in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.chunk_files import chunk_file, read_chunk, write_chunk
from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.digest import BLOCK_ROWS, block_digest
from catalog_builder.catalog.exports import ByChunks, Format, Target
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.catalog.row_rules import RowRules
from catalog_builder.catalog.side_files import kinds_of, side_file, writer_of
from catalog_builder.catalog.zarr_store import as_declared, check_names, in_pieces
from catalog_builder.contract.flags import Tier
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.side_table import SideTable
from catalog_builder.features.cells import CellGrid, summed
from catalog_builder.ground.disk import sync
from catalog_builder.ground.errors import CatalogueError, StoreError
from catalog_builder.publish.facts import DIGEST_BYTES, ChunkFacts
from catalog_builder.publish.formats import told_as_a_format
from catalog_builder.publish.taught import LabelledRows, taught_rows
from catalog_builder.report.labelled import Edges, Labelled
from catalog_builder.report.others import Other
from catalog_builder.report.summary import Summary
from catalog_builder.report.tally import state_of

Rows = Mapping[str, NDArray[Any]]

_NO_EDGES: Final = Edges((), ())


@dataclass(frozen=True)
class Building:
    """A catalogue that is being built.

    Attributes
    ----------
    folder : Path
        Its hidden folder.
    schema : CatalogSchema
        Its columns.
    record : mapping
        The facts of RELEASE.json that are known.
    rows, chunk_rows : int
        Of the catalogue, and of each of its chunks but the last.
    formats : mapping of str to Format
        What it is exported to.
    report : bool
        Whether rows are summed up: for the report, or for checks.
    edges : Edges, optional
        Of the regimes in which stars with labels are summed up, too.
    ids : tuple of int
        ``source_id`` of rows at equal distances, if a format needs them
        (`catalog_builder.catalog.exports.Target`).
    regimes : Edges
        In which stars are counted beside other labels of the archive.
    cells : CellGrid, optional
        In which rows are counted for the selection function; not at all without one.
    tables : tuple of SideTable
        Tables beside it that have a row for each of its rows.
    taught : SideTable, optional
        The table of those that taught, if there will be one.
    """

    folder: Path
    schema: CatalogSchema
    record: Mapping[str, Any]
    rows: int
    chunk_rows: int
    formats: Mapping[str, Format]
    report: bool = True
    ids: tuple[int, ...] = ()
    edges: Edges | None = None
    regimes: Edges = _NO_EDGES
    cells: CellGrid | None = None
    tables: tuple[SideTable, ...] = ()
    taught: SideTable | None = None

    @property
    def store(self) -> Path:
        """Return its zarr store."""
        return self.folder / STORE_NAME

    @property
    def chunks(self) -> int:
        """Return how many chunks it has."""
        return -(-self.rows // self.chunk_rows)

    def target(self, one: Format) -> Target:
        """Return where a format is written."""
        path = self.folder / one.file_name
        return Target(path, self.schema, self.record, self.rows, self.ids)

    def beside(self) -> Iterator[tuple[str, SideTable, ByChunks, Target]]:
        """Yield the files of the tables beside it: name, table, how it is written, and where."""
        for table in self.tables:
            for kind in kinds_of(table, self.formats):
                name = side_file(table, kind)
                target = Target(self.folder / name, table, self.record, self.rows)
                yield name, table, writer_of(kind, self.chunk_rows), target


def make_chunk(
    building: Building,
    index: int,
    columns: Rows,
    beyond: Rows,
    labelled: LabelledRows | None = None,
    beside: Mapping[str, Rows] | None = None,
) -> ChunkFacts:
    """Write a chunk of a catalogue, and say all that the seal has to know of it.

    Everything that is said of its rows is said of what was read back.

    Parameters
    ----------
    building : Building
        Its store and files were made (`catalog_builder.publish.building`).
    index : int
        Which chunk.
    columns : mapping of str to ndarray of shape (n,)
        Every stored column of its rows.
    beyond : mapping of str to ndarray of shape (m,)
        The rows behind it that belong to its last block; empty if blocks end where chunks do.
    labelled : LabelledRows, optional
        What is known of its stars with labels.
    beside : mapping of str to mapping of str to ndarray of shape (n,), optional
        The rows of each table beside the catalogue, without the ``source_id``.

    Raises
    ------
    StoreError
        If columns do not fit the schema, or what is read back is not what was written.
    CatalogueError
        If the rows break a rule of the catalogue, or a format fails.
    """
    start = index * building.chunk_rows
    stored, sizes, digests = _store(building, index, columns)
    rows = len(stored["source_id"])
    if rows != min(building.chunk_rows, building.rows - start):
        raise StoreError(f"Chunk {index} has {rows} rows: the plan is not that of the store.")
    _refuse_wrong_rows(building, start, stored)
    written = {}
    complete = with_derived(stored, building.schema)
    for name, one in building.formats.items():
        if one.by_chunks is not None:
            with told_as_a_format(name, one):
                written[name] = one.by_chunks.write(building.target(one), start, complete)
    ids = stored["source_id"]
    for name, table, by_chunks, target in building.beside():
        rows_beside = {"source_id": ids, **(beside or {})[table.name]}
        written[name] = by_chunks.write(target, start, rows_beside)
    blocks = _blocks(building.schema, start, stored, beyond)
    report = _sum_up(building, stored, labelled, beside or {}) if building.report else {}
    taught = {} if building.taught is None else taught_rows(building.taught, stored, labelled)
    cells = count_rows(building.cells, building.schema.flags.tiers, stored)
    ends = int(ids[0]), int(ids[-1])
    facts = ChunkFacts(index, start, rows, *ends, sizes, digests, blocks, written, report, cells)
    return replace(facts, taught=taught)


def _store(
    building: Building, index: int, columns: Rows
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64], NDArray[np.uint8]]:
    """Write the files of a chunk; return its columns, read back, and their sizes and digests."""
    schema, store = building.schema, building.store
    check_names(store, schema, columns)
    files = [chunk_file(store, column.name, index) for column in schema.columns]
    for file, column in zip(files, schema.columns, strict=True):
        values = as_declared(store, column, columns[column.name])
        write_chunk(file, column, values, building.chunk_rows)
    stored, sizes, digests = {}, [], []
    for file, column in zip(files, schema.columns, strict=True):
        sync(file)
        values = columns[column.name]
        content, found = read_chunk(file, column, len(values))
        if as_declared(store, column, values).tobytes() != found.tobytes():
            raise StoreError(f"{file} does not have the rows that were written.")
        stored[column.name] = found
        sizes.append(len(content))
        digests.append(np.frombuffer(hashlib.sha256(content).digest(), dtype=np.uint8))
    return stored, np.array(sizes, dtype=np.int64), np.stack(digests)


def _refuse_wrong_rows(building: Building, start: int, rows: Rows) -> None:
    log = FindingLog()
    rules = RowRules(building.schema, log)
    for first, some in in_pieces(rows):
        rules.check(start + first, some)
    if findings := log.as_list():
        raise CatalogueError(
            f"{building.folder} is not sealed: {findings[0]} ({len(findings)} findings).",
            "Remove the folder and publish again; if it stays, this is a defect.",
        )


def _blocks(schema: CatalogSchema, start: int, rows: Rows, beyond: Rows) -> NDArray[np.uint8]:
    """Return the digests of the blocks that begin in a chunk, shape (blocks, columns, 32)."""
    stop = start + len(rows["source_id"])
    firsts = range(-(-start // BLOCK_ROWS) * BLOCK_ROWS, stop, BLOCK_ROWS)
    blocks = np.empty((len(firsts), len(schema.columns), DIGEST_BYTES), dtype=np.uint8)
    for place, column in enumerate(schema.columns):
        values = rows[column.name]
        for number, first in enumerate(firsts):
            block = values[first - start : first - start + BLOCK_ROWS]
            if len(block) < BLOCK_ROWS and column.name in beyond:
                block = np.concatenate([block, beyond[column.name]])
            blocks[number, place] = np.frombuffer(block_digest(column, block), dtype=np.uint8)
    return blocks


def count_rows(grid: CellGrid | None, tiers: Sequence[Tier], rows: Rows) -> Rows:
    """Count rows of a catalogue by cells: all, and those of each tier.

    Returns
    -------
    mapping of str to ndarray of int64
        ``code``, (m,), and ``counts``, (m, 1 + tiers); empty without a grid.
    """
    if grid is None:
        return {}
    tier = rows["quality_tier"]
    counts = np.stack([tier >= 0, *(tier == one.tier for one in tiers)], axis=1).astype(np.int64)
    codes, counts = summed(grid.codes(rows), counts)
    return {"code": codes, "counts": counts}


def _sum_up(
    building: Building,
    rows: Rows,
    labelled: LabelledRows | None,
    beside: Mapping[str, Rows],
) -> Mapping[str, NDArray[Any]]:
    summary = Summary(building.schema)
    for _, some in in_pieces(rows):
        summary.add(some)
    state = state_of(summary)
    if building.edges is not None and labelled is not None and len(labelled.rows):
        sums = Labelled(building.schema, building.edges)
        stars = {name: values[labelled.rows] for name, values in rows.items()}
        sums.add(stars, labelled.labels, labelled.errors)
        state |= sums.state()
    if beside:
        from catalog_builder.publish.archive_labels import archive_labels  # few have any
    for table in beside.values():
        for name, labels, errors in archive_labels(table, building.schema.labels):
            other = Other(building.schema, building.regimes)
            other.add(rows, labels, errors)
            state |= other.state(name)
    return state
