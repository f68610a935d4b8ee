"""A model directory from a stranger, under a digest that fits: bounded and finite, or refused."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from catalog_builder.ground.digests import in_order
from catalog_builder.ground.errors import ModelError
from catalog_builder.inference.worker_model import worker_model
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.net.network import HybridNet
from catalog_builder.model.select.selection import Selection
from catalog_builder.model.settings import MOST_WEIGHTS, ModelSettings

#: Seconds in which a refusal comes; a few tenths by itself.
SOON = 5.0
CONTRACT = default_contract()

Document = dict[str, Any]


@pytest.fixture(scope="module")
def model(members, sky, scaling, settings, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    assemble(members, sky, scaling, settings, {"survey": "invented"}, out)
    return out


@pytest.fixture
def copy(model, tmp_path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def sealed(folder: Path, change: Callable[[Document], object] = lambda _: None) -> str:
    """Change the document of a model and give it, and its files, digests that fit."""
    file = folder / "model.json"
    document = json.loads(file.read_text())
    for weights in (*document["weights"], document["selection"]):
        path = folder / weights["file"]
        if path.is_file():
            weights["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    change(document)
    del document["digest"]
    said = {**document, "contract": in_order(document["contract"])}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps({**document, "digest": digest}))
    return digest


def refused(folder: Path, match: str, load: Callable[[Path], object] = Estimator.load) -> None:
    start = time.process_time()
    with pytest.raises(ModelError, match=match) as caught:
        load(folder)
    assert time.process_time() - start < SOON
    assert str(folder) in caught.value.problem
    assert caught.value.way_out


def load_selection(file: Path) -> Selection:
    return Selection.load(file, CONTRACT.inputs)


def put(key: str, value: Any) -> Callable[[Document], None]:
    """Return what sets a value below a dotted key."""

    def change(document: Document) -> None:
        *parents, last = key.split(".")
        for parent in parents:
            document = document[int(parent) if isinstance(document, list) else parent]
        document[int(last) if isinstance(document, list) else last] = value

    return change


NAN, INF = math.nan, math.inf
SHA = "0" * 64
CURVE = {"knots": [0.0, 1.0], "values": [0.0, 1.0]}
DOCUMENTS: dict[str, tuple[str, Any]] = {
    **{f"settings.{name}": (f"settings.{name}", 10**9) for name in (
        "members", "epochs", "patience", "batch_size", "validation_batch_size", "width", "depth",
        "folds", "fold_members",
        "flux_components", "flux_filters", "line_components", "threads", "map_stars",
        "warmup_epochs", "learning_rate", "weight_decay", "noise_factor", "tail_freedom",
    )},
    **{f"settings.{name} NaN": (f"settings.{name}", NAN) for name in (
        "learning_rate", "weight_decay", "gradient_clip", "dropout", "average_decay", "swap_share",
        "noise_factor", "tail_freedom", "false_flag_rate", "width",
    )},
    **{f"settings.{name} 0": (f"settings.{name}", 0) for name in (
        "members", "epochs", "width", "depth", "flux_filters", "threads", "validation_batch_size",
    )},
    "population {}": ("population", {}),
    "population counts": ("population", {
        "archive": 9, "inputs": {"stars": 9, "shares": {"has_rvs": {"13": [4, 9]}}},
        "answers": {}, "own": {},
    }),
    "population answers": ("population", {
        "archive": 9, "inputs": {}, "answers": {"strata": {"xp m14": {"gold": 1}}}, "own": {},
    }),
    "population names": ("population", {
        "archive": 9, "inputs": {"shares": {"\x1b[31m": {"13": [9, 4]}}}, "answers": {}, "own": {},
    }),
    "settings.line_channels": ("settings.line_channels", [10**6] * 4),
    "settings 1 fold": ("settings.folds", 1),
    "settings.line_channels 0": ("settings.line_channels", [0, 1, 1, 1]),
    "settings.snr_edges": ("settings.snr_edges", list(range(10**5))),
    "settings.magnitude_edges": ("settings.magnitude_edges", [11.0, NAN]),
    "magnitude_edges": ("settings.magnitude_edges", [12.0, 11.0]),
    "contract.labels": ("contract.labels", ["teff"] * 5),
    "trained_labels": ("trained_labels", ["teff", "teff"]),
    "trained_labels unknown": ("trained_labels", ["teff", "age"]),
    "trained_labels order": ("trained_labels", ["logg", "teff", "m_h", "alpha_m", "fe_h"]),
    "trained_labels none": ("trained_labels", []),
    "trained_inputs": ("trained_inputs", ["xp", "xp"]),
    "trained_inputs unknown": ("trained_inputs", ["xp", "radar"]),
    "trained_inputs none": ("trained_inputs", []),
    "label_stars": ("label_stars", {"teff": 5}),
    "label_stars.teff": ("label_stars.teff", -5),
    "label_range": ("label_range", {}),
    "label_range.teff": ("label_range.teff", [9000.0, 3000.0]),
    "label_range.logg": ("label_range.logg", [NAN, 5.0]),
    "label_range unknown": ("label_range.age", [0.0, 1.0]),
    "label_covariance short": ("label_covariance", [[1.0]]),
    "label_covariance skew": ("label_covariance", [[1.0] * 4 + [at] for at in range(5)]),
    "label_covariance null": ("label_covariance", [[0.0] * 5] * 5),
    "label_covariance large": ("label_covariance", [[1e307] * 5] * 5),
    "magnitude_range": ("magnitude_range", [20.0, 3.0]),
    "parallax_range": ("parallax_range", [-INF, 3.0]),
    **{f"scaling.{name} {value:g}": (f"scaling.{name}", [value] * 5)
       for name, value in (("labels_std", 0.0), ("labels_std", NAN), ("labels_std", 1e308),
                           ("labels_std", -1.0), ("labels_std", 1e-308), ("labels_mean", 1e308),
                           ("labels_mean", INF))},
    "scaling short": ("scaling.xp_mean", [0.0]),
    "scaling long": ("scaling.xp_std", [1.0] * 10**5),
    "scaling.xp_std text": ("scaling.xp_std", "1" * 344),
    "scaling empty": ("scaling", {}),
    "calibration": ("calibration", {}),
    "calibration unknown": ("calibration.radar", [{}] * 5),
    "calibration.any": ("calibration.any", [{}] * 4),
    "calibration empty": ("calibration.any", []),
    "calibration.any.0.sigma.constant": ("calibration.any.0.sigma.constant", -1e308),
    "calibration.any.0.sigma.constant NaN": ("calibration.any.0.sigma.constant", NAN),
    "calibration.any.0.sigma.curves": ("calibration.any.0.sigma.curves", [CURVE] * 10**4),
    "calibration.any.0.sigma.curves.0": (
        "calibration.any.0.sigma.curves", [{"knots": [1.0, 0.0], "values": [0.0, 0.0]}]),
    "calibration.any.0.sigma.along_temperature": (
        "calibration.any.0.sigma.along_temperature", {"knots": [0.0], "values": [0.0, 0.0]}),
    "calibration.any.0.sigma.over_gravity": (
        "calibration.any.0.sigma.over_gravity",
        {"first": [0.0, 1.0], "second": [0.0, 1.0], "values": [0.0]}),
    "calibration.any.0.sigma.over_gravity.values": (
        "calibration.any.0.sigma.over_gravity",
        {"first": [0.0], "second": [0.0], "values": [1e308]}),
    "calibration.any.0.interval95.curves.0.knots": (
        "calibration.any.0.interval95.curves",
        [{"knots": list(range(10**4)), "values": [0.0] * 10**4}]),
    "calibration.any.0.interval95.curves.0.values": (
        "calibration.any.0.interval95.curves", [{"knots": [0.0, 1.0], "values": [0.0, 1e308]}]),
    "metrics": ("metrics", {}),
    "metrics.as_observed": ("metrics.as_observed", []),
    "metrics.as_observed.all.teff.bias": ("metrics.as_observed.all.teff.bias", NAN),
    **{f"metrics.as_observed {name} {value:.9}": (f"metrics.as_observed.all.teff.{name}", number)
       for name, value, number in (
           ("robust_scatter", "10**400", 10**400), ("coverage_95", "-10**301", -(10**301)),
           ("rmse", "1e300", 1e300), ("stars", "1.5", 1.5), ("stars", "-1", -1),
           ("stars", "2**53", 2**53))},
    **{f"{key} 10**400": (key, 10**400) for key in (
        "label_stars.teff", "settings.width", "settings.learning_rate",
        "calibration.any.0.sigma.constant")},
    "label_range.teff 10**400": ("label_range.teff", [0, 10**400]),
    "scaling.labels_std 10**400": ("scaling.labels_std", [10**400] * 5),
    "metrics.as_observed text": ("metrics.as_observed.all.teff.bias", "<script>"),
    "metrics.as_observed lacks": ("metrics.as_observed.all.teff", {"stars": 5}),
    "metrics.as_observed unknown": ("metrics.as_observed.all.age", {}),
    "metrics.as_observed by_regime": ("metrics.as_observed.by_regime", [[]]),
    "provenance.x": ("provenance.x", [[1e999]]),
    "weights": ("weights", []),
    "weights many": ("weights", [{"file": "member-00.safetensors", "sha256": SHA}] * 10**4),
    "weights twice": ("weights.1.file", "member-00.safetensors"),
    "weights absolute": ("weights.0.file", "/etc/passwd"),
    "weights above": ("weights.0.file", "../member-00.safetensors"),
    "weights device": ("weights.0.file", "/dev/zero"),
    "weights NUL": ("weights.0.file", "member-00\0.safetensors"),
    "weights.0.file": ("weights.0.file", None),
    "weights selection": ("selection.file", "../../selection.safetensors"),
    "member-00.safetensors": ("weights.0.sha256", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_no_training_writes_is_refused_by_its_key(name, copy):
    sealed(copy, put(*DOCUMENTS[name]))
    refused(copy, name.split(" ")[0].replace(".", r"\."))


def test_sizes_within_their_bounds_are_bounded_together(copy):
    sealed(copy, lambda document: document["settings"].update(width=4096, depth=64))
    refused(copy, "lower members, width, depth")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"[" * 1_000_000, "nested"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
        (b" " * (33 << 20), "bytes"),
        (b"", "JSON"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "model of this program"),
        (b'{"settings": 1' + b"0" * 5000 + b"}", "cannot be read"),
    ],
    ids=["deep", "deep keys", "long", "empty", "binary", "list", "digits"],
)
def test_a_file_that_is_no_document_is_refused(content, match, copy):
    (copy / "model.json").write_bytes(content)
    refused(copy, match)


def spoilt(values: torch.Tensor) -> Iterator[tuple[str, torch.Tensor | None]]:
    """Yield the ways in which an array can be another than it should be."""
    yield "missing", None
    for word, number in (("finite", math.nan), ("finite", math.inf), ("finite", -math.inf)):
        wrong = values.clone()
        wrong.view(-1)[-1] = number
        yield word, wrong
    yield "not float", values.to(torch.float16)
    yield "not float", values.to(torch.int64)
    yield "not float", values[None]
    yield "not float", values.new_zeros((*values.shape[:-1], values.shape[-1] + 1))
    yield "not float", values.new_zeros(0)


def test_no_array_of_a_network_is_other_than_its_settings_say(copy):
    file = copy / "member-01.safetensors"
    content = file.read_bytes()
    tensors, head = load(content), {"document": "{}"}
    # One of each kind: vectors, matrices, kernels, buffers.
    for name in ("head.bias", "presence.weight", "branches.rvs.convolutions.1.weight",
                 "branches.xp.whitening.axes", "trunk.0.normalise.weight"):  # fmt: skip
        for word, wrong in spoilt(tensors[name]):
            others = {key: value for key, value in tensors.items() if key != name}
            file.write_bytes(save(others if wrong is None else {**others, name: wrong}, head))
            sealed(copy)
            refused(copy, rf"member-01\.safetensors.*: {name} .*{word}")
    file.write_bytes(save({**tensors, "more": torch.zeros(1)}, head))
    sealed(copy)
    refused(copy, "more is one too many")
    file.write_bytes(save({**tensors, "more": torch.zeros(300_000)}, head))
    sealed(copy)
    refused(copy, "more than the")
    file.write_bytes(content)
    sealed(copy)
    assert len(Estimator.load(copy).networks) == 2


def test_no_array_of_the_tests_of_strangeness_is_other_than_a_fit_leaves(copy):
    file = copy / "selection.safetensors"
    content = file.read_bytes()
    tensors, head = load(content), {"document": "{}"}
    assert len(tensors) > 30
    for name in tensors:
        for word, wrong in spoilt(tensors[name]):
            others = {key: value for key, value in tensors.items() if key != name}
            file.write_bytes(save(others if wrong is None else {**others, name: wrong}, head))
            # A size that others follow makes them the wrong ones.
            refused(file, "do not fit" if word == "not float" else name, load_selection)
    for name, word in (
        ("places/xp/shape", "not above 0"),
        ("places/rvs/deviations", "not above 0"),
        ("places/rvs/scatter", "negative"),
        ("map/spacing", "not above 0"),
        ("map/position", "outside of the map"),
        ("gauges/rvs_misfit/width", "not above 0"),
        ("gauges/rvs_misfit/limit", "not above 0"),
    ):
        file.write_bytes(save({**tensors, name: tensors[name] * 0 - 2.0}, head))
        refused(file, f"{name} .*{word}", load_selection)
    for name in ("gauges/radar/limit", "places/radar/axes", "filters/radar", "radar"):
        file.write_bytes(save({**tensors, name: torch.ones(1)}, head))
        refused(file, f"{name} is one too many", load_selection)
    file.write_bytes(content)
    sealed(copy)
    assert Estimator.load(copy)


def huge_head(folder: Path, file: Path) -> None:
    file.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")


def long_head(folder: Path, file: Path) -> None:
    file.write_bytes((2 << 20).to_bytes(8, "little") + b"[" * (2 << 20))


def no_head(folder: Path, file: Path) -> None:
    file.write_bytes(b"")


def deep_head(folder: Path, file: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    file.write_bytes(save(load(file.read_bytes()), {"document": deep}))


def no_document(folder: Path, file: Path) -> None:
    file.write_bytes(save(load(file.read_bytes())))


def numbers_nobody_has(folder: Path, file: Path) -> None:
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    head = content[8 : 8 + length].replace(b'"F32"', b'"Q17"')
    file.write_bytes(len(head).to_bytes(8, "little") + head + content[8 + length :])


def sparse(folder: Path, file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)


def linked(folder: Path, file: Path) -> None:
    moved = Path(shutil.move(file, folder.parent / file.name))
    file.symlink_to(moved)


def waiting(folder: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder_instead(folder: Path, file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("name", ["member-00.safetensors", "selection.safetensors"])
@pytest.mark.parametrize(
    "spoil",
    [huge_head, long_head, no_head, deep_head, no_document, numbers_nobody_has, sparse, linked,
     waiting, folder_instead],
)  # fmt: skip
def test_a_file_that_is_no_file_of_arrays_is_refused(spoil, name, copy):
    spoil(copy, copy / name)
    if spoil is not sparse:
        sealed(copy)
    refused(copy, name.replace(".", r"\."))


@pytest.mark.parametrize("spoil", [linked, waiting, folder_instead])
def test_a_document_that_is_no_file_is_refused(spoil, copy):
    spoil(copy, copy / "model.json")
    refused(copy, r"model\.json")


def test_files_that_the_document_does_not_name_are_not_read(copy, model):
    waiting(copy, copy / "member-00.training.jsonl")
    (copy / "member-02.safetensors").symlink_to("/dev/zero")
    (copy / "model.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert Estimator.load(copy).digest == Estimator.load(model).digest


def test_a_worker_refuses_as_the_command_does(copy):
    file = copy / "member-00.safetensors"
    tensors = load(file.read_bytes())
    file.write_bytes(save({k: v * math.nan for k, v in tensors.items()}, {"document": "{}"}))
    digest = sealed(copy)
    worker_model.cache_clear()
    with pytest.raises(ModelError, match="not finite"):
        worker_model(copy, digest)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the first few values below every key of a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value[:2])
    for name, each in below:
        path = f"{key}.{name}" if key else str(name)
        if isinstance(each, dict | list):
            yield path, each
            yield from leaves(each, path)
        else:
            yield path, each


VALUES = [None, True, -1, 0, 10**30, 1e308, -1e308, NAN, "", "x", [], {}, [[]], {"": None}]


def test_any_value_at_any_key_is_refused_or_gives_an_answer(copy, sky):
    """A fuzz of the whole document; seeded, so that it is the same every time."""
    rng = np.random.default_rng(5)
    text = (copy / "model.json").read_text()
    block = {name: values[:20] for name, values in sky.block.items()}
    keys = [key for key, _ in leaves(json.loads(text)) if key != "digest"]
    chosen = rng.permutation(len(keys))[:150]
    refusals = 0
    for key in (keys[number] for number in chosen):
        (copy / "model.json").write_text(text)
        sealed(copy, put(key, VALUES[rng.integers(len(VALUES))]))
        try:
            named = True
            prediction = Estimator.load(copy).predict(block, 20)
        except ModelError as error:
            refusals += 1
            named = "model.json" in error.problem or ".safetensors" in error.problem
        else:
            assert np.isfinite(prediction.mean).all(), key
            assert (prediction.sigma > 0).all(), key
        assert named, key
    assert refusals > 75


def test_the_weights_that_settings_speak_of_are_those_of_the_network(settings):
    other = settings.model_copy(
        update={"width": 24, "depth": 5, "flux_filters": 3, "line_channels": (1, 2, 3, 5)}
    )
    for each in (ModelSettings(), settings, other):
        with torch.device("meta"):
            network = HybridNet(each, CONTRACT, CONTRACT.inputs.names)
        assert each.weights(CONTRACT) == sum(
            values.numel() for values in network.state_dict().values()
        )
    assert 4 * ModelSettings().weights(CONTRACT) * 10 < MOST_WEIGHTS


def test_a_model_that_nobody_could_load_is_not_made(members, sky, scaling, settings, tmp_path):
    for number, member in enumerate(members):
        shutil.copytree(member, tmp_path / str(number))
    file = tmp_path / "1" / "member.safetensors"
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + length])["__metadata__"]
    tensors = load(content)
    file.write_bytes(save({**tensors, "head.bias": tensors["head.bias"] * math.nan}, head))
    with pytest.raises(ModelError, match=r"1/member\.safetensors.*head\.bias .*not finite"):
        assemble([tmp_path / "0", tmp_path / "1"], sky, scaling, settings, {}, tmp_path / "model")
    assert not (tmp_path / "model").exists()
