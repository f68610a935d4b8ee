"""From trained members to a model directory: calibrated, measured, sealed with a digest."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.calibrate.metrics import label_metrics, metrics_by_regime, regimes
from catalog_builder.model.card import CARD_FILE, card_of
from catalog_builder.model.checkpoint import read_tensors
from catalog_builder.model.document import (
    SELECTION_FILE,
    TAUGHT_FILE,
    ModelDocument,
    Taught,
    Weights,
    fold_folder,
    member_file,
    read_document,
)
from catalog_builder.model.estimator import Estimator, build_network
from catalog_builder.model.files import file_digest
from catalog_builder.model.fit.member import LOG, WEIGHTS
from catalog_builder.model.fit.sample import label_stars, trainable, trained_names
from catalog_builder.model.kept_back import Tell, calibrate, hide
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.luminosity import Teachers
from catalog_builder.model.net.answers import Contradictions
from catalog_builder.model.population import Population
from catalog_builder.model.prediction import Prediction
from catalog_builder.model.prior import covariance_of
from catalog_builder.model.select.fit import fit_selection
from catalog_builder.model.select.selection import Selection
from catalog_builder.model.settings import ModelSettings
from catalog_builder.model.share import Share
from catalog_builder.model.taught import TaughtStars, without_fold
from catalog_builder.runtime.workdir import write_atomically
from catalog_builder.training.design import (
    Block,
    Scaling,
    Split,
    TrainingArrays,
)

__all__ = ["Estimator", "Prediction", "assemble"]

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
    *,
    folds: Sequence[Sequence[Path]] = (),
    population: Callable[[Estimator], Population] | None = None,
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
    folds : sequence of sequences of Path
        The members of each fold, which `fit_member` trained with what `without_fold` returns. They
        become models of their own, that answer for the fold's stars; without them nobody does.
    population : callable, optional
        Has the finished model answer a sample of its training archive, for its document.

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
    if len(folds) not in {0, settings.folds}:
        raise ModelError(
            f"There are members of {len(folds)} folds, not of {settings.folds}.",
            "Train the members of all folds, or set model.folds to 0.",
        )
    # The whole counts as two folds: it has more stars, and is measured without inputs too.
    share = Share(tell, 2 + len(folds))
    whole = _make(members, data, scaling, settings, provenance, say=share.of(2))
    teachers = Teachers(data, len(folds), whole.document.trained_labels)
    if not folds:
        teachers.ask(whole.estimator, None)
    parts = []
    for number, fold in enumerate(folds):
        rest, changed = without_fold(data, settings, number)
        known = {**provenance, "without_fold": number}
        part = _make(fold, rest, scaling, changed, known, whole=whole.tests, say=share.of(1))
        teachers.ask(part.estimator, number)
        parts.append(part)
    whole = whole.sealed(luminosity=teachers.learnt())
    parts = [
        part.sealed(luminosity=teachers.learnt(without=number)) for number, part in enumerate(parts)
    ]
    release = str(provenance.get("release") or "")
    stars = TaughtStars.of(data, len(parts), release).to_bytes()
    taught = Taught(
        stars=Weights(file=TAUGHT_FILE, sha256=hashlib.sha256(stars).hexdigest()),
        source_id_release=release,
        folds=tuple(part.document.digest for part in parts),
    )
    made = whole.sealed(taught=taught)
    named = {fold_folder(number): part for number, part in enumerate(parts)}
    return _write(made, named, stars, out, population)


@dataclass(frozen=True)
class _Made:
    """A model that is not on disk yet: its document, its members' folders, its tests."""

    document: ModelDocument
    members: Sequence[Path]
    tests: Selection
    estimator: Estimator

    def sealed(self, **facts: Any) -> _Made:
        """Return it with more facts in its document, and the digest of them all."""
        document = self.document.model_copy(update=facts)
        digest = document.content_digest()
        return replace(self, document=document.model_copy(update={"digest": digest}))

    def write(self, folder: Path) -> None:
        for number, (member, weights) in enumerate(
            zip(self.members, self.document.weights, strict=True)
        ):
            shutil.copyfile(member / WEIGHTS, folder / weights.file)
            shutil.copyfile(member / LOG, folder / f"member-{number:02d}.training.jsonl")
        write_atomically(folder / self.document.selection.file, self.tests.to_bytes())
        write_atomically(folder / MODEL_JSON, self.document.to_bytes())


def _make(
    members: Sequence[Path],
    data: TrainingArrays,
    scaling: Scaling,
    settings: ModelSettings,
    provenance: dict[str, Any],
    *,
    say: Tell,
    whole: Selection | None = None,
) -> _Made:
    """Calibrate and measure one ensemble, with maps of its own or on those of the whole."""
    files = [member / WEIGHTS for member in members]
    draft = _draft(files, data, scaling, settings, provenance)
    tensors = [_member_weights(file, draft, scaling) for file in files]
    networks = [
        build_network(file, weights, draft) for file, weights in zip(files, tensors, strict=True)
    ]
    selection = _select(Estimator(networks, draft), data, whole)
    say(_SELECT)
    kept_back = data.subset(Split.VALIDATION, Split.CALIBRATION)
    calibration = calibrate(
        Estimator(networks, draft), kept_back, lambda share: say(_SELECT + _CALIBRATE * share)
    )
    calibrated = draft.model_copy(update={"calibration": calibration})
    test = data.subset(Split.TEST)
    estimator = Estimator(networks, calibrated, selection)
    metrics = measure(estimator, test, views=whole is None)
    digest = hashlib.sha256(selection.to_bytes()).hexdigest()
    tests = Weights(file=SELECTION_FILE, sha256=digest)
    made = _Made(calibrated, members, selection, estimator)
    return made.sealed(metrics=metrics, selection=tests)


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


def _select(estimator: Estimator, data: TrainingArrays, whole: Selection | None) -> Selection:
    settings = estimator.document.settings

    def answers(block: Block) -> Contradictions:
        return estimator.contradictions(block, settings.validation_batch_size)

    return fit_selection(answers, data, settings, whole)


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


def _write(
    made: _Made,
    folds: Mapping[str, _Made],
    stars: bytes,
    out: Path,
    population: Callable[[Estimator], Population] | None,
) -> str:
    """Write a model directory, in one move; return the digest of the model."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, fold in folds.items():
        (partial / name).mkdir()
        fold.write(partial / name)
    write_atomically(partial / TAUGHT_FILE, stars)
    made.write(partial)
    # What would be refused later is refused here, where it can still be trained again.
    loaded = Estimator.load(partial)
    if population is not None:
        made = made.sealed(population=population(loaded))
        write_atomically(partial / MODEL_JSON, made.document.to_bytes())
        read_document(partial)
    card = card_of(made.document.model_dump(mode="json"))
    write_atomically(partial / CARD_FILE, card.markdown().encode())
    if out.exists() and any(out.iterdir()):
        if read_document(out).digest != made.document.digest:
            raise ModelError(
                f"{out} holds another model.", "A model is never overwritten: move it."
            )
        shutil.rmtree(partial)
    else:
        partial.replace(out)
    return made.document.digest


def _range(values: NDArray[Any]) -> tuple[float, float] | None:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _digest_of_ids(block: Block) -> str:
    return hashlib.sha256(np.ascontiguousarray(block["source_id"], dtype="<i8").data).hexdigest()
