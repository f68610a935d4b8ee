"""PBS: jobs submitted from a login node."""

from __future__ import annotations

import math
from typing import Any

from dask_jobqueue.pbs import PBSJob

from catalog_builder.runtime.clusters.batch import GPU, BatchCluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir


class PbsCluster(BatchCluster):
    """Workers in jobs of PBS."""

    def __init__(self, settings: ClusterSettings, workdir: Workdir, events: Events) -> None:
        super().__init__(settings, workdir, events, settings.pbs)

    def job_script(self, group: str, options: dict[str, Any]) -> str:
        """Return the script for qsub; output and errors go into one file beside it."""
        batch = self.settings.pbs
        chosen = batch.gpu_resource_spec if group == GPU else batch.resource_spec
        directives = ["-j oe", *batch.job_extra_directives]
        job = PBSJob(
            resource_spec=chosen or self._resources(group),
            job_extra_directives=[*directives, *(batch.gpu_directives if group == GPU else ())],
            **options,
        )
        return str(job.job_script())

    def _resources(self, group: str) -> str:
        memory = f"mem={math.ceil(self.memory_of_job() / 2**20)}mb"
        if group == GPU:
            return f"select=1:ncpus={self.batch.gpu_cores}:ngpus=1:{memory}"
        return f"select=1:ncpus={self.batch.cores}:{memory}"
