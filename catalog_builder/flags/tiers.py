"""One number per star that a user can filter on: how far its labels are to be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.schema import FlagSchema, Tier

#: The tier of a star without labels.
NO_LABEL = 0


def quality_tier(
    flags: NDArray[np.int64], sigma: Mapping[str, NDArray[np.floating[Any]]], schema: FlagSchema
) -> NDArray[np.uint8]:
    """Return the first declared tier whose conditions each star meets; 0 if it has no label.

    Parameters
    ----------
    flags : ndarray of int64, shape (n,)
        The column ``flags``.
    sigma : mapping of str to ndarray of float, shape (n,)
        Calibrated uncertainty of each label, NaN where null.
    schema : FlagSchema
        Declares the tiers, from the best to the last, which has no conditions.
    """
    tiers = np.full(len(flags), NO_LABEL, dtype=np.uint8)
    left = (flags & schema["not_predicted"].mask) == 0
    for tier in schema.tiers:
        chosen = left & _meets(tier, flags, sigma, schema)
        tiers[chosen] = tier.tier
        left &= ~chosen
    return tiers


def _meets(
    tier: Tier,
    flags: NDArray[np.int64],
    sigma: Mapping[str, NDArray[np.floating[Any]]],
    schema: FlagSchema,
) -> NDArray[np.bool_]:
    needed = sum(schema[name].mask for name in tier.requires)
    barred = sum(schema[name].mask for name in tier.without)
    meets: NDArray[np.bool_] = ((flags & needed) == needed) & ((flags & barred) == 0)
    for label, limit in tier.largest_sigma.items():
        # A null label has no sigma to be too large; comparisons with NaN are false.
        meets &= ~(sigma[label] > limit)
    return meets
