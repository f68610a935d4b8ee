"""Prediction beside ONNX Runtime, beside a product of matrices, and the stage beside it.

One thread each. The network, its weights and its precision (single) are the same in ONNX Runtime;
its graph is written in the two-dimensional convolutions that ONNX Runtime is fastest at.
"""

from __future__ import annotations

import io
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.store import FeatureStore
from catalog_builder.inference.columns import catalogue_columns
from catalog_builder.inference.predict import predict_partition
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model.checkpoint import read_tensors
from catalog_builder.model.estimator import Estimator, build_network
from catalog_builder.model.net.network import HybridNet
from catalog_builder.run.config import RunConfig
from catalog_builder.training.design import Block, Scaling, Stars, network_columns, presence
from tests.benchmarks.measure import Bench, Figure, Run, timed

#: What the estimator must reach on one core of a processor with AVX-512, in stars per second.
WANTED = 2000
STARS = 2048
BATCH = RunConfig().predict.batch_size


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def features(workdir: Path) -> Path:
    (path,) = (workdir / "features").glob("*.zarr")
    return path


@pytest.fixture(scope="module")
def model(workdir: Path) -> Path:
    (path,) = (workdir / "models").glob("model-*")
    return path


@pytest.fixture(scope="module")
def block(features: Path) -> Block:
    """Return stars with all inputs, some of them more than once."""
    store = FeatureStore(features)
    whole = store.read(slice(0, len(store)))
    rows = np.resize(np.flatnonzero(presence(whole, default_contract().inputs).all(axis=1)), STARS)
    return {name: values[rows] for name, values in whole.items()}


class Plain(nn.Module):
    """A network for stars with all inputs, without any of the detours that make it fast here."""

    def __init__(self, network: HybridNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, rvs: Tensor, told: Tensor, xp: Tensor, photometry: Tensor, parallax: Tensor,
        luminosity: Tensor,
    ) -> Tensor:  # fmt: skip
        network = self.network
        branch = network.branches["rvs"]
        centred = (rvs[:, 0] - branch.whitening.centre) * (rvs[:, 1] > 0).float()
        hidden = torch.stack([centred, rvs[:, 1]], dim=1)[:, :, None]
        for layer in branch.convolutions:
            stride, padding = (1, *layer.stride), (0, *layer.padding)
            kernel = layer.weight[:, :, None]
            hidden = functional.silu(functional.conv2d(hidden, kernel, layer.bias, stride, padding))
        embedded = {
            "rvs": branch.components(branch.whitening(centred))
            + functional.linear(hidden.flatten(1), branch.out.weight, branch.out.bias)
            + branch.normalisation(told),
            "xp": network.branches["xp"](xp),
            "photometry": network.branches["photometry"](photometry),
            "parallax": network.branches["parallax"](parallax),
            "luminosity": network.branches["luminosity"](luminosity),
        }
        return network.answer(embedded, torch.ones_like(rvs[:, 0, :4]))


def onnx_runtime(network: HybridNet, columns: Mapping[str, Tensor]) -> Callable[[], np.ndarray]:
    """Return a call that runs the network in ONNX Runtime, batch by batch."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    names = [name.replace(".", "") for name in columns]
    torch.onnx.register_custom_op_symbolic("aten::asinh", lambda g, x: g.op("Asinh", x), 9)
    file = io.BytesIO()
    # The runtime has an asinh of its own.
    with (
        warnings.catch_warnings(),
        mock.patch("catalog_builder.model.net.layers.asinh", torch.asinh),
    ):
        # The exporter of TorchScript is called old; the new one needs a compiler of its own.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Plain(network),
            tuple(values[:2] for values in columns.values()),
            file,
            input_names=names,
            output_names=["out"],
            dynamic_axes={name: {0: "stars"} for name in [*names, "out"]},
            dynamo=False,
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(file.getvalue(), options)
    batches = [
        {
            name: values[start : start + BATCH].numpy()
            for name, values in zip(names, columns.values(), strict=True)
        }
        for start in range(0, STARS, BATCH)
    ]
    return lambda: np.concatenate([session.run(None, batch)[0] for batch in batches])


def test_network(bench: Bench, model: Path, block: Block) -> None:
    document = Estimator.load(model).document
    file = model / document.weights[0].file
    scaling = Scaling.from_json(document.scaling, document.contract)
    stars = Stars.from_block(block, document.contract.inputs)
    columns = network_columns(stars, scaling, document.trained_inputs)
    plain = build_network(file, read_tensors(file)[0], document).eval()
    network = Estimator.load(model).networks[0]

    def ours() -> np.ndarray:
        with torch.inference_mode():
            batches = [
                network(
                    {name: values[start : start + BATCH] for name, values in columns.items()},
                    stars.present[start : start + BATCH],
                )
                for start in range(0, STARS, BATCH)
            ]
            return torch.cat(batches).numpy()

    theirs = onnx_runtime(plain, columns)
    np.testing.assert_allclose(ours(), theirs(), rtol=1e-4, atol=1e-4)
    bench.compare(
        "predict-network",
        "one network, stars with all inputs",
        Run("torch", ours, STARS),
        [Run("ONNX Runtime", theirs, STARS, at_least=0.9)],
        unit="stars/s",
        note="torch computes with the kernels of oneDNN, weights packed and SiLU fused; the"
        " convolutions of ONNX Runtime come nearer to what the processor can do.",
    )
    flops = STARS * operations(plain) / 1e9
    left, right = torch.randn(2, 1024, 1024, generator=torch.Generator().manual_seed(0))
    bench.compare(
        "predict-flops",
        "one network: single precision operations",
        Run("torch", ours, flops),
        [Run("product of matrices", lambda: left @ right, 2 * 1024**3 / 1e9)],
        unit="GFLOP/s",
    )


def operations(network: HybridNet) -> float:
    """Return the floating point operations of the layers for one star: 2 for each use of a weight.

    What a convolution puts out per channel is what it takes in over its stride, rounded up.
    """
    total = 0.0
    for branch, length in (("rvs", 800), ("xp", 343)):
        samples = length
        for layer in network.branches[branch].convolutions:
            samples = -(-samples // layer.stride[0])
            total += 2.0 * samples * layer.weight.numel()
        total += 2.0 * network.branches[branch].whitening.axes.numel()
    linear = (layer for layer in network.modules() if isinstance(layer, nn.Linear))
    return total + sum(2.0 * layer.weight.numel() for layer in linear)


def test_estimator(bench: Bench, model: Path, block: Block, schema: CatalogSchema) -> None:
    """The members, their mixture, calibration, the tests of selection and the flags."""
    estimator = Estimator.load(model)

    def whole() -> None:
        catalogue_columns(block, estimator.predict(block, BATCH), estimator, schema)

    whole()
    rates = sorted(STARS / timed(whole) for _ in range(5))
    bench.record(
        Figure(
            name="predict-estimator",
            title=f"{len(estimator.networks)} networks, uncertainties, flags; all inputs",
            figure=rates[2],
            unit="stars/s",
            reference=f"{WANTED} stars/s",
            reference_figure=WANTED,
            ratio=rates[2] / WANTED,
            spread=(rates[0] / WANTED, rates[-1] / WANTED),
            rounds=len(rates),
            target=1.0,
        )
    )


def test_stage(
    bench: Bench, model: Path, features: Path, schema: CatalogSchema, tmp_path: Path
) -> None:
    """Reading features, predicting, flagging and writing, beside predicting alone."""
    estimator = Estimator.load(model)
    store = FeatureStore(features)
    stars = store.read(slice(0, len(store)))

    def stage() -> float:
        begin = time.process_time()
        predict_partition(
            features,
            estimator,
            schema,
            BATCH,
            tmp_path / "rows.zarr",
            source_id_release="dr3",
        )
        seconds = time.process_time() - begin
        shutil.rmtree(tmp_path / "rows.zarr")
        return seconds

    bench.compare(
        "predict-stage",
        "a partition: read, predict, flag, write",
        Run("predict_partition", stage, len(store)),
        [
            Run(
                "Estimator.predict",
                lambda: estimator.predict(stars, BATCH),
                len(store),
                at_least=0.75,
            )
        ],
        unit="stars/s",
        rounds=5,
    )


@pytest.fixture(scope="module")
def schema() -> CatalogSchema:
    return default_schema()
