"""One partition's prediction: features in, rows of the catalogue out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.features.store import Block, FeatureStore
from catalog_builder.flags.bits import compute_flags
from catalog_builder.flags.predicates import FlagContext
from catalog_builder.flags.tiers import quality_tier
from catalog_builder.inference.rows import RowWriter
from catalog_builder.model.ensemble import Estimator, Prediction
from catalog_builder.model.selection import DISTANCES
from catalog_builder.schema import LABELS, CatalogSchema

Columns = dict[str, NDArray[Any]]

#: Stars read at a time, at least one batch: some chunks of the feature store, 40 MB of spectra.
READ_ROWS = 4096


@dataclass(frozen=True)
class PartitionPrediction:
    """What was predicted for one partition: rows made, and sources that got no finite answer."""

    rows: int
    failed: int
    digest: str
    labelled: dict[str, int]


def predict_partition(
    features: Path, estimator: Estimator, schema: CatalogSchema, batch_size: int, out: Path
) -> PartitionPrediction:
    """Predict all stars of a partition, batch by batch.

    A star without usable inputs has a row of nulls. One that has inputs and gets no finite answer,
    for they or the weights overflow, has none: it is counted and its id is kept.

    Batches are counted from the first row of the partition, so that every star is always in the
    same batch, whoever computes it.

    Parameters
    ----------
    features : Path
        Feature store.
    estimator : Estimator
        The model.
    schema : CatalogSchema
        Columns to make; derived (string) columns are left to the export.
    batch_size : int
        Stars per batch.
    out : Path
        New store of catalogue rows.
    """
    store = FeatureStore(features)
    writer = RowWriter(out, schema, len(store))
    labelled = dict.fromkeys(LABELS, 0)
    rows = max(1, READ_ROWS // batch_size) * batch_size
    for start in range(0, len(store), rows):
        block = store.read(slice(start, start + rows))
        prediction = estimator.predict(block, batch_size)
        columns = catalogue_columns(block, prediction, estimator, schema)
        failed = unanswered(columns, prediction, estimator)
        writer.fail(columns["source_id"][failed])
        columns = {name: values[~failed] for name, values in columns.items()}
        for label in LABELS:
            labelled[label] += int(np.isfinite(columns[label]).sum())
        writer.write(len(writer), columns)
    made = len(writer)
    return PartitionPrediction(made, len(store) - made, writer.finish(), labelled)


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
        for name in (label, f"e_{label}", f"e95_{label}"):
            answered &= np.isfinite(columns[name])
        for part in ("aleatoric", "epistemic"):
            answered &= np.isfinite(columns[f"e_{label}_{part}"])
        answered &= columns[f"e_{label}"] > 0
    for first, second in combinations(trained, 2):
        answered &= np.isfinite(columns[f"corr_{first}_{second}"])
    return np.asarray(prediction.inputs_used.any(axis=1) & ~answered)


def catalogue_columns(
    block: Block, prediction: Prediction, estimator: Estimator, schema: CatalogSchema
) -> Columns:
    """Return the stored columns of the schema for one batch.

    Parameters
    ----------
    block : dict of str to ndarray
        Feature block of n stars.
    prediction : Prediction
        Of the same stars.
    estimator : Estimator
        The model, for its training ranges.
    schema : CatalogSchema
        What to return, with dtypes.
    """
    made = {**_labels(prediction), **_correlations(prediction)}
    distances = dict(zip(DISTANCES, prediction.distances.T, strict=True))
    made |= distances
    made["rvs_map_x"], made["rvs_map_y"] = prediction.map_position.T
    made["bp_rp"] = _colour(block)
    context = FlagContext(
        mean=prediction.mean,
        inputs_used=prediction.inputs_used,
        features=block,
        label_range=estimator.label_range,
        g_range=estimator.g_range,
        parallax_range=estimator.parallax_range,
        distances=distances,
    )
    made["flags"] = compute_flags(context, schema.flags)
    sigma = {label: made[f"e_{label}"] for label in LABELS}
    made["quality_tier"] = quality_tier(made["flags"], sigma, schema.flags)
    source: Mapping[str, NDArray[Any]] = {**block, **made}
    # What overflows here is no answer: see `unanswered`.
    with np.errstate(over="ignore", under="ignore"):
        return {
            column.name: np.asarray(source[column.name]).astype(column.numpy_dtype)
            for column in schema.columns
        }


def _labels(prediction: Prediction) -> Columns:
    columns: Columns = {}
    for i, label in enumerate(LABELS):
        columns[label] = prediction.mean[:, i]
        columns[f"e_{label}"] = prediction.sigma[:, i]
        columns[f"e95_{label}"] = prediction.interval95[:, i]
        columns[f"e_{label}_aleatoric"] = prediction.sigma_aleatoric[:, i]
        columns[f"e_{label}_epistemic"] = prediction.sigma_epistemic[:, i]
    return columns


def _colour(block: Block) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        colour = block["phot_bp_mean_mag"] - block["phot_rp_mean_mag"]
    return np.where(np.isfinite(colour), colour, np.nan)


def _correlations(prediction: Prediction) -> Columns:
    return {
        f"corr_{LABELS[i]}_{LABELS[j]}": prediction.correlation[:, i, j]
        for i, j in combinations(range(len(LABELS)), 2)
    }
