"""Means and deviations of the network's inputs, from the fit stars only."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask_ml.preprocessing import StandardScaler
from numpy.typing import NDArray

from catalog_builder.model.inputs import (
    LABELS,
    WIDTHS,
    Scaling,
    Split,
    design_features,
    design_labels,
)
from catalog_builder.training.store import open_training
from catalog_builder.whole_store import named


def fit_scaling(path: Path, chunk_rows: int) -> Scaling:
    """Fit the scaling with dask-ml, one chunk of the training store at a time.

    Rows of other splits, and rows without an input, are NaN, which dask-ml's StandardScaler leaves
    out of its means and deviations. (Its RobustScaler does not: it turns a column with one NaN
    into NaN.)

    Parameters
    ----------
    path : Path
        Training store.
    chunk_rows : int
        Rows held in memory at a time.
    """
    rows = open_training(path).sizes["star"]
    starts = range(0, rows, chunk_rows)
    parts = [dask.delayed(_design)(path, start, min(start + chunk_rows, rows)) for start in starts]
    statistics = {}
    for name, width in {**WIDTHS, "labels": len(LABELS)}.items():
        blocks = [
            da.from_delayed(part[name], (min(chunk_rows, rows - start), width), np.float64)
            for part, start in zip(parts, starts, strict=True)
        ]
        # One thread and one order of summation: the same bits on every machine. A column that no
        # fit star has is NaN, which numpy would warn of; Scaling leaves it as it is.
        with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Mean of empty slice|Degrees of freedom|invalid value"
            )
            scaler = StandardScaler().fit(da.concatenate(blocks))
        statistics[name] = (np.asarray(scaler.mean_), np.asarray(scaler.scale_))
    return Scaling.from_statistics(statistics)


def _design(path: Path, start: int, stop: int) -> dict[str, NDArray[Any]]:
    with named(path, "training store"):
        part = open_training(path).isel(star=slice(start, stop)).load()
    block = {str(name): part[name].values for name in part.data_vars}
    labels, _ = design_labels(block["labels"], block["label_error"])
    outside = block["split"] != Split.FIT
    columns: dict[str, NDArray[Any]] = {**design_features(block), "labels": labels}
    for values in columns.values():
        values[outside] = np.nan
    return {name: values.astype(np.float64) for name, values in columns.items()}
