"""Whether source ids lie where the partition rule says, and are those of the source table."""

from __future__ import annotations

from typing import Final

import numpy as np

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import PartitionRule, TableName
from catalog_builder.inspecting.columns import LEAST_STARS
from catalog_builder.inspecting.finding import Looked, listed
from catalog_builder.inspecting.view import Ids, TableView, View

#: Ids of which the place tells something.
LEAST_IDS: Final = 20
#: A few ids may lie elsewhere: an id keeps the pixel of when it was given.
_MOST_ELSEWHERE: Final = 0.5
_LEAST_JOINED: Final = 0.05


def check_ids(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note ids outside of their file's range, or of another release."""
    for table, seen in view.tables.items():
        _check_range(table, seen, view, release.partition, looked)
    for table in (*release.driving_tables, *release.joined_tables):
        _check_joined(table, view, release, looked)
    _check_positions(view, release, looked)


def shifts_into(ids: Ids, start: int, stop: int) -> list[int]:
    """Return by which shifts nearly all of some ids come into a range of pixels."""
    return [
        shift
        for shift in range(1, 62)
        if ((ids >> shift >= start) & (ids >> shift <= stop)).mean() > 0.95
    ]


def _check_range(
    table: TableName, seen: TableView, view: View, rule: PartitionRule, looked: Looked
) -> None:
    if seen.keys.size < LEAST_IDS:
        return
    start, stop = seen.file.limits or (view.partition.start, view.partition.stop)
    pixels = rule.pixels(seen.keys)
    outside = float(((pixels < start) | (pixels > stop)).mean())
    by_ids = rule.position_column is None
    line = "partition.source_id_shift" if by_ids else "partition.position_column"
    looked.facts[f"{line} ({table})"] = f"{1 - outside:.1%} of {seen.keys.size} ids in range"
    if outside <= _MOST_ELSEWHERE:
        return
    fitting = [shift for shift in shifts_into(seen.keys, start, stop) if shift] if by_ids else []
    hint = (
        f"A shift of {listed(map(str, fitting))} would bring them there: correct"
        f" partition.source_id_shift and partition.healpix_level."
        if fitting
        else "No shift brings them there: they are ids of another release, or the name of the file"
        " does not give HEALPix pixels. If the tables have a column with the HEALPix index of level"
        " 29, name it as partition.position_column."
        if by_ids
        else "The column is no nested HEALPix index of level 29, or the folders are no pixels."
    )
    piece = view.partition.name if not seen.file.place else rule.name_of(start, stop)
    how = f"source_id >> {rule.source_id_shift}" if by_ids else str(rule.position_column)
    looked.add(
        line,
        table,
        f"{seen.file.name}: {outside:.0%} of {seen.keys.size} source ids do not lie in the range"
        f" {piece} by {how}: they are {pixels.min()} to {pixels.max()}.",
        hint,
    )


def _check_joined(table: TableName, view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note a table whose stars the source table does not have: they are of another release."""
    source, seen = view.tables.get(release.source_table), view.tables.get(table)
    if source is None or seen is None or not source.ids.size:
        return
    ids = np.unique(seen.ids)
    ids = ids[source.may_have(ids)]
    if table in release.joined_tables:
        kept = source.columns.get("source_id", ids[:0])
        ids, joined = kept, np.isin(kept, seen.ids)
        ids = ids if seen.complete else ids[:0]
    else:
        joined = np.isin(ids, source.ids)
    if ids.size < LEAST_STARS:
        return
    share = float(joined.mean())
    looked.facts[f"source_table ({table})"] = f"{share:.1%} of {ids.size} stars joined"
    if share < _LEAST_JOINED:
        looked.add(
            f"tables.{table}.columns.source_id",
            table,
            f"{seen.file.name}: {share:.0%} of {ids.size} source ids are shared with"
            f" {source.file.name}: they are ids of another release, or of another column.",
            f"Name the column with this release's ids at tables.{table}.columns.source_id.names.",
        )


def _check_positions(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Measure how many ids carry the pixel of their star's position."""
    source = view.tables.get(release.source_table)
    if source is None or not {"ra", "dec"} <= set(source.columns):
        return
    share, count = position_share(
        source.columns["source_id"], source.columns["ra"], source.columns["dec"], release.partition
    )
    if count >= LEAST_STARS:
        # Measured and not refused: only the sky map of sources without a row is drawn with it.
        looked.facts["partition.position_shift"] = (
            f"{share:.1%} of {count} ids carry the pixel of their position"
        )


def position_share(ids: Ids, ra: Ids, dec: Ids, rule: PartitionRule) -> tuple[float, int]:
    """Return the share of ids that carry the pixel of their position, and of how many."""
    from astropy import units as u
    from astropy_healpix import lonlat_to_healpix

    good = np.isfinite(ra) & (ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90)
    if not good.any():
        return float("nan"), 0
    pixels = lonlat_to_healpix(
        ra[good] * u.deg, dec[good] * u.deg, 1 << rule.position_level, order="nested"
    )
    return float((pixels == ids[good] >> rule.position_shift).mean()), int(good.sum())
