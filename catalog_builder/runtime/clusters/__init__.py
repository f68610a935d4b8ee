"""Clusters: one file for each kind, one way to open them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client

from catalog_builder.config import ClusterSettings
from catalog_builder.errors import ConfigError
from catalog_builder.runtime.clusters import address, local
from catalog_builder.runtime.workdir import Workdir


@contextmanager
def open_cluster(settings: ClusterSettings, workdir: Workdir) -> Iterator[Client]:
    """Open the cluster of the settings and yield a client of it.

    Raises
    ------
    ConfigError
        If the kind is unknown.
    ClusterError
        If a scheduler's address does not answer.
    """
    if settings.kind == "local":
        opened = local.open_client(settings, workdir)
    elif "://" in settings.kind:
        opened = address.open_client(settings)
    else:
        raise ConfigError(
            f"--cluster {settings.kind!r} is not known.",
            "Use `local` or a scheduler's address such as tcp://10.0.0.1:8786.",
        )
    with opened as client:
        yield client
