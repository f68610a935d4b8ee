"""A cluster that somebody else runs, by the address of its scheduler."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from catalog_builder.config import ClusterSettings
from catalog_builder.errors import ClusterError
from catalog_builder.runtime.clusters.tls import client_security

CONNECT_SECONDS = 20


@contextmanager
def open_client(settings: ClusterSettings) -> Iterator[Client]:
    """Connect to a scheduler and wait for its first worker.

    Raises
    ------
    ConfigError
        If address and encryption contradict each other.
    ClusterError
        If no scheduler answers or it has no worker.
    """
    security = client_security(settings)
    # What goes wrong is reported by the driver, in words; Dask would log tracebacks.
    with silence_logging_cmgr(logging.CRITICAL), _connect(settings, security) as client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise ClusterError(
                f"The scheduler at {settings.kind} has no worker.", "Start workers, then try again."
            ) from None
        yield client


def _connect(settings: ClusterSettings, security: Security | None) -> Client:
    try:
        return Client(settings.kind, timeout=CONNECT_SECONDS, security=security)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        # Without certificates Dask ends in a ValueError or TypeError of its own.
        raise ClusterError(
            f"No scheduler answers at {settings.kind} ({error}).",
            "Check the address; a tls:// scheduler needs --tls FOLDER with its certificates.",
        ) from None
