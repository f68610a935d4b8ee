"""Sigma of a trained model fitted anew on another release's stars; its networks stay as they are.

The correction is of sigma as it was calibrated, so that what the first calibration learnt remains
where there are few stars. Stars that networks learnt from say nothing of their errors. Those with
labels that the model does not know are cut in two: one half calibrates and the other only measures.
The stars that calibrated it in its own release calibrate it again: no gradient saw them, and in the
catalogue they are answered by the models without their fold. Where all these are few, the stars
that taught tell the shape of the correction, as answered by those models, and the few its level:
what one network does not know of itself is not what an ensemble does not.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from catalog_builder.features.store import stars_of
from catalog_builder.ground.errors import ModelError
from catalog_builder.model.calibrate.factors import ANY_INPUTS, Calibration, LabelFactors
from catalog_builder.model.card import CARD_FILE, card_of
from catalog_builder.model.document import TAUGHT_FILE, ModelDocument, Weights, fold_folder
from catalog_builder.model.estimator import Estimator
from catalog_builder.model.kept_back import Answers
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.made import measure
from catalog_builder.model.taught import NO_FOLD, fold_of
from catalog_builder.runtime.workdir import write_atomically
from catalog_builder.training.arrays import Split, TrainingArrays, completed
from catalog_builder.training.match import OLD_ID
from catalog_builder.training.split import uniform_hash

#: With this many stars that no gradient saw, they alone calibrate the ensemble: sigma to 3 %.
ENOUGH_HELD_BACK: Final = 500
#: Stars to measure with, below which nothing can be said of coverage.
LEAST_MEASURED: Final = 30
#: Stars that calibrate the ensemble at least.
LEAST_CALIBRATING: Final = 50
#: Share of the stars that the model does not know that only measure.
_MEASURED: Final = 0.5
# Far from the seeds of splits and folds, which are hashed in the same way.
_HALF_KEY: Final = 0x6F1D_5EED_4A1F_D000


def recalibrate(
    model: Path,
    data: TrainingArrays,
    facts: Mapping[str, Any],
    out: Path,
    say: Callable[[float], None] | None = None,
) -> str:
    """Write a model with the networks of another, and sigma that holds for these stars.

    Parameters
    ----------
    model : Path
        Directory of the model.
    data : TrainingArrays
        Stars with labels of the new release; its split is not looked at. Their ids in the release
        that the model learnt from are in ``old_source_id`` of the block, if that is another.
    facts : mapping
        What is recorded of the new release beside the model's provenance: at least
        ``calibrated_release``.
    out : Path
        The new model directory, made in one move.
    say : callable
        Told which share of the work is done.

    Returns
    -------
    str
        Digest of the new model.

    Raises
    ------
    ModelError
        If the model does not say who taught it, was recalibrated itself, or stars are too few.
    """
    estimator = Estimator.load(model)
    _refuse_unfit(model, estimator)
    stars = _Stars.of(data, estimator)
    say = say or _nothing
    say(0.1)
    whole, *folds = stars.calibrations(lambda share: say(0.1 + 0.8 * share))
    known = {**facts, "calibrated_stars": len(stars.calibrating)}
    _write(model, estimator, whole, folds, stars, known, out)
    say(1.0)
    return Estimator.load(out).digest


def _nothing(share: float) -> None:
    del share


def _refuse_unfit(model: Path, estimator: Estimator) -> None:
    if not (estimator.taught and len(estimator.taught.ids)):
        raise ModelError(
            f"The model {model} does not say which stars taught it: these must not calibrate it.",
            "Take a model of version 0.2 or later, or train one on this release.",
        )
    if "parent" in estimator.document.provenance:
        raise ModelError(
            f"Sigma of the model {model} has been fitted anew before.",
            "Give the model that it was made from, whose digest is its provenance.parent.",
        )


Corrected = dict[str, tuple[LabelFactors, ...]]


@dataclass(frozen=True)
class _Stars:
    """The stars of a new release, by what they may say of a model."""

    estimator: Estimator
    #: Those that no gradient of the ensemble saw: strangers, and those that calibrated it before.
    calibrating: TrainingArrays
    strangers: TrainingArrays
    measured: TrainingArrays
    #: Of each fold, those that taught the others.
    without: list[TrainingArrays]
    #: Ids in the release that the model learnt from.
    stranger_ids: Any
    measured_ids: Any

    @classmethod
    def of(cls, data: TrainingArrays, estimator: Estimator) -> _Stars:
        taught, inputs = estimator.taught, estimator.contract.inputs
        if taught is None:
            raise RuntimeError("refused before")
        order = [data.contract.labels.place(name) for name in estimator.contract.labels.names]
        sample = TrainingArrays(
            contract=estimator.contract,
            block=completed(data.block, inputs),
            labels=data.labels[:, order],
            label_error=data.label_error[:, order],
            split=data.split,
        )
        ids = np.asarray(data.block.get(OLD_ID, stars_of(data.block)), np.int64)
        known = taught.find(ids, taught.source_id_release)
        teaches = (known.split > 0) & (known.split != 1 + Split.TEST)
        half = uniform_hash(ids, _HALF_KEY) < _MEASURED
        strange, measures = np.flatnonzero(~teaches & ~half), np.flatnonzero(~teaches & half)
        again = teaches & (known.split != 1 + Split.FIT) & (known.fold != NO_FOLD)
        folds = range(len(estimator.folds))
        found = cls(
            estimator,
            sample.take(np.union1d(strange, np.flatnonzero(again))),
            sample.take(strange),
            sample.take(measures),
            [sample.take(np.flatnonzero(teaches & (known.fold == fold))) for fold in folds],
            ids[strange],
            ids[measures],
        )
        found.refuse_too_few()
        return found

    def refuse_too_few(self) -> None:
        if len(self.measured) >= LEAST_MEASURED and len(self.calibrating) >= LEAST_CALIBRATING:
            return
        raise ModelError(
            f"Of this release's stars with labels that the model did not learn from,"
            f" {len(self.calibrating)} can calibrate it and {len(self.measured)} measure it;"
            f" {LEAST_CALIBRATING} and {LEAST_MEASURED} are the least.",
            "Give a larger archive or label survey (--labels).",
        )

    def strangers_to(self, fold: int) -> TrainingArrays:
        """Return those that calibrate the model of a fold, and that it will not answer for."""
        others = fold_of(self.stranger_ids, len(self.without)) != fold
        return self.strangers.take(np.flatnonzero(others))

    def calibrations(self, say: Callable[[float], None]) -> list[Corrected]:
        """Return the calibration of the ensemble, then those of the models of its folds.

        No star calibrates a model that will answer for it, and none answers for a star that taught
        it: for the model of a fold those that taught others count, as answered by others still.
        """
        folds = self.estimator.folds
        others = []
        for number, (fold, data) in enumerate(zip(folds, self.without, strict=True)):
            others.append(Answers(fold, data))
            say(0.5 * (number + 1) / len(folds))
        found = [self._of_ensemble(others)]
        for number, fold in enumerate(folds):
            rest = [each for place, each in enumerate(others) if place != number]
            own = Answers(fold, self.strangers_to(number))
            found.append(_corrected(fold, own.corrections(*rest)))
            say(0.5 + 0.5 * (number + 1) / len(folds))
        return found

    def _of_ensemble(self, others: Sequence[Answers]) -> Corrected:
        estimator = self.estimator
        if len(self.calibrating) >= ENOUGH_HELD_BACK or not others:
            return _corrected(estimator, Answers(estimator, self.calibrating).corrections())
        shape = _corrected(estimator, others[0].corrections(*others[1:]))
        shaped = estimator.document.model_copy(update={"calibration": shape})
        estimator = estimator.calibrated_as(shaped)
        # One network is not an ensemble: the level is told by its own answers.
        own = Answers(estimator, self.calibrating)
        return _corrected(estimator, own.corrections(level_only=True))


def _corrected(estimator: Estimator, found: Calibration) -> Corrected:
    """Return the calibration of a model behind which corrections stand."""
    before = estimator.document.calibration
    return {
        key: tuple(
            one.corrected(correction)
            for one, correction in zip(
                before.get(key, before[ANY_INPUTS]),
                found.get(key, found[ANY_INPUTS]),
                strict=True,
            )
        )
        for key in {**before, **found}
    }


def _write(
    model: Path,
    estimator: Estimator,
    calibration: Calibration,
    folds: Sequence[Calibration],
    stars: _Stars,
    facts: Mapping[str, Any],
    out: Path,
) -> None:
    if estimator.taught is None or estimator.document.taught is None:
        raise RuntimeError("refused before")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    digests = []
    for number, (fold, fitted) in enumerate(zip(estimator.folds, folds, strict=True)):
        name = fold_folder(number)
        document = _document(fold, fitted, stars.measured, facts, views=False)
        _copy(model / name, partial / name, document)
        digests.append(document.digest)
    taught = estimator.taught.with_calibrators(
        stars.stranger_ids, stars.measured_ids, len(folds)
    ).to_bytes()
    said = estimator.document.taught.model_copy(
        update={
            "stars": Weights(file=TAUGHT_FILE, sha256=hashlib.sha256(taught).hexdigest()),
            "folds": tuple(digests),
        }
    )
    document = _document(estimator, calibration, stars.measured, facts, views=True, taught=said)
    _copy(model, partial, document)
    card = card_of(document.model_dump(mode="json"))
    write_atomically(partial / CARD_FILE, card.markdown().encode())
    write_atomically(partial / TAUGHT_FILE, taught)
    Estimator.load(partial)  # what would be refused later is refused here
    partial.replace(out)


def _document(
    estimator: Estimator,
    calibration: Calibration,
    measured: TrainingArrays,
    facts: Mapping[str, Any],
    *,
    views: bool,
    **more: Any,
) -> ModelDocument:
    """Return the document of a model with another calibration, measured on new stars."""
    before = estimator.document
    calibrated = before.model_copy(update={"calibration": dict(calibration)})
    provenance = {
        **before.provenance,
        **facts,
        "parent": before.digest,
        "parent_metrics": before.metrics.get("as_observed", {}).get("all", {}),
    }
    metrics = measure(estimator.calibrated_as(calibrated), measured, views=views)
    made = calibrated.model_copy(update={"metrics": metrics, "provenance": provenance, **more})
    return made.model_copy(update={"digest": made.content_digest()})


def _copy(model: Path, folder: Path, document: ModelDocument) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for weights in (*document.weights, document.selection):
        shutil.copyfile(model / weights.file, folder / weights.file)
    for number in range(len(document.weights)):
        log = model / f"member-{number:02d}.training.jsonl"
        if log.exists():
            shutil.copyfile(log, folder / log.name)
    write_atomically(folder / MODEL_JSON, document.to_bytes())
