"""Where archives come from, and what they are: `fetch`, `inspect` and `show`."""

from __future__ import annotations

import functools
import re
import time
from pathlib import Path
from typing import Annotated

import typer

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.archive.tables import TableName
from catalog_builder.cli.app import app
from catalog_builder.cli.options import (
    Assignments,
    ConfigFile,
    DryRun,
    Quiet,
    Ranges,
    given_path,
)
from catalog_builder.ground.errors import ConfigError
from catalog_builder.run.config import load_config


@app.command()
def fetch(
    out: Annotated[Path, typer.Option(help="Folder of the archive on disk.")],
    release: Annotated[str, typer.Option(help="Release to fetch.")] = "dr3",
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", help="Only this table; may be given several times."),
    ] = None,
    ranges: Ranges = None,
    survey: Annotated[
        str | None, typer.Option("--labels", metavar="SURVEY", help="Also this survey's file.")
    ] = None,
    root: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror in place of the published address.")
    ] = None,
    listing: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the mirror lists its files.")
    ] = None,
    allow_http: Annotated[
        bool, typer.Option("--allow-http", help="Accept a server without encryption.")
    ] = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Bring an archive to disk: resumed, verified, only the tables and ranges asked for."""
    from dask.utils import format_bytes

    from catalog_builder.fetch.driver import fetch_archive, plan_fetch
    from catalog_builder.labels.survey import load_survey
    from catalog_builder.runtime.events import Events
    from catalog_builder.runtime.signals import termination_as_interrupt

    if not quiet:
        typer.echo(f"Asking what there is of {release} ...", err=True)
    settings = load_config(config, assignments or [], {}).fetch
    spec, labels = load_release(release), load_survey(survey) if survey else None
    ask = functools.partial(
        plan_fetch,
        spec,
        labels,
        out,
        settings=settings,
        tables=None if tables is None else [_table(name, spec) for name in tables],
        ranges=ranges or (),
        root=root,
        listing=listing,
        allow_http=allow_http,
    )
    plan = ask()
    typer.echo(
        f"{plan.n_files} files, {format_bytes(plan.n_bytes)}; {format_bytes(plan.bytes_there)}"
        f" of them are in {out}."
    )
    if dry_run:
        return
    events = Events(None, verbosity=-int(quiet))
    with termination_as_interrupt(), events.meter("fetch", plan.n_bytes, format_bytes) as meter:
        begin = time.monotonic()

        def on_progress(received: int, total: int) -> None:
            # What was there before says nothing of how fast the rest comes.
            new, spent = received - plan.bytes_there, time.monotonic() - begin
            meter.show(received, spent / new * (total - received) if new > 0 else None)

        fetch_all = functools.partial(fetch_archive, *ask.args, **ask.keywords)
        report = fetch_all(on_progress=on_progress)
    typer.echo(report.to_text())


@app.command()
def inspect(
    archive: Annotated[
        str, typer.Argument(metavar="PATH|URL", help="The archive: its folder, or its address.")
    ],
    release: Annotated[
        str, typer.Option(help="Release to compare it with: a name or a YAML file.")
    ] = "dr3",
    draft: Annotated[
        Path | None,
        typer.Option(
            parser=given_path, metavar="FILE", help="Write a release description of it: OUT.yaml."
        ),
    ] = None,
) -> None:
    """Say what an archive has, whatever its layout, and draft its release description."""
    from catalog_builder.archive.release import load_written
    from catalog_builder.inspecting.inspect import inspect_archive

    if draft is not None and draft.suffix not in {".yaml", ".yml"}:
        raise ConfigError(f"--draft {draft} is no YAML file.", "Let its name end in .yaml.")
    if draft is not None and draft.exists():
        raise ConfigError(f"--draft {draft} exists.", "Give a new name: it may have been edited.")
    spec = load_written(release)
    typer.echo(f"Looking at {archive} ...", err=True)
    found = inspect_archive(archive, spec, _name_of(draft), release)
    typer.echo(found.text)
    if draft is None:
        return
    if found.draft:
        draft.write_text(found.draft, encoding="utf-8")
        what = f"; fill in {', '.join(found.lacking)}" if found.lacking else ""
        typer.echo(f"\nDraft: {draft}; give it with --release once its lines are checked{what}.")
        for line in found.labels:
            typer.echo(line)
    if found.problem is not None:
        raise found.problem


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="Of a description: dr4, or labels/apogee-dr17; none for a list.")
    ] = "",
) -> None:
    """Print a description that comes with the program, as YAML to copy and change."""
    from catalog_builder.looking.shipped import list_shipped, read_shipped

    typer.echo(read_shipped(name) if name else list_shipped(), nl=not name)


def _name_of(draft: Path | None) -> str:
    """Return a release's name for a file: letters, digits and dots."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", "draft" if draft is None else draft.stem)
    return plain if plain[0].isalnum() else f"draft{plain}"


def _table(name: str, release: ReleaseSpec) -> TableName:
    for table in release.tables:
        if table == name:
            return table
    raise ConfigError(
        f"--table {name!r} is no table of {release.title}.", f"It has {', '.join(release.tables)}."
    )
