"""Where archives come from: `fetch` and `simulate`."""

from __future__ import annotations

import functools
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
    Workers,
)
from catalog_builder.config import load_config
from catalog_builder.errors import ConfigError


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="New folder for the archive.")],
    release: Annotated[str, typer.Option(help="Release whose formats are written.")] = "dr3",
    stars: Annotated[int, typer.Option(min=100, help="Stars of the sky.")] = 6000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")] = 1,
    workers: Workers = None,
) -> None:
    """Write a simulated sky with known truth, in the archive's own files and formats."""
    import tempfile

    from catalog_builder.runtime.clusters.registry import make_cluster
    from catalog_builder.runtime.clusters.settings import ClusterSettings
    from catalog_builder.runtime.workdir import Workdir
    from catalog_builder.simulate.sky import make_out, plan_sky
    from catalog_builder.simulate.sky import simulate as simulate_sky

    # What can be said without a cluster is said before one is opened.
    plan_sky(release, stars, seed, out)
    make_out(out)
    with (
        tempfile.TemporaryDirectory(prefix="catalog-builder-") as scratch,
        make_cluster(ClusterSettings(workers=workers), Workdir(Path(scratch))) as cluster,
    ):
        made = simulate_sky(release, stars, seed, out, cluster.client)
    rows = "\n".join(f"  {table:<28} {count:>12,}" for table, count in made.rows.items())
    typer.echo(
        f"{made.stars} stars in {made.partitions} partitions, {made.label_rows} label rows:\n"
        f"{rows}\nArchive: {out}; its truth: {out / 'truth'}"
    )


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

    from catalog_builder.archive.fetch.driver import fetch_archive, plan_fetch
    from catalog_builder.labels.survey import load_survey
    from catalog_builder.runtime.events import Events

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
    with events.meter("fetch", total=plan.n_bytes) as meter:
        done = 0

        def on_progress(received: int, _total: int) -> None:
            nonlocal done
            meter.advance(received - done)
            done = received

        fetch_all = functools.partial(fetch_archive, *ask.args, **ask.keywords)
        report = fetch_all(on_progress=on_progress)
    typer.echo(report.to_text())


def _table(name: str, release: ReleaseSpec) -> TableName:
    for table in release.tables:
        if table == name:
            return table
    raise ConfigError(
        f"--table {name!r} is no table of {release.title}.", f"It has {', '.join(release.tables)}."
    )
