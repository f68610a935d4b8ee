"""Which rows of which partitions make up which chunk of one long store.

Catalogue and training set are concatenations of per-partition stores of any length. A task owns
whole output chunks, so that no two tasks ever write the same one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Piece:
    """Rows ``[start, stop)`` of the partition with this position in the plan."""

    partition: int
    start: int
    stop: int


@dataclass(frozen=True)
class ChunkPlan:
    """An output chunk: where it begins in the output, and what it is put together from."""

    index: int
    start: int
    pieces: tuple[Piece, ...]

    @property
    def rows(self) -> int:
        """Return the number of rows in the chunk."""
        return sum(piece.stop - piece.start for piece in self.pieces)


def plan_chunks(counts: Sequence[int], chunk_rows: int) -> Iterator[ChunkPlan]:
    """Cut the concatenation of partitions of the given lengths into chunks.

    Parameters
    ----------
    counts : sequence of int
        Rows of each partition, in output order.
    chunk_rows : int
        Rows per chunk; the last chunk may be shorter.
    """
    pieces: list[Piece] = []
    room, index = chunk_rows, 0
    for partition, count in enumerate(counts):
        start = 0
        while start < count:
            stop = min(count, start + room)
            pieces.append(Piece(partition, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                yield ChunkPlan(index, index * chunk_rows, tuple(pieces))
                pieces, room, index = [], chunk_rows, index + 1
    if pieces:
        yield ChunkPlan(index, index * chunk_rows, tuple(pieces))


class Rows:
    """The concatenation of partitions of some lengths.

    Parameters
    ----------
    counts : sequence of int
        Rows of each partition, in order.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._starts = [0, *accumulate(counts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def between(self, start: int, stop: int) -> Iterator[Piece]:
        """Yield what the rows ``[start, stop)`` of the whole are put together from."""
        partition = bisect_right(self._starts, start) - 1
        while start < stop:
            first, end = self._starts[partition], min(stop, self._starts[partition + 1])
            if end > start:
                yield Piece(partition, start - first, end - first)
                start = end
            partition += 1
