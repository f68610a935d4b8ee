"""From one release to another: `crosswalk` and `recalibrate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.cli.app import app
from catalog_builder.cli.options import (
    Archive,
    Assignments,
    Cluster,
    ConfigFile,
    DryRun,
    Labels,
    Quiet,
    Ranges,
    Release,
    WorkdirPath,
    Workers,
    given_path,
)
from catalog_builder.cli.steps import run_wanted
from catalog_builder.ground.errors import ConfigError
from catalog_builder.run.config import load_config

#: What `recalibrate` does of a run: `train` makes no networks, but the new model.
_STEPS = ("ingest", "training-set", "train")


@app.command()
def recalibrate(
    model: Annotated[Path, typer.Argument(parser=given_path, help="Directory of a trained model.")],
    release: Release = None,
    archive: Archive = None,
    labels: Labels = None,
    workdir: WorkdirPath = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    cluster: Cluster = None,
    workers: Workers = None,
    ranges: Ranges = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Fit sigma of a model anew on another release's labels: a new model, no new networks."""
    settings = load_config(
        config,
        assignments or [],
        {
            "release": release,
            "archive": archive,
            "labels": labels,
            "workdir": None if workdir is None else str(workdir),
            "model_path": str(model),
            "recalibrate": True,
            "cluster.kind": cluster,
            "cluster.workers": workers,
            "ranges": ranges,
        },
    )
    run_wanted(_STEPS, settings, dry_run, -int(quiet), retry_quarantined=False)


@app.command()
def crosswalk(
    stars: Annotated[
        Path,
        typer.Argument(
            parser=given_path,
            metavar="CATALOGUE|FILE",
            help="Folder of a sealed catalogue, or text with an identifier a line.",
        ),
    ],
    archive: Annotated[
        str, typer.Option(metavar="PATH|URL", help="The archive with the table of neighbours.")
    ],
    release: Annotated[str, typer.Option(help="The archive's release: a name or a YAML file.")],
    older: Annotated[
        str | None, typer.Option(help="The older release, where the description has several.")
    ] = None,
    ids_of: Annotated[
        str | None,
        typer.Option(metavar="RELEASE", help="The release of a file's identifiers, old or new."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", parser=given_path, metavar="FILE", help="Write CSV there."),
    ] = None,
) -> None:
    """Say which star of a catalogue is which in an older release, or in a newer one."""
    from catalog_builder.looking.neighbours import find_neighbours, stars_of

    spec = load_release(release)
    if out is not None and out.exists():
        raise ConfigError(f"-o {out} exists.", "Give a new name.")
    asked = stars_of(stars, ids_of)
    before = _older(spec, older or (asked.release if asked.release in spec.crosswalks else None))
    if asked.release not in {spec.name, before}:
        raise ConfigError(
            f"The stars are of release {asked.release}: neither {spec.name} nor {before}.",
            "Give --release and --older that lead from one to the other.",
        )
    typer.echo(f"Reading {spec.crosswalks[before].table} of {archive} ...", err=True)
    found = find_neighbours(archive, spec, before, asked)
    if out is None:
        found.write(sys.stdout)
    else:
        with out.open("w", encoding="utf-8", newline="") as stream:
            found.write(stream)
    counts = ", ".join(f"{count} {status}" for status, count in found.counts().items())
    typer.echo(f"Matches of {sum(found.counts().values())} stars: {counts}.", err=True)


def _older(spec: ReleaseSpec, said: str | None) -> str:
    """Return which older release is meant."""
    known = list(spec.crosswalks)
    if said is None and len(known) == 1:
        return known[0]
    if said is None or said not in known:
        which = f"--older {said}" if said else "No older release is named"
        way = (
            "the table of neighbours under `crosswalks` in the release's YAML (`inspect` drafts it)"
        )
        if not known:
            raise ConfigError(f"{which}: {spec.title} has no crosswalk.", f"Describe {way}.")
        raise ConfigError(
            f"{which}: {spec.title} has crosswalks for {', '.join(known)}.",
            f"Name one of these with --older, or describe {way}.",
        )
    return said
