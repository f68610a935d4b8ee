"""Worker processes on this machine, one thread each."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from multiprocessing import resource_tracker

import dask
from distributed import Client, LocalCluster
from distributed.security import Security

from catalog_builder.ground.errors import ClusterError
from catalog_builder.runtime import signals
from catalog_builder.runtime.clusters import worker_setup
from catalog_builder.runtime.clusters.presence import watch_for_workers
from catalog_builder.runtime.clusters.protocol import Cluster, Finding
from catalog_builder.runtime.clusters.tls import local_security

#: Environment of a worker. One thread for each library that would start as many as there are cores:
#: workers x threads must not exceed the cores. Freed memory goes back to the system (glibc), but
#: not at once: with Dask's own threshold every buffer of a network is mapped and unmapped anew, and
#: training takes nearly twice the processor time. One arena for all threads: that of a second one,
#: in which tasks run, keeps what lies free at its end, up to 64 MiB, whatever is asked of it.
WORKER_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


#: Workers hold no results that could be spilled, and one that pauses would wait for ever: above its
#: limit it is restarted, and the task tried again.
WORKER_MEMORY: dict[str, float | bool | str] = {
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # Dask's profiler keeps a tree of calls for each cycle: a thousand of them are about 50 MiB.
    "distributed.worker.profile.cycle": "60s",
}

#: What watches over a worker starts it anew when it dies. Dask would look once, 15 s after a
#: death, and end the watch for ever where the worker happens not to be there just then, as one is
#: that dies again and again: the only worker would never come back, and its tasks wait for it.
KEEP_WATCHING: dict[str, str] = {"distributed.deploy.lost-worker-timeout": "3650 days"}


#: Clusters that end with the process: nothing may close them before.
_ABANDONED: list[ExitStack] = []


class LocalMachine(Cluster):
    """Worker processes on this machine, reachable from nowhere else."""

    _cluster: LocalCluster | None = None

    def open(self) -> Client:
        """Start the workers.

        Raises
        ------
        ConfigError
            If encryption is asked for and cannot be had.
        ClusterError
            If no worker can be started.
        """
        settings = self.settings
        security = local_security(settings)
        scratch = self.workdir.scratch
        scratch.mkdir(parents=True, exist_ok=True)
        preload = dask.config.get("distributed.worker.preload", None) or []
        options = {
            **WORKER_MEMORY,
            **KEEP_WATCHING,
            "distributed.worker.preload": [
                *([preload] if isinstance(preload, str) else preload),
                worker_setup.__name__,
            ],
            "temporary-directory": str(scratch),
            "distributed.scheduler.allowed-failures": settings.attempts - 1,
            # No task waits on a worker: it would be blamed for the worker's death, and what the
            # one before it has made is heard of only when it ends as well.
            "distributed.scheduler.worker-saturation": 1.0,
            "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        }
        self.stack.enter_context(dask.config.set(options))
        _start_tracker()
        # Without workers it starts at once, and a signal can wait: in the middle of it, some of
        # what it has started would be out of reach.
        with signals.deferred():
            self._cluster = cluster = self._start_scheduler(security)
            # A worker's own pages take bokeh, a third of a second and 18 MiB for each worker; the
            # scheduler's show the workers too.
            cluster.new_spec["options"]["dashboard"] = False
            client = self.stack.enter_context(Client(cluster))
        self.stack.enter_context(watch_for_workers(self, cluster.scheduler, client))
        for _ in range(settings.workers or available_cores()):
            cluster.worker_spec.update(cluster.new_worker_spec())
        try:
            cluster.sync(_started, cluster)
        except RuntimeError as error:  # Dask's word for a worker that is gone before it is there
            raise ClusterError(
                f"The workers cannot be started on this machine ({error.__cause__ or error}).",
                "`catalog-builder doctor` says what works here; a worker's own words are above.",
            ) from error
        return client

    def _start_scheduler(self, security: Security | None) -> LocalCluster:
        settings = self.settings
        return self.stack.enter_context(
            LocalCluster(
                n_workers=0,
                threads_per_worker=1,
                processes=True,
                memory_limit=settings.memory_limit,
                dashboard_address=settings.dashboard_address,
                # Where a worker answers whether it is well: on this machine only.
                worker_dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
                protocol="tcp://" if security is None else "tls://",
                security=security,
                # A failed task is reported by the driver, in words; Dask would print its traceback.
                silence_logs=logging.CRITICAL,
            )
        )

    def close(self) -> None:
        """End the workers; after an interruption by force, since the process ends with them."""
        if signals.was_told():
            # An orderly end takes seconds, and workers that are just starting complain about it.
            for nanny in () if self._cluster is None else tuple(self._cluster.workers.values()):
                nanny.auto_restart = False
            signals.kill_children()
            _ABANDONED.append(self.stack.pop_all())
            return
        try:
            super().close()
        except TimeoutError:
            signals.kill_children()
            raise

    def check(self) -> list[Finding]:
        """Start one worker, which shows as much as many do, and say how many a run takes."""
        workers = self.settings.workers or available_cores()
        self.settings = self.settings.model_copy(update={"workers": 1})
        (finding,) = super().check()
        if finding.error is not None:
            return [finding]
        return [Finding(f"local: a worker starts; a run takes {workers} (--workers)")]

    def scale(self, workers: int) -> None:
        """Start or end workers until there are `workers`."""
        if self._cluster is not None:
            self._cluster.scale(workers)


async def _started(cluster: LocalCluster) -> None:
    """Wait for the workers; one that cannot be started raises here."""
    await cluster


def _start_tracker() -> None:
    """Start the process that tidies up after multiprocessing, so that it does so without a word.

    On its own, before signals are blocked: starting it unblocks them.
    """
    name, own = "PYTHONWARNINGS", os.environ.get("PYTHONWARNINGS")
    os.environ[name] = ",".join(filter(None, (own, "ignore:resource_tracker:UserWarning")))
    try:
        resource_tracker.ensure_running()
    finally:
        if own is None:
            del os.environ[name]
        else:
            os.environ[name] = own
