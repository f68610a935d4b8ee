"""The plan of a run before anything is done: partitions, bytes, rows, memory, disk.

Rows are those that files state; of text they are estimated from the beginning of one file of each
table. Disk and memory are estimated from what stores and blocks of rows take (measured;
`docs/design.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
from dask.utils import format_bytes, parse_bytes

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition, told_of_choices
from catalog_builder.archive.readers.content import look_at, read_head
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName, TableSpec
from catalog_builder.features.store import arrays_of, bytes_of
from catalog_builder.ground.errors import InputError, ResourceError
from catalog_builder.labels.agreed import default_schema
from catalog_builder.model.settings import ModelSettings
from catalog_builder.run.budgets import label_rows, machine_memory, row_size, stage_budgets
from catalog_builder.run.row_counts import stated_rows
from catalog_builder.runtime.clusters.local import available_cores
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.training.settings import TrainingSettings

if TYPE_CHECKING:
    from catalog_builder.run.pipeline import Pipeline

#: What is left of spectra on the model grid when they are compressed: of lines, masks shrink most.
COMPRESSED = {"lines": 0.72, "low_resolution": 0.84}
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
    budgets: Mapping[str, int]
    memory_limit: int | None
    memory_machine: int | None
    disk_needed: int
    disk_free: int
    choices: str = ""
    #: How many networks are trained, and for whom.
    networks: str = ""
    #: Tables whose rows were counted, not estimated.
    counted: frozenset[str] = frozenset()

    @property
    def hungriest(self) -> str:
        """The step that needs most memory of a worker, of those that are sure to."""
        # Training is looked at again when its stars are counted: not all labels pass the cuts.
        sure = [step for step in self.budgets if step != "train"] or ["train"]
        return max(sure, key=self.budgets.__getitem__)

    @property
    def memory_needed(self) -> int:
        """Bytes that a worker needs for it."""
        return self.budgets[self.hungriest]

    def headline(self) -> str:
        """Return the plan in one line."""
        return (
            f"{self.partitions} partitions, {self.files} files, {format_bytes(self.bytes_in)};"
            f" {self.workers} workers"
        )

    def in_words(self) -> str:
        """Return the plan as lines."""
        rows = "\n".join(
            f"  {table:<28} {'' if table in self.counted else 'about':>5} {count:>12,}"
            for table, count in self.rows.items()
        )
        limit = "" if self.memory_limit is None else f" of its {format_bytes(self.memory_limit)}"
        budgets = "\n".join(
            f"  {step:<28} {format_bytes(needed):>18}" for step, needed in self.budgets.items()
        )
        return (
            f"Partitions: {self.partitions} ({self.files} files, {format_bytes(self.bytes_in)})\n"
            f"Rows:\n{rows}\n"
            f"Workers: {self.workers}, at most {format_bytes(self.memory_needed)} each{limit}\n"
            f"{budgets}\n"
            + (f"Networks: {self.networks}\n" if self.networks else "")
            + f"Disk: about {format_bytes(self.disk_needed)} of {format_bytes(self.disk_free)} free"
            + (f"\nNote: {self.choices}." if self.choices else "")
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
                f"A worker needs about {format_bytes(self.memory_needed)} for {self.hungriest}, its"
                f" limit is {format_bytes(self.memory_limit)}.",
                f"{_SMALLER[self.hungriest]} or raise cluster.memory_limit.",
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


#: What makes a step need less.
_SMALLER = {
    "ingest": "Lower ingest.block_rows and ingest.store_chunk_rows,",
    "training-set": "Lower training.chunk_rows,",
    "train": "Give fewer labelled stars,",
    "predict": "Lower predict.batch_size,",
    "publish": "Lower publish.chunk_rows,",
}


def make_plan(pipeline: Pipeline) -> Plan:
    """Look at the archive and the machine, and plan a run; nothing is written.

    Raises
    ------
    InputError
        If the archive is not there.
    """
    config, release = pipeline.config, pipeline.release
    partitions = pipeline.partitions
    files: dict[TableName, dict[str, FileRef]] = {}
    for partition in partitions:
        for table, several in partition.files.items():
            files.setdefault(table, {}).update({file.url: file for file in several})
    counts = {
        table: _rows_of(list(refs.values()), release.tables[table])
        for table, refs in sorted(files.items())
    }
    rows = {table: count for table, (count, _) in counts.items()}
    driving = {table: count for table, count in rows.items() if table in release.driving_tables}
    budgets = stage_budgets(
        config,
        release,
        {table: row_size(release.tables[table]) for table in driving},
        round(max(_share_of_largest(partitions, table) * n for table, n in driving.items())),
        _count_labelled(pipeline, sum(driving.values())),
        # What is only ingested may be of a release that no survey of labels goes with.
        pipeline.schema if pipeline.wanted - {"ingest"} else default_schema(),
    )
    existing = config.workdir.absolute()
    while not existing.exists():
        existing = existing.parent
    local = config.cluster.kind == "local"
    somebody_elses = "://" in config.cluster.kind
    disk = sum(_store_bytes(release, table) * count for table, count in driving.items())
    disk += SOURCE_BYTES * max(driving.values())
    return Plan(
        partitions=len(partitions),
        files=sum(len(refs) for refs in files.values()),
        bytes_in=sum(partition.size for partition in partitions),
        rows={str(table): count for table, count in rows.items()},
        workers=config.cluster.workers or available_cores(),
        budgets={step: need for step, need in budgets.items() if step in pipeline.wanted},
        memory_limit=None if somebody_elses else parse_bytes(config.cluster.memory_limit),
        memory_machine=machine_memory() if local else None,
        disk_needed=round(_share_to_do(pipeline) * disk),
        disk_free=psutil.disk_usage(str(existing)).free,
        choices=told_of_choices(partitions),
        counted=frozenset(str(table) for table, (_, is_counted) in counts.items() if is_counted),
        networks=_networks(config.model, config.training) if _trains(pipeline) else "",
    )


def _trains(pipeline: Pipeline) -> bool:
    return "train" in pipeline.wanted and pipeline.config.model_path is None


def _networks(settings: ModelSettings, training: TrainingSettings) -> str:
    """Say which networks are trained, and how much longer that takes than the ensemble alone."""
    if not settings.folds:
        return f"{settings.members}; stars that teach get labels from networks that saw them"
    more = settings.folds * settings.fold_members
    fit = 1.0 - training.validation - training.calibration - training.test
    # All stars but those of the fold and the test stars teach each.
    stars = (1.0 - training.test) / fit * (1.0 - 1.0 / settings.folds)
    longer = 1.0 + more * stars / settings.members
    return (
        f"{settings.members}, and {more} for the stars that teach, each without one of"
        f" {settings.folds} folds of them; {longer:.1f} times as long as the {settings.members}"
        " alone"
    )


def _share_of_largest(partitions: Sequence[Partition], table: TableName) -> float:
    """Return the largest partition's share of the bytes of a table."""
    sizes = [partition.size_of(table) for partition in partitions]
    return max(sizes) / max(1, sum(sizes))


def _count_labelled(pipeline: Pipeline, sources: int) -> int:
    """Return how many labelled stars there may be: no more than labels, nor than sources."""
    if not (_trains(pipeline) or pipeline.config.recalibrate):
        return 0
    try:
        rows = label_rows(pipeline.label_file)
    except InputError:
        return 0  # a run says so before it starts
    return sources if rows is None else min(rows, sources)


def _share_to_do(pipeline: Pipeline) -> float:
    """Return the share of partitions whose stores are not in the workdir yet."""
    workdir = Workdir(pipeline.config.workdir.absolute())
    files = (workdir.receipt_file("ingest", part.name) for part in pipeline.partitions)
    return sum(not file.exists() for file in files) / len(pipeline.partitions)


def _store_bytes(release: ReleaseSpec, table: TableName) -> float:
    """Return the bytes in the workdir per row of a driving table: its spectra, compressed."""
    inputs = release.inputs
    arrays = arrays_of(inputs)
    return sum(
        COMPRESSED[inputs.spectra[reading.name].kind] * bytes_of(arrays[reading.name])
        for reading in release.readings[table]
    )


def _rows_of(files: list[FileRef], table: TableSpec) -> tuple[int, bool]:
    """Return the rows of a table, and whether they were counted; an estimate is one at least."""
    return stated_rows(files) or (_estimate_rows(files, table), False)


def _estimate_rows(files: list[FileRef], table: TableSpec) -> int:
    total = sum(file.size for file in files)
    largest = max(files, key=lambda file: file.size)
    return max(1, round(total / _bytes_per_row(largest, table)))


def _bytes_per_row(file: FileRef, table: TableSpec) -> float:
    """Return the bytes in the file per row: from its beginning, if it is text."""
    try:
        is_text = look_at(file.url).format == "text"
        _, text = read_head(file.url, SAMPLE_BYTES) if is_text else (False, b"")
    except InputError:
        return float(row_size(table))  # the ingest will say what is wrong with the file
    lines = text.splitlines()
    rows = [line for line in lines if not line.startswith(b"#")][1:]
    if not rows:
        return float(row_size(table))
    # The last line may be cut: count bytes, not lines, and by the share of the head they fill.
    mean_text = sum(map(len, rows)) / len(rows) + 1
    return mean_text * min(file.size, SAMPLE_BYTES) / len(text)
