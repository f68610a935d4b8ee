"""Inside a job of Slurm: driver and scheduler on its first node, workers as a job step of it.

For sites that allow no long-lived process on a login node: the whole run is one job
(``deploy/slurm/inside-a-job.sh``), and ends with it; the next one goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from distributed import Client

from catalog_builder.ground.errors import ClusterError, ConfigError
from catalog_builder.runtime.clusters.over_tls import OverTls, worker_environment
from catalog_builder.runtime.clusters.presence import watch_for_workers
from catalog_builder.runtime.clusters.protocol import Finding
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir

#: Seconds that the job step may take after it was told to end.
END_SECONDS = 30


class SrunCluster(OverTls):
    """A worker for each task of the allocation that this process runs in."""

    def __init__(self, settings: ClusterSettings, workdir: Workdir, events: Events) -> None:
        super().__init__(settings, workdir, events, settings.slurm)

    def open(self) -> Client:
        """Start the scheduler and the job step, and wait for the first worker.

        Raises
        ------
        ConfigError
            If this is no allocation of Slurm.
        ClusterError
            If the job step ends, or no worker comes.
        """
        tasks = self._tasks()
        self.make_folders()
        client = self.start_scheduler()
        log = self.logs / f"{self.name}.log"
        said = self.stack.enter_context(log.open("w", encoding="utf-8"))
        step = subprocess.Popen(  # noqa: S603 - no shell; what it holds is the user's own settings
            self._command(tasks),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, **worker_environment()},
        )
        self.stack.callback(_end, step)
        self._wait(step, log)
        if self._scheduler is not None:
            scheduler = self._scheduler.scheduler
            self.stack.enter_context(watch_for_workers(self, scheduler, client))
        return client

    def describe(self) -> str:
        """Return the command of the job step."""
        tasks = int(os.environ.get("SLURM_NTASKS", self.settings.workers or 1))
        return f"Inside the job:\n\n{' '.join(self._command(tasks))}"

    def check(self) -> list[Finding]:
        """Say whether this is an allocation, and how large; start nothing."""
        try:
            return [Finding(f"srun: {self._tasks()} tasks of job {os.environ['SLURM_JOB_ID']}")]
        except ConfigError as error:
            return [Finding("srun", error)]

    def _tasks(self) -> int:
        tasks = os.environ.get("SLURM_NTASKS")
        if "SLURM_JOB_ID" not in os.environ or tasks is None:
            raise ConfigError(
                "--cluster srun works inside a job of Slurm that was submitted with --ntasks.",
                "Submit deploy/slurm/inside-a-job.sh with sbatch, or take --cluster slurm here.",
            )
        return min(int(tasks), self.settings.workers or int(tasks))

    def _command(self, tasks: int) -> list[str]:
        batch, security = self.batch, self.worker_security().get_tls_config_for_role("worker")
        return [
            *("srun", f"--ntasks={tasks}", "--kill-on-bad-exit=0", "--no-kill", "--wait=0"),
            *(batch.python or sys.executable, "-m", "distributed.cli.dask_worker", self.address),
            *("--nthreads", "1", "--nanny", "--memory-limit", self.settings.memory_limit),
            *("--death-timeout", f"{batch.start_seconds:.0f}"),
            *("--local-directory", os.environ.get("TMPDIR", "/tmp")),  # noqa: S108 - as in a shell
            *("--protocol", "tls://", "--tls-ca-file", str(security["ca_file"])),
            *("--tls-cert", str(security["cert"]), "--tls-key", str(security["key"])),
            *(() if batch.interface is None else ("--interface", batch.interface)),
            *self.worker_arguments(),
            *batch.worker_extra_args,
        ]

    def _wait(self, step: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + self.batch.start_seconds
        while not self.registered():
            if step.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise ClusterError(
                    "The workers of the job step did not come"
                    f" ({lines[-1] if lines else 'srun says nothing'}).",
                    f"Look at {log}.",
                )
            time.sleep(0.2)


def _end(step: subprocess.Popen[bytes]) -> None:
    step.terminate()
    try:
        step.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        step.kill()
        step.wait()
