"""The clusters of a catalogue: its members looked up, and each label fitted in each cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.clusters.fit import Fit, Pooled, fit, pool
from catalog_builder.comparing.clusters.members import Members, plain_name
from catalog_builder.comparing.engine import names_of_labels
from catalog_builder.comparing.matching import Match, Matching, SameIds
from catalog_builder.comparing.outside.pairing import NOT_THERE, TAUGHT, TRAINING
from catalog_builder.comparing.pairs import Finder
from catalog_builder.comparing.sides import Block, Side
from catalog_builder.contract.labels import Label
from catalog_builder.ground.errors import InputError

Array = NDArray[np.float64]
#: Labels that stars of a cluster do not share.
_OF_STARS = frozenset({"temperature", "gravity"})


@dataclass(frozen=True)
class Clusters:
    """What came out.

    Attributes
    ----------
    side : Side
    labels : tuple of Label
        Those that the stars of a cluster share.
    fits : dict of str to dict of str to Fit
        By label, by cluster.
    pooled : dict of str to Pooled
        By label; only where there is a cluster.
    residuals : dict of str to (ndarray, ndarray)
        By label: temperatures of the stars in fits, and their differences from the cluster's mean.
    literature : mapping
        Value and error by label, by `plain_name` of the cluster.
    stars : int
    left_out : Counter of str
    members : Members
    taught : bool
    """

    side: Side
    labels: tuple[Label, ...]
    fits: dict[str, dict[str, Fit]]
    pooled: dict[str, Pooled]
    residuals: dict[str, tuple[Array, Array]]
    literature: Mapping[str, Mapping[str, tuple[float, float]]]
    stars: int
    left_out: Counter[str]
    members: Members
    taught: bool

    def of_literature(self, label: str, cluster: str) -> tuple[float, float] | None:
        """Return the value and error that the literature has of a cluster."""
        return self.literature.get(plain_name(cluster), {}).get(label)


@dataclass
class _Found:
    block: Block
    cluster: NDArray[np.int64]
    left_out: Counter[str] = field(default_factory=Counter)


def look_at_clusters(
    side: Side,
    members: Members,
    *,
    literature: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    matching: Matching | None = None,
    taught: bool = False,
) -> Clusters:
    """Fit every label that stars of a cluster share, in every cluster.

    Parameters
    ----------
    side : Side
        The catalogue.
    members : Members
    literature : mapping, optional
        From :func:`catalog_builder.comparing.clusters.members.read_literature`.
    matching : Matching, optional
        The members' ids to ours; the same if not given.
    taught : bool
        Whether stars that taught the model count.

    Raises
    ------
    InputError
        If no member is in the catalogue, or it has no label that stars of a cluster share.
    """
    labels = shared_labels(side)
    if not labels:
        raise InputError(
            "The catalogue has no label that the stars of a cluster share.",
            "Temperature and gravity are none; abundances are.",
        )
    if not len(members.ids):
        raise InputError(
            f"The table has no member: of {members.rows} rows {members.improbable} are below the"
            " least probability.",
            "Give a table with ids and clusters; --least-probability says who is a member.",
        )
    found = _found(side, members, labels, matching or SameIds(), taught=taught)
    stars = len(found.cluster)
    if not stars and not found.left_out[TAUGHT]:
        raise InputError(
            f"None of the {len(members.ids)} members is in the catalogue.",
            "Are the ids those of its release? If not, give --crosswalk.",
        )
    heat = _temperature(side, found.block)
    fits: dict[str, dict[str, Fit]] = {}
    residuals = {}
    for label in labels:
        value, sigma = (
            found.block[column].astype(np.float64) for column in (label.name, f"e_{label.name}")
        )
        fits[label.name] = {}
        middle = np.full(stars, np.nan)
        for place, name in enumerate(members.names):
            rows = np.flatnonzero(found.cluster == place)
            if (one := fit(value[rows], sigma[rows], heat[rows])) is not None:
                fits[label.name][name] = one
                middle[rows] = one.mean
        residuals[label.name] = heat, value - middle
    pooled = {name: pool(list(each.values())) for name, each in fits.items()}
    return Clusters(
        side,
        labels,
        fits,
        {name: each for name, each in pooled.items() if each is not None},
        residuals,
        literature or {},
        stars,
        found.left_out + Counter(),
        members,
        taught,
    )


def shared_labels(side: Side) -> tuple[Label, ...]:
    """Return the labels that stars of a cluster share: all but temperatures and gravities."""
    there = names_of_labels(side)
    return tuple(
        label for label in side.schema.labels if label.name in there and label.role not in _OF_STARS
    )


def _found(
    side: Side, members: Members, labels: tuple[Label, ...], matching: Matching, *, taught: bool
) -> _Found:
    ids, status = matching.to_new(members.ids)
    one = status == Match.ONE
    names = [column for label in labels for column in (label.name, f"e_{label.name}")]
    names += [*({TRAINING} & side.columns), *_heat(side)]
    rows, block = Finder(side, names).find(ids[one])
    there = rows >= 0
    left_out = Counter({NOT_THERE: int(np.count_nonzero(~there))})
    left_out["no single match in the crosswalk"] = int(np.count_nonzero(~one))
    keep = there
    if not taught and TRAINING in block:
        taught_model = there & block[TRAINING].astype(bool)
        left_out[TAUGHT] = int(np.count_nonzero(taught_model))
        keep = there & ~taught_model
    cut = {name: values[keep] for name, values in block.items()}
    return _Found(cut, members.cluster[one][keep], left_out)


def _heat(side: Side) -> list[str]:
    label = side.schema.labels.first("temperature")
    return [] if label is None or label.name not in side.columns else [label.name]


def _temperature(side: Side, block: Block) -> Array:
    names = _heat(side)
    stars = len(block["source_id"])
    return block[names[0]].astype(np.float64) if names else np.full(stars, np.nan)
