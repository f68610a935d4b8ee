"""What every kind of cluster can do.

A kind is a class in a file of its own, named in :mod:`catalog_builder.runtime.clusters.registry`.
Making an object of it touches nothing, so that a dry run may describe what would be submitted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from distributed import Client, Future

from catalog_builder.ground.errors import CatalogBuilderError, ClusterError
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir


@dataclass(frozen=True)
class Finding:
    """One thing that ``doctor`` looked at, in words; the error is set if it will not work."""

    text: str
    error: CatalogBuilderError | None = None


class Cluster(ABC):
    """A cluster: described, checked, or opened as a context manager and closed at its end.

    Parameters
    ----------
    settings : ClusterSettings
        The `cluster` section of the run config.
    workdir : Workdir
        The run's folder, which every worker sees under the same path.
    events : Events
        Where a cluster says what happens to its workers.

    Attributes
    ----------
    client : Client
        Of the open cluster.
    failure : ClusterError or None
        Why the cluster gave up; it cancels the client's futures when it sets this.
    """

    client: Client

    def __init__(self, settings: ClusterSettings, workdir: Workdir, events: Events) -> None:
        self.settings, self.workdir, self.events = settings, workdir, events
        self.failure: ClusterError | None = None
        #: What :meth:`close` undoes, last first; :meth:`open` fills it.
        self.stack = ExitStack()

    @property
    def dashboard(self) -> str:
        """Address of the Dask dashboard, for a person."""
        return str(self.client.dashboard_link)

    @abstractmethod
    def open(self) -> Client:
        """Start or reach the cluster and return a client of it that has a worker.

        Raises
        ------
        ConfigError
            If settings contradict each other.
        ClusterError
            If no cluster can be opened.
        """

    def close(self) -> None:
        """Undo all that :meth:`open` did, also if it failed half-way."""
        self.stack.close()

    def scale(self, workers: int) -> None:
        """Set the number of workers.

        Raises
        ------
        ClusterError
            If this kind of cluster cannot be scaled.
        """
        raise ClusterError(
            f"A cluster of kind {self.settings.kind} cannot be scaled to {workers} workers.",
            "Start or end its workers where they were started.",
        )

    @contextmanager
    def offering(self, resource: str) -> Iterator[Client]:
        """Yield a client whose cluster has a worker with the resource, if this kind can start one.

        Such workers are given back at the end. A kind that cannot start them yields the client it
        has, and the tasks run wherever they may.
        """
        del resource
        yield self.client

    def describe(self) -> str:
        """Return what would be submitted (job scripts, manifests); empty if nothing is."""
        return ""

    def check(self) -> list[Finding]:
        """Look at everything that could keep the cluster from working; by default, open it."""
        try:
            with self:
                workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
                gpus = sum("GPU" in worker["resources"] for worker in workers)
                text = f"{self.settings.kind}: {len(workers)} workers, {gpus} with the resource GPU"
                return [Finding(text)]
        except CatalogBuilderError as error:
            return [Finding(f"{self.settings.kind}", error)]

    def give_up(self, client: Client, why: ClusterError) -> None:
        """Set :attr:`failure`, and end all waiting for what will never be done.

        Called again and again: a stage may begin just when the cluster is given up.
        """
        self.failure = why
        client.cancel([Future(key, client) for key in tuple(client.futures)], force=True)

    def losses(self) -> dict[str, Any]:
        """Return what was lost with workers that went, as facts for the log; empty if nothing."""
        return {}

    def __enter__(self) -> Self:
        try:
            self.client = self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except TimeoutError:
            # On a machine that is far too busy. What was to be done is done, or has failed in words
            # of its own.
            self.events.warn("the cluster did not end within its time; it was left behind")
