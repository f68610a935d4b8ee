"""`run`, and each of its steps alone."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from catalog_builder.cli.app import app
from catalog_builder.cli.options import (
    AcceptLost,
    Archive,
    Assignments,
    Cluster,
    ConfigFile,
    DriftCrosswalk,
    DriftFrom,
    DryRun,
    Labels,
    ModelPath,
    PrintConfig,
    Quiet,
    Ranges,
    Recalibrate,
    Release,
    RetryQuarantined,
    Strict,
    Tls,
    Until,
    UnverifiedModel,
    Verbose,
    VersionName,
    WorkdirPath,
    Workers,
)
from catalog_builder.ground.about import __version__
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.extras import refuse_without_run
from catalog_builder.run.config import RunConfig, load_config, to_yaml

_HELP = {
    "run": "Do all steps, from the archive to a sealed catalogue.",
    "ingest": "Turn archive partitions into features: one zarr store for each.",
    "training-set": "Join labels to features, split by star, fit the scaling.",
    "train": "Train the ensemble and calibrate it.",
    "predict": "Predict every source, with uncertainties and flags.",
    "publish": "Write, export, verify and seal the catalogue.",
}


def _step_command(name: str) -> Callable[..., None]:
    def command(
        release: Release = None,
        archive: Archive = None,
        labels: Labels = None,
        workdir: WorkdirPath = None,
        config: ConfigFile = None,
        assignments: Assignments = None,
        model: ModelPath = None,
        recalibrate: Recalibrate = False,
        unverified_model: UnverifiedModel = False,
        version: VersionName = None,
        drift_from: DriftFrom = None,
        drift_crosswalk: DriftCrosswalk = None,
        cluster: Cluster = None,
        workers: Workers = None,
        tls: Tls = None,
        ranges: Ranges = None,
        until: Until = None,
        dry_run: DryRun = False,
        print_config: PrintConfig = False,
        retry_quarantined: RetryQuarantined = False,
        accept_lost: AcceptLost = False,
        strict: Strict = False,
        quiet: Quiet = False,
        verbose: Verbose = False,
    ) -> None:
        settings = load_config(
            config,
            assignments or [],
            {
                "release": release,
                "archive": archive,
                "labels": labels,
                "workdir": None if workdir is None else str(workdir),
                "model_path": None if model is None else str(model),
                "recalibrate": recalibrate or None,
                "unverified_model": unverified_model or None,
                "version": version,
                "publish.drift_from": _absolute(drift_from),
                "publish.drift_crosswalk": _absolute(drift_crosswalk),
                "cluster.kind": cluster,
                "cluster.workers": workers,
                "cluster.tls": tls,
                "ranges": ranges,
                "ingest.accept_lost": accept_lost or None,
                "alarms.strict": strict or None,
            },
        )
        if print_config:
            typer.echo(to_yaml(settings), nl=False)
            return
        verbosity = int(verbose) - int(quiet)
        if verbosity >= 0:  # torch and Dask take seconds to import
            typer.echo(
                f"catalog-builder {__version__}: {name}, in {settings.workdir} ...", err=True
            )
        wanted = _wanted(name, settings, until)
        run_wanted(wanted, settings, dry_run, verbosity, retry_quarantined=retry_quarantined)

    command.__doc__ = _HELP[name]
    return command


for _name, _help in _HELP.items():
    app.command(_name, help=_help)(_step_command(_name))


def _absolute(path: Path | None) -> str | None:
    """Return a path as workers find it, wherever they stand."""
    return None if path is None else str(path.absolute())


def _wanted(name: str, config: RunConfig, until: str | None) -> tuple[str, ...]:
    # Imported here, and below: torch and Dask take seconds, and --help should not.
    from catalog_builder.run.steps import steps_of

    steps = steps_of(config)
    if name != "run":
        if until is not None:
            raise ConfigError(f"--until is for `run`; {name} is one step.", "Leave it out.")
        if name not in steps:
            raise ConfigError(
                f"{name} is for learning, but a trained model is given ({config.model_path}).",
                f"Leave out --model, or take one of the steps {', '.join(steps)}.",
            )
        return (name,)
    if until is None:
        return steps
    if until not in steps:
        raise _no_such_step(until, steps)
    return steps[: steps.index(until) + 1]


def _no_such_step(until: str, steps: Sequence[str]) -> ConfigError:
    """Say which step was meant: `status` also shows the stages that steps consist of."""
    from catalog_builder.run.steps import STAGES

    listed = f"Steps: {', '.join(steps)}."
    for step, stages in STAGES.items():
        if until in (step, *stages) and step not in steps:
            return ConfigError(
                f"--until {until}: with --model nothing is learnt, so there is no such step here.",
                listed,
            )
        if until in stages:
            return ConfigError(
                f"--until {until}: that is a stage of the step {step}.",
                f"Say --until {step}, which completes it. {listed}",
            )
    near = difflib.get_close_matches(until.lower().replace("_", "-"), steps, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return ConfigError(f"--until {until}: no such step here.", f"{meant}{listed}")


def run_wanted(
    wanted: Sequence[str],
    config: RunConfig,
    dry_run: bool,
    verbosity: int,
    *,
    retry_quarantined: bool,
) -> None:
    """Carry out steps of a run, or say what they would do."""
    refuse_without_run("A run")
    import psutil

    from catalog_builder.run.runs import plan_in_words, run_steps

    if dry_run:
        if config.archive and verbosity >= 0:
            typer.echo("Looking at the archive ...", err=True)
        typer.echo(plan_in_words(config, wanted, retry_quarantined=retry_quarantined))
        return
    run_steps(
        config,
        wanted,
        verbosity,
        retry_quarantined=retry_quarantined,
        echo=_silent if verbosity < 0 else typer.echo,
        spent=max(0.0, time.time() - psutil.Process().create_time()),  # clocks are set
    )


def _silent(text: str) -> None:
    del text
