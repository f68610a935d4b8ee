"""Commands that look: at a run, a catalogue, a source, this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog_builder.cli.app import app
from catalog_builder.cli.options import (
    AsJson,
    Assignments,
    Cluster,
    ConfigFile,
    Tls,
    WorkdirPath,
)


@app.command()
def status(workdir: WorkdirPath = None, as_json: AsJson = False) -> None:
    """Say how far a run is: tasks and rows per step, rejects, failures, catalogues."""
    from catalog_builder.looking.status import read_status
    from catalog_builder.looking.status_text import in_words

    found = read_status(workdir or Path("catalog-workdir"))
    typer.echo(found.to_json() if as_json else in_words(found))


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="Folder of a sealed catalogue, or of a release.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that read side by side.")] = 1,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample",
            help="Read all lists and metadata, and 16 blocks of rows at random with their files:"
            " seconds, whatever the size. Damage elsewhere is not seen.",
        ),
    ] = False,
    science: Annotated[
        bool,
        typer.Option(
            "--science",
            help="Print the checks that are sealed with the catalogue, and read nothing else; end"
            " with 11 if one failed.",
        ),
    ] = False,
) -> None:
    """Check a sealed catalogue: schema, digests, exports against zarr, order, accounting."""
    from catalog_builder.catalog.validate import SAMPLE, validate_catalog
    from catalog_builder.ground.errors import CatalogueError

    if science:
        from catalog_builder.catalog.science import refuse_failed, sealed_checks

        checks = sealed_checks(path)
        for check in checks:
            typer.echo(check.line)
        refuse_failed(path, checks)
        return
    typer.echo(f"Reading {path} ...", err=True)
    findings = validate_catalog(path, workers=workers, sample=SAMPLE if sample else None)
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        raise CatalogueError(
            f"{path} is not valid: {len(findings)} findings.",
            "Restore it from a copy, or publish it again under another --version.",
        )
    where = f", as far as a sample of {SAMPLE} blocks of rows says" if sample else ""
    typer.echo(f"{path} is valid{where}.")


@app.command()
def explain(
    source_id: Annotated[
        str, typer.Argument(help="Source id: a number, or the archive's word for a spectrum.")
    ],
    workdir: WorkdirPath = None,
) -> None:
    """Say everything that is known about one source: files, rejects, features, labels, flags."""
    from catalog_builder.looking.explain import explain as explain_source

    typer.echo(explain_source(workdir or Path("catalog-workdir"), source_id))


@app.command()
def clean(
    workdir: WorkdirPath = None,
    intermediate: Annotated[
        bool,
        typer.Option(help="Also features, training set and predictions; models are kept."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove what no sealed catalogue needs, after saying what that is."""
    from dask.utils import format_bytes

    from catalog_builder.runtime.cleaning import find_surplus, remove
    from catalog_builder.runtime.lock import driver_lock
    from catalog_builder.runtime.signals import termination_as_interrupt
    from catalog_builder.runtime.workdir import Workdir

    place = Workdir((workdir or Path("catalog-workdir")).absolute())
    place.require()
    with termination_as_interrupt(), driver_lock(place.lock_file):
        surplus = find_surplus(place, intermediate=intermediate)
        for item in surplus:
            typer.echo(f"{format_bytes(item.size):>12}  {item.path}  ({item.reason})")
        total = format_bytes(sum(item.size for item in surplus))
        if not surplus:
            typer.echo("Nothing to remove.")
        elif yes or _agreed(f"Remove {total}?"):
            remove(surplus)
            typer.echo(f"Removed {total}.")
        else:
            typer.echo("Nothing was removed; --yes removes it without asking.")


def _agreed(question: str) -> bool:
    """Ask on the terminal; everything but a yes is a no, and so is the end of the input."""
    typer.echo(f"{question} [y/N] ", nl=False)
    try:
        answer = input()
    except EOFError:
        typer.echo()
        return False
    return answer.strip().lower() in {"y", "yes"}


@app.command()
def describe(
    catalogue: Annotated[
        Path | None,
        typer.Argument(help="A catalogue, as `validate` takes it; today's schema if not given."),
    ] = None,
    release: Annotated[str, typer.Option(help="Release whose inputs are described.")] = "",
    survey: Annotated[str, typer.Option(help="Label survey whose labels are described.")] = "",
) -> None:
    """Print a catalogue's schema in words: columns, units, nulls, flags."""
    from catalog_builder.archive.release import load_release
    from catalog_builder.catalog.open import schema_of
    from catalog_builder.contract.schema import CatalogSchema
    from catalog_builder.ground.errors import ConfigError
    from catalog_builder.labels.agreed import DEFAULT_RELEASE, DEFAULT_SURVEY, contract_of
    from catalog_builder.labels.survey import load_survey

    if catalogue is not None:
        if release or survey:
            raise ConfigError(
                "A catalogue says itself what it is about.", "Leave out --release and --survey."
            )
        typer.echo(schema_of(catalogue).describe())
        return
    labels = load_survey(survey or DEFAULT_SURVEY)
    contract = contract_of(load_release(release or DEFAULT_RELEASE), labels)
    typer.echo(CatalogSchema.of(contract).describe())


@app.command()
def doctor(
    archive: Annotated[
        str | None,
        typer.Argument(metavar="[PATH|URL]", help="An archive to look at as the gate does."),
    ] = None,
    release: Annotated[str, typer.Option(help="Release that it should match.")] = "dr3",
    workdir: WorkdirPath = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    cluster: Cluster = None,
    tls: Tls = None,
) -> None:
    """Say what works here: versions, cores, devices, memory, disk, cluster; and an archive."""
    from catalog_builder.looking.doctor import examine
    from catalog_builder.run.config import load_config
    from catalog_builder.runtime.signals import termination_as_interrupt

    options = {
        "workdir": None if workdir is None else str(workdir),
        "cluster.kind": cluster,
        "cluster.tls": tls,
    }
    settings = load_config(config, assignments or [], options)
    with termination_as_interrupt("Interrupted."):
        report = examine(settings.workdir, settings.cluster)
    typer.echo(report.text)
    if report.error is not None:
        typer.echo(report.verdict)
        raise report.error
    if archive is not None:
        from catalog_builder.archive.layout import list_partitions
        from catalog_builder.archive.release import load_release
        from catalog_builder.features.low_resolution import refuse_other_matrices
        from catalog_builder.features.matrices import place_matrices
        from catalog_builder.inspecting.gate import examine_archive

        typer.echo(f"Looking at {archive} ...", err=True)
        spec = place_matrices(load_release(release), archive, None)
        refuse_other_matrices(spec)
        gate = examine_archive(list_partitions(archive, spec), spec)
        typer.echo(f"archive    {gate.in_words()}")
        gate.refuse()
    typer.echo(report.verdict)
