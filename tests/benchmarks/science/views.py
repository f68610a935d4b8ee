"""Predictions of the test sky, as observed and with inputs hidden; made once per model."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.store import Block
from catalog_builder.inference.columns import catalogue_columns
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model.ensemble import Estimator
from tests.benchmarks.science.sky import RunOfModel, TestSky

LABELS = default_contract().labels.names
MODALITIES = default_contract().inputs.names
DISTANCES = distances_of(default_contract().inputs)

#: Name of a view -> the inputs that it hides.
VIEWS: dict[str, tuple[str, ...]] = {
    "all": (),
    "no_rvs": ("rvs",),
    "no_xp": ("xp",),
    "no_parallax": ("parallax",),
    "no_photometry": ("photometry",),
    "only_rvs": ("xp", "photometry", "parallax"),
    "only_xp": ("rvs", "photometry", "parallax"),
    "only_photometry": ("rvs", "xp", "parallax"),
}
_LOG = "test-openings.jsonl"
#: Raised when other columns are kept of a prediction; the sky is then opened again, and logged.
_VERSION = 3


def hide(block: Block, hidden: tuple[str, ...]) -> Block:
    """Return the block with inputs said to be absent."""
    absent = {f"has_{name}": np.zeros_like(block[f"has_{name}"]) for name in hidden}
    return {**block, **absent}


def predictions(sky: TestSky, run: RunOfModel, out: Path) -> pl.DataFrame:
    """Return predictions of all views with the truth beside them, sorted by source_id.

    The test sky is predicted once for each model digest, in a stream; each opening is logged in
    ``test-openings.jsonl``.

    Returns
    -------
    polars.DataFrame
        For each view and label ``<view>.<label>``, ``<view>.e_<label>`` and
        ``<view>.e95_<label>``; ``flags``, ``quality_tier``, the distances, ``has_<input>``;
        ``true.<column>``.
    """
    file = out / f"predictions-{_VERSION}-{run.digest[:12]}.parquet"
    if not file.is_file():
        _predict(sky, run, file)
        about = json.loads((sky.archive / "truth" / "about.json").read_text())
        log_opening(out, run.digest, {name: about[name] for name in ("release", "seed", "stars")})
    truth = sky.truth().rename(lambda name: name if name == "source_id" else f"true.{name}")
    return pl.read_parquet(file).join(truth, on="source_id", how="inner").sort("source_id")


def _predict(sky: TestSky, run: RunOfModel, file: Path) -> None:
    estimator = Estimator.load(run.model)
    schema = default_schema()
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    writer: pq.ParquetWriter | None = None
    try:
        for block in sky.blocks():
            table = _rows(estimator, schema, block)
            writer = writer or pq.ParquetWriter(partial, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    partial.replace(file)


def _rows(estimator: Estimator, schema: CatalogSchema, block: Block) -> pa.Table:
    columns: dict[str, np.ndarray] = {
        name: np.asarray(block[name])
        for name in ("source_id", "rvs_spec_sig_to_noise", "phot_g_mean_mag", "parallax_error")
    }
    columns |= {f"has_{name}": np.asarray(block[f"has_{name}"]) for name in MODALITIES}
    for view, hidden in VIEWS.items():
        found = estimator.predict(hide(block, hidden), len(block["source_id"]))
        for k, label in enumerate(LABELS):
            columns[f"{view}.{label}"] = found.mean[:, k]
            columns[f"{view}.e_{label}"] = found.sigma[:, k]
            columns[f"{view}.e95_{label}"] = found.interval95[:, k]
        if view == "all":
            catalogue = catalogue_columns(block, found, estimator, schema)
            columns |= {name: catalogue[name] for name in ("flags", "quality_tier", *DISTANCES)}
    return pa.table(columns)


def log_opening(out: Path, model: str, what: dict[str, Any]) -> None:
    """Log that test stars were looked at with a model."""
    entry = {
        "opened": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        "model": model,
        "test": what,
    }
    with (out / _LOG).open("a") as file:
        file.write(json.dumps(entry) + "\n")
