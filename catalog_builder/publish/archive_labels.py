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
from catalog_builder.report.others import LEFT_OUT

Array = NDArray[np.float64]

#: Of which every user has values beside a catalogue's.
PROFILES: Final = ("gsp-spec", "gsp-phot")


def archive_labels(
    table: Mapping[str, NDArray[Any]], labels: Labels
) -> Iterator[tuple[str, Array, Array]]:
    """Yield profile, labels and errors, (n, l) in our order and units, of those that a table has.

    Where a cut leaves out every star because its column has no value here, the stars are yielded
    once more without it, `LEFT_OUT` before the profile's name: whether the archive lacks the column
    is known when all chunks are.

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
            yield from _read(table, _without_absent_cuts(mapping, spelt), labels, there)


def _read(
    table: Mapping[str, NDArray[Any]], mapping: OtherTable, labels: Labels, there: list[str]
) -> Iterator[tuple[str, Array, Array]]:
    key = next(iter(table))
    names = _Names(dict.fromkeys(table, ""))
    bound = Bound(names, mapping.model_copy(update={"source_id": key}), there, None)
    shape = len(table[key]), len(labels)
    values, errors = np.full(shape, np.nan), np.full(shape, np.nan)
    columns: Columns = {name: _of_kind(table[name], kind) for name, kind in bound.kinds.items()}
    for name in there:
        place = labels.place(name)
        values[:, place] = bound.value(columns, name)
        errors[:, place] = bound.error(columns, name)
    # A column that an archive lacks is empty here, as one of a chunk without values is.
    rejected, by_value = np.zeros(shape[0], dtype=bool), np.zeros(shape[0], dtype=bool)
    for cut in bound.cuts:
        if cut.rejects == "star":
            failed = bound.fails(columns, cut)
            rejected |= failed
            by_value |= failed & _has_any(columns[str(first_there(cut.column, spellings(table)))])
    yield mapping.name, _without(values, rejected), errors
    left_out = _without(values, by_value)
    if np.isfinite(left_out).any() and not np.isfinite(values[~rejected]).any():
        yield f"{LEFT_OUT}{mapping.name}", left_out, errors


def _without(values: Array, rejected: NDArray[np.bool_]) -> Array:
    return np.where(rejected[:, None], np.nan, values)


def _has_any(values: NDArray[Any]) -> bool:
    return bool((values != "").any() if values.dtype.kind == "U" else np.isfinite(values).any())


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
