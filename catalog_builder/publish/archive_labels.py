"""The archive's own labels of a chunk's stars, as the comparison's profiles read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.outside.bound import Bound
from catalog_builder.comparing.outside.columns import Columns, Kind
from catalog_builder.comparing.outside.mapping import (
    OtherTable,
    first_there,
    load_mapping,
    spellings,
)
from catalog_builder.contract.labels import Labels

Array = NDArray[np.float64]

#: Of which every user has values beside a catalogue's.
PROFILES: Final = ("gsp-spec", "gsp-phot")


def archive_labels(
    table: Mapping[str, NDArray[Any]], labels: Labels
) -> Iterator[tuple[str, Array, Array]]:
    """Yield profile, labels and errors, (n, l) in our order and units, of those that a table has.

    Parameters
    ----------
    table : mapping of str to ndarray of shape (n,)
        Columns of n stars under the archive's names.
    labels : Labels
        Ours.
    """
    spelt = spellings(table)
    for name in PROFILES:
        mapping = load_mapping(name)
        there = [
            label
            for label in labels.names
            if label in mapping.labels and first_there(mapping.labels[label].column, spelt)
        ]
        if there:
            yield name, *_read(table, _without_absent_cuts(mapping, spelt), labels, there)


def _read(
    table: Mapping[str, NDArray[Any]], mapping: OtherTable, labels: Labels, there: list[str]
) -> tuple[Array, Array]:
    key = next(iter(table))
    names = _Names(dict.fromkeys(table, ""))
    bound = Bound(names, mapping.model_copy(update={"source_id": key}), there, None)
    shape = len(table[key]), len(labels)
    values, errors = np.full(shape, np.nan), np.full(shape, np.nan)
    columns: Columns = {name: _of_kind(table[name], kind) for name, kind in bound.kinds.items()}
    rejected = np.zeros(shape[0], dtype=bool)
    for cut in bound.cuts:
        if cut.rejects == "star":
            rejected |= bound.fails(columns, cut)
    for name in there:
        place = labels.place(name)
        values[:, place] = np.where(rejected, np.nan, bound.value(columns, name))
        errors[:, place] = bound.error(columns, name)
    return values, errors


def _without_absent_cuts(mapping: OtherTable, spelt: Mapping[str, str]) -> OtherTable:
    """Leave out cuts of which the table has no column."""
    kept = tuple(cut for cut in mapping.cuts if first_there(cut.column, spelt))
    return mapping.model_copy(update={"cuts": kept})


def _of_kind(values: NDArray[Any], kind: Kind) -> NDArray[Any]:
    return values.astype(str) if kind == "text" else values.astype(np.float64)


@dataclass(frozen=True)
class _Names:
    """The columns of a chunk, as `Bound` knows those of a file."""

    units: dict[str, str]
    path: str = "the archive's labels"
