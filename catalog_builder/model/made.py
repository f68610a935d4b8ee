"""A trained model before it is on disk: its networks, then its sigma, limits and measures."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.calibrate.factors import Calibration
from catalog_builder.model.calibrate.metrics import label_metrics, metrics_by_regime, regimes
from catalog_builder.model.checkpoint import read_tensors
from catalog_builder.model.document import SELECTION_FILE, ModelDocument, Weights, member_file
from catalog_builder.model.estimator import Estimator, build_network
from catalog_builder.model.files import file_digest
from catalog_builder.model.fit.member import LOG, WEIGHTS
from catalog_builder.model.fit.sample import label_stars, trainable, trained_names
from catalog_builder.model.kept_back import hide
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.net.answers import Contradictions
from catalog_builder.model.net.network import HybridNet
from catalog_builder.model.prior import covariance_of
from catalog_builder.model.select.fit import fit_spaces
from catalog_builder.model.select.selection import Selection
from catalog_builder.model.settings import ModelSettings
from catalog_builder.runtime.workdir import write_atomically
from catalog_builder.training.design import Block, Scaling, Split, TrainingArrays


@dataclass(frozen=True)
class Begun:
    """Trained networks and their spaces of spectra; sigma is theirs yet, and tests have no limits.

    Attributes
    ----------
    document : ModelDocument
        What can be said of them.
    members : sequence of Path
        The folders that `fit_member` filled.
    networks : list of HybridNet
    spaces : Selection
    """

    document: ModelDocument
    members: Sequence[Path]
    networks: list[HybridNet]
    spaces: Selection

    @classmethod
    def of(
        cls,
        members: Sequence[Path],
        data: TrainingArrays,
        scaling: Scaling,
        settings: ModelSettings,
        provenance: dict[str, Any],
        drawn: Selection | None = None,
    ) -> Begun:
        """Read members that were trained on `data`; maps are new or on those `drawn`.

        Raises
        ------
        ModelError
            If a member was trained on something else.
        """
        files = [member / WEIGHTS for member in members]
        draft = _draft(files, data, scaling, settings, provenance)
        tensors = [_member_weights(file, draft, scaling) for file in files]
        networks = [
            build_network(file, weights, draft)
            for file, weights in zip(files, tensors, strict=True)
        ]
        return cls(draft, members, networks, fit_spaces(data, settings, drawn))

    @property
    def estimator(self) -> Estimator:
        """The networks as they are: nothing is calibrated, and no star is tested."""
        return Estimator(self.networks, self.document)

    def answers(self, block: Block) -> Contradictions:
        """Return what the networks say against each other about a feature block's stars."""
        size = self.document.settings.validation_batch_size
        return self.estimator.contradictions(block, size)

    def made(
        self, calibration: Calibration, tests: Selection, test: TrainingArrays, *, views: bool
    ) -> Made:
        """Return it with its sigma and tests, and measured on test stars; with `views`, in all."""
        document = self.document.model_copy(update={"calibration": calibration})
        estimator = Estimator(self.networks, document, tests)
        metrics = measure(estimator, test, views=views)
        digest = hashlib.sha256(tests.to_bytes()).hexdigest()
        made = Made(document, self.members, tests, estimator)
        return made.sealed(metrics=metrics, selection=Weights(file=SELECTION_FILE, sha256=digest))


@dataclass(frozen=True)
class Made:
    """A model that is not on disk yet: its document, its members' folders, its tests."""

    document: ModelDocument
    members: Sequence[Path]
    tests: Selection
    estimator: Estimator

    def sealed(self, **facts: Any) -> Made:
        """Return it with more facts in its document, and the digest of them all."""
        document = self.document.model_copy(update=facts)
        digest = document.content_digest()
        return replace(self, document=document.model_copy(update={"digest": digest}))

    def write(self, folder: Path) -> None:
        """Write its files into a folder."""
        for number, (member, weights) in enumerate(
            zip(self.members, self.document.weights, strict=True)
        ):
            shutil.copyfile(member / WEIGHTS, folder / weights.file)
            shutil.copyfile(member / LOG, folder / f"member-{number:02d}.training.jsonl")
        write_atomically(folder / self.document.selection.file, self.tests.to_bytes())
        write_atomically(folder / MODEL_JSON, self.document.to_bytes())


def _draft(
    files: Sequence[Path],
    data: TrainingArrays,
    scaling: Scaling,
    settings: ModelSettings,
    provenance: dict[str, Any],
) -> ModelDocument:
    """Return what can be said of a model before it is calibrated."""
    inputs, trained = trainable(data, settings)
    labels, known = data.contract.labels, data.contract.inputs
    names = trained_names(labels, trained)
    fit = data.subset(Split.FIT)
    return ModelDocument(
        settings=settings,
        contract=data.contract,
        trained_labels=tuple(names),
        trained_inputs=inputs,
        label_stars=dict(zip(labels.names, label_stars(data).tolist(), strict=True)),
        label_range={
            name: limits
            for name, column in zip(labels.names, fit.labels.T, strict=True)
            if name in names and (limits := _range(column))
        },
        label_covariance=covariance_of(fit, scaling, names),
        magnitude_range=None if known.magnitude is None else _range(fit.block[known.magnitude]),
        parallax_range=_range(fit.block["parallax_corrected"]) if known.parallax else None,
        scaling=scaling.to_json(),
        calibration={},
        training_digest=data.digest(),
        source_id_digest=_digest_of_ids(fit.block),
        metrics={},
        provenance=provenance,
        weights=tuple(
            Weights(file=member_file(number), sha256=file_digest(file))
            for number, file in enumerate(files)
        ),
        selection=Weights(file=SELECTION_FILE, sha256=""),
    )


def _member_weights(file: Path, draft: ModelDocument, scaling: Scaling) -> dict[str, Tensor]:
    settings = draft.settings
    tensors, document = read_tensors(file, 4 * settings.weights(draft.contract))
    expected = {
        "data": draft.training_digest,
        "scaling": scaling.digest(),
        "settings": settings.training(),
        "inputs": list(draft.trained_inputs),
    }
    identity = document.get("identity", {})
    differing = [name for name, value in expected.items() if identity.get(name) != value]
    if differing:
        raise ModelError(
            f"{file} was trained with another {', '.join(differing)} than the ensemble's.",
            "Train all members on one training store with one set of settings.",
        )
    return tensors


def measure(estimator: Estimator, data: TrainingArrays, *, views: bool) -> dict[str, Any]:
    """Return the metrics of the test stars, as observed and in `views` without each input."""
    settings, contract = estimator.document.settings, estimator.contract
    labels, errors = data.labels.astype(np.float64), data.label_error.astype(np.float64)
    metrics: dict[str, Any] = {}
    seen = _views(data.block, estimator) if views else {"as_observed": data.block}
    for view, block in seen.items():
        prediction = estimator.predict(block, settings.validation_batch_size)
        known = (prediction.mean, prediction.sigma, prediction.interval95, labels, errors)
        regime = regimes(block, prediction.inputs_used, settings, contract.inputs)
        metrics[view] = {
            "all": label_metrics(*known, declared=contract.labels),
            "by_regime": metrics_by_regime(*known, regime, settings=settings, contract=contract),
        }
    return metrics


def _views(block: Block, estimator: Estimator) -> dict[str, Block]:
    """Return the stars as observed, and without each input of those that the model uses.

    Most stars of a survey lack a spectrum that labelled ones often have: such views measure what
    those stars get.
    """
    views: dict[str, Block] = {"as_observed": block}
    known, trained = estimator.contract.inputs, estimator.document.trained_inputs
    for name in trained if len(trained) > 1 else ():
        views[f"without_{name}"] = hide(
            block, known, np.array([name == one for one in known.names])
        )
    return views


def _range(values: NDArray[Any]) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _digest_of_ids(block: Block) -> str:
    return hashlib.sha256(np.ascontiguousarray(block["source_id"], dtype="<i8").data).hexdigest()
