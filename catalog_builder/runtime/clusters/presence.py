"""Notices when a cluster has had no worker for too long: nothing will ever be done on it.

A worker that dies is started anew, and a task that kills it is blamed and given up. A worker that
dies before the scheduler knows it is blamed on no task, and those that wait would wait for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import Client, Scheduler, SchedulerPlugin

from catalog_builder.ground.errors import ClusterError
from catalog_builder.runtime.clusters.protocol import Cluster

#: Seconds without a worker after which a cluster is given up. A process starts within seconds, on a
#: crowded machine within about ten.
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 1.0


class _Presence(SchedulerPlugin):  # type: ignore[misc]
    """Knows when the scheduler last had a worker, however short its life."""

    name = "presence"

    def __init__(self) -> None:
        self.last = time.monotonic()

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """Take note of a worker that came."""
        del scheduler, worker
        self.last = time.monotonic()

    def remove_worker(self, scheduler: Scheduler, worker: str, **kwargs: Any) -> None:
        """Take note of a worker that went."""
        del scheduler, worker, kwargs
        self.last = time.monotonic()


@contextmanager
def watch_for_workers(cluster: Cluster, scheduler: Scheduler, client: Client) -> Iterator[None]:
    """Give a cluster up when its scheduler, in this process, has been without workers too long.

    Sets ``cluster.failure`` and cancels what waits.
    """
    presence, stop = _Presence(), threading.Event()
    scheduler.add_plugin(presence)

    def watch() -> None:
        while not stop.wait(POLL_SECONDS):
            missing = 0.0 if scheduler.workers else time.monotonic() - presence.last
            if missing > PATIENCE_SECONDS:
                cluster.give_up(client, _no_worker(missing))

    thread = threading.Thread(target=watch, name="worker-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _no_worker(seconds: float) -> ClusterError:
    return ClusterError(
        f"There has been no worker for {seconds:.0f} s: none starts, or each ends at once.",
        "Look for the reason in the system's log (memory, disk, limits), then give the same command"
        " again: what is done is kept.",
    )
