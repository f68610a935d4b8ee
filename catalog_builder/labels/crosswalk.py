"""Which star of an older release is which of this one: decided from a table of neighbours.

A pair of an old and a new identifier is *likely* if the table calls it probable; of an old star
without a probable pair, if it is close enough in place and magnitude. One likely pair is the star,
where no other old star has that new one for its own. All else is counted and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.crosswalks import CrosswalkRule
from catalog_builder.archive.files import FileRef, checksum_matches, refuse_if_changed
from catalog_builder.archive.folders import TableFolder, find_table
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.ground.errors import ConfigError, InputError

Ids = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Values of a status: one match, none, several.
ONE, NONE, SEVERAL = 0, 1, 2
#: Rows of a table that are read at a time.
BLOCK_ROWS: Final = 65_536
_DTYPES: Final[dict[str, Any]] = {
    "old": np.int64,
    "new": np.int64,
    "distance": np.float32,
    "magnitude_difference": np.float32,
    "probable": np.bool_,
}


class Pairs(NamedTuple):
    """Rows of a table of neighbours, all of n; what a release has no column of is NaN or false."""

    old: Ids
    new: Ids
    distance: NDArray[np.float32]
    magnitude_difference: NDArray[np.float32]
    probable: Bools

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Pairs:
        """Return some rows."""
        columns: Iterable[Any] = self
        return Pairs(*(values[rows] for values in columns))

    @classmethod
    def together(cls, parts: Sequence[Pairs]) -> Pairs:
        """Return the rows of several, each pair once, by old and then new identifier."""
        columns: Any = zip(*parts, strict=True) if parts else ((),) * len(_DTYPES)
        whole = cls(
            *(
                np.concatenate([np.empty(0, dtype), *values])
                for dtype, values in zip(_DTYPES.values(), columns, strict=True)
            )
        )
        # Of a pair that stands there twice, the probable row, then the nearer one.
        order = np.lexsort((whole.distance, ~whole.probable, whole.new, whole.old))
        whole = whole.take(order)
        first = np.ones(len(whole.old), bool)
        first[1:] = (whole.old[1:] != whole.old[:-1]) | (whole.new[1:] != whole.new[:-1])
        return whole.take(first)

    def likely(self, rule: CrosswalkRule) -> Bools:
        """Return which pairs may be the same star."""
        near = np.ones(len(self.old), bool)
        with np.errstate(invalid="ignore"):  # what is null is not near
            if rule.distance is not None:
                near &= self.distance <= rule.largest_distance
            if rule.magnitude_difference is not None:
                near &= np.abs(self.magnitude_difference) <= rule.largest_magnitude_difference
        told = np.isin(self.old, self.old[self.probable])
        return np.where(told, self.probable, near)


@dataclass(frozen=True)
class Crosswalk:
    """Old identifiers with what became of them.

    Attributes
    ----------
    old, new : ndarray of int64, shape (n,)
        Stars with one match, by rising old identifier.
    ambiguous_old : ndarray of int64
        Those with several likely matches (split), or whose match is another's too (merged).
    merged_old : ndarray of int64
        The merged ones among them.
    unlikely_old : ndarray of int64
        Those with neighbours, of which none is likely: without a match.
    """

    old: Ids
    new: Ids
    ambiguous_old: Ids
    merged_old: Ids
    unlikely_old: Ids

    @classmethod
    def of(cls, pairs: Pairs, rule: CrosswalkRule, wanted: Ids) -> Crosswalk:
        """Decide for some old stars.

        Parameters
        ----------
        pairs : Pairs
            From `Pairs.together`: all rows of these stars, and all of the new stars in them.
        rule : CrosswalkRule
            When a pair is likely.
        wanted : ndarray of int64
            The old stars.
        """
        likely = pairs.take(pairs.likely(rule))
        claimed = _claims(likely)
        own = np.isin(likely.old, wanted)
        likely, claimed = likely.take(own), claimed[own]
        old, place, count = np.unique(likely.old, return_index=True, return_counts=True)
        several, shared = count > 1, ~claimed[place]
        sure = ~several & ~shared
        return cls(
            old=old[sure],
            new=likely.new[place][sure],
            ambiguous_old=old[~sure],
            merged_old=old[~several & shared],
            unlikely_old=np.setdiff1d(np.intersect1d(pairs.old, wanted), old),
        )

    def translate(self, old: Ids) -> tuple[Ids, NDArray[np.int8]]:
        """Return the new identifier of each old one (0 without), and its status.

        The status is 0 for one match, 1 for none, 2 for several.
        """
        ids = np.asarray(old, np.int64)
        hit, place = _find(self.old, ids)
        new = np.zeros(len(ids), np.int64)
        new[hit] = self.new[place[hit]]
        status = np.full(len(ids), NONE, np.int8)
        status[hit] = ONE
        status[_find(self.ambiguous_old, ids)[0]] = SEVERAL
        return new, status


def _claims(likely: Pairs) -> Bools:
    """Return which likely pairs have their new star to themselves.

    Of several old stars of one new star those count that the table calls probable, if any: of the
    others not all neighbours are known.
    """
    told = np.isin(likely.new, likely.new[likely.probable])
    claims = np.where(told, likely.probable, True)
    new, count = np.unique(likely.new[claims], return_counts=True)
    return np.asarray(claims & (count[np.searchsorted(new, likely.new)] == 1))


def _find(among: Ids, wanted: Ids) -> tuple[Bools, NDArray[np.intp]]:
    """Return which of some ids are among others, which rise, and where."""
    place = np.searchsorted(among, wanted).clip(max=max(len(among) - 1, 0))
    hit = among[place] == wanted if len(among) else np.zeros(len(wanted), bool)
    return np.asarray(hit), place


def rule_of(release: ReleaseSpec, older: str) -> CrosswalkRule:
    """Return how identifiers of an older release are translated.

    Raises
    ------
    ConfigError
        If the release says nothing of them.
    """
    rule = release.crosswalks.get(older)
    if rule is None:
        known = ", ".join(release.crosswalks) or "none"
        raise ConfigError(
            f"Identifiers of release {older} are no keys in {release.name}, and its description has"
            f" no crosswalk for them (it has {known}).",
            f"Describe the table of neighbours under `crosswalks: {older}:` in its YAML"
            " (docs/releases.md), or take labels or a model of this release.",
        )
    return rule


def find_crosswalk(archive: str, release: ReleaseSpec, older: str) -> TableFolder:
    """Find the files of the table that translates identifiers of an older release.

    Raises
    ------
    ConfigError
        If the release's description has none.
    InputError
        If the archive has no file of it.
    """
    rule = rule_of(release, older)
    folder = find_table(archive, release, rule.table)
    if folder is None:
        spec = release.tables[rule.table]
        looked = ", ".join(f"{name}/{spec.stem}*" for name in spec.folders)
        raise InputError(
            f"{archive} holds no {rule.table}, by which identifiers of {older} become those of"
            f" {release.name}. Looked for {looked}.",
            f"Fetch it (catalog-builder fetch --release {release.name} --table {rule.table}), or"
            f" take labels or a model of {release.name} itself.",
        )
    return folder


def read_pairs(
    files: Iterable[FileRef],
    release: ReleaseSpec,
    rule: CrosswalkRule,
    wanted: Callable[[Pairs], Bools],
) -> tuple[Pairs, int]:
    """Return the pairs of one partition that matter, and how many rows could not be read.

    These are the wanted ones, and all other rows of the new stars in them: their rivals. Memory
    grows with the partition (26 bytes a row), not with the archive.

    Parameters
    ----------
    files : iterable of FileRef
        All of the partition: they hold every row of its new stars.
    release : ReleaseSpec
        Of the archive.
    rule : CrosswalkRule
        The columns.
    wanted : callable
        Tells which pairs are wanted.

    Raises
    ------
    InputError
        If a file cannot be read to its end, is not as described, or contradicts its checksum.
    """
    names = set(rule.columns.values()) - {"source_id"}
    parts, bad = [], 0
    for file in files:
        if not checksum_matches(file):
            raise InputError(
                f"{file.url} differs from its checksum in the archive's list.",
                "Fetch the file again.",
            )
        for block in read_blocks(file, rule.table, release, block_rows=BLOCK_ROWS, columns=names):
            # A cell that cannot be read says of its pair no more than a row would.
            bad += block.n_read - block.n_rows + block.cell_nulls.get(rule.probable or "", 0)
            parts.append(_pairs_of(block.columns, rule, block.n_rows))
        refuse_if_changed(file)
    pairs = Pairs.together(parts)
    pairs = pairs.take((pairs.old > 0) & (pairs.new > 0))
    return pairs.take(np.isin(pairs.new, pairs.new[wanted(pairs)])), bad


def _pairs_of(columns: dict[str, NDArray[np.generic]], rule: CrosswalkRule, rows: int) -> Pairs:
    known = rule.columns
    return Pairs(
        *(
            columns[known[what]].astype(dtype)
            if what in known
            else np.full(rows, np.nan if dtype is np.float32 else 0, dtype)
            for what, dtype in _DTYPES.items()
        )
    )
