"""Rows of another table as stars: its columns become our labels, its cuts are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import make_file
from catalog_builder.comparing.outside.bound import Array, Bound
from catalog_builder.comparing.outside.columns import Columns
from catalog_builder.comparing.outside.formats import Rows, open_rows
from catalog_builder.comparing.outside.mapping import (
    Calibration,
    Names,
    OtherTable,
    Polynomial,
    first_there,
    spellings,
)
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.read import read_labels
from catalog_builder.labels.survey import load_survey

NO_ID: Final = "no_source_id"
NO_LABEL: Final = "no_label"


@dataclass(frozen=True)
class Stars:
    """Rows that passed the cuts.

    Attributes
    ----------
    ids : ndarray of int64, shape (n,)
        Of the other table's release, all positive; a star may occur more than once.
    values, errors : dict of str to ndarray, shape (n,)
        By label, in our units; NaN where there is none.
    extinction, rank : ndarray, shape (n,)
        NaN where unknown. Of several rows of a star the one of the highest rank counts.
    """

    ids: NDArray[np.int64]
    values: dict[str, Array]
    errors: dict[str, Array]
    extinction: Array
    rank: Array


@dataclass
class Read:
    """What was read: rows, those left out by reason, and values left out by cut."""

    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    nulled: Counter[str] = field(default_factory=Counter)


class OtherStars:
    """Another table as stars.

    Parameters
    ----------
    files : sequence of Path
        All its parts.
    mapping : OtherTable
    wanted : sequence of str
        Our labels.
    calibration : Calibration, optional

    Attributes
    ----------
    labels : tuple of str
        Those that it has of ours.
    read : Read
        After `blocks`.

    Raises
    ------
    NothingInCommonError
        If the first file lacks the ids, or has none of the labels.
    """

    def __init__(
        self,
        files: Sequence[Path],
        mapping: OtherTable,
        wanted: Sequence[str],
        calibration: Calibration | None = None,
    ) -> None:
        self._files, self._mapping, self._calibration = files, mapping, calibration
        self.read = Read()
        self.labels = self._survey_labels(wanted) if mapping.survey else self._own_labels(wanted)

    @property
    def has_extinction(self) -> bool:
        """Whether it knows extinctions."""
        return self._mapping.extinction is not None

    def blocks(self) -> Iterator[Stars]:
        """Yield its stars, in the order of its rows."""
        self.read = Read()
        for path in self._files:
            yield from self._of_survey(path) if self._mapping.survey else self._of_file(path)

    def _survey_labels(self, wanted: Sequence[str]) -> tuple[str, ...]:
        has = load_survey(str(self._mapping.survey)).labels
        return tuple(name for name in wanted if name in has)

    def _own_labels(self, wanted: Sequence[str]) -> tuple[str, ...]:
        rows = open_rows(self._files[0], self._mapping.hdu)
        spelt = spellings(rows.units)
        there = {n for n, v in self._mapping.labels.items() if first_there(v.column, spelt)}
        found = tuple(name for name in wanted if name in there)
        if first_there(self._mapping.source_id, spelt) is None or not found:
            raise NothingInCommonError(rows, self._mapping, wanted)
        return found

    def _of_survey(self, path: Path) -> Iterator[Stars]:
        survey = load_survey(str(self._mapping.survey))
        places = {name: place for place, name in enumerate(survey.labels)}
        file = make_file(str(path), {"size": path.stat().st_size})
        for block in read_labels(file, survey):
            self.read.rows += block.n_read
            self.read.rejected.update(block.rejected)
            self.read.nulled.update(block.label_nulls)
            yield Stars(
                block.source_id,
                {n: block.labels[:, places[n]].astype(np.float64) for n in self.labels},
                {n: block.label_error[:, places[n]].astype(np.float64) for n in self.labels},
                np.full(len(block.source_id), np.nan),
                block.snr.astype(np.float64),
            )

    def _of_file(self, path: Path) -> Iterator[Stars]:
        rows = open_rows(path, self._mapping.hdu)
        bound = Bound(rows, self._mapping, self.labels, self._calibration)
        for columns in rows.blocks(bound.kinds):
            yield self._stars(columns, bound)

    def _stars(self, columns: Columns, bound: Bound) -> Stars:
        ids = columns[bound.key]
        keep = ids > 0
        self.read.rows += len(ids)
        self.read.rejected[NO_ID] += int(np.count_nonzero(~keep))
        raw = {name: bound.value(columns, name) for name in bound.needed}
        # Said first: of a row that has nothing, its flags say nothing.
        keep &= self._with_label(raw, keep)
        values = {name: self._calibrated(name, raw) for name in self.labels}
        for cut in bound.cuts:
            failed = bound.fails(columns, cut)
            if cut.rejects == "star":
                self.read.rejected[cut.name] += int(np.count_nonzero(failed & keep))
                keep &= ~failed
                continue
            for name in set(cut.rejects) & values.keys():
                lost = failed & np.isfinite(values[name])
                self.read.nulled[f"{name}: {cut.name}"] += int(np.count_nonzero(lost & keep))
                values[name] = np.where(failed, np.nan, values[name])
        keep &= self._with_label(values, keep)
        return Stars(
            ids[keep],
            {name: each[keep] for name, each in values.items()},
            {name: bound.error(columns, name)[keep] for name in self.labels},
            bound.extinction(columns)[keep],
            bound.rank(columns)[keep],
        )

    def _with_label(
        self, values: Mapping[str, Array], keep: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return which rows have a label, and count those that have none."""
        found = [np.isfinite(values[name]) for name in self.labels]
        known = np.asarray(np.logical_or.reduce(found))
        self.read.rejected[NO_LABEL] += int(np.count_nonzero(keep & ~known))
        return known

    def _calibrated(self, name: str, raw: Mapping[str, Array]) -> Array:
        terms = {} if self._calibration is None else self._calibration.labels
        found = raw[name] + _added(terms[name], raw) if name in terms else raw[name]
        value = self._mapping.labels[name]
        with np.errstate(invalid="ignore"):
            outside = np.zeros(len(found), bool)
            outside |= False if value.minimum is None else found < value.minimum
            outside |= False if value.maximum is None else found > value.maximum
        self.read.nulled[f"{name}: outside its range"] += int(np.count_nonzero(outside))
        return np.where(outside, np.nan, found)


def _added(term: Polynomial, raw: Mapping[str, Array]) -> Array:
    of = raw[term.of]
    found = np.polynomial.polynomial.polyval(of / term.divided_by, term.coefficients)
    with np.errstate(invalid="ignore"):
        outside = np.zeros(len(of), bool)
        outside |= False if term.minimum is None else of < term.minimum
        outside |= False if term.maximum is None else of > term.maximum
    return np.asarray(np.where(outside, np.nan, found))


class NothingInCommonError(InputError):
    """A table has no ids, or none of our labels, under the names that were tried.

    Attributes
    ----------
    rows : Rows
        The table.
    """

    def __init__(self, rows: Rows, mapping: OtherTable, wanted: Sequence[str]) -> None:
        self.rows = rows
        tried = [_spoken(mapping.labels[name].column) for name in wanted if name in mapping.labels]
        super().__init__(
            f"{rows.path} has no label in common with the catalogue under the names of"
            f" {mapping.title}: ids in {_spoken(mapping.source_id)}, labels in"
            f" {', '.join(tried) or 'no column'}. It has {len(rows.units)} columns:"
            f" {', '.join(list(rows.units)[:80])}.",
            "Say with --profile FILE.yaml which column is which.",
        )


def _spoken(names: Names) -> str:
    return names if isinstance(names, str) else " or ".join(names)
