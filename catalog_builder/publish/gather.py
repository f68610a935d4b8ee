"""The chunks of a catalogue put together, of what their tasks say: no row is read.

What is kept grows with the number of chunks and not with that of the rows: a few numbers for each
file. Digests of columns, histograms and lists go on as the chunks come, in order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from catalog_builder.catalog.chunk_files import chunk_file
from catalog_builder.catalog.digest import BLOCK_ROWS, TreeDigest
from catalog_builder.catalog.exports import Part, Written
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.catalog.manifests import digest_of, file_line, part_line
from catalog_builder.ground.errors import CatalogueError, StoreError
from catalog_builder.publish.chunk import Building
from catalog_builder.publish.facts import ChunkFacts
from catalog_builder.report.tally import Tally

#: Chunks whose files are read again when the catalogue is sealed: the first, the last, and some
#: between them at equal distances.
SAMPLED = 16


class ChunkDamageError(StoreError):
    """A chunk is not as its task left it; `index` is which, `problem` names the file."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(f"Chunk {index}: {problem}.", "Give the same command again.")
        self.index, self.what = index, problem


@dataclass
class Gathered:
    """What the chunks are together.

    Attributes
    ----------
    building : Building
        The catalogue.
    columns : dict of str to str
        Digests of the columns.
    written : dict of str to list of Written
        What each format that is written by chunks needs to be ended.
    parts : dict of str to list of Part
        Parts of large files that chunks wrote, without their digests, by file.
    sizes : ndarray of int64, shape (chunks, columns)
        Bytes of the files of the store.
    """

    building: Building
    columns: dict[str, str] = field(default_factory=dict)
    written: dict[str, list[Written]] = field(default_factory=dict)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))


def gather(
    building: Building,
    chunks: Iterator[ChunkFacts],
    sums: TextIO,
    parts: TextIO,
    tally: Tally | None,
) -> Gathered:
    """Put the chunks of a catalogue together.

    Parameters
    ----------
    building : Building
        The catalogue.
    chunks : iterator of ChunkFacts
        Of every chunk, in order.
    sums, parts : file
        Take the lines of ``SHA256SUMS`` and ``SHA256PARTS`` of what chunks wrote.
    tally : Tally, optional
        Takes the histograms of the report.

    Raises
    ------
    CatalogueError
        If the sum of the chunks is not the catalogue.
    ChunkDamageError
        If a file is not there, or not of the size that its task says.
    """
    schema = building.schema
    trees = [TreeDigest(column) for column in schema.columns]
    made = Gathered(building)
    made.written = {name: [] for name, one in building.formats.items() if one.by_chunks}
    made.written |= {name: [] for name, *_ in building.beside()}
    # Made at once: small arrays kept between the large ones of facts would hold their memory.
    made.sizes = np.zeros((building.chunks, len(schema.columns)), dtype=np.int64)
    expected, last_id, blocks, count = 0, -1, 0, 0
    for index, facts in enumerate(chunks):
        if (facts.index, facts.start) != (index, expected) or facts.written.keys() != {
            *made.written
        }:
            raise _not_the_catalogue(f"chunk {index} is not what was planned")
        if facts.first_id <= last_id:
            raise _not_the_catalogue(
                f"source_id {facts.first_id}, the first of chunk {index}, is not larger than the"
                " one before it"
            )
        expected, last_id = facts.start + facts.rows, facts.last_id
        made.sizes[index] = facts.sizes
        count += 1
        for digests in facts.blocks:
            blocks += 1
            for tree, digest in zip(trees, digests, strict=True):
                tree.add(digest.tobytes())
        _list(building, facts, sums, parts, made)
        if tally is not None:
            tally.add(facts.report)
    _refuse_other_sum(building, count, expected, blocks)
    made.columns = {c.name: t.hexdigest() for c, t in zip(schema.columns, trees, strict=True)}
    return made


def _list(
    building: Building, facts: ChunkFacts, sums: TextIO, parts: TextIO, made: Gathered
) -> None:
    for column, digest in zip(building.schema.columns, facts.digests, strict=True):
        name = f"{STORE_NAME}/{column.name}/c/{facts.index}"
        sums.write(file_line(name, digest.tobytes().hex()))
    for name, one in facts.written.items():
        made.written[name].append(Written((), one.facts))
        for part in one.parts:
            _refuse_cut(building.folder / part.file, facts.index, part)
            parts.write(part_line(part))
            made.parts.setdefault(part.file, []).append(Part(part.file, part.start, part.size, ""))


def _refuse_cut(path: Path, index: int, part: Part) -> None:
    """Refuse a file that is not there, or ends before what a chunk's task wrote in it.

    Raises
    ------
    ChunkDamageError
        If it is so.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise ChunkDamageError(index, f"{path} is missing") from error
    if size < part.start + part.size:
        raise ChunkDamageError(index, f"{path} has {size} bytes, not {part.start + part.size}")


def _refuse_other_sum(building: Building, chunks: int, rows: int, blocks: int) -> None:
    """Refuse chunks whose sum is not the catalogue.

    Raises
    ------
    CatalogueError
        If it is not.
    """
    published = building.record["accounting"]["published"]
    if not rows == building.rows == published:
        raise _not_the_catalogue(
            f"{chunks} chunks hold {rows} rows, the store has {building.rows}, and {published} are"
            " to be published"
        )
    if chunks != building.chunks or blocks != -(-rows // BLOCK_ROWS):
        raise _not_the_catalogue(f"{chunks} chunks have {blocks} blocks")


def _not_the_catalogue(why: str) -> CatalogueError:
    return CatalogueError(
        f"The sum of the chunks is not the catalogue: {why}.",
        "Remove the folder of the unfinished catalogue and publish again; if it stays, this is a"
        " defect.",
    )


def check_sizes(made: Gathered) -> None:
    """Compare the files of the chunks with the sizes that their tasks say.

    Raises
    ------
    ChunkDamageError
        If one is not there or has another size.
    CatalogueError
        If there is a file that no task wrote.
    """
    building = made.building
    for name in _sizes_in(building.store).keys() - {"zarr.json", *building.schema.names}:
        raise _not_ours(building.store / name)
    for place, column in enumerate(building.schema.columns):
        folder = chunk_file(building.store, column.name, 0).parent
        found = _sizes_in(folder)
        for index, size in enumerate(made.sizes[:, place].tolist()):
            there = found.pop(str(index), None)
            if there != size:
                problem = "is missing" if there is None else f"has {there} bytes, not {size}"
                raise ChunkDamageError(index, f"{folder / str(index)} {problem}")
        for name in found:
            raise _not_ours(folder / name)


def _not_ours(path: Path) -> CatalogueError:
    return CatalogueError(
        f"{path} is not part of the catalogue that is being built.",
        "Remove it, and give the same command again.",
    )


def _sizes_in(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries}
    except FileNotFoundError:
        return {}


def check_sample(made: Gathered, facts_of: Mapping[int, ChunkFacts]) -> None:
    """Read what was written of some chunks again, and compare it with the digests of their tasks.

    Raises
    ------
    ChunkDamageError
        If a file, or a part of one, has changed.
    """
    building = made.building
    for index, facts in facts_of.items():
        files = (chunk_file(building.store, c.name, index) for c in building.schema.columns)
        for file, digest in zip(files, facts.digests, strict=True):
            if digest_of(file) != digest.tobytes().hex():
                raise ChunkDamageError(index, f"{file} has changed since it was written")
        for one in facts.written.values():
            for part in one.parts:
                if digest_of(building.folder / part.file, part.start, part.size) != part.digest:
                    where = f"bytes {part.start} to {part.start + part.size}"
                    problem = f"{building.folder / part.file} has changed since: {where}"
                    raise ChunkDamageError(index, problem)


def sampled(chunks: int) -> list[int]:
    """Return which chunks are read again."""
    return sorted({round(place) for place in np.linspace(0, chunks - 1, SAMPLED)})
