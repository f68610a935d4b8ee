"""Slurm: jobs submitted from a login node."""

from __future__ import annotations

import math
from typing import Any

from dask_jobqueue.slurm import SLURMJob

from catalog_builder.runtime.clusters.batch import GPU, BatchCluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir


class SlurmCluster(BatchCluster):
    """Workers in jobs of Slurm."""

    def __init__(self, settings: ClusterSettings, workdir: Workdir, events: Events) -> None:
        super().__init__(settings, workdir, events, settings.slurm)

    def job_script(self, group: str, options: dict[str, Any]) -> str:
        """Return the script for sbatch; output and errors go into one file beside it."""
        batch = self.batch
        directives = [f"-o {self.logs}/{options['name']}-%j.log", *batch.job_extra_directives]
        job = SLURMJob(
            job_cpu=batch.gpu_cores if group == GPU else batch.cores,
            job_mem=f"{math.ceil(self.memory_of_job() / 2**20)}M",
            job_extra_directives=[*directives, *(batch.gpu_directives if group == GPU else ())],
            **options,
        )
        return str(job.job_script())
