"""The command line: parse, call, print.

Exit codes: 0 done; 1 a defect of the program; 2 wrong usage; 3 a wrong setting; 4 the archive or
the label survey; 5 the workdir; 6 the cluster; 7 the model; 8 the catalogue; 9 not enough memory
or disk; 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from catalog_builder import __version__
from catalog_builder.config import RunConfig, load_config, to_yaml
from catalog_builder.errors import CatalogBuilderError, StoreError

app = typer.Typer(
    name="catalog-builder",
    help=(
        "Make a versioned value-added catalogue (Teff, log g, [M/H], [alpha/M], [Fe/H], with"
        " uncertainties and flags) from a survey archive. `run` does it all; the other commands"
        " are its steps, and what helps to look at them."
    ),
    epilog=(
        "Exit codes: 0 done, 2 usage, 3 a setting, 4 archive or labels, 5 workdir, 6 cluster,"
        " 7 model, 8 catalogue, 9 memory or disk, 1 a defect of the program."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take [M/H] for markup
    context_settings={"help_option_names": ["-h", "--help"]},
)

Release = Annotated[
    str | None,
    typer.Option(help="Release description: a name in schemas/releases (dr3) or a YAML file."),
]
Archive = Annotated[
    str | None,
    typer.Option(metavar="PATH|URL", help="The archive: a folder, or a URL that fsspec opens."),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|URL", help="The label survey's file; else looked for in the archive."
    ),
]
WorkdirPath = Annotated[
    Path | None, typer.Option(help="Folder that holds all that is made [catalog-workdir].")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in YAML.")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as model.members=8."),
]
ModelPath = Annotated[
    Path | None,
    typer.Option("--model", help="Predict with this model directory; nothing is trained."),
]
VersionName = Annotated[
    str | None, typer.Option("--version", metavar="NAME", help="Name of the catalogue's version.")
]
Cluster = Annotated[str | None, typer.Option(metavar="local|ADDRESS", help="Where the work runs.")]
Tls = Annotated[
    str | None,
    typer.Option(
        metavar="true|FOLDER",
        help="Encrypt the cluster: a temporary certificate, or a folder of ca, cert and key .pem.",
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Worker processes; by default one for each core.")
]
Ranges = Annotated[
    list[str] | None,
    typer.Option(metavar="START-STOP", help="Only these partitions; may be given several times."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan, and whether it fits; do nothing.")
]
PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Print the resolved settings as YAML; do nothing.")
]
RetryQuarantined = Annotated[
    bool, typer.Option("--retry-quarantined", help="Try again what was given up.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print details.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

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
        version: VersionName = None,
        cluster: Cluster = None,
        workers: Workers = None,
        tls: Tls = None,
        ranges: Ranges = None,
        dry_run: DryRun = False,
        print_config: PrintConfig = False,
        retry_quarantined: RetryQuarantined = False,
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
                "version": version,
                "cluster.kind": cluster,
                "cluster.workers": workers,
                "cluster.tls": tls,
                "ranges": ranges,
            },
        )
        if print_config:
            typer.echo(to_yaml(settings), nl=False)
            return
        verbosity = int(verbose) - int(quiet)
        _run(name, settings, dry_run, verbosity, retry_quarantined=retry_quarantined)

    command.__doc__ = _HELP[name]
    return command


for _name, _help in _HELP.items():
    app.command(_name, help=_help)(_step_command(_name))


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

    from catalog_builder.config import ClusterSettings
    from catalog_builder.runtime.clusters import open_cluster
    from catalog_builder.runtime.workdir import Workdir
    from catalog_builder.simulate.sky import simulate as simulate_sky

    with (
        tempfile.TemporaryDirectory(prefix="catalog-builder-") as scratch,
        open_cluster(ClusterSettings(workers=workers), Workdir(Path(scratch))) as client,
    ):
        made = simulate_sky(release, stars, seed, out, client)
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
    from catalog_builder.archive.release import load_release
    from catalog_builder.labels.survey import load_survey
    from catalog_builder.runtime.events import Events

    settings = load_config(config, assignments or [], {}).fetch
    spec, labels = load_release(release), load_survey(survey) if survey else None
    what = {"tables": tables, "ranges": ranges or (), "root": root, "listing": listing}
    plan = plan_fetch(spec, labels, out, settings=settings, allow_http=allow_http, **what)
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

        report = fetch_archive(
            spec,
            labels,
            out,
            settings=settings,
            allow_http=allow_http,
            on_progress=on_progress,
            **what,
        )
    typer.echo(report.to_text())


@app.command()
def status(workdir: WorkdirPath = None, as_json: AsJson = False) -> None:
    """Say how far a run is: tasks and rows per step, rejects, failures, catalogues."""
    from catalog_builder.runtime.status import read_status

    found = read_status(workdir or Path("catalog-workdir"))
    typer.echo(found.to_json() if as_json else found.to_text())


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="Folder of a sealed catalogue, or of a release.")],
) -> None:
    """Check a sealed catalogue: schema, digests, FITS against zarr, order, accounting."""
    from catalog_builder.catalog.validate import validate_catalog
    from catalog_builder.errors import CatalogueError

    findings = validate_catalog(path)
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        raise CatalogueError(
            f"{path} is not valid: {len(findings)} findings.",
            "Restore it from a copy, or publish it again under another --version.",
        )
    typer.echo(f"{path} is valid.")


@app.command()
def explain(
    source_id: Annotated[int, typer.Argument(help="Gaia source id.")], workdir: WorkdirPath = None
) -> None:
    """Say everything that is known of one source: files, rejects, features, labels, flags."""
    from catalog_builder.explain import explain as explain_source

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
    from catalog_builder.runtime.workdir import Workdir

    place = Workdir((workdir or Path("catalog-workdir")).absolute())
    if not place.receipts.is_dir():
        raise StoreError(f"{place.root} is not a workdir of catalog-builder.", "Check --workdir.")
    with driver_lock(place.lock_file):
        surplus = find_surplus(place, intermediate=intermediate)
        for item in surplus:
            typer.echo(f"{format_bytes(item.size):>12}  {item.path}  ({item.reason})")
        total = format_bytes(sum(item.size for item in surplus))
        if not surplus:
            typer.echo("Nothing to remove.")
        elif yes or typer.confirm(f"Remove {total}?"):
            remove(surplus)
            typer.echo(f"Removed {total}.")


@app.command()
def describe() -> None:
    """Print the catalogue's schema in words: columns, units, nulls, flags."""
    from catalog_builder.schema import CatalogSchema

    typer.echo(CatalogSchema.load().describe())


@app.command()
def doctor(workdir: WorkdirPath = None, cluster: Cluster = None) -> None:
    """Say what works here: versions, cores, devices, memory, disk, cluster."""
    from catalog_builder.runtime.doctor import examine

    report = examine(workdir or Path("catalog-workdir"), cluster or "local")
    typer.echo(report.text)
    if report.error is not None:
        raise report.error


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"catalog-builder {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version


def _run(
    name: str, config: RunConfig, dry_run: bool, verbosity: int, *, retry_quarantined: bool
) -> None:
    # Imported here: torch and Dask take seconds, and --help should not.
    from catalog_builder.pipeline import steps_of
    from catalog_builder.runs import plan_in_words, run_steps

    wanted = steps_of(config) if name == "run" else (name,)
    if dry_run:
        typer.echo(plan_in_words(config))
        return
    run_steps(config, wanted, verbosity, retry_quarantined=retry_quarantined, echo=typer.echo)


def main() -> None:
    """Run the program; every error ends in a message and an exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app(standalone_mode=True)
    except CatalogBuilderError as error:
        console.print(f"error: {error.problem}", style="red", markup=False)
        if error.way_out:
            console.print(f"  -> {error.way_out}", markup=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        console.print("Interrupted; the same command goes on from here.", markup=False)
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last resort: nobody above could say it better
        console.print(
            f"This is a defect of catalog-builder: {type(error).__name__}: {error}",
            style="red",
            markup=False,
        )
        console.print("".join(traceback.format_exception(error)), markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
