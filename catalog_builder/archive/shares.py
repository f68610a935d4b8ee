"""Which rows of a file belong to a piece of the sky: each to one, however many read the file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.readers import Block, Within
from catalog_builder.archive.tables import PartitionRule

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """The rows of a file that are a partition's.

    A file that lies within the partition is wholly its own. Of another one it has the rows whose
    pixels it has; the first of its partitions also has those that lie outside of the file's own
    range, and those that have no readable id.

    Parameters
    ----------
    start, stop : int
        The partition's pixels.
    limits : (int, int)
        The file's.
    is_first : bool
        Whether the partition is the file's first.
    rule : PartitionRule
        By which a row's pixel is found.
    """

    start: int
    stop: int
    limits: tuple[int, int]
    is_first: bool
    rule: PartitionRule

    @classmethod
    def of(cls, partition: Partition, file: FileRef, rule: PartitionRule) -> Share:
        """Return a partition's share of one of its files."""
        limits = file.limits or (partition.start, partition.stop)
        return cls(partition.start, partition.stop, limits, file.url in partition.first_of, rule)

    @property
    def is_whole(self) -> bool:
        """Whether every row of the file is the partition's."""
        return self.start <= self.limits[0] and self.limits[1] <= self.stop

    @property
    def within(self) -> Within | None:
        """What a reader need not read; None where it must read everything."""
        if self.is_whole:
            return None
        shift = self.rule.key_shift
        first, last = self.limits
        takes_others = self.is_first or self.rule.layout == "anywhere"
        return Within(
            self.rule.key,
            max(self.start, first) << shift,
            ((min(self.stop, last) + 1) << shift) - 1,
            (first << shift, ((last + 1) << shift) - 1) if takes_others else None,
        )

    def pixels(self, block: Block) -> NDArray[np.int64]:
        """Return the pixels of a block's good rows."""
        pixels: NDArray[np.int64] = self.rule.pixels(block.columns[self.rule.key])
        return pixels

    def outside(self, block: Block) -> Bools:
        """Say which good rows lie outside of the file's own range."""
        return ~_between(self.pixels(block), *self.limits)

    def part(self, block: Block) -> Block:
        """Return the rows of a block that are the partition's."""
        if self.is_whole:
            return block
        good = self._owns(self.pixels(block))
        bad = np.full(len(block.rejects), self.is_first)
        if self.rule.position_column is None:  # else what was rejected has an id and no place
            ids = block.rejects.source_ids
            bad = np.where(ids > 0, self._owns(self.rule.pixels(ids)), bad)
        part = block.take(good, bad)
        # Cells that became null are counted for a block: where its first row is.
        first = good[:1] if good.size else bad[:1]
        return part if first.any() else replace(part, cell_nulls={})

    def _owns(self, pixels: NDArray[np.int64]) -> Bools:
        inside = _between(pixels, *self.limits)
        own = inside & _between(pixels, self.start, self.stop)
        return own | ~inside if self.is_first else own


def _between(pixels: NDArray[np.int64], first: int, last: int) -> Bools:
    return (pixels >= first) & (pixels <= last)
