"""How the files of an archive are cut: by ranges in names, by folders, or not by place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.cuts import find_pixel
from catalog_builder.archive.tables import COLUMN_LEVEL, PartitionRule
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.groups import Group
from catalog_builder.inspecting.ids import shifts_into
from catalog_builder.inspecting.match import Match
from catalog_builder.inspecting.profile import integers
from catalog_builder.inspecting.raw import read_raw

Layout = Literal["ranges", "regions", "hats", "anywhere"]
Ids = NDArray[np.int64]

#: Gaia's identifiers: the pixel of a level begins at this bit, two fewer for each level.
_GAIA_BIT: Final = 59
_LEVELS: Final = range(13)
#: Files of each table that are looked at beside the first, and their rows.
_MORE_FILES, _ROWS = 2, 200
_MOST: Final = 0.95


@dataclass(frozen=True)
class FoundPartition:
    """How files are cut.

    Attributes
    ----------
    layout : str
        As in a description; ``anywhere`` where no rule was found that the ids follow.
    pattern : str, optional
        Of the ranges in file names; None where they have none.
    shift : int, optional
        By which ids come into their file's range; None where there is none.
    level : int, optional
        HEALPix level of the ranges, if the shift is one of Gaia's; of folders the finest.
    column : str, optional
        A column with the index of level 29 that lies in its file's range.
    share : float
        Of the looked-at ids that lie in their range, by the described rule or in folders by Gaia's.
    files : int
        Files whose ids were compared.
    """

    layout: Layout
    pattern: str | None = None
    shift: int | None = None
    level: int | None = None
    column: str | None = None
    share: float = float("nan")
    files: int = 0


@dataclass(frozen=True)
class _Sample:
    """Integers of one file of a table, and where the file says that they lie.

    Attributes
    ----------
    ids : ndarray of int64
        Source ids.
    columns : dict of str to ndarray
        Other columns of integers, by name in lower case.
    place : str
        In the folder above all of the table's files.
    limits : (int, int) or None
        The numbers in its name.
    """

    ids: Ids
    columns: Mapping[str, Ids]
    place: str
    limits: tuple[int, int] | None = field(default=None)


def measure_partition(matches: Sequence[Match], rule: PartitionRule) -> FoundPartition:
    """Compare ids with what the names of files and folders say."""
    layouts = {_layout_of(match.looked.group) for match in matches}
    samples = [sample for match in matches for sample in _samples(match)]
    layout = layouts.pop() if len(layouts) == 1 else "anywhere"
    if layout in {"regions", "hats"}:
        orders = [_orders(match.looked.group, layout) for match in matches]
        finest = max(max(each, default=0) for each in orders)
        return _by_folders(layout, samples, rule, finest)
    if layout == "ranges":
        patterns = {match.looked.group.pattern for match in matches}
        numbers = [_numbers(match.looked.group) for match in matches]
        return _by_names(patterns, samples, rule, max(map(max, numbers)))
    return FoundPartition("anywhere", files=len(samples))


def _layout_of(group: Group) -> Layout:
    if not group.in_pieces:
        return "anywhere" if group.pattern is None else "ranges"
    for layout in ("regions", "hats"):
        if len(_orders(group, layout)) == len(group.files):
            return "regions" if layout == "regions" else "hats"
    return "anywhere"


def _orders(group: Group, layout: str) -> list[int]:
    """Return the orders of the files that lie in folders of a layout."""
    try:
        found = [find_pixel(group.place_of(url), url, layout) for url in group.files]
    except InputError:
        return []
    return [each[0] for each in found if each is not None]


def _numbers(group: Group) -> list[int]:
    limits = [group.range_of(url) for url in group.files]
    return [0, *(each[1] for each in limits if each is not None)]


def _samples(match: Match) -> Iterator[_Sample]:
    key, group, raw = match.profile("source_id"), match.looked.group, match.looked.raw
    if key is None or raw is None:
        return
    others = [
        profile.name
        for profile in match.looked.profiles.values()
        if profile.kind == "integer" and profile.name != key.name and profile.high > 2**30
    ]
    for url in (match.looked.url, *group.others(_MORE_FILES)):
        try:
            cells = read_raw(url, _ROWS).cells
        except InputError:
            continue
        ids = integers(cells.get(key.name, []))
        columns = {name.lower(): integers(cells[name]) for name in others if name in cells}
        if (ids > 0).any():
            yield _Sample(ids[ids > 0], columns, group.place_of(url), group.range_of(url))


def _by_folders(
    layout: Literal["regions", "hats"] | Any,
    samples: Sequence[_Sample],
    rule: PartitionRule,
    finest: int,
) -> FoundPartition:
    placed = [
        (sample, found)
        for sample in samples
        if (found := find_pixel(sample.place, sample.place, layout)) is not None
    ]
    level = max(rule.healpix_level, finest)
    bits = [
        bit
        for bit in range(2 * level, 63)
        if all(
            _share(sample.ids >> (bit - 2 * order), pixel, pixel) > _MOST
            for sample, (order, pixel) in placed
        )
    ]
    bit = next((each for each in (_GAIA_BIT, *bits) if each in bits), None)
    column = _column(
        [(s.columns, 2 * (COLUMN_LEVEL - order), pixel, pixel) for s, (order, pixel) in placed]
    )
    inside = [
        ((sample.ids >> (_GAIA_BIT - 2 * order)) == pixel) for sample, (order, pixel) in placed
    ]
    share = float(np.concatenate(inside).mean()) if inside else float("nan")
    # A catalogue is in the order of its ids: rows are cut by another column only where ids say
    # nothing. The few stars of HATS that have moved over an edge are counted as outside of it.
    if bit is not None:
        column = None
    if bit is None and column is None:
        return FoundPartition("anywhere", share=share, files=len(placed))
    shift = (_GAIA_BIT if bit is None else bit) - 2 * level
    return FoundPartition(layout, None, shift, level, column, share, len(placed))


def _by_names(
    patterns: set[str | None], samples: Sequence[_Sample], rule: PartitionRule, largest: int
) -> FoundPartition:
    pattern = patterns.pop() if len(patterns) == 1 else None
    named = [(sample, sample.limits) for sample in samples if sample.limits is not None]
    inside = [
        (pixels >= first) & (pixels <= last)
        for sample, (first, last) in named
        for pixels in [sample.ids >> rule.source_id_shift]
    ]
    share = float(np.concatenate(inside).mean()) if inside else float("nan")
    if pattern is None or not named:
        return FoundPartition("anywhere", pattern, share=share, files=len(named))
    likely = [rule.source_id_shift, *(_GAIA_BIT - 2 * level for level in _LEVELS)]
    fitting = [set(shifts_into(sample.ids, *limits)) for sample, limits in named]
    shift = next((each for each in likely if all(each in good for good in fitting)), None)
    if shift is not None and (_GAIA_BIT - shift) % 2 == 0:
        level = (_GAIA_BIT - shift) // 2
        if largest < 12 << (2 * level):
            return FoundPartition("ranges", pattern, shift, level, None, share, len(named))
    for level in (rule.healpix_level, *_LEVELS):
        column = _column([(s.columns, 2 * (COLUMN_LEVEL - level), *limits) for s, limits in named])
        if column is not None and largest < 12 << (2 * level):
            shift = _GAIA_BIT - 2 * level
            return FoundPartition("ranges", pattern, shift, level, column, share, len(named))
    return FoundPartition("anywhere", pattern, share=share, files=len(named))


def _column(samples: Sequence[tuple[Mapping[str, Ids], int, int, int]]) -> str | None:
    """Return a column whose values lie in the range of their file, after a shift, in all tables."""
    names = set.intersection(*(set(columns) for columns, *_ in samples)) if samples else set()
    for name in sorted(names):
        if all(
            _share(columns[name] >> shift, first, last) > _MOST
            for columns, shift, first, last in samples
        ):
            return name
    return None


def _share(pixels: Ids, first: int, last: int) -> float:
    return float(((pixels >= first) & (pixels <= last)).mean()) if pixels.size else 0.0
