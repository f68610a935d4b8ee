"""Options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def given_path(text: str) -> Path:
    """Return a path that an option gave; an empty one would be the folder one stands in."""
    if not text.strip():
        raise typer.BadParameter("it is empty: a variable that is not set, perhaps?")
    return Path(text)


Release = Annotated[
    str | None,
    typer.Option(
        help="Release: `dr3`, `dr4` or another described name, or a YAML file; `dr3-demo`"
        " simulates an archive of DR3 first."
    ),
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
    Path | None,
    typer.Option(
        parser=given_path,
        metavar="FOLDER",
        help="Folder for everything that is made [catalog-workdir].",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", parser=given_path, metavar="FILE", help="Settings in YAML."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as model.members=8."),
]
ModelPath = Annotated[
    Path | None,
    typer.Option(
        "--model",
        parser=given_path,
        metavar="FOLDER",
        help="Predict with this model directory; nothing is trained.",
    ),
]
Recalibrate = Annotated[
    bool,
    typer.Option(
        "--recalibrate", help="Fit sigma of --model anew on this archive's labels, then predict."
    ),
]
UnverifiedModel = Annotated[
    bool,
    typer.Option(
        "--unverified-model",
        help="Take a --model of another release unmeasured; the catalogue says so.",
    ),
]
VersionName = Annotated[
    str | None, typer.Option("--version", metavar="NAME", help="Name of the catalogue's version.")
]
DriftFrom = Annotated[
    Path | None,
    typer.Option(
        parser=given_path,
        metavar="CATALOGUE",
        help="Seal a comparison with this older catalogue too; see `drift`.",
    ),
]
DriftCrosswalk = Annotated[
    Path | None,
    typer.Option(
        parser=given_path, metavar="FILE", help="Which star of that catalogue is which of this one."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="local|slurm|pbs|srun|kubernetes|ADDRESS", help="Where the work runs."),
]
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
Until = Annotated[
    str | None,
    typer.Option(metavar="STEP", help="`run` stops after this step: `--until training-set`."),
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
AcceptLost = Annotated[
    bool,
    typer.Option(
        "--accept-lost", help="Seal although it is unknown how many sources some partition lost."
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="End with exit code 10 if the stars are far from the model's archive."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print details.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
