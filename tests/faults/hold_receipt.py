"""A Dask worker preload that stops between writing the data and writing the receipt.

Loaded by the fault suite alone (``DASK_DISTRIBUTED__WORKER__PRELOAD``): the program itself has no
such hook. The first task of the stage in ``HOLD_STAGE`` that comes to its receipt creates the file
in ``HOLD_FLAG``, with its process id in it, and waits there to be killed.
"""

import os
import time
from pathlib import Path

from catalog_builder.runtime import tasks


def dask_setup(worker):
    """Wrap the writing of receipts in this worker."""
    del worker
    write = tasks.write_receipt

    def hold(path, receipt):
        if receipt.stage == os.environ["HOLD_STAGE"] and _first(Path(os.environ["HOLD_FLAG"])):
            time.sleep(300)
        write(path, receipt)

    tasks.write_receipt = hold


def _first(flag):
    try:
        with flag.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True
