"""What ``doctor`` finds out about a batch system before anything is submitted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psutil
from dask.utils import format_bytes, parse_bytes

from catalog_builder.ground.errors import CatalogBuilderError, ConfigError
from catalog_builder.runtime.clusters.batch_settings import BatchSettings
from catalog_builder.runtime.clusters.protocol import Finding
from catalog_builder.runtime.clusters.queues import BatchQueue
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.clusters.tls import local_security, security_of
from catalog_builder.runtime.workdir import Workdir

#: File systems that other machines cannot see.
_OWN = frozenset({"btrfs", "ext2", "ext3", "ext4", "overlay", "ramfs", "tmpfs", "xfs", "zfs"})


class BatchJobs(Protocol):
    """The cluster that is looked at: what a batch system's jobs are to be."""

    settings: ClusterSettings
    batch: BatchSettings
    queue: BatchQueue
    workdir: Workdir
    folder: Path

    def memory_of_job(self) -> int:
        """Return the bytes that a job may use."""

    def find_queues(self) -> Iterator[str]:
        """Say which queues jobs go to."""

    def test_jobs(self) -> Iterator[str]:
        """Say whether the batch system would take the jobs."""


def check_batch(cluster: BatchJobs) -> list[Finding]:
    """Look at commands, jobs, memory, network, folders and certificates."""
    looks: list[Callable[[BatchJobs], Iterator[str]]] = [
        _commands,
        _memory,
        _network,
        _folders,
        _certificates,
        _queues,
        _jobs,
    ]
    findings: list[Finding] = []
    for look in looks:
        try:
            findings += [Finding(text) for text in look(cluster)]
        except CatalogBuilderError as error:
            findings.append(Finding(look.__name__.strip("_"), error))
    return findings


def _commands(cluster: BatchJobs) -> Iterator[str]:
    cluster.queue.require()
    yield f"{cluster.settings.kind}: {', '.join(cluster.queue.commands)} are there"


def _memory(cluster: BatchJobs) -> Iterator[str]:
    job, worker = cluster.memory_of_job(), parse_bytes(cluster.settings.memory_limit)
    if job <= worker:
        raise ConfigError(
            f"A job has {format_bytes(job)}, its worker's limit is {format_bytes(worker)}: the"
            " batch system would kill it before Dask notices.",
            f"Raise cluster.{cluster.settings.kind}.job_memory or lower cluster.memory_limit.",
        )
    yield f"{format_bytes(job)} for a job, {format_bytes(worker)} of them for its worker"


def _network(cluster: BatchJobs) -> Iterator[str]:
    interface = cluster.batch.interface
    if interface is None:
        yield "the scheduler listens where the default route is (set `interface` for another)"
        return
    if interface not in psutil.net_if_addrs():
        raise ConfigError(
            f"There is no network interface {interface!r}.",
            f"This machine has {', '.join(sorted(psutil.net_if_addrs()))}.",
        )
    yield f"the scheduler listens on {interface}"


def _folders(cluster: BatchJobs) -> Iterator[str]:
    python = Path(cluster.batch.python or sys.executable)
    for name, path in (
        ("workdir", cluster.workdir.root),
        ("certificates and scripts", cluster.folder),
        ("Python", python),
    ):
        kind = _file_system(path)
        warning = ": can compute nodes see it?" if kind in _OWN else ""
        yield f"{name} {path} on {kind}{warning}"


def _file_system(path: Path) -> str:
    """Return the type of the file system that holds a path, which need not exist."""
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    for parent in (path.absolute(), *path.absolute().parents):
        if str(parent) in mounts:
            return mounts[str(parent)]
    return "an unknown file system"


def _certificates(cluster: BatchJobs) -> Iterator[str]:
    tls = cluster.settings.tls
    if isinstance(tls, Path):
        security_of(tls)
        yield f"certificates of {tls}"
        return
    local_security(cluster.settings.model_copy(update={"tls": True}))
    yield "certificates are made for each run, for their owner's eyes only"


def _queues(cluster: BatchJobs) -> Iterator[str]:
    yield from cluster.find_queues()


def _jobs(cluster: BatchJobs) -> Iterator[str]:
    yield from cluster.test_jobs()
