"""The plan of a run before anything is done: partitions, bytes, rows, memory, disk.

Rows are estimated from the beginning of one file of each table; disk and memory from what
stores and blocks of rows take (measured; `docs/design.md`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import fsspec
import psutil
from dask.utils import format_bytes, parse_bytes

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.tables import TableName, TableSpec
from catalog_builder.errors import ResourceError
from catalog_builder.runtime.clusters.local import available_cores
from catalog_builder.runtime.workdir import Workdir

if TYPE_CHECKING:
    from catalog_builder.pipeline import Pipeline

#: Bytes of a worker before it holds any row: Python, Dask, NumPy, torch.
BASE_MEMORY = 500 << 20
#: A block of rows exists at most this many times over while it is converted (float64 copies).
BLOCK_COPIES = 8
#: Bytes in the workdir per row of a table: spectra on the model grid, compressed.
STORE_BYTES = {
    "rvs_mean_spectrum": 5200,
    "xp_continuous_mean_spectrum": 2300,
    "xp_sampled_mean_spectrum": 2300,
}
#: Bytes in the workdir per source: scalars, predictions, catalogue as zarr and as FITS.
SOURCE_BYTES = 900
#: How much of a file is looked at.
SAMPLE_BYTES = 1 << 18


@dataclass(frozen=True)
class Plan:
    """What a run would do, need and find."""

    partitions: int
    files: int
    bytes_in: int
    rows: Mapping[str, int]
    workers: int
    memory_needed: int
    memory_limit: int | None
    memory_machine: int | None
    disk_needed: int
    disk_free: int

    def headline(self) -> str:
        """Return the plan in one line."""
        return (
            f"{self.partitions} partitions, {self.files} files, {format_bytes(self.bytes_in)};"
            f" {self.workers} workers"
        )

    def in_words(self) -> str:
        """Return the plan as lines."""
        rows = "\n".join(f"  {table:<28} about {count:>12,}" for table, count in self.rows.items())
        limit = "" if self.memory_limit is None else f" of its {format_bytes(self.memory_limit)}"
        return (
            f"Partitions: {self.partitions} ({self.files} files, {format_bytes(self.bytes_in)})\n"
            f"Rows:\n{rows}\n"
            f"Workers: {self.workers}, each needs about {format_bytes(self.memory_needed)}{limit}\n"
            f"Disk: about {format_bytes(self.disk_needed)} of {format_bytes(self.disk_free)} free"
        )

    def refuse_if_it_cannot_fit(self) -> None:
        """Raise if memory or disk are too small.

        Raises
        ------
        ResourceError
            Naming what is too small, and the setting that helps.
        """
        # Workers that somebody else started have limits of their own.
        if self.memory_limit is not None and self.memory_needed > self.memory_limit:
            raise ResourceError(
                f"A worker needs about {format_bytes(self.memory_needed)}, its limit is"
                f" {format_bytes(self.memory_limit)}.",
                "Lower ingest.block_rows or raise cluster.memory_limit.",
            )
        machine = self.memory_machine
        if machine is not None and self.workers * self.memory_needed > machine:
            raise ResourceError(
                f"{self.workers} workers need {format_bytes(self.workers * self.memory_needed)},"
                f" this machine has {format_bytes(machine)}.",
                "Take fewer --workers.",
            )
        if self.disk_needed > self.disk_free:
            raise ResourceError(
                f"The workdir needs about {format_bytes(self.disk_needed)},"
                f" {format_bytes(self.disk_free)} are free.",
                "Choose another --workdir, or fewer --ranges.",
            )


def make_plan(pipeline: Pipeline) -> Plan:
    """Look at the archive and the machine, and plan a run; nothing is written.

    Raises
    ------
    InputError
        If the archive is not there.
    """
    config, release = pipeline.config, pipeline.release
    partitions = pipeline.partitions
    files: dict[TableName, list[FileRef]] = {}
    for partition in partitions:
        for table, file in partition.files.items():
            files.setdefault(table, []).append(file)
    rows = {
        table: _estimate_rows(refs, release.tables[table]) for table, refs in sorted(files.items())
    }
    driving = {table: count for table, count in rows.items() if table in release.driving_tables}
    block = max(_row_bytes(release.tables[table]) for table in driving)
    existing = config.workdir.absolute()
    while not existing.exists():
        existing = existing.parent
    local = config.cluster.kind == "local"
    somebody_elses = "://" in config.cluster.kind
    disk = sum(STORE_BYTES.get(table, 0) * count for table, count in driving.items())
    disk += SOURCE_BYTES * max(driving.values())
    return Plan(
        partitions=len(partitions),
        files=sum(len(refs) for refs in files.values()),
        bytes_in=sum(partition.size for partition in partitions),
        rows={str(table): count for table, count in rows.items()},
        workers=config.cluster.workers or available_cores(),
        memory_needed=BASE_MEMORY + BLOCK_COPIES * config.ingest.block_rows * block,
        memory_limit=None if somebody_elses else parse_bytes(config.cluster.memory_limit),
        memory_machine=psutil.virtual_memory().total if local else None,
        disk_needed=round(_share_to_do(pipeline) * disk),
        disk_free=psutil.disk_usage(str(existing)).free,
    )


def _share_to_do(pipeline: Pipeline) -> float:
    """Return the share of partitions whose stores are not in the workdir yet."""
    workdir = Workdir(pipeline.config.workdir.absolute())
    files = (workdir.receipt_file("ingest", part.name) for part in pipeline.partitions)
    return sum(not file.exists() for file in files) / len(pipeline.partitions)


def _row_bytes(table: TableSpec) -> int:
    return sum(
        column.numpy_dtype.itemsize * (column.length or 1) for column in table.columns.values()
    )


def _estimate_rows(files: list[FileRef], table: TableSpec) -> int:
    total = sum(file.size for file in files)
    largest = max(files, key=lambda file: file.size)
    return max(1, round(total / _bytes_per_row(largest, table)))


def _bytes_per_row(file: FileRef, table: TableSpec) -> float:
    """Return the bytes in the file per row: from its beginning, if it is text."""
    if not file.name.endswith((".gz", ".csv", ".ecsv")) or ".fits" in file.name:
        return float(_row_bytes(table))
    try:
        with fsspec.open(file.url, "rb") as stream:
            head = stream.read(SAMPLE_BYTES)
        packed = file.name.endswith(".gz")
        text = zlib.decompressobj(wbits=31).decompress(head) if packed else head
    except (OSError, zlib.error):
        return float(_row_bytes(table))  # the ingest will say what is wrong with the file
    lines = text.splitlines()
    rows = [line for line in lines if not line.startswith(b"#")][1:]
    if not rows:
        return float(_row_bytes(table))
    # The last line may be cut: count bytes, not lines, and by the share of the head they fill.
    mean_text = sum(map(len, rows)) / len(rows) + 1
    return mean_text * len(head) / len(text)
