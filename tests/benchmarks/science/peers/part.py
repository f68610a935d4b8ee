"""Part `peers`: the network beside other ways to the same labels, on the same inputs and stars."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from catalog_builder.labels.agreed import default_contract
from catalog_builder.runtime.workdir import write_json
from catalog_builder.training.design import Split
from catalog_builder.training.store import load_training
from tests.benchmarks.science.context import Context
from tests.benchmarks.science.limit import part as limit
from tests.benchmarks.science.measures import MAD_TO_SIGMA, SN_BINS, bin_name
from tests.benchmarks.science.peers.design import Design
from tests.benchmarks.science.peers.methods import PEERS, Predictor

LABELS = default_contract().labels.names

#: Raised when a peer changes: those kept in the output folder are then trained anew.
VERSION = 3


def measure(context: Context) -> dict[str, Any]:
    """Compare peers and network on the test sky's stars like the training ones.

    Returns
    -------
    dict
        ``rows``: scatter and RMSE per method, bin of S/N and label; ``excess``: RMSE^2 over the
        mean posterior variance, less 1, for the stars of part `limit`; ``notes``: per peer what
        was tried and chosen on the validation split, and the seconds of its training.
    """
    stars = context.predictions.filter(pl.col("true.like_training"))
    both, notes = stars, {}
    wanted = context.peers or tuple(PEERS)
    for name in wanted:
        found, notes[name] = _peer(context, stars, name)
        both = both.join(found, on="source_id", how="inner")
    names = {"network": "all", **{name: name for name in wanted}}
    return {"rows": _rows(both, names), "excess": _excess(context, both, names), "notes": notes}


def _peer(context: Context, stars: pl.DataFrame, name: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Train a peer and return its predictions and notes, or those that it made before."""
    key = f"{VERSION}-{context.run.training_store().name}"
    file = context.out / f"peer-{name.replace(' ', '-')}-{key}.parquet"
    if not file.is_file():
        data, _ = load_training(context.run.training_store(), default_contract())
        design = Design.fit(data.subset(Split.FIT).block)
        began, cpu = time.monotonic(), time.process_time()
        peer = PEERS[name](design, data)
        spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
        write_json(file.with_suffix(".json"), {**spent, "choices": peer.notes})
        ids = stars["source_id"].to_numpy()
        found = pl.concat(_predicted(context, ids, name, peer.predict))
        partial = file.with_suffix(".partial")
        found.write_parquet(partial)
        partial.replace(file)
    return pl.read_parquet(file), json.loads(file.with_suffix(".json").read_text())


def _predicted(
    context: Context, ids: NDArray[np.int64], name: str, predict: Predictor
) -> Iterator[pl.DataFrame]:
    for block in context.sky.read(ids):
        values = predict(block)
        labels = {f"{name}.{label}": values[:, k] for k, label in enumerate(LABELS)}
        yield pl.DataFrame({"source_id": np.asarray(block["source_id"]), **labels})


def _rows(both: pl.DataFrame, names: dict[str, str]) -> list[dict[str, Any]]:
    sn, has = both["rvs_spec_sig_to_noise"].to_numpy(), both["has_rvs"].to_numpy()
    bins = {"all": np.ones(len(both), bool)}
    bins |= {bin_name(*one): has & (sn >= one[0]) & (sn < one[1]) for one in SN_BINS}
    rows = []
    for bin_, inside in bins.items():
        for name, column in names.items():
            for label in LABELS:
                d = (both[f"{column}.{label}"] - both[f"true.{label}"]).to_numpy()[inside]
                d = d[np.isfinite(d)]
                rows.append(
                    {
                        "bin": bin_,
                        "method": name,
                        "label": label,
                        "n": len(d),
                        "scatter": float(MAD_TO_SIGMA * np.median(np.abs(d - np.median(d)))),
                        "rmse": float(np.sqrt(np.mean(d**2))),
                    }
                )
    return rows


def _excess(context: Context, both: pl.DataFrame, names: dict[str, str]) -> list[dict[str, Any]]:
    known = limit.posteriors(context)
    rows = []
    for group, chosen in limit.groups(context.predictions, context.stars).items():
        if group.startswith("disc"):
            continue
        stars = both.join(known, on="source_id").filter(
            pl.col("source_id").is_in(chosen["source_id"].to_list())
        )
        for name, column in names.items():
            for label in LABELS:
                d = (stars[f"{column}.{label}"] - stars[f"true.{label}"]).to_numpy()
                excess = np.nanmean(d**2) / stars[f"limit.v_{label}"].mean() - 1.0
                rows.append(
                    {
                        "group": group,
                        "method": name,
                        "label": label,
                        "n": len(stars),
                        "excess": float(excess),
                    }
                )
    return rows
