"""Commands that compare: `drift`, `diff`, `compare` and `clusters`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catalog_builder.cli.app import app
from catalog_builder.cli.options import AsJson, given_path

Old = Annotated[Path, typer.Argument(help="The older catalogue: folder of a version or release.")]
New = Annotated[Path, typer.Argument(help="The newer one.")]
Out = Annotated[
    Path | None,
    typer.Option(
        *("--out", "-o"),
        parser=given_path,
        metavar="FOLDER",
        help="Folder for page and JSON; by default it has the command's name.",
    ),
]
Crosswalk = Annotated[
    Path | None,
    typer.Option(
        parser=given_path,
        metavar="FILE",
        help="Table of new ids (source_id) and old ones: CSV, ECSV, FITS or Parquet.",
    ),
]
OldColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Its column with the old ids, where more than one could be."),
]
SameIds = Annotated[
    bool, typer.Option("--same-ids", help="The releases have other names, but the same ids.")
]


@app.command()
def drift(
    old: Old,
    new: New,
    out: Out = None,
    crosswalk: Crosswalk = None,
    old_column: OldColumn = None,
    same_ids: SameIds = False,
    correlation: Annotated[
        float, typer.Option(metavar="RHO", help="Of the errors of both: 0 is independent.")
    ] = 0.0,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URL", help="A label survey's file: RHO is measured on its stars."
        ),
    ] = None,
    survey: Annotated[str, typer.Option(help="Description of that survey.")] = "apogee-dr17",
) -> None:
    """Say how far answers moved from one catalogue to the next: a verdict, a page and JSON."""
    from catalog_builder.comparing.drift import Options, closing_lines, write
    from catalog_builder.comparing.drift import drift as compare

    options = Options(crosswalk, old_column, same_ids, correlation, labels, survey)
    typer.echo(f"Comparing {old} with {new} ...", err=True)
    found = compare(old, new, options)
    page, document = write(found, out or Path("drift"))
    typer.echo(f"{closing_lines(found)}\nPage: {page}\nJSON: {document}")


@app.command()
def diff(
    old: Old,
    new: New,
    crosswalk: Crosswalk = None,
    old_column: OldColumn = None,
    same_ids: SameIds = False,
    as_json: AsJson = False,
) -> None:
    """Say what is not the same in two catalogues; exit code 0 if nothing, 1 if something."""
    from catalog_builder.comparing.differences import diff as compare
    from catalog_builder.comparing.differences import in_words
    from catalog_builder.comparing.drift import Options

    found = compare(old, new, Options(crosswalk, old_column, same_ids))
    typer.echo(found.to_json() if as_json else in_words(found, str(old), str(new)))
    if not found.same:
        raise typer.Exit(1)


Catalogue = Annotated[Path, typer.Argument(help="Folder of a sealed version or release.")]
WithTraining = Annotated[
    bool, typer.Option("--with-training-stars", help="Stars that taught the model, too.")
]


@app.command()
def compare(
    catalogue: Catalogue,
    other: Annotated[
        Path,
        typer.Argument(
            help="Another table with Gaia ids: a file, a folder of its parts, an archive, a CDS"
            " folder."
        ),
    ],
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.yaml",
            help="Which column is what: a name in schemas/comparisons, or a YAML file.",
        ),
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(metavar="NAME", help="A published calibration of the profile.")
    ] = None,
    out: Out = None,
    crosswalk: Crosswalk = None,
    old_column: OldColumn = None,
    same_ids: SameIds = False,
    with_training_stars: WithTraining = False,
) -> None:
    """Say how a catalogue and a table that others made differ: offsets, trends, outliers."""
    from catalog_builder.comparing.outside.front import Options, write
    from catalog_builder.comparing.outside.front import compare as beside
    from catalog_builder.comparing.outside.words import closing_lines

    folder = out or Path("compare")
    options = Options(
        *(profile, calibration, crosswalk, old_column, same_ids, with_training_stars, folder)
    )
    typer.echo(f"Comparing {catalogue} with {other} ...", err=True)
    found = beside(catalogue, other, options=options)
    page, document = write(found, folder)
    typer.echo(f"{closing_lines(found)}\nPage: {page}\nJSON: {document}")


@app.command()
def clusters(
    catalogue: Catalogue,
    members: Annotated[
        Path,
        typer.Argument(help="Table of members: source_id, cluster and, if there, probability."),
    ],
    literature: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="FILE",
            help="Table of mean labels: cluster, labels as the catalogue calls them, e_... errors.",
        ),
    ] = None,
    least_probability: Annotated[
        float, typer.Option(metavar="P", help="Of a member, 0 to 1.")
    ] = 0.5,
    id_column: Annotated[str | None, typer.Option(metavar="NAME", help="Of Gaia ids.")] = None,
    cluster_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the clusters' names.")
    ] = None,
    probability_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the members' probabilities.")
    ] = None,
    out: Out = None,
    crosswalk: Crosswalk = None,
    old_column: OldColumn = None,
    with_training_stars: WithTraining = False,
) -> None:
    """Say how labels scatter within star clusters, beside their uncertainties."""
    from catalog_builder.comparing.clusters.front import Options, closing_lines, write
    from catalog_builder.comparing.clusters.front import clusters as look
    from catalog_builder.comparing.clusters.members import Wanted

    wanted = Wanted(id_column, cluster_column, probability_column)
    options = Options(
        *(literature, least_probability, wanted, crosswalk, old_column, with_training_stars)
    )
    typer.echo(f"Looking for the members of {members} in {catalogue} ...", err=True)
    found = look(catalogue, members, options)
    page, document = write(found, out or Path("clusters"))
    typer.echo(f"{closing_lines(found)}\nPage: {page}\nJSON: {document}")
