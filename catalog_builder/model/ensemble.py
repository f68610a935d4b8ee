"""From trained members to a model directory: calibrated, measured, sealed with a digest."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.errors import ModelError
from catalog_builder.model.answers import Contradictions
from catalog_builder.model.calibration import (
    ANY_INPUTS,
    LabelFactors,
    coordinates,
    fainter_twins,
    inputs_key,
)
from catalog_builder.model.calibration_fit import fit_label_factors
from catalog_builder.model.checkpoint import read_tensors
from catalog_builder.model.document import (
    SELECTION_FILE,
    ModelDocument,
    Weights,
    member_file,
    read_document,
)
from catalog_builder.model.estimator import Estimator, Prediction, build_network
from catalog_builder.model.files import file_digest
from catalog_builder.model.fit import LOG, WEIGHTS
from catalog_builder.model.inputs import (
    LABELS,
    MODALITIES,
    Block,
    Scaling,
    Split,
    TrainingArrays,
    presence,
)
from catalog_builder.model.limits import fit_selection
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.metrics import label_metrics, metrics_by_regime, regimes
from catalog_builder.model.sample import label_stars, trainable, trained_names
from catalog_builder.model.selection import Selection
from catalog_builder.model.settings import ModelSettings
from catalog_builder.runtime.workdir import write_atomically

__all__ = ["Estimator", "Prediction", "assemble", "read_metrics"]

Array = NDArray[np.float64]
#: Told which share of the work is done.
Tell = Callable[[float], None]
#: Shares of the time that the tests of a prediction (and reading) and then the calibration take;
#: measuring and writing take the rest. Of 22 191 stars: 2.5, 3.2 and 1.1 s of processor time, of
#: 928 simulated ones 2.2, 2.7 and 0.5 s.
_SELECT, _CALIBRATE = 0.38, 0.48


def assemble(
    members: Sequence[Path],
    data: TrainingArrays,
    scaling: Scaling,
    settings: ModelSettings,
    provenance: dict[str, Any],
    out: Path,
    tell: Tell | None = None,
) -> str:
    """Calibrate an ensemble, measure it on the test stars, and write its model directory.

    Parameters
    ----------
    members : sequence of Path
        The folders that `fit_member` filled, with this data, scaling and settings.
    data : TrainingArrays
        All splits; the calibration and test stars are used here and nowhere else. Calibration has
        the validation stars too.
    scaling : Scaling
        From the fit stars.
    settings : ModelSettings
        Hyper-parameters.
    provenance : dict
        What else to record; JSON types, no times.
    out : Path
        The model directory, made in one move.
    tell : callable, optional
        Told now and then which share of the work is done.

    Returns
    -------
    str
        Digest of the model.

    Raises
    ------
    ModelError
        If a member was trained on something else, no star is left for calibration, or `out` holds
        another model.
    """
    say = tell or _to_nobody
    inputs, trained = trainable(data, settings)
    training_digest = data.digest()
    expected = {
        "data": training_digest,
        "scaling": scaling.digest(),
        "settings": settings.training(),
        "inputs": list(inputs),
    }
    files = [member / WEIGHTS for member in members]
    tensors = [_member_weights(file, settings, expected) for file in files]
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
        calibration={},
        training_digest=training_digest,
        source_id_digest=_digest_of_ids(fit.block),
        metrics={},
        provenance=provenance,
        weights=tuple(
            Weights(file=member_file(number), sha256=file_digest(file))
            for number, file in enumerate(files)
        ),
        selection=Weights(file=SELECTION_FILE, sha256=""),
    )
    networks = [
        build_network(file, weights, draft) for file, weights in zip(files, tensors, strict=True)
    ]
    selection = _select(Estimator(networks, draft), data)
    say(_SELECT)
    kept_back = data.subset(Split.VALIDATION, Split.CALIBRATION)
    calibration = _calibrate(
        Estimator(networks, draft), kept_back, lambda share: say(_SELECT + _CALIBRATE * share)
    )
    calibrated = draft.model_copy(update={"calibration": calibration})
    metrics = _measure(Estimator(networks, calibrated, selection), data.subset(Split.TEST))
    content = selection.to_bytes()
    tests = Weights(file=SELECTION_FILE, sha256=hashlib.sha256(content).hexdigest())
    measured = calibrated.model_copy(update={"metrics": metrics, "selection": tests})
    document = measured.model_copy(update={"digest": measured.content_digest()})
    _write(document, members, content, out)
    return document.digest


def _to_nobody(share: float) -> None:
    del share


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the test metrics that a model directory records."""
    return read_document(path).metrics


def _member_weights(
    file: Path, settings: ModelSettings, expected: Mapping[str, Any]
) -> dict[str, Tensor]:
    tensors, document = read_tensors(file, 4 * settings.weights)
    identity = document.get("identity", {})
    differing = [name for name, value in expected.items() if identity.get(name) != value]
    if differing:
        raise ModelError(
            f"{file} was trained with another {', '.join(differing)} than the ensemble's.",
            "Train all members on one training store with one set of settings.",
        )
    return tensors


def _calibrate(
    estimator: Estimator, data: TrainingArrays, tell: Tell
) -> dict[str, tuple[LabelFactors, ...]]:
    """Return the factors on sigma of every subset of the inputs that these stars have."""
    if not len(data):
        raise ModelError(
            "The training sample has no validation or calibration stars.",
            "Use a larger training sample or other split shares.",
        )
    settings = estimator.document.settings
    twins = replace(data, block=fainter_twins(data.block, settings.noise_factor))
    subsets = list(_subsets(data, estimator))
    done, work = 0, sum(rows.size for _, rows in subsets)
    seen, fitted = [], {}
    for shown, rows in subsets:
        both = [_Seen.of(estimator, stars.take(rows), shown) for stars in (data, twins)]
        seen.append(_Seen.together(both))
        fitted[inputs_key(seen[-1].used[0])] = seen[-1].fit(settings.min_regime_stars)
        done += rows.size
        tell(done / work)
    # Shared factors serve the subsets of the inputs that no calibration star has.
    return {**fitted, ANY_INPUTS: _Seen.together(seen).fit(settings.min_regime_stars)}


@dataclass(frozen=True)
class _Seen:
    """Calibration stars as predicted from one subset of their inputs, before calibration."""

    residual: Array
    sigma: Array
    label_error: Array
    places: Array
    used: NDArray[np.bool_]

    @classmethod
    def of(cls, estimator: Estimator, data: TrainingArrays, shown: NDArray[np.bool_]) -> Self:
        block = _hide(data.block, ~shown)
        predicted = estimator.predict(block, estimator.document.settings.validation_batch_size)
        return cls(
            residual=predicted.mean - data.labels,
            sigma=predicted.sigma,
            label_error=data.label_error.astype(np.float64),
            places=coordinates(block, predicted.mean, predicted.sigma, predicted.inputs_used),
            used=predicted.inputs_used,
        )

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        return cls(
            residual=np.concatenate([part.residual for part in parts]),
            sigma=np.concatenate([part.sigma for part in parts]),
            label_error=np.concatenate([part.label_error for part in parts]),
            places=np.concatenate([part.places for part in parts], axis=1),
            used=np.concatenate([part.used for part in parts]),
        )

    def fit(self, least: int) -> tuple[LabelFactors, ...]:
        return tuple(
            fit_label_factors(
                self.residual[:, column],
                self.sigma[:, column],
                self.label_error[:, column],
                self.places[column],
                least,
            )
            for column in range(len(LABELS))
        )


def _subsets(
    data: TrainingArrays, estimator: Estimator
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.intp]]]:
    """Yield each subset of the inputs, (4,) bool, with the rows of the stars that have it."""
    usable = np.array([name in estimator.document.trained_inputs for name in MODALITIES])
    has = presence(data.block) & usable
    for choice in product((True, False), repeat=int(usable.sum())):
        shown = np.zeros(len(MODALITIES), dtype=bool)
        shown[usable] = choice
        rows = np.flatnonzero(has[:, shown].all(axis=1))
        if shown.any() and rows.size:
            yield shown, rows


def _select(estimator: Estimator, data: TrainingArrays) -> Selection:
    settings = estimator.document.settings

    def answers(block: Block) -> Contradictions:
        return estimator.contradictions(block, settings.validation_batch_size)

    return fit_selection(answers, data, settings)


def _measure(estimator: Estimator, data: TrainingArrays) -> dict[str, Any]:
    """Return the metrics of the test stars, as observed and without each of their inputs."""
    settings = estimator.document.settings
    labels, errors = data.labels.astype(np.float64), data.label_error.astype(np.float64)
    metrics: dict[str, Any] = {}
    for view, block in _views(data.block, estimator).items():
        prediction = estimator.predict(block, settings.validation_batch_size)
        known = (prediction.mean, prediction.sigma, prediction.interval95, labels, errors)
        regime = regimes(block, prediction.inputs_used[:, 0], settings)
        metrics[view] = {
            "all": label_metrics(*known),
            "by_regime": metrics_by_regime(*known, regime, settings=settings),
        }
    return metrics


def _views(block: Block, estimator: Estimator) -> dict[str, Block]:
    """Return the stars as observed, and without each input of those that the model uses.

    Most stars of a survey have no RVS spectrum while labelled ones often do: such views measure
    what those stars get.
    """
    views: dict[str, Block] = {"as_observed": block}
    inputs = estimator.document.trained_inputs
    for name in inputs if len(inputs) > 1 else ():
        views[f"without_{name}"] = _hide(block, np.array([name == other for other in MODALITIES]))
    return views


def _hide(block: Block, hidden: NDArray[np.bool_]) -> Block:
    """Return the stars without the inputs marked in `hidden`, (4,)."""
    gone = [f"has_{name}" for name, away in zip(MODALITIES, hidden, strict=True) if away]
    return {**block, **{name: np.zeros_like(block[name]) for name in gone}}


def _write(document: ModelDocument, members: Sequence[Path], selection: bytes, out: Path) -> None:
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
    write_atomically(partial / document.selection.file, selection)
    write_atomically(partial / MODEL_JSON, document.to_bytes())
    # What would be refused later is refused here, where it can still be trained again.
    Estimator.load(partial)
    partial.replace(out)


def _range(values: NDArray[Any]) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _digest_of_ids(block: Block) -> str:
    return hashlib.sha256(np.ascontiguousarray(block["source_id"], dtype="<i8").data).hexdigest()
