"""Columns of the catalogue from what a model says of stars, and who got no answer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.labels import Labels
from catalog_builder.contract.places import colours_of
from catalog_builder.contract.schema import (
    PRIOR_SHARE,
    CatalogSchema,
    correlation_column,
    label_columns,
)
from catalog_builder.features.store import Block
from catalog_builder.galaxy.columns import galactic_columns
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.ground.errors import ConfigError, ModelError
from catalog_builder.inference.label_distances import label_distance_columns
from catalog_builder.model.ensemble import Estimator, Prediction
from catalog_builder.model.judged import judged

Columns = dict[str, NDArray[Any]]


def unanswered(columns: Columns, prediction: Prediction, estimator: Estimator) -> NDArray[np.bool_]:
    """Tell which stars, (n,), have inputs and no finite answer for each label that was trained.

    Parameters
    ----------
    columns : dict of str to ndarray
        From `catalogue_columns`: what is finite before it is rounded may not be so behind.
    prediction : Prediction
        Of the same stars.
    estimator : Estimator
        The model, for the labels that it was trained on.
    """
    answered = np.ones(len(columns["source_id"]), dtype=bool)
    trained = estimator.document.trained_labels
    for label in trained:
        _, sigma, *_ = of_label = label_columns(label)
        for name in of_label:
            answered &= np.isfinite(columns[name])
        answered &= columns[sigma] > 0
    for first, second in combinations(trained, 2):
        answered &= np.isfinite(columns[correlation_column(first, second)])
    return np.asarray(prediction.inputs_used.any(axis=1) & ~answered)


def catalogue_columns(
    block: Block,
    prediction: Prediction,
    estimator: Estimator,
    schema: CatalogSchema,
    galaxy: GalaxySettings | None = None,
) -> Columns:
    """Return the stored columns of the schema for one batch.

    Parameters
    ----------
    block : dict of str to ndarray
        Feature block of n stars, with ``in_training_sample`` and ``training_split`` of those that
        are known; without these columns none is.
    prediction : Prediction
        Of the same stars.
    estimator : Estimator
        The model, for its training ranges.
    schema : CatalogSchema
        What to return, with dtypes; its labels and inputs are those of the model.
    galaxy : GalaxySettings, optional
        Where the Sun is, and how it moves.

    Raises
    ------
    ConfigError
        If the schema has a column that nothing makes and that has no null.
    """
    contract = schema.contract
    made = {
        "in_training_sample": np.zeros(len(prediction.mean), dtype=bool),
        "training_split": np.zeros(len(prediction.mean), dtype=np.uint8),
        **block,
        **_labels(prediction, contract.labels),
        **_correlations(prediction, contract.labels),
        **_map_places(prediction, contract.inputs),
        PRIOR_SHARE: prediction.prior_share,
        **_colours(block, contract.inputs),
        **galactic_columns(block, galaxy or GalaxySettings()),
    }
    made |= judged(made, prediction, estimator, schema)
    made |= label_distance_columns(made, prediction, estimator.luminosity, schema)
    # What overflows here is no answer: see `unanswered`.
    with np.errstate(over="ignore", under="ignore"):
        return {
            column.name: _found(made, column.name, schema).astype(column.numpy_dtype)
            for column in schema.columns
        }


def refuse_other_contract(columns: Contract, model: Contract) -> None:
    """Refuse columns that are not those of the model's labels and inputs, in their order.

    Raises
    ------
    ModelError
        Naming what differs.
    """
    for what, ours, its in (
        ("labels", columns.labels.names, model.labels.names),
        ("inputs", columns.inputs.names, model.inputs.names),
    ):
        if ours != its:
            raise ModelError(
                f"the catalogue's {what} are {', '.join(ours)}, the model's {', '.join(its)}.",
                "Give the run the survey and release that the model was trained with, or train"
                " again.",
            )


def _found(made: Mapping[str, NDArray[Any]], name: str, schema: CatalogSchema) -> NDArray[Any]:
    if name in made:
        return np.asarray(made[name])
    if not schema[name].nullable:
        raise ConfigError(
            f"catalog.yaml has the column {name}, which is neither in the archive nor made here.",
            "Correct its name, or leave it out for this release.",
        )
    # The release has none, and the run has said so.
    return np.full(len(made["source_id"]), np.nan)


def _labels(prediction: Prediction, labels: Labels) -> Columns:
    columns: Columns = {}
    for i, label in enumerate(labels.names):
        of_label = (
            prediction.mean,
            prediction.sigma,
            prediction.interval95,
            prediction.sigma_aleatoric,
            prediction.sigma_epistemic,
        )
        for name, values in zip(label_columns(label), of_label, strict=True):
            columns[name] = values[:, i]
    return columns


def _correlations(prediction: Prediction, labels: Labels) -> Columns:
    return {
        correlation_column(one, other): prediction.correlation[:, i, j]
        for (i, one), (j, other) in combinations(enumerate(labels.names), 2)
    }


def _map_places(prediction: Prediction, inputs: Inputs) -> Columns:
    columns: Columns = {}
    if not inputs.lines:
        return columns
    # A place, x and y, for each spectrum of lines.
    places = prediction.map_position.reshape(len(prediction.mean), len(inputs.lines), 2)
    for i, name in enumerate(inputs.lines):
        columns[f"{name}_map_x"], columns[f"{name}_map_y"] = places[:, i].T
    return columns


def _colours(block: Block, inputs: Inputs) -> Columns:
    columns: Columns = {}
    for name, (_, one), (_, other) in colours_of(inputs):
        with np.errstate(over="ignore"):
            colour = block[one.column] - block[other.column]
        columns[name] = np.where(np.isfinite(colour), colour, np.nan)
    return columns
