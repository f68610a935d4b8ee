"""Stars of a catalogue beside those of another table, whatever the order of its rows.

The other table is read once and parted, by ids, into one file for each stretch of the catalogue;
then stretch by stretch is put beside the catalogue's chunks. Memory holds one of these and a map of
fixed size of the catalogue's ids, by which most rows of other stars are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.matching import Match, Matching
from catalog_builder.comparing.outside.stars import OtherStars, Stars
from catalog_builder.comparing.sides import SOURCE_ID, Block, Side

TRAINING: Final = "in_training_sample"
#: What another table's columns are called in a block, beside ours.
THEIRS, THEIR_ERROR, EXTINCTION = "their_{}", "their_e_{}", "their_extinction"
_MOST_PARTS: Final = 256
_MAP_BITS: Final = 25
#: Odd, and without a pattern: spreads ids, whose lowest bits say little, over the map.
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)

NOT_THERE: Final = "not in the catalogue"
AGAIN: Final = "another row of a star"
TAUGHT: Final = "taught the model"
_UNMATCHED: Final = {
    Match.NONE: "no match in the crosswalk",
    Match.SEVERAL: "several matches in the crosswalk",
    Match.SHARED: "its match in the crosswalk is another star's too",
}


class Pairing:
    """Pairs of a catalogue's and another table's stars, on disk.

    Parameters
    ----------
    side : Side
        The catalogue.
    names : sequence of str
        Its columns that are read.
    folder : Path
        For files of its own.
    taught : bool
        Whether stars that taught the model are kept.

    Attributes
    ----------
    left_out : Counter of str
        Stars of the other table by why they are in no pair.
    stars : int
        Pairs.
    """

    def __init__(
        self, side: Side, names: Sequence[str], folder: Path, *, taught: bool = False
    ) -> None:
        more = {TRAINING} & side.columns
        self._side, self._names = side, sorted({*names, *more, SOURCE_ID})
        self._folder, self._taught = folder, taught
        chunks = len(side.starts) - 1
        self._part_of = np.arange(chunks) * min(chunks, _MOST_PARTS) // max(chunks, 1)
        self._kept: list[Path] = []
        self.left_out: Counter[str] = Counter()
        self.stars = 0

    def fill(self, other: OtherStars, matching: Matching) -> None:
        """Read the other table, and put its stars beside ours; once."""
        first, held = self._side.first_ids, _map_of(self._side)
        dtype = _row_type(other.labels)
        for stars in other.blocks():
            ids, status = matching.to_new(stars.ids)
            for why, words in _UNMATCHED.items():
                self.left_out[words] += int(np.count_nonzero(status == why))
            one = status == Match.ONE
            chunks = np.searchsorted(first, ids, side="right") - 1
            there = one & (chunks >= 0) & held[_place(ids)]
            self.left_out[NOT_THERE] += int(np.count_nonzero(one & ~there))
            rows = _rows(stars, ids, dtype)[there]
            self._part(rows, self._part_of[chunks[there]])
        for part in range(int(self._part_of.max(initial=-1)) + 1):
            self._pair(part, dtype)
        self.left_out += Counter()  # drops what is 0

    def blocks(self) -> Iterator[Block]:
        """Yield the pairs, some at a time, as often as is asked."""
        for path in self._kept:
            with np.load(path, allow_pickle=False) as content:
                yield dict(content)

    def _part(self, rows: NDArray[Any], parts: NDArray[np.int64]) -> None:
        if not len(rows):
            return
        order = np.argsort(parts, kind="stable")
        bounds = np.flatnonzero(np.diff(parts[order], prepend=-1))
        for begin, end in zip(bounds, [*bounds[1:], len(order)], strict=True):
            chosen = order[begin:end]
            with self._file(int(parts[chosen[0]])).open("ab") as stream:
                stream.write(rows[chosen].tobytes())

    def _file(self, part: int) -> Path:
        return self._folder / f"{part}.rows"

    def _pair(self, part: int, dtype: np.dtype[Any]) -> None:
        path = self._file(part)
        if not path.exists():
            return
        rows = np.frombuffer(path.read_bytes(), dtype)
        path.unlink()
        quality = np.where(np.isnan(rows["rank"]), -np.inf, rows["rank"])
        order = np.lexsort((np.arange(len(rows)), -quality, rows[SOURCE_ID]))
        rows = rows[order]
        fresh = np.ones(len(rows), bool)
        fresh[1:] = rows[SOURCE_ID][1:] != rows[SOURCE_ID][:-1]
        once, again = rows[fresh], rows[~fresh]
        found = [self._beside(int(chunk), once) for chunk in np.flatnonzero(self._part_of == part)]
        known = np.concatenate([ids for _, ids in found])
        self.left_out[NOT_THERE] += len(rows) - int(np.isin(rows[SOURCE_ID], known).sum())
        self.left_out[AGAIN] += int(np.isin(again[SOURCE_ID], known).sum())
        blocks = [block for block, _ in found if len(block[SOURCE_ID])]
        if not blocks:
            return
        self._kept.append(self._folder / f"{part}.npz")
        whole = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
        self.stars += len(whole[SOURCE_ID])
        columns: Any = whole  # numpy declares its own keywords alone
        np.savez(self._kept[-1], **columns)

    def _beside(self, chunk: int, rows: NDArray[Any]) -> tuple[Block, NDArray[np.int64]]:
        """Return the pairs of a chunk, and all ids that both have there."""
        ours = self._side.read(chunk, self._names)
        ids = ours[SOURCE_ID]
        place = np.minimum(np.searchsorted(ids, rows[SOURCE_ID]), len(ids) - 1)
        hit = ids[place] == rows[SOURCE_ID]
        place, theirs = place[hit], rows[hit]
        common = theirs[SOURCE_ID].copy()
        if not self._taught and TRAINING in ours:
            taught = ours[TRAINING][place].astype(bool)
            self.left_out[TAUGHT] += int(np.count_nonzero(taught))
            place, theirs = place[~taught], theirs[~taught]
        block = {name: values[place] for name, values in ours.items()}
        block |= {n: theirs[n] for n in theirs.dtype.names or () if n not in {SOURCE_ID, "rank"}}
        return block, common


def _map_of(side: Side) -> NDArray[np.bool_]:
    """Return a map of fixed size in which the places of all ids of a table are marked."""
    held = np.zeros(1 << _MAP_BITS, dtype=bool)
    for chunk in range(len(side.starts) - 1):
        held[_place(side.read(chunk, [SOURCE_ID])[SOURCE_ID])] = True
    return held


def _place(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        return (ids.astype(np.uint64) * _SPREAD) >> np.uint64(64 - _MAP_BITS)


def _row_type(labels: Sequence[str]) -> np.dtype[Any]:
    columns = [form.format(name) for name in labels for form in (THEIRS, THEIR_ERROR)]
    return np.dtype([(SOURCE_ID, "i8"), *((name, "f4") for name in (*columns, EXTINCTION, "rank"))])


def _rows(stars: Stars, ids: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = np.zeros(len(ids), dtype)
    rows[SOURCE_ID], rows[EXTINCTION], rows["rank"] = ids, stars.extinction, stars.rank
    for name, values in stars.values.items():
        rows[THEIRS.format(name)] = values
        rows[THEIR_ERROR.format(name)] = stars.errors[name]
    return rows
