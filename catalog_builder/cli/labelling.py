"""Labels for a user's own stars: `label`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from catalog_builder.cli.app import app
from catalog_builder.cli.options import Archive, Quiet, Release, given_path


class _Medium(StrEnum):
    AIR = "air"
    VACUUM = "vacuum"


class _Normalisation(StrEnum):
    CONTINUUM = "continuum"
    NONE = "none"


@app.command()
def label(
    files: Annotated[
        list[Path],
        typer.Argument(
            parser=given_path,
            metavar="FILE...",
            help="Spectra, or source ids: CSV, ECSV, FITS, VOTable or Parquet.",
        ),
    ],
    model: Annotated[
        Path,
        typer.Option(
            "--model", parser=given_path, metavar="FOLDER", help="Directory of a trained model."
        ),
    ],
    archive: Archive = None,
    workdir: Annotated[
        Path | None,
        typer.Option(
            parser=given_path,
            metavar="FOLDER",
            help="Take stars given by ids from the feature stores of a run.",
        ),
    ] = None,
    release: Release = None,
    medium: Annotated[
        _Medium | None,
        typer.Option(help="What wavelengths refer to, where the file does not say."),
    ] = None,
    normalisation: Annotated[
        _Normalisation | None,
        typer.Option(help="Flux is divided by its continuum, or as it was measured."),
    ] = None,
    radial_velocity: Annotated[
        float | None,
        typer.Option(metavar="KM_S", help="Of the stars, where wavelengths are not at rest."),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(metavar="R", help="Resolving power, where larger than the model's spectra's."),
    ] = None,
    snr: Annotated[
        float | None,
        typer.Option(metavar="S/N", help="Of a sample, where files have neither it nor errors."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            *("--out", "-o"),
            parser=given_path,
            metavar="FILE",
            help="Write all columns: .csv, .ecsv, .fits, .vot or .parquet.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Label your own stars: by source ids in an archive or a run, or from your own spectra."""
    from catalog_builder.labelling.output import in_words, refuse_bad_path, write_table
    from catalog_builder.labelling.predict import Place, label
    from catalog_builder.labelling.told import Told

    if out is not None:
        refuse_bad_path(out)  # before the work
    told = Told(
        None if medium is None else medium.value,
        None if normalisation is None else normalisation.value,
        radial_velocity,
        resolution,
        snr,
    )

    def say(text: str) -> None:
        typer.echo(f"  {text}", err=True)

    table, schema = label(files, model, Place(archive, workdir, release), told, say)
    if out is not None:
        write_table(table, out)
    if not quiet or out is None:
        typer.echo(in_words(table, schema))
    meta = table.meta
    given = len(table) + len(meta["refused"])
    typer.echo(
        f"Labelled: {len(table)} of {given}, by model {meta['model'][:16]}"
        f" ({meta['model_trained_on']})." + (f"\nAll columns: {out}" if out is not None else "")
    )
