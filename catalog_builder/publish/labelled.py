"""The stars of a chunk that have labels: looked up where training matched them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from catalog_builder.features.store import FeatureStore
from catalog_builder.publish.taught import LabelledRows
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.stores.whole_store import WholeStore, named
from catalog_builder.training.labels import NAME, as_names


@dataclass(frozen=True)
class LabelStores:
    """Where the labels of a partition's stars are: rows of its features, and what these are of."""

    payload: tuple[str, str]
    needs: tuple[Need, Need]
    digest: str


def label_stores(
    features: Sequence[Receipt], matches: Sequence[Receipt]
) -> Mapping[str, LabelStores]:
    """Return the partitions that have stars with labels, by name.

    Parameters
    ----------
    features, matches : sequence of Receipt
        Of the partitions, in one order.
    """
    found = {}
    for feature, match in zip(features, matches, strict=True):
        if match.rows_out:
            found[feature.task] = LabelStores(
                (feature.output, match.output),
                (Need(feature.stage, feature.task), Need(match.stage, match.task)),
                match.output_digest,
            )
    return found


def labelled_rows(
    root: Path,
    stores: Sequence[Sequence[str]],
    ids: NDArray[np.int64],
    survey: Sequence[str],
    labels: Sequence[str],
) -> LabelledRows:
    """Find the rows of a chunk that have labels.

    Parameters
    ----------
    root : Path
        Of the workdir.
    stores : sequence of (str, str)
        As `LabelStores.payload`.
    ids : ndarray of int64, shape (n,)
        ``source_id`` of the chunk's rows; they increase.
    survey, labels : sequence of str
        Names of the survey's labels, and of the catalogue's. What the survey lacks is NaN.
    """
    rows, values, errors, names = [], [], [], []
    for features, matches in stores:
        with named(root / matches, "store of matches"):
            group = zarr.open_group(WholeStore(root / matches), mode="r")
            row, said, error = (
                np.asarray(group[name][:])  # type: ignore[index]
                for name in ("row", "labels", "label_error")
            )
            codes = np.asarray(group[NAME][:]) if NAME in group else None  # type: ignore[index]
        wanted = FeatureStore(root / features).column("source_id")[row]
        place = np.searchsorted(ids, wanted).clip(max=len(ids) - 1)
        hit = ids[place] == wanted
        rows.append(place[hit])
        values.append(_ordered(said[hit], survey, labels))
        errors.append(_ordered(error[hit], survey, labels))
        names.append(np.zeros(hit.sum(), "S1") if codes is None else as_names(codes)[hit])
    return LabelledRows(
        np.concatenate(rows),
        np.concatenate(values),
        np.concatenate(errors),
        np.concatenate(names),
        tuple(labels),
    )


def _ordered(
    found: NDArray[np.float64], survey: Sequence[str], labels: Sequence[str]
) -> NDArray[np.float64]:
    ordered = np.full((len(found), len(labels)), np.nan)
    for place, name in enumerate(labels):
        if name in survey:
            ordered[:, place] = found[:, list(survey).index(name)]
    return ordered
