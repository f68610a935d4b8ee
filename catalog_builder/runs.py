"""A whole run: lock, log, driver, pipeline; and its plan and its result in words."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from catalog_builder.config import RunConfig
from catalog_builder.pipeline import Pipeline
from catalog_builder.planning import make_plan
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.lock import driver_lock
from catalog_builder.runtime.redaction import redact_json
from catalog_builder.runtime.signals import termination_as_interrupt
from catalog_builder.runtime.workdir import Workdir, write_json
from catalog_builder.simulate.demo import compare_with_truth, is_demo, simulated

LABEL_UNITS = {"teff": " K", "logg": "", "m_h": "", "alpha_m": "", "fe_h": ""}


def run_steps(
    config: RunConfig,
    wanted: Sequence[str],
    verbosity: int = 0,
    *,
    retry_quarantined: bool = False,
    echo: Callable[[str], None] = print,
) -> None:
    """Complete steps of a run, and say at the end what was made, where, how good, and how fast.

    Raises
    ------
    CatalogBuilderError
        If the plan does not fit, another driver is at work, or a step fails.
    """
    begin = time.monotonic()
    workdir = Workdir(config.workdir.absolute())
    workdir.create()
    with termination_as_interrupt(), driver_lock(workdir.lock_file):
        events = Events(workdir.logs, verbosity)
        try:
            with Driver(config, workdir, events, retry_quarantined=retry_quarantined) as driver:
                demo = is_demo(config)
                if demo:
                    config = simulated(config, workdir.root, lambda: driver.client, events.say)
                pipeline = Pipeline(config, driver, wanted)
                pipeline.check_settings()
                plan = make_plan(pipeline)
                plan.refuse_if_it_cannot_fit()
                events.say(plan.headline())
                settings = redact_json(config.model_dump(mode="json"), paths=False)
                write_json(workdir.root / "config.json", settings)
                events.record("start", wanted=list(wanted), partitions=len(pipeline.partitions))
                for step in wanted:
                    pipeline.complete(step)
                echo(closing_lines(pipeline, driver, time.monotonic() - begin))
                events.record("end", executed=dict(driver.executed), seconds=pipeline.seconds)
                if demo and "publish" in wanted:
                    sealed = workdir.root / pipeline.catalogue.output
                    compare_with_truth(sealed, Path(pipeline.archive), echo)
        except BaseException as error:
            events.record_error(error)
            raise
        finally:
            events.close()


def plan_in_words(config: RunConfig) -> str:
    """Return the plan of a run: partitions, bytes, rows, memory, disk, what would be submitted.

    Raises
    ------
    ResourceError
        If it cannot fit.
    """
    if is_demo(config):
        return f"A sky of {config.demo.stars} stars is simulated, then run on."
    workdir = Workdir(config.workdir.absolute())
    events = Events(None, verbosity=-1)
    with Driver(config, workdir, events) as driver:
        plan = make_plan(Pipeline(config, driver))
        submitted = make_cluster(config.cluster, workdir, events).describe()
    plan.refuse_if_it_cannot_fit()
    return "\n\n".join(filter(None, (plan.in_words(), submitted)))


def closing_lines(pipeline: Pipeline, driver: Driver, seconds: float) -> str:
    """Say what was made, where, how good, and how long each step took."""
    lines = []
    executed = ", ".join(f"{n} {stage}" for stage, n in driver.executed.items())
    lines.append(f"Tasks carried out: {executed or 'none, everything was complete'}.")
    lines += [f"Damaged on disk and made again: {damage}." for damage in driver.remade.values()]
    if "publish" in pipeline.wanted:
        lines += _catalogue_lines(pipeline)
    elif "train" in pipeline.wanted:
        lines += metric_lines(pipeline.model.metrics)
        lines.append(f"Model: {pipeline.model.path}")
    spent = ", ".join(f"{step} {taken:.0f} s" for step, taken in pipeline.seconds.items())
    lines.append(f"Time: {spent}; {seconds:.0f} s in all.")
    return "\n".join(lines)


def _catalogue_lines(pipeline: Pipeline) -> list[str]:
    sealed = pipeline.catalogue
    rejected = ", ".join(f"{n} {reason}" for reason, n in sealed.rejected.items())
    return [
        *metric_lines(pipeline.model.metrics),
        f"Sources: {sealed.rows_in} requested = {sealed.rows_out} published"
        f" + {sum(sealed.rejected.values())} rejected{f' ({rejected})' if rejected else ''}.",
        f"Catalogue: {pipeline.workdir.root / sealed.output}",
    ]


def metric_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return the test metrics of a model as a small table."""
    rows = metrics["as_observed"]["all"]
    lines = ["Test split:  label      stars   scatter      bias   within 1 sigma   in 95 %"]
    for label, unit in LABEL_UNITS.items():
        values = rows.get(label) or {}
        stars = int(values.get("stars", 0) or 0)
        if not stars or _missing(values.get("robust_scatter")):
            lines.append(f"             {label:<8} {stars:>7}   not predicted")
            continue
        digits = 0 if label == "teff" else 3
        lines.append(
            f"             {label:<8} {stars:>7} {values['robust_scatter']:>9.{digits}f}{unit:<2}"
            f" {values['bias']:>+8.{digits}f} {100 * values['coverage_68']:>13.1f} %"
            f" {100 * values['coverage_95']:>7.1f} %"
        )
    return lines


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
