"""The ingest stage: one task per partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalog_builder.archive.layout import Partition
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.config import IngestSettings, digest_json
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir


@dataclass(frozen=True)
class IngestContext:
    """What all ingest tasks share."""

    workdir: Workdir
    release: ReleaseSpec
    settings: IngestSettings


def _work(context: IngestContext, task: Task) -> Outcome:
    partition: Partition = task.payload["partition"]
    out = context.workdir.new_output("features", partition.name)
    result = ingest_partition(partition, context.release, context.settings, out)
    return Outcome(
        rows_in=result.rows_in,
        rows_out=result.rows_out,
        rejected=result.rejected,
        inputs=_inputs(partition),
        output=str(out.relative_to(context.workdir.root)),
        output_digest=result.digest,
        notes=result.notes,
    )


STAGE = Stage("ingest", version=1, work=_work)


def plan(partitions: list[Partition], release: ReleaseSpec, settings: IngestSettings) -> list[Task]:
    """Return a task for each partition; its key holds its files and all that shapes features."""
    # How many rows are held at a time does not change what is made of them.
    shared = digest_json(
        {
            "version": STAGE.version,
            "release": release.model_dump(mode="json"),
            "settings": settings.model_dump(mode="json", exclude={"block_rows", "max_rejected"}),
        }
    )
    return [
        Task(
            STAGE.name,
            partition.name,
            digest_json({"shared": shared, "files": _inputs(partition)}),
            {"partition": partition},
        )
        for partition in partitions
    ]


def _inputs(partition: Partition) -> dict[str, dict[str, Any]]:
    return {
        table: {
            "file": file.name,
            "size": file.size,
            "mtime": file.mtime,
            "checksum": file.checksum,
        }
        for table, file in sorted(partition.files.items())
    }
