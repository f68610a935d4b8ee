"""Clusters of batch jobs: the scheduler beside the driver, a worker in each job, all over TLS.

Dask-jobqueue writes the job scripts; the fleet submits them and watches over the jobs.
"""

from __future__ import annotations

import functools
import shlex
import sys
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dask.utils import parse_bytes
from distributed import Client

from catalog_builder.ground.errors import ClusterError, ConfigError
from catalog_builder.runtime.clusters import leftovers
from catalog_builder.runtime.clusters.batch_settings import BatchSettings
from catalog_builder.runtime.clusters.checks import check_batch
from catalog_builder.runtime.clusters.fleet import Fleet, Group
from catalog_builder.runtime.clusters.over_tls import OverTls, worker_environment
from catalog_builder.runtime.clusters.protocol import Finding
from catalog_builder.runtime.clusters.queues import BatchQueue, RefusedError
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir

CPU, GPU = "cpu", "gpu"


class BatchCluster(OverTls):
    """Jobs of a batch system; what differs between systems is a subclass's.

    Parameters
    ----------
    settings, workdir, events, batch
        See :class:`OverTls`.
    """

    def __init__(
        self, settings: ClusterSettings, workdir: Workdir, events: Events, batch: BatchSettings
    ) -> None:
        super().__init__(settings, workdir, events, batch)
        self.queue: BatchQueue = leftovers.QUEUES[settings.kind](self.name)
        self._lock = threading.Lock()
        self._fleet = Fleet(self.queue, batch, events, self.logs, self._record)
        self._training = False

    @abstractmethod
    def job_script(self, group: str, options: dict[str, Any]) -> str:
        """Return the script of a job.

        Parameters
        ----------
        group : str
            ``cpu`` or ``gpu``.
        options : dict
            What all batch systems of dask-jobqueue take; ``name`` is the worker's.
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
        self.events.record("queues", found=list(self.find_queues()))
        self.make_folders()
        self._record([])
        self.stack.enter_context(leftovers.guarded(self._record_file()))
        client = self.start_scheduler()
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

    def scale(self, workers: int) -> None:
        """Set the number of CPU jobs: missing ones are submitted, surplus ones ended."""
        with self._lock:
            self._fleet.scale(self._fleet.groups[CPU], workers)

    @contextmanager
    def offering(self, resource: str) -> Iterator[Client]:
        """Have the GPU job while the body runs, if the settings name its queue."""
        if resource != "GPU" or not self.settings.offers_gpu:
            if resource == "GPU":
                self.events.say("No gpu_queue is set: training runs on the CPU workers.")
            yield self.client
            return
        group = self._fleet.groups[GPU]
        group.forget_failures()
        group.wanted = 1
        try:
            self.events.say(f"Waiting for a GPU worker from {self.batch.gpu_queue}.")
            self._training = self._have_gpu()
            with self._fewer_cpu_jobs():
                yield self.client
        finally:
            with self._lock:
                self._training = False
                self._fleet.scale(group, 0)

    def describe(self) -> str:
        """Return the job scripts."""
        workers = self._workers()
        parts = [f"{workers} jobs of this script:\n\n{self._script('WORKER', CPU)}"]
        if GPU in self.queues():
            script = self._script("WORKER", GPU)
            parts.append(f"and, while the model is trained, one of this:\n\n{script}")
        return "\n".join(parts)

    def check(self) -> list[Finding]:
        """Look at commands, queues, memory, folders and certificates; submit nothing."""
        return check_batch(self)

    def losses(self) -> dict[str, Any]:
        """Return what the loss of jobs cost; empty if none was lost."""
        fleet = self._fleet
        if not fleet.lost:
            return super().losses()
        return {
            "jobs_submitted": fleet.submitted,
            "jobs_ended": fleet.lost.total(),
            "reasons": ", ".join(f"{count} x {word}" for word, count in fleet.lost.items()),
            "seconds_of_missing_workers": round(fleet.missing_seconds),
            **super().losses(),
        }

    # --- what there is to submit -----------------------------------------------------------------

    def _workers(self) -> int:
        if self.settings.workers is None:
            raise ConfigError(
                "The number of jobs is not set.", "Give it with --workers (cluster.workers)."
            )
        return self.settings.workers

    def queues(self) -> dict[str, str | None]:
        """Return the queue of each group that there may be."""
        gpu = self.batch.gpu_queue
        return {CPU: self.batch.queue} | ({} if gpu is None else {GPU: gpu})

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

    def memory_of_job(self) -> int:
        """Return the memory of a job, bytes."""
        if self.batch.job_memory is not None:
            return int(parse_bytes(self.batch.job_memory))
        return int(1.25 * parse_bytes(self.settings.memory_limit)) + (512 << 20)

    def _write_script(self, worker: str, group: str) -> Path:
        path = self.logs / f"{worker}.sh"
        path.write_text(self._script(worker, group), encoding="utf-8")
        return path

    def _script(self, worker: str, group: str) -> str:
        """Return the script of a job: one process with one thread."""
        batch = self.batch
        walltime = (batch.gpu_walltime or batch.walltime) if group == GPU else batch.walltime
        arguments = [
            *("--lifetime", f"{batch.lifetime_of(walltime):.0f}s"),
            *("--lifetime-stagger", f"{batch.lifetime_stagger / 2.0:.0f}s"),
            *self.worker_arguments(),
            *(("--resources", "GPU=1") if group == GPU else ()),
            *batch.worker_extra_args,
        ]
        environment = worker_environment().items()
        exports = [f"export {name}={shlex.quote(value)}" for name, value in environment]
        options = {
            "scheduler": self.address,
            "name": worker,
            "cores": 1,
            "processes": 1,
            "memory": self.settings.memory_limit,
            "queue": batch.gpu_queue if group == GPU else batch.queue,
            "account": batch.account,
            "walltime": walltime,
            "python": batch.python or sys.executable,
            "interface": batch.interface,
            "protocol": "tls://",
            "security": self.worker_security(),
            "death_timeout": f"{batch.start_seconds:.0f}",
            "local_directory": batch.local_directory,
            "job_name": self.name,
            "job_script_prologue": [*exports, *batch.job_script_prologue],
            "worker_extra_args": arguments,
        }
        return self.job_script(group, options)

    # --- the watch -------------------------------------------------------------------------------

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
                self.give_up(self.client, self.failure)
            stop.wait(self.batch.poll_seconds)

    def _attend_once(self) -> None:
        self._fleet.attend(self.registered())
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

    @contextmanager
    def _fewer_cpu_jobs(self) -> Iterator[None]:
        """Give CPU jobs back while they would only wait for the GPU, where that is asked for."""
        kept = self.batch.cpu_jobs_while_training
        if kept is None or not self._training:
            yield
            return
        self.scale(min(kept, self._workers()))
        try:
            yield
        finally:
            self.scale(self._workers())

    # --- the end ---------------------------------------------------------------------------------

    def _cancel_all(self) -> None:
        self.queue.cancel_all(self._fleet.identifiers())

    def _record_file(self) -> Path:
        return leftovers.record_file(self.workdir, self.name)

    def _record(self, identifiers: list[str]) -> None:
        made = str(self.certificates) if isinstance(self.settings.tls, bool) else ""
        leftovers.write_record(
            self._record_file(), self.settings.kind, self.name, identifiers, made
        )
