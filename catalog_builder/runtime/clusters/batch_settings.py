"""Jobs of batch systems: the sections `cluster.slurm` and `cluster.pbs` of the run config."""

from __future__ import annotations

import re
from pathlib import Path

from dask.utils import parse_bytes
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_WALLTIME = r"^(\d+-)?\d{1,3}:\d{2}:\d{2}$"


class BatchSettings(BaseModel):
    """Jobs of a batch system: one worker process in each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue: str | None = Field(
        None, description="Partition or queue of the CPU jobs; by default the site's own default."
    )
    account: str | None = Field(None, description="Account or project that is charged.")
    walltime: str = Field(
        "04:00:00", pattern=_WALLTIME, description="Time limit of a CPU job, [D-]HH:MM:SS."
    )
    lifetime_margin: float = Field(
        900.0,
        gt=0.0,
        description="Seconds before its time limit at which a worker ends by itself; a job that"
        " takes its place is submitted.",
    )
    lifetime_stagger: float = Field(
        300.0,
        ge=0.0,
        description="Seconds before that over which the ends of workers are spread at random, so"
        " that they do not all leave at once.",
    )
    cores: int = Field(
        1,
        ge=1,
        description="Cores of a CPU job; its worker does one task at a time, so more help only"
        " where memory comes with cores.",
    )
    job_memory: str | None = Field(
        None,
        description="Memory of a job; by default cluster.memory_limit, a quarter of it and 512 MiB"
        " more, so that Dask notices first.",
    )
    job_extra_directives: tuple[str, ...] = Field(
        (), description="Further directives of every job, without #SBATCH or #PBS."
    )
    gpu_queue: str | None = Field(
        None,
        description="Partition or queue of the one GPU job that trains; null: training runs on the"
        " CPU workers.",
    )
    gpu_directives: tuple[str, ...] = Field(
        (), description="Further directives of the GPU job, such as --gres=gpu:1."
    )
    gpu_cores: int = Field(4, ge=1, description="Cores of the GPU job.")
    gpu_walltime: str | None = Field(
        None, pattern=_WALLTIME, description="Time limit of the GPU job; by default `walltime`."
    )
    cpu_jobs_while_training: int | None = Field(
        None,
        ge=1,
        description="CPU jobs kept while the GPU job trains, the others are given back and asked"
        " for again afterwards; null keeps all.",
    )
    job_script_prologue: tuple[str, ...] = Field(
        (), description="Lines of a job before its worker starts, such as `module load python`."
    )
    python: str | None = Field(
        None, description="Python of the workers; by default the one that runs the driver."
    )
    interface: str | None = Field(
        None,
        description="Network interface of scheduler and workers, such as ib0; by default that of"
        " the default route.",
    )
    scheduler_port: int = Field(
        0, ge=0, lt=65536, description="Port of the scheduler; 0 for any that is free."
    )
    worker_extra_args: tuple[str, ...] = Field(
        (), description="Further arguments of `dask worker`, such as --worker-port 30000:30999."
    )
    shared_folder: Path | None = Field(
        None,
        description="Folder that driver and compute nodes see, for certificates and job scripts;"
        " by default `cluster` in the workdir.",
    )
    local_directory: str = Field(
        "${TMPDIR:-/tmp}", description="Scratch folder of a worker on its node, as a shell has it."
    )
    poll_seconds: float = Field(
        10.0, gt=0.0, description="Seconds between two looks at the batch system's queue."
    )
    pending_warning: float = Field(
        45.0, ge=0.0, description="Seconds without any worker after which a warning says why."
    )
    pending_limit: float | None = Field(
        None,
        gt=0.0,
        description="Seconds without any worker after which the run ends; null to wait for ever"
        " (jobs that can never start end it at once).",
    )
    start_seconds: float = Field(
        180.0,
        gt=0.0,
        description="Seconds that a running job may be without its worker before it is replaced;"
        " also how long a worker without a scheduler lives.",
    )
    failed_starts: int = Field(
        3, ge=1, description="Jobs in a row that may end before they had a worker."
    )

    @field_validator("walltime", "gpu_walltime", mode="before")
    @classmethod
    def _undo_yaml(cls, value: object) -> object:
        # YAML 1.1 reads 12:00:00 as a number of base 60.
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        return f"{value // 3600:02d}:{value // 60 % 60:02d}:{value % 60:02d}"

    @field_validator("job_memory")
    @classmethod
    def _is_a_size(cls, value: str | None) -> str | None:
        if value is not None:
            parse_bytes(value)
        return value

    @model_validator(mode="after")
    def _workers_live_before_their_jobs_end(self) -> BatchSettings:
        for walltime in (self.walltime, self.gpu_walltime or self.walltime):
            if seconds_of(walltime) <= self.lifetime_margin + self.lifetime_stagger:
                raise ValueError(
                    f"walltime {walltime} leaves no time to work: it must be longer than"
                    " lifetime_margin and lifetime_stagger together"
                )
        return self

    def lifetime_of(self, walltime: str) -> float:
        """Return how long the worker of a job of this time limit lives on average, seconds."""
        return seconds_of(walltime) - self.lifetime_margin - self.lifetime_stagger / 2.0


def seconds_of(walltime: str) -> float:
    """Return the seconds of [D-]HH:MM:SS."""
    days, hours, minutes, seconds = re.findall(r"\d+", f"0-{walltime}")[-4:]
    return ((float(days) * 24 + float(hours)) * 60 + float(minutes)) * 60 + float(seconds)


class SlurmSettings(BatchSettings):
    """Slurm."""

    gpu_directives: tuple[str, ...] = Field(
        ("--gres=gpu:1",), description="Further directives of the GPU job."
    )


class PbsSettings(BatchSettings):
    """PBS."""

    resource_spec: str | None = Field(
        None, description="What follows -l in a CPU job; by default select, ncpus and mem."
    )
    gpu_resource_spec: str | None = Field(
        None, description="What follows -l in the GPU job; by default with ngpus=1."
    )
