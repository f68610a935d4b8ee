"""Where a catalogue's stars and its model are from, and whether any of them is simulated.

Receipts carry the mark from step to step; here it becomes what a product says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.catalog import provenance
from catalog_builder.contract.contract import Contract
from catalog_builder.ground.digests import digest_json
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.model.card import Card, card_of
from catalog_builder.model.locate import refuse_no_model
from catalog_builder.model.origin import (
    SHORT,
    ModelOrigin,
    description_digest,
    differences,
    facts_of,
    read_origin,
    refuse_other_inputs,
    refuse_other_meaning,
)
from catalog_builder.model.population import Population
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Task

#: Differences between two descriptions that a warning names.
_NAMED = 6


@dataclass(frozen=True)
class Model:
    """A model directory, and what is known of it."""

    path: Path
    digest: str
    #: Of its own test stars, wherever it is used.
    metrics: dict[str, Any]
    #: What it was trained on.
    origin: ModelOrigin
    #: What its labels and inputs are.
    contract: Contract
    #: Whether it was trained elsewhere and given to this run.
    given: bool
    #: The release whose identifiers the stars have that taught it; None where it does not say.
    taught_release: str | None = None

    @property
    def made_for(self) -> str | None:
        """The release whose stars its sigma was fitted on."""
        return self.origin.made_for

    #: A sample of its training archive, if it has one.
    population: Population | None = None
    #: Its card, where it was given.
    card: Card | None = None
    #: What separates the regimes that it was measured in: S/N, and magnitudes.
    snr_edges: tuple[float, ...] = ()
    magnitude_edges: tuple[float, ...] = ()
    #: Models that answer for the stars that taught it.
    folds: int = 0


def given_model(path: Path, release: ReleaseSpec, warn: Callable[[str], None]) -> Model:
    """Load a model that was trained elsewhere, and say in what its release is another one.

    Raises
    ------
    ModelError
        If it is no model, or its spectra were something else than those of this release.
    """
    from catalog_builder.model.estimator import Estimator  # torch

    refuse_no_model(path)
    estimator = Estimator.load(path)
    origin = read_origin(estimator.document.provenance, path)
    differing = differences(origin, release)
    contract, trained = estimator.contract, estimator.document.trained_inputs
    shared = [name for name in trained if name in release.inputs.names]
    refuse_other_meaning(differing, path, shared)
    refuse_other_inputs(contract.inputs, shared, release, path)
    if absent := [name for name in trained if name not in shared]:
        warn(f"this release has no {', '.join(absent)}: the model does without for every star")
    if differing:
        named = list(differing.values())
        more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        warn(f"the model's release is described otherwise: {'; '.join(named[:_NAMED])}{more}")
    elif origin.release != release.name:
        of = origin.release or "a release that it does not record"
        warn(f"the model was trained on {of}, this archive is {release.name}")
    if origin.simulated:
        warn("the model was trained on simulated stars")
    document = estimator.document
    taught = None if document.taught is None else document.taught.source_id_release or None
    return Model(
        path,
        estimator.digest,
        document.metrics,
        origin,
        contract,
        given=True,
        taught_release=taught,
        population=document.population,
        card=card_of(document.model_dump(mode="json")),
        snr_edges=document.settings.snr_edges,
        magnitude_edges=document.settings.magnitude_edges,
        folds=0 if document.taught is None else len(document.taught.folds),
    )


def of_same_stars(tasks: Sequence[Task], stars: Sequence[Receipt], *more: Receipt) -> list[Task]:
    """Return tasks, one for each receipt, marked where its stars (or any more) are simulated."""
    every = any(receipt.simulated for receipt in more)
    return [
        task.of_simulated_stars() if every or receipt.simulated else task
        for task, receipt in zip(tasks, stars, strict=True)
    ]


def of_any_stars(tasks: Sequence[Task], stars: Sequence[Receipt]) -> list[Task]:
    """Return tasks, marked if any of the stars that they are made from is simulated."""
    marked = any(receipt.simulated for receipt in stars)
    return [task.of_simulated_stars() if marked else task for task in tasks]


def provenance_of_model(
    release: ReleaseSpec,
    survey: LabelSurvey,
    features: Sequence[Receipt],
    labels: Receipt,
    training: Receipt,
    seed: int,
    neighbours: Sequence[Receipt] = (),
) -> dict[str, Any]:
    """Return what a model's document says of its stars (:class:`ModelOrigin`).

    Parameters
    ----------
    release, survey : ReleaseSpec, LabelSurvey
        Their descriptions.
    features : sequence of Receipt
        Of the partitions that have stars with labels.
    labels, training : Receipt
        Of the survey's file, and of the training set.
    seed : int
        The run's.
    neighbours : sequence of Receipt
        Of the tables through which labels of another release came, if they did.
    """
    return {
        "release": release.name,
        "release_title": release.title,
        "release_digest": description_digest(release),
        "release_facts": facts_of(release),
        "release_credit": _owed(release.credit, features),
        "survey": survey.name,
        "survey_title": survey.title,
        "credit": _owed(survey.credit, [labels]),
        "archive": digest_json(provenance.input_digests([*features, labels, *neighbours])),
        "partitions": len(features),
        "stars": training.rows_out,
        "simulated": training.simulated,
        "seed": seed,
        **({"source_id_release": survey.source_id_release} if neighbours else {}),
    }


def origin_of_catalogue(
    release: ReleaseSpec, partitions: Sequence[Receipt], model: Model
) -> dict[str, Any]:
    """Return the fields of RELEASE.json that say where stars and model are from.

    Parameters
    ----------
    release : ReleaseSpec
        The archive's description.
    partitions : sequence of Receipt
        Of all that were asked for, ingested or only counted.
    model : Model
        That made the labels.
    """
    simulated = sum(receipt.simulated for receipt in partitions)
    kind = "simulated " if simulated == len(partitions) else "partly simulated "
    learnt = " (model trained on simulated stars)" if model.origin.simulated else ""
    thanks = f"Stars simulated with catalog-builder: {simulated} of {len(partitions)} partitions."
    owed = (
        _owed(release.credit, partitions),
        model.origin.release_credit,
        model.origin.credit,
        thanks if simulated else "",
    )
    return {
        "catalogue": f"catalog-builder {kind if simulated else ''}{release.title}"
        f"{'' if simulated else learnt}",
        "release_digest": description_digest(release),
        "simulated": bool(simulated),
        "partitions": len(partitions),
        "simulated_partitions": simulated,
        "model": {
            **model.origin.said(),
            "trained_elsewhere": model.given or model.origin.parent is not None,
            # Left out of the record where it is None.
            "answers_seen": None if model.folds else True,
        },
        # Who made none of it is not to be thanked for it.
        "acknowledgements": tuple(dict.fromkeys(filter(None, owed))),
    }


def simulated_in_words(simulated: int, partitions: int, learnt: bool | None) -> str:
    """Say what of a catalogue is simulated; nothing if neither its stars nor its model's are.

    Parameters
    ----------
    simulated, partitions : int
        How many partitions hold simulated stars, of how many.
    learnt : bool or None
        Whether any of the model's stars is simulated; `None` if that is not known.
    """
    if not simulated:
        if not learnt:
            return ""
        return "The model that made the labels was trained on simulated stars."
    which = "Every star" if simulated == partitions else "Some stars"
    counted = "" if simulated == partitions else f" ({simulated} of {partitions} partitions)"
    words = f"{which} of this catalogue{counted} came from a simulation and was never observed."
    if simulated != partitions:
        words = words.replace("was never", "were never")
    model = {
        True: "The model that made the labels was trained on simulated stars, too.",
        False: "The model that made the labels was trained on stars that are not simulated.",
        None: "Whether the model was trained on simulated stars is not recorded.",
    }
    return f"{words} {model[learnt]}"


def heading(simulated: bool) -> str:
    """Return what stands before these words: it is the stars, or only those of the model."""
    return "Simulated" if simulated else "Simulated training stars"


def record_in_words(record: Mapping[str, Any]) -> str:
    """Say the same of a catalogue by its RELEASE.json."""
    model = record.get("model") or {}
    return simulated_in_words(
        int(record.get("simulated_partitions") or 0),
        int(record.get("partitions") or 0),
        model.get("simulated"),
    )


def unverified_in_words(record: Mapping[str, Any]) -> str:
    """Say that a model of another release was not measured on this one; nothing where it was.

    Parameters
    ----------
    record : mapping
        Of RELEASE.json.
    """
    if not record.get("unverified"):
        return ""
    model = record.get("model") or {}
    made_for = model.get("calibrated_release") or model.get("release") or "a release not recorded"
    return (
        f"The model was made for {made_for} and was not measured on stars of {record['release']}:"
        " how good labels and uncertainties are here is not known."
    )


def measured_in_words(measured: Mapping[str, Any]) -> str:
    """Say on which stars of this release a model of another one was measured."""
    return (
        f"Measured on {measured['release']}, on labels of {measured['survey']}:"
        f" {measured['stars']} stars that did not teach the model, and {measured['taught']} that"
        " did, answered by models that were trained without them."
    )


def whose_metrics(digest: str, origin: ModelOrigin, *, given: bool) -> str:
    """Say on which stars the metrics of a model were measured."""
    of = f"model {digest[:SHORT]}, trained on {origin.in_words}"
    if origin.calibrated_release is not None:
        on = f"stars of {origin.calibrated_release} that neither taught nor calibrated it"
        return f"Measured on {on}: {of}."
    if given:
        return f"Measured where the model was trained, on its own test stars, not this run's: {of}."
    return f"Measured on test stars of this archive: {of}."


def _owed(credit: str, receipts: Sequence[Receipt]) -> str:
    """Return a credit, if anything of what is credited was observed."""
    return "" if receipts and all(receipt.simulated for receipt in receipts) else credit
