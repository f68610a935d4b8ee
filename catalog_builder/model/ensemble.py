"""From trained members to a model directory: calibrated, measured, sealed with a digest."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.errors import ModelError
from catalog_builder.model.calibration import (
    label_metrics,
    metrics_by_regime,
    regime_names,
    regimes,
    sigma_scales,
)
from catalog_builder.model.checkpoint import file_digest, read_tensors
from catalog_builder.model.document import MODEL_JSON, ModelDocument, Weights, read_document
from catalog_builder.model.estimator import Estimator, Prediction, build_network
from catalog_builder.model.fit import LOG, WEIGHTS
from catalog_builder.model.inputs import (
    LABELS,
    Block,
    Scaling,
    Split,
    TrainingArrays,
    presence,
)
from catalog_builder.model.sample import label_stars, trainable, trained_names
from catalog_builder.model.settings import ModelSettings
from catalog_builder.runtime.workdir import write_atomically

__all__ = ["Estimator", "Prediction", "assemble", "read_metrics"]

Array = NDArray[np.float64]


def assemble(
    members: Sequence[Path],
    data: TrainingArrays,
    scaling: Scaling,
    settings: ModelSettings,
    provenance: dict[str, Any],
    out: Path,
) -> str:
    """Calibrate an ensemble, measure it on the test stars, and write its model directory.

    Parameters
    ----------
    members : sequence of Path
        The folders that `fit_member` filled, with this data, scaling and settings.
    data : TrainingArrays
        All splits; the calibration and test stars are used here and nowhere else.
    scaling : Scaling
        From the fit stars.
    settings : ModelSettings
        Hyper-parameters.
    provenance : dict
        What else to record; JSON types, no times.
    out : Path
        The model directory, made in one move.

    Returns
    -------
    str
        Digest of the model.

    Raises
    ------
    ModelError
        If a member was trained on something else, a split is empty, or `out` holds another model.
    """
    inputs, trained = trainable(data, settings)
    training_digest = data.digest()
    expected = {
        "data": training_digest,
        "scaling": scaling.digest(),
        "settings": settings.training(),
        "inputs": list(inputs),
    }
    files = [member / WEIGHTS for member in members]
    tensors = [_member_weights(file, expected) for file in files]
    regime_count = len(regime_names(settings))
    fit = data.subset(Split.FIT)
    draft = ModelDocument(
        settings=settings,
        labels=LABELS,
        trained_labels=tuple(trained_names(trained)),
        trained_inputs=inputs,
        label_stars=dict(zip(LABELS, label_stars(data).tolist(), strict=True)),
        label_range={
            name: limits
            for name, column in zip(LABELS, fit.labels.T, strict=True)
            if name in trained_names(trained) and (limits := _range(column))
        },
        g_range=_range(fit.block["phot_g_mean_mag"]),
        parallax_range=_range(fit.block["parallax_corrected"]),
        scaling=scaling.to_json(),
        regimes=tuple(regime_names(settings)),
        sigma_scale=((1.0,) * len(LABELS),) * regime_count,
        training_digest=training_digest,
        source_id_digest=_digest_of_ids(fit.block),
        metrics={},
        provenance=provenance,
        weights=tuple(
            Weights(file=f"member-{number:02d}.safetensors", sha256=file_digest(file))
            for number, file in enumerate(files)
        ),
    )
    networks = [
        build_network(file, weights, draft) for file, weights in zip(files, tensors, strict=True)
    ]
    scales = _calibrate(Estimator(networks, draft), data.subset(Split.CALIBRATION))
    calibrated = draft.model_copy(update={"sigma_scale": tuple(map(tuple, scales.tolist()))})
    metrics = _measure(Estimator(networks, calibrated), data.subset(Split.TEST))
    measured = calibrated.model_copy(update={"metrics": metrics})
    document = measured.model_copy(update={"digest": measured.content_digest()})
    _write(document, members, out)
    return document.digest


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the test metrics that a model directory records."""
    return read_document(path).metrics


def _member_weights(file: Path, expected: Mapping[str, Any]) -> dict[str, Tensor]:
    tensors, document = read_tensors(file)
    identity = document.get("identity", {})
    differing = [name for name, value in expected.items() if identity.get(name) != value]
    if differing:
        raise ModelError(
            f"{file} was trained with another {', '.join(differing)} than the ensemble's.",
            "Train all members on one training store with one set of settings.",
        )
    return tensors


def _calibrate(estimator: Estimator, data: TrainingArrays) -> Array:
    """Return the factor on sigma per regime and label."""
    settings = estimator.document.settings
    if not len(data):
        raise ModelError(
            "The training sample has no calibration stars.",
            "Use a larger training sample or other split shares.",
        )
    residuals, sigmas, errors, regime = [], [], [], []
    for view, block in _views(data.block, estimator).items():
        prediction = estimator.predict(block, settings.validation_batch_size)
        residual = prediction.mean - data.labels
        if view == "without_rvs":
            # Stars that never had RVS were counted as observed.
            residual[~presence(data.block)[:, 0]] = np.nan
        residuals.append(residual)
        sigmas.append(prediction.sigma)
        errors.append(data.label_error.astype(np.float64))
        regime.append(regimes(block, prediction.inputs_used[:, 0], settings))
    return sigma_scales(
        np.concatenate(residuals),
        np.concatenate(sigmas),
        np.concatenate(errors),
        np.concatenate(regime),
        settings,
    )


def _measure(estimator: Estimator, data: TrainingArrays) -> dict[str, Any]:
    """Return the metrics of the test stars, as observed and without RVS."""
    settings = estimator.document.settings
    labels, errors = data.labels.astype(np.float64), data.label_error.astype(np.float64)
    metrics: dict[str, Any] = {}
    for view, block in _views(data.block, estimator).items():
        prediction = estimator.predict(block, settings.validation_batch_size)
        regime = regimes(block, prediction.inputs_used[:, 0], settings)
        metrics[view] = {
            "all": label_metrics(prediction.mean, prediction.sigma, labels, errors),
            "by_regime": metrics_by_regime(
                prediction.mean, prediction.sigma, labels, errors, regime, settings=settings
            ),
        }
    return metrics


def _views(block: Block, estimator: Estimator) -> dict[str, Block]:
    """Return the stars as observed and, if the model uses more than RVS, without their RVS.

    Most stars of a survey have no RVS spectrum while labelled ones often do: the second view
    calibrates and measures what such stars get.
    """
    views: dict[str, Block] = {"as_observed": block}
    inputs = estimator.document.trained_inputs
    if "rvs" in inputs and len(inputs) > 1:
        views["without_rvs"] = {**block, "has_rvs": np.zeros_like(block["has_rvs"])}
    return views


def _write(document: ModelDocument, members: Sequence[Path], out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if read_document(out).digest == document.digest:
            return
        raise ModelError(f"{out} holds another model.", "A model is never overwritten: move it.")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, (member, weights) in enumerate(zip(members, document.weights, strict=True)):
        shutil.copyfile(member / WEIGHTS, partial / weights.file)
        shutil.copyfile(member / LOG, partial / f"member-{number:02d}.training.jsonl")
    write_atomically(partial / MODEL_JSON, document.to_bytes())
    partial.replace(out)


def _range(values: NDArray[Any]) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _digest_of_ids(block: Block) -> str:
    return hashlib.sha256(np.ascontiguousarray(block["source_id"], dtype="<i8").data).hexdigest()
