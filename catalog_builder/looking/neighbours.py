"""A catalogue's stars in another release: a table of old and new identifiers.

The table of neighbours is streamed, twice: once to find who is beside the stars asked for, once to
find who else these are beside. What is kept grows with the stars asked for (about 100 bytes each).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.catalog.layout import STORE_NAME, find_catalogue
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.zarr_store import read_column
from catalog_builder.ground.errors import CatalogueError, ConfigError, InputError
from catalog_builder.labels.crosswalk import (
    Bools,
    Crosswalk,
    Ids,
    Pairs,
    find_crosswalk,
    read_pairs,
    rule_of,
)

#: What is said of a pair: that it is the star, that it is one of several, that there is none.
ONE, SEVERAL, NONE = "one", "several", "none"
_COLUMNS: Final = (
    "likely_matches",
    "neighbours",
    "angular_distance",
    "magnitude_difference",
    "status",
)


@dataclass(frozen=True)
class Asked:
    """Stars, and the release that their identifiers are of."""

    ids: Ids
    release: str


@dataclass(frozen=True)
class Neighbours:
    """What became of the stars asked for: likely pairs, and how many have none."""

    pairs: Pairs
    sure: Bools
    likely: Ids
    rows: Ids
    lost: Ids
    is_new: bool
    older: str

    def counts(self) -> dict[str, int]:
        """Return how many of the stars asked for have one match, several, none."""
        asked = self.pairs.new if self.is_new else self.pairs.old
        one = len(np.unique(asked[self.sure]))
        return {ONE: one, SEVERAL: len(np.unique(asked)) - one, NONE: len(self.lost)}

    def write(self, stream: TextIO) -> None:
        """Write CSV: a row for each likely pair, and one for each star without."""
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(("source_id", f"{self.older}_source_id", *_COLUMNS))
        columns: Iterable[Any] = self.pairs
        columns = list(columns)
        for number in range(len(self.pairs.old)):
            old, new, distance, magnitude, _ = (column[number] for column in columns)
            status = ONE if self.sure[number] else SEVERAL
            numbers = (self.likely[number], self.rows[number], _short(distance), _short(magnitude))
            out.writerow((new, old, *numbers, status))
        for star in self.lost:
            ids = (star, "") if self.is_new else ("", star)
            out.writerow((*ids, 0, 0, "", "", NONE))


def _short(value: np.float32) -> str:
    return f"{value:.6g}" if np.isfinite(value) else ""


def find_neighbours(archive: str, release: ReleaseSpec, older: str, asked: Asked) -> Neighbours:
    """Find stars of a release in an older one, or those of the older one in it.

    Raises
    ------
    CatalogBuilderError
        If the archive has no table of neighbours, or a file of it is damaged.
    """
    rule, folder = rule_of(release, older), find_crosswalk(archive, release, older)
    is_new = asked.release == release.name
    ids = np.unique(asked.ids)

    def read(wanted: Callable[[Pairs], Bools]) -> Pairs:
        # All files of a range together: they hold the rivals of each other's pairs.
        ranges = folder.by_range(release.partition).values()
        return Pairs.together([read_pairs(files, release, rule, wanted)[0] for _, files in ranges])

    old = ids
    if is_new:
        beside = read(lambda pairs: np.isin(pairs.new, ids))
        old = np.unique(beside.old[np.isin(beside.new, ids)])
    pairs = read(lambda pairs: np.isin(pairs.old, old))
    walk = Crosswalk.of(pairs, rule, old)
    mine = np.isin(pairs.new if is_new else pairs.old, ids)
    key = pairs.new if is_new else pairs.old
    likely = pairs.likely(rule) & np.isin(pairs.old, old)
    found = pairs.take(mine & likely)
    column = found.new if is_new else found.old
    new, _ = walk.translate(found.old)
    order = np.lexsort((found.old, found.new))
    return Neighbours(
        pairs=found.take(order),
        sure=(new == found.new)[order],
        likely=_counted(column, column)[order],
        rows=_counted(key, column)[order],
        lost=np.setdiff1d(ids, column),
        is_new=is_new,
        older=older,
    )


def _counted(among: Ids, wanted: Ids) -> Ids:
    """Return how often each wanted id stands among others; it does."""
    values, counts = np.unique(among, return_counts=True)
    return np.asarray(counts[np.searchsorted(values, wanted)] if len(wanted) else wanted)


def stars_of(path: Path, ids_of: str | None) -> Asked:
    """Read identifiers: of a sealed catalogue, or of a text file, one a line or with a header.

    Parameters
    ----------
    path : Path
        Folder of a catalogue; or a file.
    ids_of : str or None
        The release that they are of; a catalogue says it itself.

    Raises
    ------
    CatalogBuilderError
        If it is neither, or says another release.
    """
    if path.is_dir():
        folder = find_catalogue(path)
        said = read_release(folder).release
        if ids_of not in {None, said}:
            raise ConfigError(
                f"--ids-of {ids_of}: the catalogue {folder} is of {said}.", "Leave --ids-of out."
            )
        columns = [values for _, values in read_column(folder / STORE_NAME, "source_id")]
        return Asked(np.concatenate([np.empty(0, np.int64), *columns]), said)
    if not path.is_file():
        raise CatalogueError(
            f"{path} is not there.", "Give the folder of a sealed catalogue, or a file of ids."
        )
    if ids_of is None:
        raise ConfigError(
            f"{path} does not say which release its identifiers are of.", "Say it with --ids-of."
        )
    return Asked(_ids_in(path), ids_of)


def _ids_in(path: Path) -> Ids:
    found: list[int] = []
    place = number = 0
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.reader(stream), start=1):
                if number == 1 and "source_id" in row:
                    place = row.index("source_id")
                elif row:
                    found.append(_identifier(row[place]))
    except (OSError, UnicodeDecodeError, ValueError, IndexError, csv.Error) as error:
        raise InputError(
            f"{path}, line {number}, holds no identifier: {error}.",
            "Give text: one identifier a line, or CSV with the column source_id.",
        ) from error
    return np.array(found, np.int64)


def _identifier(text: str) -> int:
    number = int(text)
    if not 0 < number <= np.iinfo(np.int64).max:
        raise ValueError(f"{number} is none")
    return number
