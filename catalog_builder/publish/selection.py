"""The selection function of a catalogue: what the ingest and the chunks counted, added up.

Both come in the order of source ids, pieces of the sky and chunks of the catalogue, and so do the
cells: those that nothing can be added to any more are written, and what is held does not grow with
the number of stars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.catalog.layout import SELECTION_NAME
from catalog_builder.catalog.release_json import SelectionFacts
from catalog_builder.catalog.selection_store import (
    MOST_REQUESTED,
    About,
    SelectionWriter,
    impossible,
)
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.cells import (
    CODE,
    NOTE,
    REQUESTED,
    SOURCES,
    CellGrid,
    CellSums,
)
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.publish.chunk import Building
from catalog_builder.publish.facts import ChunkFacts
from catalog_builder.report.chosen import Chosen
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.workdir import remove_tree


@dataclass(frozen=True)
class CountedPiece:
    """A piece of the sky whose sources an ingest counted.

    Attributes
    ----------
    stage, task : str
        Of the ingest.
    store : str
        Its feature store, relative to the workdir.
    first : int, optional
        Its first cell; None if it has none.
    limits : (int, int)
        Its first and last pixel at the order of the release's partitions.
    whole : bool
        Whether all its sources were counted.
    digest : str
        Of the counts.
    """

    stage: str
    task: str
    store: str
    first: int | None
    limits: tuple[int, int]
    whole: bool
    digest: str


@dataclass(frozen=True)
class SelectionPlan:
    """What a selection function is made of.

    Attributes
    ----------
    grid : CellGrid
        How cells are cut.
    pieces : tuple of CountedPiece
        Of all that was ingested.
    level : int
        HEALPix order of their limits.
    """

    grid: CellGrid
    pieces: tuple[CountedPiece, ...]
    level: int

    @property
    def facts(self) -> dict[str, Any]:
        """Return what an edition depends on."""
        return {"selection": [[piece.digest, piece.limits, piece.whole] for piece in self.pieces]}


def plan_selection(
    release: ReleaseSpec, features: Sequence[Receipt], schema: CatalogSchema, order: int
) -> SelectionPlan | None:
    """Return what the selection function of a catalogue is made of; None if it cannot have one.

    Parameters
    ----------
    release : ReleaseSpec
        Of the archive.
    features : sequence of Receipt
        Of the partitions that were ingested.
    schema : CatalogSchema
        Columns of the catalogue.
    order : int
        HEALPix order at which the ingest counted.
    """
    grid = CellGrid.of(release, order)
    if grid is None or not set(schema.names) >= {*grid.columns, "quality_tier"}:
        return None
    pieces = []
    for receipt in features:
        note = receipt.notes.get(NOTE)
        if note is None:
            return None
        first, last = note["piece"]
        limits, whole = (int(first), int(last)), bool(note["whole"])
        pieces.append(
            CountedPiece(
                *(receipt.stage, receipt.task, receipt.output, note["first"]),
                *(limits, whole, note["digest"]),
            )
        )
    return SelectionPlan(grid, tuple(pieces), release.partition.healpix_level)


class SelectionSum:
    """Adds up pieces and chunks, and writes ``selection/`` into the catalogue that is being built.

    Parameters
    ----------
    building : Building
        The catalogue; what an earlier attempt left of this in it is removed.
    plan : SelectionPlan
        What it is made of.
    root : Path
        The workdir.
    """

    def __init__(self, building: Building, plan: SelectionPlan, root: Path) -> None:
        self._grid, self._root, self._folder = plan.grid, root, building.folder
        tiers = tuple(tier.name for tier in building.schema.flags.tiers)
        self.about = About(grid=plan.grid, tiers=tiers, counted=counted_pixels(plan))
        remove_tree(building.folder / SELECTION_NAME)
        grid = plan.grid
        self._light = np.zeros(
            (grid.magnitudes.size, grid.colours.size, len(self.about.kinds)), np.int64
        )
        self._writer = SelectionWriter(building.folder / SELECTION_NAME, self.about)
        self._sums = CellSums(len(self.about.kinds))
        pieces = [piece for piece in plan.pieces if piece.first is not None]
        self._left = sorted(pieces, key=lambda piece: piece.first or 0, reverse=True)
        self._next = 0

    def heard(self, facts_of: Callable[[int], ChunkFacts]) -> Callable[[int], ChunkFacts]:
        """Return what reads facts, and adds up those of each chunk as it is read in its turn."""

        def read(index: int) -> ChunkFacts:
            facts = facts_of(index)
            if index == self._next:
                self._next += 1
                self._add_chunk(facts)
            return facts

        return read

    def finish(self) -> SelectionFacts:
        """Write what is left, and say what was counted."""
        self._add_pieces(None)
        self._write(None)
        self._writer.finish()
        totals = dict(zip(self.about.kinds, self._writer.totals.tolist(), strict=True))
        counted = sum(last - first + 1 for first, last in self.about.counted)
        return SelectionFacts(
            order=self._grid.order,
            sky=counted / self._grid.pixels,
            totals=totals,
            subset=totals["requested"] >= MOST_REQUESTED * totals["sources"],
        )

    def by_light(self, facts: SelectionFacts) -> Chosen:
        """Return what was counted by magnitude and colour, after `finish`."""
        return Chosen(self._grid, self.about.tiers, self._light, subset=facts.subset)

    def _add_chunk(self, facts: ChunkFacts) -> None:
        published = facts.cells["counts"]
        counts = np.zeros((len(published), len(self.about.kinds)), np.int64)
        counts[:, 2:] = published
        self._sums.add(facts.cells["code"], counts)
        # Every later source has a larger id, and no smaller pixel.
        done = self._grid.first_code(facts.last_id >> self._grid.id_shift)
        self._add_pieces(done)
        self._write(done)

    def _add_pieces(self, below: int | None) -> None:
        """Add the pieces that have cells below a code."""
        while self._left and (below is None or (self._left[-1].first or 0) < below):
            store = FeatureStore(self._root / self._left.pop().store)
            codes = store.column(CODE)
            counts = np.zeros((codes.size, len(self.about.kinds)), np.int64)
            counts[:, 0], counts[:, 1] = store.column(SOURCES), store.column(REQUESTED)
            self._sums.add(codes, counts)

    def _write(self, below: int | None) -> None:
        codes, counts = self._sums.take_below(below)
        kept = self.about.covers(self._grid.parts(codes)[0])
        codes, counts = codes[kept], counts[kept]
        if problem := impossible(self.about, counts):
            raise CatalogueError(
                f"The selection function of {self._folder} cannot be made: {problem}.",
                "Publish without it (publish.selection=false); this is a defect.",
            )
        _, magnitude, colour = self._grid.parts(codes)
        np.add.at(self._light, (magnitude, colour), counts)
        self._writer.append(codes, counts)


def counted_pixels(plan: SelectionPlan) -> tuple[tuple[int, int], ...]:
    """Return first and last pixel of the parts of the sky all of whose sources were counted."""
    joined: list[list[int]] = []
    for first, last in sorted(piece.limits for piece in plan.pieces if piece.whole):
        if joined and first <= joined[-1][1] + 1:
            joined[-1][1] = max(joined[-1][1], last)
        else:
            joined.append([first, last])
    finer = 2 * (plan.level - plan.grid.order)
    if finer <= 0:
        return tuple((first << -finer, ((last + 1) << -finer) - 1) for first, last in joined)
    # A pixel that reaches beyond what was counted was not.
    inner = ((-(-first >> finer), ((last + 1) >> finer) - 1) for first, last in joined)
    return tuple((first, last) for first, last in inner if first <= last)
