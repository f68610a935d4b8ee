"""A whole run: lock, log, driver, pipeline; and its plan and its result in words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog_builder.archive.marks import is_marked, is_marked_archive
from catalog_builder.archive.storage import check_address
from catalog_builder.catalog import check_record
from catalog_builder.catalog.incident_record import LabelBooks
from catalog_builder.catalog.incidents import label_books
from catalog_builder.catalog.origins import (
    Model,
    heading,
    measured_in_words,
    simulated_in_words,
    unverified_in_words,
    whose_metrics,
)
from catalog_builder.catalog.release_json import read_release
from catalog_builder.contract.labels import Labels
from catalog_builder.features.counts import gaps_in_words
from catalog_builder.run.alarms import refuse_alarms
from catalog_builder.run.checks import check_settings
from catalog_builder.run.config import RunConfig
from catalog_builder.run.demo import (
    compare_with_truth,
    is_demo,
    simulated,
    simulated_already,
)
from catalog_builder.run.pipeline import Pipeline
from catalog_builder.run.planning import make_plan
from catalog_builder.run.preview import PreviewDriver, state_in_words
from catalog_builder.runtime.cleaning import tidy_after_interruption
from catalog_builder.runtime.clusters.registry import check_kind, make_cluster
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.lock import driver_lock
from catalog_builder.runtime.redaction import redact_json
from catalog_builder.runtime.signals import termination_as_interrupt
from catalog_builder.runtime.workdir import Workdir, write_json


def run_steps(
    config: RunConfig,
    wanted: Sequence[str],
    verbosity: int = 0,
    *,
    retry_quarantined: bool = False,
    echo: Callable[[str], None] = print,
    spent: float = 0.0,
) -> None:
    """Complete steps of a run, and say at the end what was made, where, how good, and how fast.

    `spent` are the seconds that the command has taken already, while its packages were imported.

    Raises
    ------
    CatalogBuilderError
        If the plan does not fit, another driver is at work, or a step fails.
    """
    begin = time.monotonic() - spent
    check_address(config.archive, "The archive")
    check_address(config.labels, "The label file")
    workdir = Workdir(config.workdir.absolute())
    with termination_as_interrupt(), _prepared(workdir):
        events = Events(workdir.logs, verbosity)
        try:
            with Driver(config, workdir, events, retry_quarantined=retry_quarantined) as driver:
                check_kind(config.cluster.kind)
                demo = is_demo(config)
                if demo:
                    config = simulated(config, workdir.root, lambda: driver.client, events)
                pipeline = Pipeline(config, driver, wanted)
                check_settings(pipeline)
                plan = make_plan(pipeline)
                plan.refuse_if_it_cannot_fit()
                if told := _told_if_simulated(pipeline):
                    events.say(told)
                events.say(plan.headline())
                settings = redact_json(config.model_dump(mode="json"), paths=False)
                write_json(workdir.root / "config.json", settings)
                events.record(
                    "start",
                    wanted=list(wanted),
                    partitions=len(pipeline.partitions),
                    simulated=told,
                )
                for number, step in enumerate(wanted, 1):
                    if len(wanted) > 1:
                        events.say(f"Step {number} of {len(wanted)}: {step}")
                    pipeline.complete(step)
                if config.model_path is not None and pipeline.compared is None:
                    pipeline.compare()  # after an ingest for this model
                echo(closing_lines(pipeline, driver, time.monotonic() - begin))
                if pipeline.compared is not None:
                    events.record("compared", said=pipeline.compared.lines())
                events.record("end", executed=dict(driver.executed), seconds=pipeline.seconds)
                if demo and "publish" in wanted:
                    sealed = workdir.root / pipeline.catalogue.output
                    compare_with_truth(sealed, Path(pipeline.archive), echo)
                if config.alarms.strict:
                    refuse_alarms(pipeline.compared, _sealed(pipeline))
        except BaseException as error:
            events.record_error(error)
            # Workers elsewhere may take a while to hear of it: what they left stays for `clean`.
            if isinstance(error, KeyboardInterrupt) and config.cluster.kind == "local":
                tidy_after_interruption(workdir)
            raise
        finally:
            events.close()


@contextmanager
def _prepared(workdir: Workdir) -> Iterator[None]:
    workdir.create()
    with driver_lock(workdir.lock_file):
        yield


def plan_in_words(
    config: RunConfig, wanted: Sequence[str], *, retry_quarantined: bool = False
) -> str:
    """Return the plan of a run: what it needs, what is done and left, what would be submitted.

    Raises
    ------
    CatalogBuilderError
        If it cannot fit, or could not begin: what the run itself would say.
    """
    workdir = Workdir(config.workdir.absolute())
    workdir.refuse_if_impossible()
    events = Events(None, verbosity=-1)
    submitted = make_cluster(config.cluster, workdir, events).describe()
    if is_demo(config):
        ready = simulated_already(config, workdir.root)
        if ready is None:
            steps = ", ".join(wanted)
            first = f"A sky of {config.demo.stars} stars is simulated, then run on: {steps}."
            return "\n\n".join(filter(None, (first, submitted)))
        config = ready
    with PreviewDriver(config, workdir, events, retry_quarantined=retry_quarantined) as driver:
        pipeline = Pipeline(config, driver, wanted)
        check_settings(pipeline)
        plan = make_plan(pipeline)
        plan.refuse_if_it_cannot_fit()
        state = state_in_words(pipeline, driver, wanted)
        simulated = _told_if_simulated(pipeline)
    gate = "" if pipeline.gate is None else pipeline.gate.in_words()
    return "\n\n".join(filter(None, (plan.in_words(), gate, simulated, state, submitted)))


def _told_if_simulated(pipeline: Pipeline) -> str:
    """Say before hours are spent that the archive, labels or model are of simulated stars."""
    says = ["the archive"] if is_marked_archive(pipeline.archive) else []
    if pipeline.config.model_path is None:
        learns = "training-set" in pipeline.wanted
        says += ["the label file"] if learns and is_marked(pipeline.label_file) else []
    elif pipeline.wanted & {"predict", "publish"}:
        says += ["the model"] if pipeline.given.origin.simulated else []
    return f"SIMULATED STARS, says {' and '.join(says)}." if says else ""


def closing_lines(pipeline: Pipeline, driver: Driver, seconds: float) -> str:
    """Say what was made, where, how good, and how long each step took."""
    executed = ", ".join(f"{n} {stage}" for stage, n in driver.executed.items())
    lines = [
        *_marks(pipeline),
        f"Tasks carried out: {executed or 'none, everything was complete'}.",
        *(f"Damaged on disk and made again: {damage}." for damage in driver.remade.values()),
    ]
    if "publish" in pipeline.wanted:
        lines += _catalogue_lines(pipeline)
    else:
        lines += _taught(pipeline)
        if "train" in pipeline.wanted:
            lines += _metrics_of(pipeline.model)
            lines.append(f"Model: {pipeline.model.path}")
    lines += _compared(pipeline)
    spent = ", ".join(f"{step} {taken:.0f} s" for step, taken in pipeline.seconds.items())
    lines.append(f"Time: {spent}; {seconds:.0f} s in all.")
    return "\n".join(lines)


def _taught(pipeline: Pipeline) -> list[str]:
    """Say how labels became the stars that teach, where no catalogue does."""
    if not pipeline.taught:
        return []
    books = label_books(pipeline.taught[0], pipeline.matches, pipeline.crossing.translated)
    return labels_in_words(LabelBooks.model_validate(books), _split_of(pipeline))


def _compared(pipeline: Pipeline) -> list[str]:
    """Say in what the stars are otherwise than those that the model was made for."""
    found = pipeline.compared
    return [] if found is None else found.lines()


def _sealed(pipeline: Pipeline) -> Path | None:
    if "publish" not in pipeline.wanted:
        return None
    return pipeline.workdir.root / pipeline.catalogue.output


def _marks(pipeline: Pipeline) -> list[str]:
    """Return a line that says what is simulated, if anything is."""
    stars = [receipt.simulated for receipt in (*pipeline.features, *pipeline.census)]
    if not pipeline.wanted & {"train", "predict", "publish"}:
        return [f"SIMULATED: {sum(stars)} of {len(stars)} partitions."] if any(stars) else []
    words = simulated_in_words(sum(stars), len(stars), pipeline.model.origin.simulated)
    return [f"{heading(any(stars)).upper()}: {words}"] if words else []


def _metrics_of(model: Model) -> list[str]:
    return [
        whose_metrics(model.digest, model.origin, given=model.given),
        *metric_lines(model.metrics, model.contract.labels),
    ]


def _measured_of(pipeline: Pipeline) -> list[str]:
    """Return how good a model of another release is on this one, or that it was not measured."""
    measured = pipeline.measured
    if measured is not None:
        lines = metric_lines(measured["metrics"], pipeline.model.contract.labels)
        return [measured_in_words(measured), *lines]
    record = read_release(pipeline.workdir.root / pipeline.catalogue.output).model_dump()
    unverified = unverified_in_words(record)
    return [f"UNVERIFIED: {unverified}"] if unverified else []


def _catalogue_lines(pipeline: Pipeline) -> list[str]:
    sealed = pipeline.catalogue
    rejected = ", ".join(f"{n} {reason}" for reason, n in sealed.rejected.items())
    record = read_release(pipeline.workdir.root / sealed.output)
    incidents = record.incidents
    gaps = gaps_in_words((incidents and incidents.counts) or {})
    return [
        *_metrics_of(pipeline.model),
        *_measured_of(pipeline),
        f"Sources: {sealed.rows_in} requested = {sealed.rows_out} published"
        f" + {sum(sealed.rejected.values())} rejected{f' ({rejected})' if rejected else ''}.",
        *(f"Not in these numbers: {gap}" for gap in gaps),
        *labels_in_words(incidents.labels if incidents else None, _split_of(pipeline)),
        *([] if record.checks is None else check_record.closing_lines(record.checks)),
        f"Catalogue: {pipeline.workdir.root / sealed.output}",
    ]


def _split_of(pipeline: Pipeline) -> Mapping[str, int]:
    """Return how many spectra each part of the training set has; none if nothing was learnt."""
    made = pipeline.__dict__.get("training")
    return {} if made is None else made.notes["split_counts"]


def labels_in_words(labels: LabelBooks | None, split: Mapping[str, int]) -> list[str]:
    """Say how the rows of a label survey became the stars that teach, a line for each loss.

    Parameters
    ----------
    labels : LabelBooks or None
        What became of the rows.
    split : mapping of str to int
        Spectra in each part of the training set; a star has one, or several.
    """
    if labels is None:
        return []
    out = sum(labels.rejected.values())
    reasons = ", ".join(f"{rows} {reason}" for reason, rows in labels.rejected.items())
    lines = [
        f"Labels: {labels.rows} rows of {labels.survey} = {labels.rows - out} stars"
        f" + {out} left out{f' ({reasons})' if reasons else ''}.",
        *_walked(labels),
    ]
    if split:
        parts = " + ".join(f"{stars} {part}" for part, stars in split.items())
        lines.append(f"Training set: {sum(split.values())} of their spectra = {parts}.")
    if labels.without_spectrum:
        missing = labels.without_spectrum
        lines.append(f"Without a usable spectrum in these partitions: {missing} of the stars.")
    return lines


def _walked(labels: LabelBooks) -> list[str]:
    """Say what became of labels whose identifiers are of an older release."""
    if not labels.crosswalk:
        return []
    found = labels.crosswalk["one"]
    lost = {reason: stars for reason, stars in labels.crosswalk.items() if reason != "one"}
    reasons = ", ".join(f"{stars} {reason}" for reason, stars in lost.items())
    stars = found + sum(lost.values())
    return [
        f"Labels of an older release: {stars} stars = {found} found in this one"
        f" + {stars - found} left out{f' ({reasons})' if reasons else ''}."
    ]


def metric_lines(metrics: Mapping[str, Any], labels: Labels) -> list[str]:
    """Return the test metrics of a model as a small table."""
    rows = metrics["as_observed"]["all"]
    lines = ["Test split:  label      stars   scatter      bias   within 1 sigma   in 95 %"]
    for label in labels:
        values = rows.get(label.name) or {}
        stars = int(values.get("stars", 0))
        if not stars:
            lines.append(f"             {label.name:<8} {stars:>7}   not predicted")
            continue
        digits, unit = label.decimals, "" if label.in_dex else f" {label.unit}"
        lines.append(
            f"             {label.name:<8} {stars:>7}"
            f" {values['robust_scatter']:>9.{digits}f}{unit:<2}"
            f" {values['bias']:>+8.{digits}f} {100 * values['coverage_68']:>13.1f} %"
            f" {100 * values['coverage_95']:>7.1f} %"
        )
    return lines
