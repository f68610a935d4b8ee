"""Values that a catalogue repeats beside its own, as the tasks of `features.repeated` wrote them.

Apart from those tasks: who publishes need not import what reads an archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray

from catalog_builder.features.ledger import Ids
from catalog_builder.features.names import unpacked
from catalog_builder.stores.whole_store import WholeStore, named

_IDS = "source_id"

Columns = Mapping[str, NDArray[Any]]


def values_for(stores: Iterable[Path], ids: Ids, columns: Mapping[str, DTypeLike]) -> Columns:
    """Return repeated values for some sources; NaN or empty where there is none.

    Parameters
    ----------
    stores : iterable of Path
        Those of the partitions that they are in.
    ids : ndarray of int64, shape (n,)
        Sources; they increase.
    columns : mapping of str to dtype
        By name; ``S41`` is text.

    Returns
    -------
    dict of str to ndarray of shape (n,)

    Raises
    ------
    StoreError
        If a store is absent or damaged.
    """
    found: dict[str, NDArray[Any]] = {
        name: np.full(len(ids), b"" if np.dtype(dtype).kind == "S" else np.nan, dtype)
        for name, dtype in columns.items()
    }
    for path in stores:
        there = _read(path)
        place = np.searchsorted(ids, there[_IDS]).clip(max=max(len(ids) - 1, 0))
        hit = ids[place] == there[_IDS] if len(ids) else np.zeros(place.size, bool)
        for name, values in found.items():
            text = values.dtype.kind == "S"
            values[place[hit]] = (unpacked(name, there) if text else there[name])[hit]
    return found


def _read(path: Path) -> Columns:
    with named(path, "store of repeated values"):
        group = zarr.open_group(WholeStore(path), mode="r")
        names: Any = group.attrs["columns"]
        return {
            name: values
            for dtype, members in names.items()
            for name, values in zip(members, np.asarray(group[dtype][:]), strict=True)  # type: ignore[index]
        }
