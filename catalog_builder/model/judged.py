"""Flags and tiers of what a model says of stars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.flags.bits import compute_flags
from catalog_builder.flags.predicates import FlagContext
from catalog_builder.flags.tiers import quality_tier
from catalog_builder.model.estimator import Estimator
from catalog_builder.model.prediction import Prediction


def judged(
    features: Mapping[str, NDArray[Any]],
    prediction: Prediction,
    estimator: Estimator,
    schema: CatalogSchema,
) -> dict[str, NDArray[Any]]:
    """Return the masks of the flags, ``quality_tier`` and the distances of n stars.

    Parameters
    ----------
    features : mapping of str to ndarray of shape (n, ...)
        Feature block, complete in the model's inputs.
    prediction : Prediction
        Of the same stars.
    estimator : Estimator
        Who made it, for its training ranges.
    schema : CatalogSchema
        Bits and tiers; its labels and inputs are those of the model.
    """
    contract = schema.contract
    distances = dict(zip(distances_of(contract.inputs), prediction.distances.T, strict=True))
    context = FlagContext(
        contract=contract,
        mean=prediction.mean,
        inputs_used=prediction.inputs_used,
        features=features,
        label_range=estimator.label_range,
        magnitude_range=estimator.magnitude_range,
        parallax_range=estimator.parallax_range,
        distances=distances,
    )
    masks = compute_flags(context, schema.flags)
    sigma = dict(zip(contract.labels.names, prediction.sigma.T, strict=True))
    return {**masks, **distances, "quality_tier": quality_tier(masks, sigma, schema.flags)}
