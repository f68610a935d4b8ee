"""A Dask worker preload: a worker dies of any file of the archive that is named in ``KILLERS``.

Loaded by the fault suite alone (``DASK_DISTRIBUTED__WORKER__PRELOAD``). A fault in a C library or
the system's killer of processes without memory ends a worker like this: at once, without a word.
"""

import os
import signal

from catalog_builder.features import reading


def dask_setup(worker):
    """Make files deadly in this worker."""
    del worker
    read = reading.read_blocks

    def read_or_die(file, *args, **options):
        if file.name in os.environ["KILLERS"].split():
            os.kill(os.getpid(), signal.SIGKILL)
        return read(file, *args, **options)

    reading.read_blocks = read_or_die
