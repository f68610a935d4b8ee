"""What a run does where its labels or its model are of another release than its archive.

Labels go through the archive's crosswalk before they are matched. A model of another release is
measured on them before its labels are published, unless these are to be marked as unverified.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog_builder.archive.folders import TableFolder
from catalog_builder.catalog import origins
from catalog_builder.catalog.origins import Model
from catalog_builder.ground.errors import CatalogBuilderError, ConfigError, InputError
from catalog_builder.inference import measure as measuring
from catalog_builder.inference.stage import KnownStars
from catalog_builder.labels.agreed import DEFAULT_RELEASE, contract_of
from catalog_builder.labels.crosswalk import find_crosswalk, rule_of
from catalog_builder.model import crossing
from catalog_builder.model import recalibrate as recalibrating
from catalog_builder.model.origin import ModelOrigin, description_digest
from catalog_builder.run.budgets import refuse_large_training
from catalog_builder.run.protocol import Run
from catalog_builder.runtime.receipts import Receipt

#: Where coverage is off by more than this, and than 3 of its own errors, sigma does not hold.
_OFF, _COVERAGE = 0.04, 0.683


class Crossing:
    """The crosswalks of one run.

    Parameters
    ----------
    pipeline : Run
        The run.
    """

    def __init__(self, pipeline: Run) -> None:
        self.run = pipeline
        self._folders: dict[str, TableFolder] = {}
        self._pairs: dict[str, list[Receipt]] = {}
        self.translated: Receipt | None = None

    @property
    def read(self) -> list[Receipt]:
        """Receipts of the tables of neighbours that were read."""
        return [receipt for pairs in self._pairs.values() for receipt in pairs]

    @property
    def labels_cross(self) -> bool:
        """Whether labels carry identifiers of another release than the archive."""
        return self.run.survey.source_id_release != self.run.release.name

    @property
    def model_crosses(self) -> bool:
        """Whether a model is given that was made for another release than the archive's."""
        run = self.run
        if run.config.model_path is None:
            return False
        # What does not say is of version 0.1, which knew one release.
        return (run.given.made_for or DEFAULT_RELEASE) != run.release.name

    @property
    def measures(self) -> bool:
        """Whether the model is to be measured in this run."""
        config = self.run.config
        return self.model_crosses and not config.unverified_model and not config.recalibrate

    @property
    def checks_labels(self) -> bool:
        """Whether labels are read for nothing but the checks: they were named, beside a model."""
        config = self.run.config
        if config.model_path is None or config.labels is None or config.recalibrate:
            return False
        return not self.model_crosses

    @functools.cached_property
    def taught_release(self) -> str | None:
        """The other release whose identifiers the stars have that taught the given model."""
        run = self.run
        if run.config.model_path is None or run.given.taught_release in {None, run.release.name}:
            return None
        older = str(run.given.taught_release)
        try:
            self.folder(older)
        except CatalogBuilderError as error:
            if not run.config.unverified_model:
                raise
            run.driver.events.warn(
                f"{error.problem} Stars that taught the model are not known here, and get labels"
                " from networks that saw them"
            )
            return None
        return older

    def check(self) -> None:
        """Find out before the run begins whether it can do without what is missing.

        Raises
        ------
        CatalogBuilderError
            If the crosswalk, the label file, or a label that the model predicts is not there.
        """
        run = self.run
        learns = "training-set" in run.wanted
        if self.measures and run.wanted & {"predict", "publish"}:
            if run.given.taught_release is None:
                raise ConfigError(
                    "The model does not say which stars taught it: how good it is on another"
                    " release cannot be told from stars that may be its own.",
                    "Train it again, or seal its labels as unverified, with --unverified-model.",
                )
            try:
                self._check_labels()
            except (ConfigError, InputError) as error:
                raise type(error)(
                    f"The model was made for {run.given.made_for or DEFAULT_RELEASE}, this"
                    f" archive is {run.release.name}: it has to be measured here, on labels."
                    f" {error.problem}",
                    f"{error.way_out} Or seal its labels as unverified, with --unverified-model.",
                ) from error
        elif self.checks_labels and "publish" in run.wanted:
            _ = run.label_file
            if self.labels_cross:
                self.folder(run.survey.source_id_release)
        elif learns and (self.labels_cross or run.config.recalibrate):
            self._check_labels()
        if run.config.model_path is None or not run.wanted & {"train", "predict", "publish"}:
            return
        _ = self.taught_release
        if run.config.recalibrate and run.given.taught_release != run.survey.source_id_release:
            raise ConfigError(
                f"Stars that taught the model are known by identifiers of"
                f" {run.given.taught_release or 'no release'}, the survey has those of"
                f" {run.survey.source_id_release}: they cannot be kept out of its calibration.",
                "Give a survey of the model's release, or train a model on this one.",
            )

    def _check_labels(self) -> None:
        run = self.run
        _ = run.label_file
        if self.labels_cross:
            self.folder(run.survey.source_id_release)
        if run.config.model_path is not None:
            refuse_other_labels(run.contract.labels.names, run.survey.declared.names)

    def folder(self, older: str) -> TableFolder:
        """Return the files of the table that translates identifiers of an older release."""
        if older not in self._folders:
            self._folders[older] = find_crosswalk(self.run.archive, self.run.release, older)
        return self._folders[older]

    def _context(self, older: str) -> crossing.CrossingContext:
        run = self.run
        taught = self.taught_release == older
        return crossing.CrossingContext(
            run.workdir,
            run.release,
            rule_of(run.release, older),
            Path(str(run.config.model_path)).absolute() if taught else None,
        )

    def _neighbours(self, older: str, step: str, labels: Receipt | None) -> list[Receipt]:
        """Read the table of neighbours: once for labels and for those who taught, if both are."""
        if older not in self._pairs:
            run, context = self.run, self._context(older)
            digest = run.given.digest if context.model else None
            plan = crossing.plan_candidates(self.folder(older), context, older, labels, digest)
            found = run.step(step, crossing.CANDIDATES, context, plan)
            self._pairs[older] = found
            if bad := sum(receipt.notes.get("unreadable_rows", 0) for receipt in found):
                run.driver.events.warn(f"{bad} rows of {context.rule.table} cannot be read")
            self._warn_of_gaps(older)
        return self._pairs[older]

    def _warn_of_gaps(self, older: str) -> None:
        covered = list(self.folder(older).by_range(self.run.release.partition))
        gaps = [
            part.name
            for part in self.run.partitions
            if not any(start <= part.stop and part.start <= stop for start, stop in covered)
        ]
        if gaps:
            more = f" and {len(gaps) - 3} more" if len(gaps) > 3 else ""
            self.run.driver.events.warn(
                f"no file of {rule_of(self.run.release, older).table} for {', '.join(gaps[:3])}"
                f"{more}: no star there is known by its identifier of {older}"
            )

    def cross(self, labels: Receipt, step: str) -> Receipt:
        """Return labels with identifiers of the archive's release."""
        if not self.labels_cross:
            return labels
        run, older = self.run, self.run.survey.source_id_release
        pairs, context = self._neighbours(older, step, labels), self._context(older)
        plan = crossing.plan_translation(self.folder(older), context, pairs, labels)
        plan = origins.of_any_stars(plan, [labels])
        (self.translated,) = run.step(step, crossing.TRANSLATE, context, plan)
        return self.translated

    def known_stars(self, step: str) -> KnownStars | None:
        """Return where the stars are that taught a model of another release; or nothing."""
        older, run = self.taught_release, self.run
        if older is None:
            return None
        # The labels' pairs are the same rows of the same files: one pass serves both.
        labels = run.labels if self._reads_labels(older) else None
        pairs = self._neighbours(older, step, labels)
        # Of a model whose sigma was fitted anew, those that did it are known too.
        context = replace(self._context(older), model=run.model.path.absolute())
        plan = crossing.plan_taught(context, pairs, run.model.digest)
        (taught,) = run.step(step, crossing.TAUGHT, context, plan)
        return KnownStars(taught)

    def _reads_labels(self, older: str) -> bool:
        run = self.run
        learns = self.measures or run.config.recalibrate
        return learns and run.survey.source_id_release == older

    def measured(self) -> dict[str, Any] | None:
        """Measure a model of another release on this one's stars with labels."""
        if not self.measures:
            return None
        run = self.run
        predictions, matches = run.predictions, run.matched
        context = measuring.MeasureContext(
            run.workdir, run.contract.labels, run.survey.declared.names
        )
        plan = measuring.plan_comparisons(run.features, matches, predictions, context)
        compared = run.step("predict", measuring.COMPARE, context, plan)
        plan = measuring.plan_measure(compared, run.survey.name)
        (made,) = run.step("predict", measuring.MEASURE, context, plan)
        found = {
            "release": run.release.name,
            "survey": run.survey.name,
            **{name: made.notes[name] for name in ("stars", "taught", "metrics")},
        }
        for remark in not_covered(found["metrics"][measuring.HELD_BACK]["all"]):
            run.driver.events.warn(remark)
        return found

    def recalibrated(self) -> Model:
        """Fit sigma of the given model anew, and return the model that this makes."""
        run, given = self.run, self.run.given
        training = run.training
        if "train" in run.wanted:
            refuse_large_training(run.config, training.rows_out, run.release.inputs)
        facts = {
            "calibrated_release": run.release.name,
            "calibrated_release_digest": description_digest(run.release),
            "calibrated_survey": run.survey.name,
            "simulated": bool(given.origin.simulated) or training.simulated,
        }
        contract = contract_of(run.release, run.survey)
        context = recalibrating.RecalibrateContext(
            run.workdir, contract, given.path.absolute(), facts
        )
        plan = recalibrating.plan(training, context, given.digest)
        plan = origins.of_any_stars(plan, [training])
        (made,) = run.step("train", recalibrating.STAGE, context, plan)
        origin = ModelOrigin.model_validate(made.notes["provenance"])
        return replace(
            given,
            path=run.workdir.root / made.output,
            digest=made.output_digest,
            metrics=made.notes["metrics"],
            origin=origin,
            given=False,
        )

    def facts(self) -> dict[str, Any]:
        """Return the fields of RELEASE.json on a model of another release; most have none."""
        if not self.model_crosses or self.run.config.recalibrate:
            return {}
        measured = self.run.measured
        return {"unverified": True} if measured is None else {"measured_here": measured}


def refuse_other_labels(predicted: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a survey that lacks a label of the model.

    Raises
    ------
    ConfigError
        Naming them.
    """
    if missing := [name for name in predicted if name not in known]:
        raise ConfigError(
            f"The model predicts {', '.join(missing)}, of which the label survey has none.",
            "Give a survey that has them, with --set training.survey=NAME.",
        )


def not_covered(metrics: dict[str, dict[str, float]]) -> list[str]:
    """Return a remark for each label whose sigma does not hold its share of the stars."""
    remarks = []
    for label, values in metrics.items():
        share, stars = values["coverage_68"], values["stars"]
        error = (_COVERAGE * (1.0 - _COVERAGE) / stars) ** 0.5
        if abs(share - _COVERAGE) > max(_OFF, 3.0 * error):
            remarks.append(
                f"sigma of {label} holds {100.0 * share:.0f} % of this release's labels, not 68:"
                " `catalog-builder recalibrate` fits it anew"
            )
    return remarks
