"""The columns of distances by parallax, labels and magnitudes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.flags import FlagBit, any_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.galaxy.distance import prior_towards
from catalog_builder.galaxy.frames import sightlines
from catalog_builder.galaxy.label_distance import SPECTROPHOTOMETRIC, label_distances
from catalog_builder.galaxy.relation import Relation, apparent
from catalog_builder.model.prediction import Prediction

Columns = dict[str, NDArray[Any]]

_PARSECS: Final = 1000.0
#: No answer is taken to be more than this of the training population.
_MOST_SHARE: Final = 0.8


def label_distance_columns(
    made: Mapping[str, NDArray[Any]],
    prediction: Prediction,
    relation: Relation | None,
    schema: CatalogSchema,
) -> Columns:
    """Return distances, pc, with their 16 and 84 % quantiles; what is not known is NaN.

    Parameters
    ----------
    made : mapping of str to ndarray of shape (n,)
        Columns so far: positions, magnitudes, the parallax and the masks of the flags.
    prediction : Prediction
        Of the same stars, with what the spectra alone say.
    relation : Relation, optional
        What the model has learnt of absolute magnitudes; without it nothing is known.
    schema : CatalogSchema
        Empty where it has no such columns. A star has no distance where it has no parallax, or a
        flag casts doubt on a label that it would be made of.
    """
    if SPECTROPHOTOMETRIC[0] not in schema.names:
        return {}
    stars = len(made["source_id"])
    if relation is None or not {"ra", "dec", *relation.index} <= made.keys():
        return {name: np.full(stars, np.nan) for name in SPECTROPHOTOMETRIC}
    places = [schema.labels.place(name) for name in relation.labels]
    labels = prediction.spectral_mean[:, places]
    covariance = prediction.spectral_covariance[:, places][:, :, places]
    covariance = covariance * _own(prediction.spectral_share)[:, None, None]
    magnitude, noise = apparent(made, relation.index)
    absolute = relation.absolute(labels, covariance)
    parallax = _column(made, "parallax_corrected", stars)
    found = label_distances(
        parallax,
        _column(made, "parallax_error", stars),
        prior_towards(sightlines(_column(made, "ra", stars), _column(made, "dec", stars))),
        magnitude,
        absolute._replace(variance=absolute.variance + noise),
    )
    # Labels alone mislead where stars are fainter than those that taught (docs/distances.md).
    doubtful = any_of(made, _doubts(relation, schema)) | np.isnan(parallax)
    ordered = (found.median, found.lower, found.upper)
    return {
        name: np.where(doubtful, np.nan, values * _PARSECS)
        for name, values in zip(SPECTROPHOTOMETRIC, ordered, strict=True)
    }


def _own(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by what a variance grows for it to be of the star's own data, (n,).

    An answer of which a share is the training population's shows so much less of what sets the
    star apart: of a faint dwarf most of all, where giants taught. Older models do not know it.
    """
    return (1.0 - np.nan_to_num(share).clip(0.0, _MOST_SHARE)) ** -2


def _doubts(relation: Relation, schema: CatalogSchema) -> list[FlagBit]:
    return [bit for bit in schema.flags.bits if set(bit.doubts) & set(relation.labels)]


def _column(made: Mapping[str, NDArray[Any]], name: str, stars: int) -> NDArray[np.float64]:
    return np.asarray(made[name], np.float64) if name in made else np.full(stars, np.nan)
