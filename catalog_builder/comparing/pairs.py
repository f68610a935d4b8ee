"""Stars that two tables have in common, streamed: memory holds a few chunks of either.

The old table is read from front to back. Its ids are translated, and looked up in those chunks of
the new one whose ids begin below them. Where both are numbered by place on the sky, as Gaia's are,
each chunk is read once; a crosswalk that scatters ids costs time and no memory. Beside the chunks
there is one byte for each new star, which says whether it was found.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.matching import Ids, Match, Matching
from catalog_builder.comparing.sides import SOURCE_ID, Block, Side, rows_of

#: Chunks of the new table that are kept: those at the ends of the old one's come twice.
_KEPT: Final = 4
#: Status of an old star whose new id is known, and of a new star whose old id is, but who is not
#: in the other table. Beside those of :class:`Match`.
ABSENT: Final = 9


@dataclass(frozen=True)
class Pairs:
    """The stars of one chunk of the old table.

    Attributes
    ----------
    old, new : dict of str to ndarray, shape (n,)
        Those that both tables have, row by row.
    lost : dict of str to ndarray, shape (m,)
        Those that the new one lacks.
    why : ndarray of int8, shape (m,)
        Of the lost: a :class:`Match` other than ONE, or `ABSENT`.
    """

    old: Block
    new: Block
    lost: Block
    why: NDArray[np.int8]


@dataclass(frozen=True)
class Gained:
    """The stars of one chunk of the new table that the old one lacks; and why, as of `Pairs`."""

    new: Block
    why: NDArray[np.int8]


class PairStream:
    """Both passes over two tables.

    Parameters
    ----------
    old, new : Side
    matching : Matching
    old_names, new_names : sequence of str
        Columns that are read; `source_id` always is.
    """

    def __init__(
        self,
        old: Side,
        new: Side,
        matching: Matching,
        old_names: Sequence[str],
        new_names: Sequence[str],
    ) -> None:
        self._old, self._new, self._matching = old, new, matching
        self._old_names = sorted({*old_names, SOURCE_ID})
        self._finder = Finder(new, new_names)
        self._seen = np.zeros(rows_of(new), dtype=bool)

    def pairs(self) -> Iterator[Pairs]:
        """Yield the stars of the old table, a chunk at a time."""
        for chunk in range(len(self._old.starts) - 1):
            block = self._old.read(chunk, self._old_names)
            ids, status = self._matching.to_new(block[SOURCE_ID])
            asked = np.flatnonzero(status == Match.ONE)
            rows, found = self._finder.find(ids[asked])
            there = rows >= 0
            self._seen[rows[there]] = True
            why = status.copy()
            why[asked[~there]] = ABSENT
            paired = asked[there]
            lost = np.ones(len(ids), dtype=bool)
            lost[paired] = False
            yield Pairs(
                {name: values[paired] for name, values in block.items()},
                {name: values[there] for name, values in found.items()},
                {name: values[lost] for name, values in block.items()},
                why[lost],
            )

    def gained(self) -> Iterator[Gained]:
        """Yield the new stars that no pair had; after `pairs`."""
        for chunk in range(len(self._new.starts) - 1):
            rows = slice(int(self._new.starts[chunk]), int(self._new.starts[chunk + 1]))
            fresh = ~self._seen[rows]
            if not fresh.any():
                continue
            block = self._new.read(chunk, self._finder.names)
            block = {name: values[fresh] for name, values in block.items()}
            why = self._matching.of_new(block[SOURCE_ID])
            why[why == Match.ONE] = ABSENT
            yield Gained(block, why)


class Finder:
    """Looks ids up in a table; the chunks that were used last are kept."""

    def __init__(self, side: Side, names: Sequence[str]) -> None:
        self.names = sorted({*names, SOURCE_ID})
        self._side = side
        self._chunks: OrderedDict[int, Block] = OrderedDict()

    def find(self, ids: Ids) -> tuple[NDArray[np.int64], Block]:
        """Return the row of each id, -1 where there is none, and the columns there.

        Of ids without a row the columns hold what happens to stand in memory.
        """
        rows = np.full(len(ids), -1, dtype=np.int64)
        if not len(ids):
            return rows, self._nothing(0)
        found: Block = {}
        order = np.argsort(ids, kind="stable")
        chunks = np.searchsorted(self._side.first_ids, ids[order], side="right") - 1
        bounds = np.flatnonzero(np.diff(chunks, prepend=-2))
        for begin, end in zip(bounds, [*bounds[1:], len(order)], strict=True):
            if (chunk := int(chunks[begin])) < 0:
                continue
            block, wanted = self._chunk(chunk), order[begin:end]
            held = block[SOURCE_ID]
            place = np.minimum(np.searchsorted(held, ids[wanted]), len(held) - 1)
            hit = held[place] == ids[wanted]
            rows[wanted[hit]] = self._side.starts[chunk] + place[hit]
            for name, values in block.items():
                target = found.setdefault(name, np.empty(len(ids), dtype=values.dtype))
                target[wanted[hit]] = values[place[hit]]
        return rows, found or self._nothing(len(ids))

    def _chunk(self, chunk: int) -> Block:
        if chunk in self._chunks:
            self._chunks.move_to_end(chunk)
        else:
            if len(self._chunks) >= _KEPT:
                self._chunks.popitem(last=False)
            self._chunks[chunk] = self._side.read(chunk, self.names)
        return self._chunks[chunk]

    def _nothing(self, rows: int) -> Block:
        """Return columns for ids of which none is there."""
        return {name: np.zeros(rows, dtype=values.dtype) for name, values in self._chunk(0).items()}
