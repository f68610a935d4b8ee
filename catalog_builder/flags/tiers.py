"""One number per star that a user can filter on: how far its labels are to be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.flags import FlagSchema, Tier, any_of

#: The tier of a star without labels.
NO_LABEL = 0


def quality_tier(
    columns: Mapping[str, NDArray[np.int64]],
    sigma: Mapping[str, NDArray[np.floating[Any]]],
    schema: FlagSchema,
) -> NDArray[np.uint8]:
    """Return the first declared tier whose conditions each star meets; 0 if it has no label.

    Parameters
    ----------
    columns : mapping of str to ndarray of int64, shape (n,)
        At least the masks of the schema.
    sigma : mapping of str to ndarray of float, shape (n,)
        Calibrated uncertainty of each label, NaN where null.
    schema : FlagSchema
        Declares the tiers, from the best to the last, which has no conditions.
    """
    left = ~schema.test(columns, "not_predicted")
    tiers = np.full(len(left), NO_LABEL, dtype=np.uint8)
    for tier in schema.tiers:
        chosen = left & _meets(tier, columns, sigma, schema)
        tiers[chosen] = tier.tier
        left &= ~chosen
    return tiers


def _meets(
    tier: Tier,
    columns: Mapping[str, NDArray[np.int64]],
    sigma: Mapping[str, NDArray[np.floating[Any]]],
    schema: FlagSchema,
) -> NDArray[np.bool_]:
    meets: NDArray[np.bool_] = ~any_of(columns, (schema[name] for name in tier.without))
    for name in tier.requires:
        meets &= schema.test(columns, name)
    for label, limit in tier.largest_sigma.items():
        # A null label has no sigma to be too large; comparisons with NaN are false.
        meets &= ~(sigma[label] > limit)
    return meets
