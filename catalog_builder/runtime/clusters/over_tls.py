"""A scheduler in the driver's process whose workers are on other machines: TLS, always."""

from __future__ import annotations

import logging
import secrets
import socket
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client, LocalCluster
from distributed.security import Security
from distributed.utils import get_ip

from catalog_builder.runtime.clusters.batch_settings import BatchSettings
from catalog_builder.runtime.clusters.cut_work import CutWork
from catalog_builder.runtime.clusters.local import WORKER_ENVIRONMENT, WORKER_MEMORY
from catalog_builder.runtime.clusters.protocol import Cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.clusters.tls import run_certificates, security_of
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.signals import deferred
from catalog_builder.runtime.workdir import Workdir

#: Stands in what is described for what only a run knows.
UNKNOWN_ADDRESS = "tls://SCHEDULER:PORT"


class OverTls(Cluster):
    """What clusters have in common whose workers come from a batch system.

    Parameters
    ----------
    settings, workdir, events
        See :class:`Cluster`.
    batch : BatchSettings
        The section of the batch system.

    Attributes
    ----------
    name : str
        Of this run, wherever it needs one; short, for Torque allows 15 characters.
    folder, certificates, logs : pathlib.Path
        Where the run's files are: its own, its certificates, and what workers say.
    """

    def __init__(
        self, settings: ClusterSettings, workdir: Workdir, events: Events, batch: BatchSettings
    ) -> None:
        super().__init__(settings, workdir, events)
        self.batch = batch
        self.name = f"cb-{secrets.token_hex(4)}"
        self.folder = (batch.shared_folder or workdir.root / "cluster").absolute()
        given = settings.tls
        self.certificates = self.folder / f"tls-{self.name}" if isinstance(given, bool) else given
        self.logs = workdir.logs / "jobs"
        self.cut = CutWork()
        self._scheduler: LocalCluster | None = None

    def make_folders(self) -> None:
        """Make the run's folders, with certificates unless they are given."""
        for folder in (self.folder, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.stack.enter_context(run_certificates(self.settings, self.certificates))

    def start_scheduler(self) -> Client:
        """Start the scheduler, without workers, and return a client of it."""
        interface = self.batch.interface
        options = {
            "distributed.scheduler.allowed-failures": self.settings.attempts - 1,
            # A task that waits on a worker is blamed for its death, so none waits there.
            "distributed.scheduler.worker-saturation": 1.0,
        }
        self.stack.enter_context(dask.config.set(options))
        with deferred():
            self._scheduler = self._local_scheduler(interface)
            self.client = self.stack.enter_context(Client(self._scheduler))
        self._scheduler.scheduler.add_plugin(self.cut)
        return self.client

    def _local_scheduler(self, interface: str | None) -> LocalCluster:
        return self.stack.enter_context(
            LocalCluster(
                n_workers=0,
                threads_per_worker=1,
                processes=True,
                host=None if interface else get_ip(),
                interface=interface,
                scheduler_port=self.batch.scheduler_port,
                protocol="tls://",
                security=security_of(self.certificates),
                dashboard_address=self.settings.dashboard_address,
                silence_logs=logging.CRITICAL,
            )
        )

    @property
    def address(self) -> str:
        """Address of the scheduler, or what stands for it before it is started."""
        return UNKNOWN_ADDRESS if self._scheduler is None else self._scheduler.scheduler_address

    @property
    def dashboard(self) -> str:
        """Address on this machine (Dask itself would name the scheduler's), and the way to it."""
        # Somebody who chose an address other than loopback can reach it without a tunnel.
        host = self.settings.dashboard_address.rpartition(":")[0] or socket.gethostname()
        port = urlsplit(self.client.dashboard_link).port
        tunnel = f"ssh -L 8787:{host}:{port} {socket.gethostname()}"
        way = f" (`{tunnel}` brings it to localhost:8787)" if host == "127.0.0.1" else ""
        return f"http://{host}:{port}/status{way}"

    def registered(self) -> list[str]:
        """Return the names of the workers that the scheduler knows now."""
        if self._scheduler is None:
            return []
        return [str(worker.name) for worker in tuple(self._scheduler.scheduler.workers.values())]

    def worker_arguments(self) -> list[str]:
        """Return arguments of ``dask worker`` that every worker gets."""
        # The page of a worker is not encrypted: only its own node sees it.
        return ["--dashboard-address", "127.0.0.1:0", "--no-dashboard"]

    def worker_security(self) -> Security:
        """Return the paths that a worker is told; they need not exist yet."""
        return Security(
            require_encryption=True,
            tls_ca_file=str(self.certificates / "ca.pem"),
            tls_worker_cert=str(self.certificates / "cert.pem"),
            tls_worker_key=str(self.certificates / "key.pem"),
        )

    def losses(self) -> dict[str, Any]:
        """Return what was lost with workers that went."""
        if not self.cut.tasks:
            return {}
        return {
            "tasks_cut_short": self.cut.tasks,
            "seconds_of_work_lost": round(self.cut.seconds),
        }


def worker_environment() -> dict[str, str]:
    """Return the variables that give a worker elsewhere the environment of a local one."""
    memory = {
        f"DASK_{key.upper().replace('.', '__')}": str(value) for key, value in WORKER_MEMORY.items()
    }
    return {**WORKER_ENVIRONMENT, **memory}
