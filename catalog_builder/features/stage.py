"""The ingest stage: one task per partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog_builder.archive.layout import Partition
from catalog_builder.archive.marks import is_marked
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.low_resolution import refuse_other_matrices
from catalog_builder.features.matrices import inputs_of
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.digests import digest_json, in_order
from catalog_builder.runtime.receipts import SIMULATED, Receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir, remove_tree


@dataclass(frozen=True)
class IngestContext:
    """What all ingest tasks share."""

    workdir: Workdir
    release: ReleaseSpec
    settings: IngestSettings


def _work(context: IngestContext, task: Task) -> Outcome:
    partition: Partition = task.payload["partition"]
    out = context.workdir.new_output("features", partition.name)
    try:
        result = ingest_partition(partition, context.release, context.settings, out)
    except BaseException:
        remove_tree(out)  # a full disk must not fill further with halves of what is tried again
        raise
    return Outcome(
        rows_in=result.rows_in,
        rows_out=result.rows_out,
        rejected=result.rejected,
        inputs={**file_facts(partition), **inputs_of(context.release)},
        output=str(out.relative_to(context.workdir.root)),
        output_digest=result.digest,
        notes={**result.notes, **_marks(partition, result.notes["rows_read"])},
    )


def went_without(receipt: Receipt) -> bool:
    """Say whether a task of this stage, or of the count, went without one of its files.

    A file that could not be read (a lost mount, a permission) may be the same to size and time
    when it can: nothing else tells that it is worth another try.
    """
    return any(map(receipt.notes.get, ("file_rejects", "problem")))


STAGE = Stage("ingest", version=12, work=_work, expendable=True, incomplete=went_without)

#: Settings, and parts of a description, that do not change what is made of a partition: words, and
#: what is done with the features afterwards.
_NO_MATTER = {"block_rows", "max_rejected", "accept_lost", "gate"}
_WORDS: Any = {
    "title": True,
    "credit": True,
    "download": True,
    "crosswalks": True,
    "spectra": {
        "__all__": {
            "title": True,
            "resolution": True,
            "low_sig_to_noise": True,
            # Matrices are what their digest says.
            "products": {"__all__": {"basis": {"path"}}},
        }
    },
    "photometry": {
        "__all__": {
            "title": True,
            "colours": True,
            "reddening_free": True,
            "bands": {"__all__": {"title", "ucd", "meaning"}},
        }
    },
}


def plan(partitions: list[Partition], release: ReleaseSpec, settings: IngestSettings) -> list[Task]:
    """Return a task for each partition; its key holds its files and all that shapes features.

    Raises
    ------
    ConfigError
        If the release has coefficients for which the program has no fitting matrices.
    """
    refuse_other_matrices(release)
    shared = digest_json(
        {
            "version": STAGE.version,
            "release": in_order(release.model_dump(mode="json", exclude=_WORDS)),
            "settings": settings.model_dump(mode="json", exclude=_NO_MATTER),
        }
    )
    return [
        Task(
            STAGE.name,
            partition.name,
            digest_json({"shared": shared, "files": file_facts(partition), **_piece(partition)}),
            {"partition": partition},
            work=float(partition.size or 1),
        )
        for partition in partitions
    ]


def _marks(partition: Partition, rows_read: Mapping[str, int]) -> dict[str, bool]:
    """Return the note that any table of the partition is simulated, if its header says so."""
    said = [
        is_marked(file, was_read=rows_read.get(table, 0) > 0)
        for table, files in partition.files.items()
        for file in files
    ]
    return {SIMULATED: True} if any(said) else {}


def file_facts(partition: Partition) -> dict[str, dict[str, Any]]:
    """Return the facts of each file by its table, with a number where it has several."""
    return {
        f"{table} {number}" if len(files) > 1 else table: {
            "file": file.name,
            "size": file.size,
            "mtime": file.mtime,
            "checksum": file.checksum,
        }
        for table, files in sorted(partition.files.items())
        for number, file in enumerate(files, 1)
    }


def table_of(name: str) -> TableName:
    """Return the table of an input of a receipt of this stage."""
    return name.partition(" ")[0]


def _piece(partition: Partition) -> dict[str, Any]:
    """Return which rows of its files are a partition's, if they are not all of them."""
    files = [file for several in partition.files.values() for file in several]
    piece = (partition.start, partition.stop)
    if all(file.limits in {piece, None} for file in files):
        return {}
    first = sorted(file.name for file in files if file.url in partition.first_of)
    return {"piece": [*piece, first], "limits": [file.limits for file in files]}
