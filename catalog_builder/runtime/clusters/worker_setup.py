"""A preload of the local workers: they leave Ctrl-C to the driver.

A terminal sends SIGINT to every process of the run. The driver ends its workers itself; a worker
that was interrupted as well would print a traceback of whatever it was at.
"""

from __future__ import annotations

import signal
import threading

from distributed import Worker


def dask_setup(worker: Worker) -> None:
    """Ignore SIGINT in this worker's process."""
    del worker
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
