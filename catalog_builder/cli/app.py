"""The program's frame: its help, its version."""

from __future__ import annotations

from typing import Annotated

import typer

from catalog_builder.ground.about import __version__

app = typer.Typer(
    name="catalog-builder",
    help=(
        "Make a versioned value-added catalogue (Teff, log g, [M/H], [alpha/M], [Fe/H], with"
        " uncertainties and flags) from a survey archive. `run` does it all; the other commands"
        " are its steps, and what helps to look at them."
    ),
    epilog=(
        "Exit codes: 0 done, 2 usage, 3 a setting, 4 archive or labels, 5 workdir, 6 cluster,"
        " 7 model, 8 catalogue, 9 memory or disk, 10 an alarm (--strict), 1 a defect of the"
        " program, 130 interrupted."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take [M/H] for markup
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
