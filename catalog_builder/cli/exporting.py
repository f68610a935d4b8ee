"""Commands for those who use a catalogue: `export` and `cite`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from catalog_builder.cli.app import app
from catalog_builder.cli.options import AsJson, given_path

Catalogue = Annotated[
    Path, typer.Argument(help="A catalogue: folder of a version, or of a release (its latest).")
]
#: Seconds between two lines of progress, on a terminal and elsewhere.
_ON_TERMINAL: Final = 0.2
_ELSEWHERE: Final = 10.0


@app.command()
def export(
    catalogue: Catalogue,
    format: Annotated[  # noqa: A002 - what the option is called
        str, typer.Option("--format", "-f", metavar="votable|cds|csv|parquet", help="What to make.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            *("--out", "-o"),
            parser=given_path,
            metavar="PATH",
            help="File (cds: folder) to make; it must not exist [named after the version].",
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="Only these rows: 'quality_tier <= 2 and not rvs_xp_conflict and teff > 4000'.",
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Only these columns, in this order.")
    ] = None,
    gzip: Annotated[
        bool, typer.Option("--gzip", help="Compress csv, or the data of cds, with gzip.")
    ] = False,
) -> None:
    """Write a catalogue, or a part of it, as VOTable, for the CDS, as CSV or Parquet."""
    from catalog_builder.exporting.export import export as write
    from catalog_builder.runtime.signals import termination_as_interrupt

    chosen = None if columns is None else [name.strip() for name in columns.split(",")]
    line = _Line()
    with termination_as_interrupt("Interrupted: nothing was written."):
        path, rows = write(
            catalogue, format, out, columns=chosen, where=where, compressed=gzip, progress=line.tell
        )
    line.end()
    typer.echo(f"{path}: {rows} rows")


@app.command()
def cite(catalogue: Catalogue, as_json: AsJson = False) -> None:
    """Print BibTeX of a catalogue and of what is to be cited with it, and whom to thank."""
    from catalog_builder.catalog.credit import bibliography, credit_of
    from catalog_builder.catalog.layout import find_catalogue
    from catalog_builder.catalog.release_json import read_release

    found = credit_of(catalogue)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    record = read_release(find_catalogue(catalogue))
    typer.echo(bibliography(found, record.acknowledgements), nl=False)


class _Line:
    """Says on standard error how far it is: over and over on a terminal, now and then elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._told = time.monotonic()
        self._open = False

    def tell(self, seen: int, rows: int) -> None:
        """Say how many of all rows were looked at."""
        pause = _ON_TERMINAL if self._terminal else _ELSEWHERE
        if time.monotonic() - self._told < pause:
            return
        self._told = time.monotonic()
        share = f"{seen} of {rows} rows, {100 * seen // max(rows, 1)} %"
        typer.echo(f"\r{share}" if self._terminal else share, err=True, nl=not self._terminal)
        self._open = self._terminal

    def end(self) -> None:
        """Begin a new line, if one was written over."""
        if self._open:
            typer.echo(err=True)
