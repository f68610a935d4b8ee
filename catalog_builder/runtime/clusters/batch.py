"""Clusters of batch jobs: the scheduler beside the driver, a worker in each job, all over TLS.

Dask-jobqueue writes the job scripts; the fleet submits them and watches over the jobs.
"""

from __future__ import annotations

import functools
import logging
import secrets
import shlex
import socket
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from dask.utils import parse_bytes
from distributed import Client, Future, LocalCluster
from distributed.security import Security
from distributed.utils import get_ip

from catalog_builder.errors import ClusterError, ConfigError
from catalog_builder.runtime.clusters import leftovers
from catalog_builder.runtime.clusters.batch_settings import BatchSettings
from catalog_builder.runtime.clusters.checks import check_batch
from catalog_builder.runtime.clusters.cut_work import CutWork
from catalog_builder.runtime.clusters.fleet import Fleet, Group
from catalog_builder.runtime.clusters.local import WORKER_ENVIRONMENT, WORKER_MEMORY
from catalog_builder.runtime.clusters.protocol import Cluster, Finding
from catalog_builder.runtime.clusters.queues import QUEUES, BatchQueue, RefusedError
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.clusters.tls import run_certificates, security_of
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir

CPU, GPU = "cpu", "gpu"
#: Stands in a described script for what only a run knows.
UNKNOWN_ADDRESS = "tls://SCHEDULER:PORT"


class BatchCluster(Cluster):
    """Jobs of a batch system; what differs between systems is a subclass's.

    Parameters
    ----------
    settings, workdir, events
        See :class:`Cluster`.
    """

    def __init__(self, settings: ClusterSettings, workdir: Workdir, events: Events) -> None:
        super().__init__(settings, workdir, events)
        # Torque allows 15 characters.
        self.name = f"cb-{secrets.token_hex(4)}"
        self.queue: BatchQueue = QUEUES[settings.kind](self.name)
        self.folder = (self.batch.shared_folder or workdir.root / "cluster").absolute()
        self.logs = workdir.logs / "jobs"
        self._lock = threading.Lock()
        self._cut = CutWork()
        self._fleet = Fleet(self.queue, self.batch, events, self.logs, self._record)
        self._scheduler: Any = None
        self._certificates = self.folder / f"tls-{self.name}"
        self._training = False

    @property
    @abstractmethod
    def batch(self) -> BatchSettings:
        """The section of this batch system."""

    @abstractmethod
    def job_script(self, address: str, worker: str, group: str, options: dict[str, Any]) -> str:
        """Return the script of a job.

        Parameters
        ----------
        address : str
            Of the scheduler.
        worker : str
            Name of the job's worker.
        group : str
            ``cpu`` or ``gpu``.
        options : dict
            What all batch systems of dask-jobqueue take.
        """

    # --- the protocol ----------------------------------------------------------------------------

    def open(self) -> Client:
        """Start the scheduler, submit the jobs, and wait for the first worker.

        Raises
        ------
        ConfigError
            If the number of workers is not set, or certificates cannot be had.
        ClusterError
            If jobs are refused, never start, or end at once.
        """
        workers = self._workers()
        self.queue.require()
        leftovers.cancel_earlier(self.workdir, self.events.say)
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = self.stack.enter_context(run_certificates(self.settings, self._certificates))
        self._certificates = folder
        self.logs.mkdir(parents=True, exist_ok=True)
        found = list(self.find_queues())
        self.events.record("queues", found=found)
        self._record([])
        self.stack.enter_context(leftovers.guarded(self._record_file()))
        client = self._start_scheduler(security_of(folder))
        self._fleet.groups = {
            name: Group(name, functools.partial(self._write_script, group=name))
            for name in (CPU, GPU)
        }
        self.stack.callback(self._cancel_all)
        self._fleet.groups[CPU].wanted = workers
        self._watch()
        self.events.say(f"Waiting for a worker: {workers} {self.settings.kind} jobs {self.name}.")
        self._wait_for(CPU)
        return client

    @property
    def dashboard(self) -> str:
        """Address on this machine (Dask itself would name the scheduler's), and the way to it."""
        # Somebody who chose an address other than loopback can reach it without a tunnel.
        host = self.settings.dashboard_address.rpartition(":")[0] or socket.gethostname()
        port = urlsplit(self.client.dashboard_link).port
        tunnel = f"ssh -L 8787:{host}:{port} {socket.gethostname()}"
        way = f" (`{tunnel}` brings it to localhost:8787)" if host == "127.0.0.1" else ""
        return f"http://{host}:{port}/status{way}"

    def scale(self, workers: int) -> None:
        """Have so many CPU jobs; what is too many is cancelled, what is missing submitted."""
        with self._lock:
            group = self._fleet.groups[CPU]
            group.wanted = workers
            surplus = list(group.jobs)[workers:]
            self.queue.cancel(surplus)
            for identifier in surplus:
                del group.jobs[identifier]

    @contextmanager
    def offering(self, resource: str) -> Iterator[Client]:
        """Have the GPU job while the body runs, if the settings name its queue."""
        if resource != "GPU" or not self.settings.offers_gpu:
            if resource == "GPU":
                self.events.say("No gpu_queue is set: training runs on the CPU workers.")
            yield self.client
            return
        group = self._fleet.groups[GPU]
        group.wanted, group.failure = 1, None
        try:
            self.events.say(f"Waiting for a GPU worker from {self.batch.gpu_queue}.")
            self._training = self._have_gpu()
            yield self.client
        finally:
            with self._lock:
                self._training = False
                self._fleet.give_back(group)

    def describe(self) -> str:
        """Return the job scripts."""
        workers = self._workers()
        parts = [
            f"{workers} jobs of this script:\n\n{self._script('WORKER', CPU, UNKNOWN_ADDRESS)}"
        ]
        if self.batch.gpu_queue:
            script = self._script("WORKER", GPU, UNKNOWN_ADDRESS)
            parts.append(f"and, while the model is trained, one of this:\n\n{script}")
        return "\n".join(parts)

    def check(self) -> list[Finding]:
        """Look at commands, partitions, memory, folders and certificates; submit nothing."""
        return check_batch(self)

    def losses(self) -> dict[str, Any]:
        """Return what the loss of jobs cost; empty if none was lost."""
        fleet = self._fleet
        if not fleet.lost:
            return {}
        return {
            "jobs_submitted": fleet.submitted,
            "jobs_lost": fleet.lost.total(),
            "reasons": ", ".join(f"{count} x {word}" for word, count in fleet.lost.items()),
            "seconds_of_missing_workers": round(fleet.missing_seconds),
            "tasks_cut_short": self._cut.tasks,
            "seconds_of_work_lost": round(self._cut.seconds),
        }

    # --- jobs ------------------------------------------------------------------------------------

    def _workers(self) -> int:
        if self.settings.workers is None:
            raise ConfigError(
                "The number of jobs is not set.", "Give it with --workers (cluster.workers)."
            )
        return self.settings.workers

    def find_queues(self) -> Iterator[str]:
        """Say what is known of the queues that jobs go to.

        Raises
        ------
        ClusterError
            If one does not exist: the one for the GPU would be missed after days of work.
        """
        for group, queue in self.queues().items():
            if queue is None:
                yield f"{group} jobs go to the site's default"
                continue
            try:
                yield f"{group} jobs go to {queue} ({self.queue.find(queue)})"
            except RefusedError as refused:
                if group == GPU and self.settings.gpu_fallback:
                    continue  # said when training begins
                raise ClusterError(
                    f"No {group} job would be accepted: {refused.problem}",
                    f"Correct the section cluster.{self.settings.kind}; nothing was submitted.",
                ) from None

    def test_jobs(self) -> Iterator[str]:
        """Say of each group whether its job could start on the machine as it is now.

        Raises
        ------
        RefusedError
            If one could not.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        for group in self.queues():
            script = self._write_script(f"{self.name}-{group}-test", group)
            try:
                self.queue.test(script)
            finally:
                script.unlink()
            yield f"a {group} job could start"

    def queues(self) -> dict[str, str | None]:
        """Return the queue of each group that there may be."""
        gpu = self.batch.gpu_queue
        return {CPU: self.batch.queue} | ({} if gpu is None else {GPU: gpu})

    def _write_script(self, worker: str, group: str) -> Path:
        path = self.logs / f"{worker}.sh"
        path.write_text(self._script(worker, group), encoding="utf-8")
        return path

    def _script(self, worker: str, group: str, address: str | None = None) -> str:
        if address is None:
            address = (
                UNKNOWN_ADDRESS if self._scheduler is None else self._scheduler.scheduler_address
            )
        return self.job_script(address, worker, group, self._options(group))

    def _options(self, group: str) -> dict[str, Any]:
        """Return dask-jobqueue's options of a job: one process with one thread."""
        batch = self.batch
        walltime = (batch.gpu_walltime or batch.walltime) if group == GPU else batch.walltime
        arguments = [
            *("--lifetime", f"{batch.lifetime_of(walltime):.0f}s"),
            *("--lifetime-stagger", f"{batch.lifetime_stagger / 2.0:.0f}s"),
            # The page of a worker is not encrypted: nobody but its own node sees it.
            *("--dashboard-address", "127.0.0.1:0", "--no-dashboard"),
            *(("--resources", "GPU=1") if group == GPU else ()),
            *batch.worker_extra_args,
        ]
        return {
            "cores": 1,
            "processes": 1,
            "memory": self.settings.memory_limit,
            "queue": batch.gpu_queue if group == GPU else batch.queue,
            "account": batch.account,
            "walltime": walltime,
            "python": batch.python or sys.executable,
            "interface": batch.interface,
            "protocol": "tls://",
            "security": _paths_of(self._certificates),
            "death_timeout": f"{batch.start_seconds:.0f}",
            "local_directory": batch.local_directory,
            "job_name": self.name,
            "job_script_prologue": [*_environment(), *batch.job_script_prologue],
            "worker_extra_args": arguments,
        }

    def memory_of_job(self) -> int:
        """Return the memory of a job, bytes."""
        if self.batch.job_memory is not None:
            return int(parse_bytes(self.batch.job_memory))
        return int(1.25 * parse_bytes(self.settings.memory_limit)) + (512 << 20)

    # --- scheduler and watch ---------------------------------------------------------------------

    def _start_scheduler(self, security: Security) -> Client:
        batch = self.batch
        options = {
            "distributed.scheduler.allowed-failures": self.settings.attempts - 1,
            # A task that waits on a worker is blamed for its death, so none waits there.
            "distributed.scheduler.worker-saturation": 1.0,
        }
        self.stack.enter_context(dask.config.set(options))
        self._scheduler = self.stack.enter_context(
            LocalCluster(
                n_workers=0,
                threads_per_worker=1,
                processes=True,
                host=None if batch.interface else get_ip(),
                interface=batch.interface,
                scheduler_port=batch.scheduler_port,
                protocol="tls://",
                security=security,
                dashboard_address=self.settings.dashboard_address,
                silence_logs=logging.CRITICAL,
            )
        )
        self.client = self.stack.enter_context(Client(self._scheduler))
        self._scheduler.scheduler.add_plugin(self._cut)
        return self.client

    def _watch(self) -> None:
        """Look after the jobs from a thread of its own until the cluster is closed."""
        stop = threading.Event()
        thread = threading.Thread(target=self._attend, args=(stop,), name="job-watch", daemon=True)

        def end() -> None:
            stop.set()
            thread.join()

        self.stack.callback(end)
        thread.start()

    def _attend(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                with self._lock:
                    self._attend_once()
            except Exception as error:  # noqa: BLE001 - a watch that ends unseen would be worse
                self.failure = ClusterError(f"The watch over the jobs failed: {error!r}.")
            if self.failure is not None:
                futures = [Future(key, self.client) for key in tuple(self.client.futures)]
                self.client.cancel(futures, force=True)
            stop.wait(self.batch.poll_seconds)

    def _attend_once(self) -> None:
        workers = () if self._scheduler is None else self._scheduler.scheduler.workers.values()
        self._fleet.attend([str(worker.name) for worker in tuple(workers)])
        groups = self._fleet.groups
        self.failure = groups[CPU].failure or (groups[GPU].failure if self._training else None)

    def _wait_for(self, group: str) -> None:
        while self._fleet.groups[group].ready() == 0:
            failure = self._fleet.groups[group].failure or self.failure
            if failure is not None:
                raise failure
            time.sleep(0.2)

    def _have_gpu(self) -> bool:
        """Wait for the GPU worker; return whether it came."""
        try:
            self._wait_for(GPU)
        except ClusterError as error:
            if self.failure is not None or not self.settings.gpu_fallback:
                raise
            self.events.warn(f"{error.problem} Training runs on the CPU workers (gpu_fallback).")
            return False
        return True

    # --- the end ---------------------------------------------------------------------------------

    def _cancel_all(self) -> None:
        self.queue.cancel_all(self._fleet.identifiers())

    def _record_file(self) -> Path:
        return leftovers.record_file(self.workdir, self.name)

    def _record(self, identifiers: list[str]) -> None:
        leftovers.write_record(
            self._record_file(), self.settings.kind, self.name, identifiers, self._made()
        )

    def _made(self) -> str:
        """Return the folder of certificates that were made for this run; empty if given."""
        return str(self._certificates) if isinstance(self.settings.tls, bool) else ""


def _paths_of(folder: Path) -> Security:
    """Return the paths that a worker is told; unlike ``security_of`` it does not look at them."""
    return Security(
        require_encryption=True,
        tls_ca_file=str(folder / "ca.pem"),
        tls_worker_cert=str(folder / "cert.pem"),
        tls_worker_key=str(folder / "key.pem"),
    )


def _environment() -> list[str]:
    """Return the lines that give a job's worker the environment of a local one."""
    settings = {
        **WORKER_ENVIRONMENT,
        **{f"DASK_{key.upper().replace('.', '__')}": value for key, value in WORKER_MEMORY.items()},
    }
    return [f"export {name}={shlex.quote(str(value))}" for name, value in settings.items()]
