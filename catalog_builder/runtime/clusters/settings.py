"""Where the work runs: the `cluster` section of the run config."""

from __future__ import annotations

from pathlib import Path

from dask.utils import parse_bytes
from pydantic import BaseModel, ConfigDict, Field, field_validator

from catalog_builder.runtime.clusters.batch_settings import PbsSettings, SlurmSettings


class KubernetesSettings(BaseModel):
    """A driver in a pod, beside a cluster of the Dask operator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_seconds: float = Field(
        1800.0,
        gt=0.0,
        description="Seconds that the driver waits for the scheduler and its first worker: nodes"
        " may have to start, and images to come.",
    )
    manifests: Path | None = Field(
        None,
        description="Overlay such as deploy/kubernetes/overlays/cpu, for --dry-run to print and"
        " `doctor` to check from outside.",
    )


class ClusterSettings(BaseModel):
    """What all kinds of clusters share; each kind that needs more has a section of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(
        "local",
        description="`local`, `slurm`, `pbs`, `srun` (inside a job of Slurm), `kubernetes`, or the"
        " address of a running scheduler (tcp:// or tls://).",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Worker processes; by default one per core of this machine. A batch system has"
        " to be told.",
    )
    memory_limit: str = Field(
        "2GiB", description="Memory of each worker, above which Dask restarts it."
    )
    dashboard_address: str = Field(
        "127.0.0.1:0",
        description="Where the Dask dashboard listens; loopback unless told otherwise.",
    )
    attempts: int = Field(
        3, ge=1, description="How often a task that kills its worker is tried before quarantine."
    )
    tls: bool | Path = Field(
        False,
        description="Encrypted connections: `true` (a temporary certificate for a local cluster),"
        " or a folder that holds ca.pem, cert.pem and key.pem; beyond one machine they are always"
        " encrypted, by a certificate made for the run if none is given.",
    )
    gpu_fallback: bool = Field(
        False,
        description="Where a GPU is asked for and none comes or works, train on a CPU and warn.",
    )
    stall_seconds: float = Field(
        1800.0, gt=0.0, description="Seconds without a finished task before a warning."
    )
    performance_report: bool = Field(
        True, description="Save the Dask performance report of each run beside its log."
    )

    slurm: SlurmSettings = Field(default_factory=SlurmSettings)
    pbs: PbsSettings = Field(default_factory=PbsSettings)
    kubernetes: KubernetesSettings = Field(default_factory=KubernetesSettings)

    @field_validator("memory_limit")
    @classmethod
    def _is_a_size(cls, value: str) -> str:
        parse_bytes(value)
        return value

    @property
    def submits(self) -> bool:
        """Whether workers are submitted to somebody who may keep them waiting."""
        return self.kind in ("slurm", "pbs")

    @property
    def offers_gpu(self) -> bool:
        """Whether the settings of this kind name where training gets a GPU."""
        return any(
            self.kind == kind and section.gpu_queue is not None
            for kind, section in (("slurm", self.slurm), ("pbs", self.pbs))
        )
