"""The program: all its commands, and how it ends."""

from __future__ import annotations

import os
import traceback

from rich.console import Console

from catalog_builder.cli import steps  # noqa: F401 - importing a room registers its commands

# isort: split
from catalog_builder.cli import simulating  # noqa: F401 - in the order of --help

# isort: split
from catalog_builder.cli import archives, crossing, looking  # noqa: F401

# isort: split
from catalog_builder.cli import comparing, exporting, labelling  # noqa: F401
from catalog_builder.cli.app import app
from catalog_builder.ground.errors import CatalogBuilderError, StoreError
from catalog_builder.ground.extras import named_if_missing
from catalog_builder.runtime.redaction import redact_credentials
from catalog_builder.runtime.signals import INTERRUPTED


def run() -> int:
    """Carry out the command line; every error ends in a message. Return the exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    # A notebook's shell names its own, which matplotlib refuses where this program has it not.
    os.environ.pop("MPLBACKEND", None)
    try:
        with named_if_missing("This command"):
            app(standalone_mode=True)
    except CatalogBuilderError as error:
        console.print(f"error: {redact_credentials(error.problem)}", style="red", markup=False)
        if error.way_out:
            console.print(f"  -> {redact_credentials(error.way_out)}", markup=False)
        return error.exit_code
    except OSError as error:  # a disk that fills up under the driver's own files, say
        where = f": {error.filename}" if error.filename else ""
        what = error.strerror or str(error) or type(error).__name__
        console.print(f"error: {what}{where}.", style="red", markup=False)
        console.print("  -> Put that right and give the same command again.", markup=False)
        return StoreError.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # what was to be said was said when the signal came
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: nothing above could say it better
        console.print(
            f"This is a defect of catalog-builder: {type(error).__name__}: {error}",
            style="red",
            markup=False,
        )
        console.print("".join(traceback.format_exception(error)), markup=False)
        return 1
    return 0
