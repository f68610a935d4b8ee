"""Labels joined to the features of one partition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.features.store import ArrayDigest, FeatureStore
from catalog_builder.stores.shards import COMPRESSORS
from catalog_builder.stores.whole_store import EVERY_CHUNK, WholeStore, named

#: Column of identifiers of the survey's release, where the archive's are of another.
OLD_ID: Final = "old_source_id"


@dataclass(frozen=True)
class LabelStore:
    """Labels of a survey after cuts, one row per star, sorted by source id; read by id range."""

    path: Path

    def ids(self) -> NDArray[np.int64]:
        """Return the source ids of all rows.

        Raises
        ------
        StoreError
            If the store is absent or damaged.
        """
        with named(self.path, "label store"):
            group = zarr.open_group(WholeStore(self.path), mode="r")
            return np.asarray(group["source_id"][:])  # type: ignore[index]

    def between(self, first: int, last: int) -> dict[str, NDArray[Any]]:
        """Return the rows with ``first <= source_id <= last``.

        Raises
        ------
        StoreError
            If the store is absent or damaged.
        """
        with named(self.path, "label store"):
            group = zarr.open_group(WholeStore(self.path), mode="r")
            ids = np.asarray(group["source_id"][:])  # type: ignore[index]
            low, high = np.searchsorted(ids, first, "left"), np.searchsorted(ids, last, "right")
            return {name: np.asarray(array[low:high]) for name, array in group.arrays()}


@dataclass(frozen=True)
class Match:
    """Labelled stars of one partition: rows of its feature store, and their labels."""

    rows_in: int
    rows_out: int
    stars: int
    digest: str


def match_partition(features: Path, labels: Path, first: int, last: int, out: Path) -> Match:
    """Find the labelled stars of a partition.

    Parameters
    ----------
    features : Path
        Feature store of the partition; a label is of all rows of its star.
    labels : Path
        Label store.
    first, last : int
        Range of source ids of the partition, inclusive.
    out : Path
        Folder of the new store: ``row`` (of the feature store), ``labels``, ``label_error``, and
        ``old_source_id`` where labels came through a crosswalk.

    Returns
    -------
    Match
        ``rows_in`` counts the survey's stars in the range, ``rows_out`` those with features: a star
        of several rows as often.
    """
    wanted = LabelStore(labels).between(first, last)
    # Both are in order of their ids, but stars in that of the rows that are theirs.
    stars = FeatureStore(features).stars()
    place = np.searchsorted(wanted["source_id"], stars).clip(
        max=max(wanted["source_id"].size - 1, 0)
    )
    hit = wanted["source_id"][place] == stars if wanted["source_id"].size else np.zeros(0, bool)
    row = np.flatnonzero(hit)
    place = place[row]
    columns = {
        "row": row.astype(np.int64),
        "labels": wanted["labels"][place],
        "label_error": wanted["label_error"][place],
    }
    if OLD_ID in wanted:
        columns[OLD_ID] = wanted[OLD_ID][place]
    met = int(np.unique(place).size)
    return Match(
        wanted["source_id"].size + row.size - met, row.size, met, write_arrays(out, columns)
    )


def write_arrays(out: Path, columns: dict[str, NDArray[Any]]) -> str:
    """Write small arrays into a new zarr group, one chunk each; return their digest."""
    group = zarr.create_group(store=out, zarr_format=3)
    whole = ArrayDigest("arrays", "uint8")
    for name, values in sorted(columns.items()):
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=tuple(max(1, n) for n in values.shape),
            dtype=values.dtype,
            compressors=COMPRESSORS,
            config=EVERY_CHUNK,
        )
        array[...] = values
        digest = ArrayDigest(name, values.dtype.str)
        digest.update(values)
        whole.update(np.frombuffer(digest.hexdigest().encode(), np.uint8))
    group.attrs["digest"] = whole.hexdigest()
    return whole.hexdigest()
