"""A cluster that somebody else runs, by the address of its scheduler."""

from __future__ import annotations

import gc
import logging

from distributed import Client
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from catalog_builder.ground.errors import ClusterError
from catalog_builder.runtime.clusters.protocol import Cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.clusters.tls import client_security

CONNECT_SECONDS = 20


class SomebodyElses(Cluster):
    """A scheduler that is running already, with workers of its own."""

    def open(self) -> Client:
        """Connect to the scheduler and wait for its first worker.

        Raises
        ------
        ConfigError
            If address and encryption contradict each other.
        ClusterError
            If no scheduler answers or it has no worker.
        """
        security = client_security(self.settings)
        # What goes wrong is reported by the driver, in words; Dask would log tracebacks.
        self.stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
        client = self.stack.enter_context(_connect(self.settings, security))
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise ClusterError(
                f"The scheduler at {self.settings.kind} has no worker.",
                "Start workers, then try again.",
            ) from None
        return client


def _connect(settings: ClusterSettings, security: Security | None) -> Client:
    try:
        return Client(settings.kind, timeout=CONNECT_SECONDS, security=security)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        # Without certificates Dask ends in a ValueError or TypeError of its own.
        reason = str(error)
    # The client that failed is collected here: in the middle of the making of another one its end
    # would wait for a lock that this thread holds.
    gc.collect()
    raise ClusterError(
        f"No scheduler answers at {settings.kind} ({reason}).",
        "Check the address; a tls:// scheduler needs --tls FOLDER with its certificates.",
    )
