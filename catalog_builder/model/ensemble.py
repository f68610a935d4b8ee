"""From trained members to a model directory: calibrated, measured, sealed with a digest."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from catalog_builder.ground.errors import ModelError
from catalog_builder.model.card import CARD_FILE, card_of
from catalog_builder.model.document import (
    TAUGHT_FILE,
    Taught,
    Weights,
    fold_folder,
    read_document,
)
from catalog_builder.model.estimator import Estimator
from catalog_builder.model.kept_back import Answers, Tell, calibrate
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.model.luminosity import Teachers
from catalog_builder.model.made import Begun, Made
from catalog_builder.model.population import Population
from catalog_builder.model.prediction import Prediction
from catalog_builder.model.select.fit import Statistics, limited, statistics_of
from catalog_builder.model.settings import ModelSettings
from catalog_builder.model.share import Share
from catalog_builder.model.taught import TaughtStars, strangers, without_fold
from catalog_builder.runtime.workdir import write_atomically
from catalog_builder.training.design import Scaling, Split, TrainingArrays

__all__ = ["Estimator", "Prediction", "assemble"]

#: Shares of the time that the tests of a prediction (and reading) and then the calibration take;
#: measuring and writing take the rest. Of 22 191 stars: 2.5, 3.2 and 1.1 s of processor time, of
#: 928 simulated ones 2.2, 2.7 and 0.5 s.
_SELECT, _CALIBRATE = 0.38, 0.48
#: Share of the work on folds that is done when their stars are answered.
_ANSWERED = 0.5


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
        become models of their own, that answer for the fold's stars; without them none do.
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
    whole = _whole(members, data, scaling, settings, provenance, share.of(2))
    teachers = Teachers(data, len(folds), whole.document.trained_labels)
    if not folds:
        teachers.ask(whole.estimator, None)
    parts = _parts(folds, data, scaling, whole, share.of(len(folds))) if folds else []
    for number, part in enumerate(parts):
        teachers.ask(part.estimator, number)
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


def _whole(
    members: Sequence[Path],
    data: TrainingArrays,
    scaling: Scaling,
    settings: ModelSettings,
    provenance: dict[str, Any],
    say: Tell,
) -> Made:
    """Calibrate and measure the ensemble on stars that no gradient saw."""
    begun = Begun.of(members, data, scaling, settings, provenance)
    kept_back = data.subset(Split.VALIDATION, Split.CALIBRATION)
    seen = statistics_of(begun.spaces, begun.answers, kept_back.block, settings)
    tests = limited(begun.spaces, seen, [seen], settings)
    say(_SELECT)
    calibration = calibrate(
        begun.estimator, kept_back, lambda share: say(_SELECT + _CALIBRATE * share)
    )
    return begun.made(calibration, tests, data.subset(Split.TEST), views=True)


def _parts(
    folds: Sequence[Sequence[Path]],
    data: TrainingArrays,
    scaling: Scaling,
    whole: Made,
    say: Tell,
) -> list[Made]:
    """Calibrate and measure the model of each fold on stars of the others.

    Each model answers the stars of its own fold, which are strangers to it. What that says of its
    errors serves the models of the other folds: they are of one kind, and so no star has a part in
    its own sigma, or in its own limits.
    """
    begun, answers, seen = [], [], []
    for number, members in enumerate(folds):
        one, said, found = _of_fold(members, data, scaling, whole, number)
        begun.append(one)
        answers.append(said)
        seen.append(found)
        say(_ANSWERED * (number + 1) / len(folds))
    test, parts = data.subset(Split.TEST), []
    for number, one in enumerate(begun):
        first, *rest = (each for other, each in enumerate(answers) if other != number)
        others = [each for other, each in enumerate(seen) if other != number]
        tests = limited(one.spaces, seen[number], others, one.document.settings)
        parts.append(one.made(first.corrections(*rest), tests, test, views=False))
        say(_ANSWERED + (1.0 - _ANSWERED) * (number + 1) / len(folds))
    return parts


def _of_fold(
    members: Sequence[Path], data: TrainingArrays, scaling: Scaling, whole: Made, fold: int
) -> tuple[Begun, Answers, Statistics]:
    """Return the networks of one fold, and what they and their tests say of its stars."""
    known = {**whole.document.provenance, "without_fold": fold}
    rest, settings = without_fold(data, whole.document.settings, fold)
    one = Begun.of(members, rest, scaling, settings, known, whole.tests)
    unseen = strangers(data, whole.document.settings.folds, fold)
    seen = statistics_of(one.spaces, one.answers, unseen.block, settings)
    return one, Answers(one.estimator, unseen), seen


def _write(
    made: Made,
    folds: Mapping[str, Made],
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
