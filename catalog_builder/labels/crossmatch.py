"""Which of a survey's stars is which of the archive's, by a table of pairs."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers.block import inexact_key
from catalog_builder.archive.readers.content import refuse_other_than_fits
from catalog_builder.archive.readers.fits.table import FitsTable, open_fits_table
from catalog_builder.archive.readers.guard import guarded
from catalog_builder.archive.readers.typed import RawColumn
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.read import identifiers, match_names
from catalog_builder.labels.survey import CrossMatch

Ids = NDArray[np.int64]
_BLOCK_ROWS = 65_536


class CrossMatched:
    """Pairs, each of two stars that have no nearer candidate in the table.

    Parameters
    ----------
    own, source_id : ndarray of int64, shape (n,)
        The survey's identifiers and the archive's, those that are words as keys.
    distance : ndarray of shape (n,)
        Between both; NaN is farther than any number.
    """

    def __init__(self, own: Ids, source_id: Ids, distance: NDArray[np.float64]) -> None:
        near = np.argsort(np.where(np.isnan(distance), np.inf, distance), kind="stable")
        own, source_id = own[near], source_id[near]
        best = _first_of_each(own) & _first_of_each(source_id)
        own, source_id = own[best], source_id[best]
        order = np.argsort(own)
        self.own, self.source_id = own[order], source_id[order]

    def translate(self, own: Ids) -> Ids:
        """Return the archive's identifiers of some of the survey's, 0 for those without."""
        if not self.own.size:
            return np.zeros(own.size, np.int64)
        place = np.searchsorted(self.own, own).clip(max=self.own.size - 1)
        return np.where(self.own[place] == own, self.source_id[place], 0)


def read_crossmatch(file: FileRef, rule: CrossMatch) -> CrossMatched:
    """Read a table of pairs: memory holds 24 bytes of each.

    Raises
    ------
    InputError
        If a column is not there or is of another kind than it should be.
    DamagedFileError
        If it is not FITS, or ends too early.
    """
    parts: list[tuple[Ids, Ids, NDArray[np.float64]]] = list(guarded(file.url, _blocks(file, rule)))
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)] if parts else []
    if not columns:
        return CrossMatched(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return CrossMatched(*columns)


def _blocks(file: FileRef, rule: CrossMatch) -> Generator[tuple[Ids, Ids, NDArray[np.float64]]]:
    refuse_other_than_fits(file.url)
    with open_fits_table(file.url, rule.hdu) as table:
        own, source_id, distance = _find_columns(file.url, rule, table)
        wanted = [name for name in (own, source_id, distance) if name]
        for raw in table.blocks(wanted, _BLOCK_ROWS):
            ids = [identifiers(raw[name]) for name in (own, source_id)]
            far = _floats(raw[distance]) if distance else np.zeros(ids[0].size)
            good = (ids[0] > 0) & (ids[1] > 0)
            if rule.largest_distance is not None:
                good &= far <= rule.largest_distance
            yield ids[0][good], ids[1][good], far[good]


def _find_columns(url: str, rule: CrossMatch, table: FitsTable) -> tuple[str, str, str]:
    """Return the file's names of both identifiers and of the distance; empty for none."""
    names = [name for name in (rule.own, rule.source_id, rule.distance) if name is not None]
    found = match_names(url, names, table.names)
    if missing := sorted(set(names) - set(found)):
        raise InputError(
            f"{url}: column {', '.join(missing)} is missing; it has:"
            f" {', '.join(table.names[:80])}.",
            "Is it the table of the crossmatch? If so, correct the survey's description.",
        )
    for name in (rule.own, rule.source_id):
        kind, is_list = table.kind(found[name])
        if kind == "f" and not is_list:
            raise inexact_key(url, found[name])
        if is_list or kind not in "iuSU":
            raise InputError(
                f"{url}: column {found[name]} holds no identifiers.",
                "Correct `crossmatch` in the survey's description.",
            )
    distance = "" if rule.distance is None else found[rule.distance]
    if distance and (table.kind(distance)[1] or table.kind(distance)[0] not in "iuf"):
        raise InputError(
            f"{url}: column {distance} holds no single numbers.",
            "Correct `crossmatch.distance` in the survey's description.",
        )
    return found[rule.own], found[rule.source_id], distance


def _floats(column: RawColumn) -> NDArray[np.float64]:
    return np.where(column.null, np.nan, np.asarray(column.values, np.float64))


def _first_of_each(ids: Ids) -> NDArray[np.bool_]:
    first = np.zeros(ids.size, bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first
