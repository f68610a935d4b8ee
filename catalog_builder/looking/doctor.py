"""What works on this machine, and what will not."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
from dask.utils import format_bytes

from catalog_builder.catalog.provenance import software_versions
from catalog_builder.ground.errors import CatalogBuilderError
from catalog_builder.ground.extras import missing_for_run
from catalog_builder.runtime.clusters.local import available_cores
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.workdir import Workdir

#: Below this a DR3-sized partition may not fit a worker (docs/design.md).
MIN_WORKER_MEMORY = 3 << 29


@dataclass(frozen=True)
class Report:
    """Findings in words, what they come to, and the first thing that will not work."""

    text: str
    verdict: str
    error: CatalogBuilderError | None


def examine(workdir: Path, settings: ClusterSettings) -> Report:
    """Try the workdir and the cluster, and look at versions, devices, memory and disk."""
    lines = [f"Python     {sys.version.split()[0]} on {platform.system()} {platform.machine()}"]
    lines += [f"{name:<10} {found}" for name, found in software_versions().items()]
    lines.append(f"GPU        {_gpu()}")
    memory = psutil.virtual_memory()
    cores = available_cores()
    lines.append(
        f"machine    {cores} cores, {format_bytes(memory.total)} memory,"
        f" {format_bytes(memory.available)} available"
    )
    fitting = memory.total // MIN_WORKER_MEMORY
    if fitting < cores:
        lines.append(f"           memory is short: take at most {fitting} --workers")
    error: CatalogBuilderError | None = None
    place = Workdir(workdir.absolute())
    existed = place.root.exists()
    try:
        place.create()
        lines.append(
            f"workdir    {workdir}: {format_bytes(psutil.disk_usage(str(place.root)).free)} free"
        )
        for finding in make_cluster(settings, place).check():
            lines.append(f"cluster    {finding.text}")
            if finding.error is not None:
                error = error or finding.error
                lines.append(f"           will not work: {finding.error}")
    except CatalogBuilderError as found:
        error = found
        lines.append(f"           will not work: {found}")
    finally:
        if not existed:
            _leave_no_trace(place)
    return Report(
        "\n".join(lines), f"verdict    {_verdict(error, min(cores, fitting), cores)}", error
    )


def _verdict(error: CatalogBuilderError | None, fitting: int, cores: int) -> str:
    if error is not None:
        return "a run will not work yet: see above"
    if missing := missing_for_run():
        return f"catalogues can be read here, not made: {', '.join(missing)} not installed"
    return "a run works here" + ("" if fitting == cores else f", with --workers {max(1, fitting)}")


def _gpu() -> str:
    try:
        import torch
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed: catalogues are read here, not made"

    if not torch.cuda.is_available():
        return "none; training runs on the CPU"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _leave_no_trace(place: Workdir) -> None:
    import shutil

    shutil.rmtree(place.scratch, ignore_errors=True)
    if place.root.is_dir() and not any(place.root.iterdir()):
        place.root.rmdir()
