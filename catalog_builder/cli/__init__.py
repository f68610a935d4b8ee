"""The command line: parse, call, print.

Exit codes: 0 done; 1 a defect of the program; 2 wrong usage; 3 a wrong setting; 4 the archive or
the label survey; 5 the workdir; 6 the cluster; 7 the model; 8 the catalogue; 9 not enough memory
or disk; 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback

from rich.console import Console

from catalog_builder.cli import steps  # noqa: F401 - importing a room registers its commands

# isort: split
from catalog_builder.cli import archives, looking  # noqa: F401 - in the order of --help
from catalog_builder.cli.app import app
from catalog_builder.errors import CatalogBuilderError, StoreError
from catalog_builder.runtime.redaction import redact_credentials


def main() -> None:
    """Run the program; every error ends in a message and an exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app(standalone_mode=True)
    except CatalogBuilderError as error:
        console.print(f"error: {redact_credentials(error.problem)}", style="red", markup=False)
        if error.way_out:
            console.print(f"  -> {redact_credentials(error.way_out)}", markup=False)
        sys.exit(error.exit_code)
    except OSError as error:  # a disk that fills up under the driver's own files, say
        where = f": {error.filename}" if error.filename else ""
        console.print(f"error: {error.strerror or error}{where}.", style="red", markup=False)
        console.print("  -> Put that right and give the same command again.", markup=False)
        sys.exit(StoreError.exit_code)
    except SystemExit as end:
        if end.code == 130:  # Typer turns Ctrl-C into this
            console.print("Interrupted; the same command goes on from here.", markup=False)
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: nobody above could say it better
        console.print(
            f"This is a defect of catalog-builder: {type(error).__name__}: {error}",
            style="red",
            markup=False,
        )
        console.print("".join(traceback.format_exception(error)), markup=False)
        sys.exit(1)
