"""Training beside a bare loop of PyTorch: what noise, hidden inputs, averages and files cost.

The bare loop has its columns ready in memory and does nothing but shuffle, forward, loss, backward
and the optimiser's step, with the same network, loss, batch size and optimiser, on one thread.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch.optim import AdamW

from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.fit.sample import Sample, trainable
from catalog_builder.model.net.loss import negative_log_likelihood
from catalog_builder.model.net.network import HybridNet
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.design import Split, TrainingArrays, network_columns
from catalog_builder.training.store import load_training
from tests.benchmarks.measure import Bench, Run

MODALITIES = default_contract().inputs.names

STARS = 4096


def test_training(bench: Bench, workdir: Path, tmp_path: Path) -> None:
    (store,) = (workdir / "training").glob("*.zarr")
    arrays, scaling = load_training(store, default_contract())
    data = enlarge(arrays, STARS)
    # Two epochs: the first makes what it needs ready, the second is timed.
    settings = ModelSettings(epochs=2, min_label_stars=50)
    inputs, trained = trainable(data, settings)
    sample = Sample.from_arrays(data, Split.FIT, scaling, trained, "cpu", inputs)
    assert inputs == MODALITIES

    def ours() -> float:
        moments: list[float] = []
        out = tmp_path / f"{time.monotonic_ns()}"
        fit_member(
            data, scaling, settings, member=0, seed=1, out=out,
            on_epoch=lambda row: moments.append(time.process_time()),
        )  # fmt: skip
        return moments[1] - moments[0]

    network = HybridNet(settings, data.contract, inputs)
    network.initialise(torch.Generator().manual_seed(0))
    optimiser = AdamW(network.parameters(), fused=True)
    columns = network_columns(sample.stars, scaling, inputs)
    present = sample.stars.present

    def bare() -> float:
        threads = torch.get_num_threads()
        torch.set_num_threads(settings.threads)
        begin = time.process_time()
        for rows in torch.randperm(len(sample)).split(settings.batch_size):
            output = network(
                {name: values[rows] for name, values in columns.items()}, present[rows]
            )
            losses = negative_log_likelihood(
                output,
                sample.labels[rows],
                sample.label_error[rows],
                sample.known[rows],
                settings.tail_freedom,
            )
            optimiser.zero_grad()
            losses.mean().backward()
            optimiser.step()
        seconds = time.process_time() - begin
        torch.set_num_threads(threads)
        return seconds

    bench.compare(
        "train-epoch",
        "an epoch of one member: RVS, XP, photometry, parallax",
        Run("fit_member", ours, len(sample)),
        [Run("bare loop", bare, len(sample))],
        unit="stars/s",
        rounds=3,
        note="the epoch of `fit_member` also validates and writes its checkpoint.",
    )


def enlarge(data: TrainingArrays, fit_stars: int) -> TrainingArrays:
    """Repeat the fit stars that have all inputs until there are so many; the others stay."""
    complete = np.all([data.block[f"has_{name}"] for name in MODALITIES], axis=0)
    fit = np.flatnonzero((data.split == Split.FIT) & complete)
    others = np.flatnonzero(data.split != Split.FIT)
    return data.take(np.concatenate([np.resize(fit, fit_stars), others]))
