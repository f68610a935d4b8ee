"""Which star is in which cluster, and what the literature says of the clusters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.outside.columns import Columns, Kind
from catalog_builder.comparing.outside.draft import IDS
from catalog_builder.comparing.outside.formats import open_rows
from catalog_builder.comparing.outside.mapping import first_there, spellings
from catalog_builder.comparing.outside.places import find_files
from catalog_builder.ground.errors import InputError

CLUSTERS: Final = ("cluster", "cluster_name", "name", "clustername")
PROBABILITIES: Final = ("probability", "proba", "prob", "membership_probability", "pmemb")


@dataclass(frozen=True)
class Wanted:
    """Names of columns, where they are not to be found by the usual ones.

    Attributes
    ----------
    source_id, cluster, probability : str, optional
    """

    source_id: str | None = None
    cluster: str | None = None
    probability: str | None = None


@dataclass(frozen=True)
class Members:
    """Stars of clusters, each once.

    Attributes
    ----------
    ids : ndarray of int64, shape (n,)
    cluster : ndarray of int64, shape (n,)
        Place in `names`.
    names : tuple of str
    rows : int
        Rows of the table.
    improbable, again : int
        Rows left out: below the least probability, and other rows of a star.
    """

    ids: NDArray[np.int64]
    cluster: NDArray[np.int64]
    names: tuple[str, ...]
    rows: int
    improbable: int
    again: int


def read_members(path: Path, least: float, wanted: Wanted | None = None) -> Members:
    """Read a table of members: in memory, about 100 bytes each.

    Parameters
    ----------
    path : Path
        A file or folder of any format that `compare` reads.
    least : float
        Least probability of a member; where the table gives none, all count.
    wanted : Wanted, optional
        Names of its columns.

    Raises
    ------
    InputError
        If it has no column of ids or clusters, or cannot be read.
    """
    wanted = wanted or Wanted()
    parts = [_rows(file, wanted) for file in find_files(path)]
    ids = np.concatenate([part["id"] for part in parts])
    names = np.concatenate([part["cluster"].astype(object) for part in parts]).astype(str)
    chance = np.concatenate([part["probability"] for part in parts])
    with np.errstate(invalid="ignore"):
        probable = ~(chance < least)
    usable = (ids > 0) & (names != "")
    kept = np.flatnonzero(usable & probable)
    order = kept[np.lexsort((-np.nan_to_num(chance[kept], nan=0.0), ids[kept]))]
    first = np.ones(len(order), bool)
    first[1:] = ids[order][1:] != ids[order][:-1]
    chosen = order[first]
    found, place = np.unique(names[chosen], return_inverse=True)
    return Members(
        ids[chosen],
        place.astype(np.int64),
        tuple(found.tolist()),
        len(ids),
        int(np.count_nonzero(usable & ~probable)),
        len(order) - len(chosen),
    )


def read_literature(
    path: Path, labels: tuple[str, ...], column: str | None = None
) -> dict[str, dict[str, tuple[float, float]]]:
    """Read what the literature says: columns of our names, and ``e_`` before them for errors.

    Returns
    -------
    dict of str to dict of str to (float, float)
        Value and error (NaN where there is none) by label, by `plain_name` of the cluster.

    Raises
    ------
    InputError
        If it has no column of clusters, or none of the labels.
    """
    (file, *_) = find_files(path)
    rows = open_rows(file)
    spelt = spellings(rows.units)
    key = first_there(column or CLUSTERS, spelt)
    there = {name: spelt[name] for name in labels if name in spelt}
    if key is None or not there:
        raise InputError(
            f"{path} has no column of clusters, or none of {', '.join(labels)}; it has"
            f" {', '.join(list(rows.units)[:60])}.",
            "Call them cluster (or name) and as the catalogue calls its labels, errors e_...",
        )
    errors = {name: spelt[f"e_{name}"] for name in there if f"e_{name}" in spelt}
    kinds: dict[str, Kind] = {key: "text"}
    kinds |= dict.fromkeys([*there.values(), *errors.values()], "number")
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for block in rows.blocks(kinds):
        for row, cluster in enumerate(block[key].tolist()):
            found[plain_name(cluster)] = {
                name: (float(block[there[name]][row]), _error(block, errors, name, row))
                for name in there
                if np.isfinite(block[there[name]][row])
            }
    return found


def plain_name(cluster: str) -> str:
    """Return a cluster's name as different tables write it: ``NGC_2682``, ``NGC 2682``."""
    plain = re.sub(r"[^a-z0-9]", "", cluster.lower())
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", plain)


def _error(block: Columns, errors: Mapping[str, str], name: str, row: int) -> float:
    return float(block[errors[name]][row]) if name in errors else float("nan")


def _rows(file: Path, wanted: Wanted) -> Columns:
    rows = open_rows(file)
    spelt = spellings(rows.units)
    key = first_there(wanted.source_id or IDS, spelt)
    cluster = first_there(wanted.cluster or CLUSTERS, spelt)
    chance = first_there(wanted.probability or PROBABILITIES, spelt)
    if key is None or cluster is None or (wanted.probability and chance is None):
        raise InputError(
            f"{file} has no column of Gaia ids, of clusters, or of the probability that was named;"
            f" it has {', '.join(list(rows.units)[:60])}.",
            "Call them source_id, cluster and probability, or name them with --id-column,"
            " --cluster-column and --probability-column.",
        )
    kinds: dict[str, Kind] = {key: "id", cluster: "text"}
    kinds |= {} if chance is None else {chance: "number"}
    blocks = list(rows.blocks(kinds))
    ids = [block[key] for block in blocks]
    count = sum(map(len, ids))
    return {
        "id": np.concatenate([np.empty(0, np.int64), *ids]),
        "cluster": np.concatenate([np.empty(0, "U1"), *(block[cluster] for block in blocks)]),
        "probability": np.full(count, np.nan)
        if chance is None
        else np.concatenate([np.empty(0), *(block[chance] for block in blocks)]),
    }
