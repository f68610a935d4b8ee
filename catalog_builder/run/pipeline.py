"""The map of the program: six steps from an archive to a sealed catalogue.

Each method of :class:`Pipeline` is one step. It plans its tasks from what the step before left on
disk, has the driver do those that have no valid receipt, and returns receipts. Nothing but
receipts and paths passes from step to step.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition, list_partitions, told_of_choices
from catalog_builder.archive.marks import is_marked_archive
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.catalog import origins
from catalog_builder.catalog.origins import Model
from catalog_builder.contract.contract import Contract
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features import census as counting
from catalog_builder.features import stage as ingesting
from catalog_builder.features.counts import Count, counts_of, gaps_in_words
from catalog_builder.features.limits import bad_files_in_words, refuse_bad_input
from catalog_builder.features.matrices import place_matrices
from catalog_builder.ground.errors import ConfigError
from catalog_builder.inference import stage as predicting
from catalog_builder.inference.alarm_record import Comparison
from catalog_builder.inspecting.gate import GateReport, pass_gate
from catalog_builder.labels.agreed import contract_of, contract_of_model
from catalog_builder.labels.locate import find_crossmatch, find_survey
from catalog_builder.labels.survey import LabelSurvey, load_survey
from catalog_builder.model import recalibrate as recalibrating
from catalog_builder.model import stage as learning
from catalog_builder.model.origin import ModelOrigin
from catalog_builder.model.population import Population
from catalog_builder.run.alarms import compare_run
from catalog_builder.run.budgets import refuse_large_training
from catalog_builder.run.cataloguing import make_catalogue
from catalog_builder.run.config import RunConfig
from catalog_builder.run.crossing import Crossing
from catalog_builder.run.facts import provenance_of
from catalog_builder.run.steps import MAKES, STEPS, steps_of
from catalog_builder.runtime.damage import DamagedStoreError
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.quarantine import given_up
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Stage, Task, review
from catalog_builder.training import stage as teaching


class Pipeline:
    """One run: its settings, its descriptions, and the steps.

    Parameters
    ----------
    config : RunConfig
        All settings.
    driver : Driver
        Carries out tasks.
    wanted : sequence of str
        Steps to complete; the steps before them must be complete already.
    """

    def __init__(self, config: RunConfig, driver: Driver, wanted: Sequence[str] = STEPS) -> None:
        self.config, self.driver, self.wanted = config, driver, frozenset(wanted)
        self.workdir = driver.workdir
        self.release: ReleaseSpec = load_release(config.release, config.several_spectra)
        self.seconds: dict[str, float] = {}
        #: What the gate before the ingest saw, where anything was to be ingested.
        self.gate: GateReport | None = None
        #: Receipts of the partitions that could not be ingested, only counted; and why.
        self.census: list[Receipt] = []
        self.given_up: dict[str, str] = {}
        #: How sources were counted in partitions with rows that could not be read.
        self.counts: dict[str, Count] = {}
        #: The stars against those that the model was made for, as far as the run is.
        self.compared: Comparison | None = None
        #: Receipts of label surveys that this run learnt from, and of their stars by partition.
        self.taught: list[Receipt] = []
        self.matches: list[Receipt] = []
        #: How labels and models of another release than the archive's are used.
        self.crossing = Crossing(self)

    @functools.cached_property
    def survey(self) -> LabelSurvey:
        """The label survey's description."""
        return load_survey(self.config.training.survey)

    @functools.cached_property
    def contract(self) -> Contract:
        """Labels and inputs: a given model's, or those of the survey and the release."""
        if self.config.model_path is not None:
            return contract_of_model(self.given.contract, self.release)
        return contract_of(self.release, self.survey)

    @functools.cached_property
    def schema(self) -> CatalogSchema:
        """Columns and bits of the catalogue."""
        return CatalogSchema.of(self.contract)

    @functools.cached_property
    def archive(self) -> str:
        """Path or URL of the archive."""
        if not self.config.archive:
            raise ConfigError("No archive is given.", "Name its folder or URL with --archive.")
        return self.config.archive

    @functools.cached_property
    def partitions(self) -> list[Partition]:
        """The partitions that were asked for, in HEALPix order."""
        partitions = list_partitions(self.archive, self.release, self.config.ranges)
        choices = told_of_choices(partitions)
        if choices:
            self.driver.events.warn(choices)
        return partitions

    # --- the steps -------------------------------------------------------------------------------

    @functools.cached_property
    def readable_release(self) -> ReleaseSpec:
        """The release, with its matrices where workers can read them."""
        kept = self.workdir.matrices if self.driver.works else None
        return place_matrices(self.release, self.archive, kept)

    @functools.cached_property
    def features(self) -> list[Receipt]:
        """Ingest: a feature store for each partition."""
        settings, release = self.config.ingest, self.readable_release
        context = ingesting.IngestContext(self.workdir, release, settings)
        tasks = ingesting.plan(self.partitions, release, settings)
        if settings.gate and "ingest" in self.wanted and review(self.workdir, tasks).todo:
            self.gate = pass_gate(self.partitions, self.release, self.driver.events)
        if is_marked_archive(self.archive):
            tasks = [task.of_simulated_stars() for task in tasks]
        receipts = self.step("ingest", ingesting.STAGE, context, tasks)
        out = given_up(self.workdir, tasks)
        self.given_up = {name: record.reason for name, record in out.items()}
        self.census = self._count(context, [task for task in tasks if task.name in out])
        for remark in bad_files_in_words(receipts):
            self.driver.events.warn(remark)
        refuse_bad_input(receipts, self.census, self.given_up, settings)
        self.counts = counts_of(receipts, self.census, self.given_up)
        for gap in gaps_in_words(self.counts):
            self.driver.events.warn(gap)
        return receipts

    def _count(self, context: ingesting.IngestContext, lost: Sequence[Task]) -> list[Receipt]:
        """Count who was asked for in partitions that could not be ingested."""
        if not lost:
            return []
        plan = counting.plan_counts(lost, context)
        counts = self.step("ingest", counting.COUNT, context, plan)
        plan = [
            census.of_simulated_stars() if task.simulated else census
            for task, census in zip(lost, counting.plan_census(lost, counts), strict=True)
        ]
        return self.step("ingest", counting.CENSUS, context, plan)

    @functools.cached_property
    def labels(self) -> Receipt:
        """The label survey, read once."""
        context = self._training_context
        crossmatch = find_crossmatch(self.survey, self.label_file, self.archive)
        plan = teaching.plan_labels(self.label_file, self.survey, crossmatch)
        (labels,) = self.step(self._learning, teaching.LABELS, context, plan)
        self.taught = [labels]
        return labels

    @functools.cached_property
    def matched(self) -> list[Receipt]:
        """The stars with labels of each partition."""
        features, labels = self.features, self.crossing.cross(self.labels, self._learning)
        plan = teaching.plan_match(self.partitions, features, labels, self.release)
        plan = origins.of_same_stars(plan, features, labels)
        self.matches = self.step(self._learning, teaching.MATCH, self._training_context, plan)
        return self.matches

    @functools.cached_property
    def training(self) -> Receipt:
        """Training set: labels, their matches in each partition, and one store of them all."""
        settings, features, matches = self.config.training, self.features, self.matched
        context = self._training_context
        plan = teaching.plan_assemble(
            features, matches, context.contract, self.survey, settings, self.config.seed
        )
        taken = [match for match in matches if match.rows_out]
        plan = origins.of_any_stars(plan, [self.labels, *taken])
        (training,) = self.step("training-set", teaching.ASSEMBLE, context, plan)
        return training

    @property
    def _training_context(self) -> teaching.TrainingContext:
        config = self.config
        contract = contract_of(self.release, self.survey)
        return teaching.TrainingContext(
            self.workdir, contract, self.survey, config.training, config.seed
        )

    @property
    def _learning(self) -> str:
        """The step that looks at labels: with a model given they only measure it."""
        return "training-set" if "training-set" in steps_of(self.config) else "predict"

    @functools.cached_property
    def given(self) -> Model:
        """The model that was given."""
        path = Path(str(self.config.model_path))
        return origins.given_model(path, self.release, self.driver.events.warn)

    @functools.cached_property
    def model(self) -> Model:
        """Train: the ensemble's members, then the calibrated model; or the model that was given."""
        if self.config.recalibrate:
            return self.crossing.recalibrated()
        if self.config.model_path is not None:
            return self.given
        settings, training = self.config.model, self.training
        context = learning.TrainContext(
            self.workdir,
            self.contract,
            settings,
            self.config.seed,
            self.config.training_device,
            provenance_of(self, self.crossing, training),
        )
        step = functools.partial(self.step, "train")
        if "train" in self.wanted:
            refuse_large_training(self.config, training.rows_out, self.release.inputs)
        plan = learning.plan_members(training, self.contract, settings, self.config.seed)
        members = step(learning.MEMBER, context, origins.of_any_stars(plan, [training]))
        for remark in learning.remarks(members, offers_gpu=self.config.cluster.offers_gpu):
            self.driver.events.warn(remark)
        plan = learning.plan_assemble(
            training, members, self.features, self.contract, settings, context.provenance
        )
        (made,) = step(learning.ASSEMBLE, context, origins.of_any_stars(plan, [training]))
        path = self.workdir.root / made.output
        origin = ModelOrigin.model_validate(context.provenance)
        metrics = made.notes["metrics"]
        population = Population.model_validate(made.notes["population"])
        digest, contract = made.output_digest, self.contract
        return Model(
            path,
            digest,
            metrics,
            origin,
            contract,
            given=False,
            population=population,
            snr_edges=settings.snr_edges,
            magnitude_edges=settings.magnitude_edges,
            folds=settings.folds,
        )

    @functools.cached_property
    def predictions(self) -> list[Receipt]:
        """Predict: catalogue rows for each partition, by the model on every worker."""
        from catalog_builder.inference.worker_model import ModelPlugin

        model, settings = self.model, self.config.predict
        path = model.path.absolute()
        release = self.release.name
        known = self.crossing.known_stars("predict")
        context = predicting.PredictContext(
            self.workdir, path, model.digest, self.schema, settings, release
        )
        tasks = predicting.plan(
            self.features,
            model.digest,
            self.schema,
            settings,
            release=release,
            trained=not model.given,
            maker=recalibrating.STAGE.name if self.config.recalibrate else learning.ASSEMBLE.name,
            known=known,
        )
        plugin = ModelPlugin(path, model.digest)
        tasks = origins.of_same_stars(tasks, self.features)
        for alarm in self.compare().alarms:  # before hours of prediction
            self.driver.events.warn(alarm.words)
        predictions = self.step("predict", predicting.STAGE, context, tasks, plugin)
        self.compare(predictions)
        return predictions

    @functools.cached_property
    def measured(self) -> dict[str, Any] | None:
        """How good a model of another release is here; None where there is nothing to ask."""
        return self.crossing.measured()

    @functools.cached_property
    def catalogue(self) -> Receipt:
        """Publish: the catalogue's chunks, its exports, its seal."""
        return make_catalogue(self, self.crossing, self.schema, self.census)

    def compare(self, predictions: Sequence[Receipt] = ()) -> Comparison:
        """Compare the stars, and what is predicted of them, with the model's archive."""
        settings = self.config.alarms
        found = compare_run(self.model, self.schema, settings, self.features, predictions)
        self.compared = found
        return found

    # --- how -------------------------------------------------------------------------------------

    def complete(self, step: str) -> Any:
        """Complete one step (and those before it that are wanted) and return what it made.

        What turns out to be damaged on the way is discarded, and everything planned anew.
        """
        while True:
            try:
                made = getattr(self, MAKES[step])
                if step == "predict":
                    _ = self.measured
            except DamagedStoreError as error:
                self.driver.discard(error)
                for name in (*MAKES.values(), "labels", "matched", "measured"):
                    self.__dict__.pop(name, None)
                self.crossing = Crossing(self)
            else:
                return made

    def step(
        self, step: str, stage: Stage, context: Any, tasks: Sequence[Task], plugin: Any = None
    ) -> list[Receipt]:
        """Complete the tasks of a stage; or require them, if their step is not wanted."""
        if step not in self.wanted and not self.driver.remakes(tasks):
            return self.driver.require(stage, tasks, step)
        begin = time.monotonic()
        try:
            return self.driver.complete(stage, context, tasks, plugin)
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - begin

    @functools.cached_property
    def label_file(self) -> FileRef:
        """The label survey's file."""
        file = find_survey(self.survey, self.config.labels, self.archive)
        if file.passed_over:
            self.driver.events.warn(
                f"several label files are there, and {file.name} is read; not"
                f" {', '.join(file.passed_over)}"
            )
        return file
