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

from catalog_builder.contract.contract import Contract
from catalog_builder.stores.whole_store import named
from catalog_builder.training.design import Scaling, Split, design_features, design_labels
from catalog_builder.training.shapes import LABELS, widths_of
from catalog_builder.training.store import open_training


def fit_scaling(path: Path, chunk_rows: int, contract: Contract) -> Scaling:
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
    contract : Contract
        What labels and inputs are.
    """
    rows = open_training(path).sizes["star"]
    starts = range(0, rows, chunk_rows)
    parts = [
        dask.delayed(_design)(path, start, min(start + chunk_rows, rows), contract)
        for start in starts
    ]
    statistics = {}
    for name, width in widths_of(contract).items():
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
    return Scaling.from_statistics(statistics, contract)


def _design(path: Path, start: int, stop: int, contract: Contract) -> dict[str, NDArray[Any]]:
    with named(path, "training store"):
        part = open_training(path).isel(star=slice(start, stop)).load()
    block = {str(name): part[name].values for name in part.data_vars}
    labels, _ = design_labels(block["labels"], block["label_error"], contract.labels)
    outside = block["split"] != Split.FIT
    columns: dict[str, NDArray[Any]] = {
        **design_features(block, contract.inputs),
        LABELS: labels,
    }
    for values in columns.values():
        values[outside] = np.nan
    return {name: values.astype(np.float64) for name, values in columns.items()}
