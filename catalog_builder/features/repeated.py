"""Values of the archive that a catalogue repeats beside its own: read once for each partition.

Which tables and columns these are, a release says (``beside``). They are looked up for the stars
that have features, by the same reader and with the same books as the ingest's tables; what is wrong
with a file costs its values and nothing else. The ingest itself knows nothing of them, so that an
archive can be given such a table later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.folders import find_table
from catalog_builder.archive.layout import Partition, sized
from catalog_builder.archive.pieces import reach_into
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.repeated import RepeatedTable
from catalog_builder.features.ledger import Ids, Ledger
from catalog_builder.features.names import packed
from catalog_builder.features.reading import PartitionReader
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.sources import look_up
from catalog_builder.features.stage import file_facts
from catalog_builder.features.store import ArrayDigest, FeatureStore
from catalog_builder.ground.digests import digest_json
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir, remove_tree
from catalog_builder.stores.shards import write_columns, write_group

_IDS = "source_id"
#: Rows of a chunk: one holds a column of a whole partition of DR3.
_ROWS = 1 << 20

Columns = Mapping[str, NDArray[Any]]


def partitions_with(
    archive: str, release: ReleaseSpec, rule: RepeatedTable, partitions: Sequence[Partition]
) -> list[Partition]:
    """Return partitions with the files of a table alone; none where the archive lacks the table."""
    folder = find_table(archive, release, rule.table)
    if folder is None:
        return []
    files = sized(folder).files
    reaching = reach_into(files, [(part.start, part.stop) for part in partitions])
    return [
        replace(part, files={rule.table: found} if found else {}, first_of=frozenset(), strays=())
        for part, found in zip(partitions, reaching, strict=True)
    ]


def read_repeated(
    partition: Partition,
    release: ReleaseSpec,
    rule: RepeatedTable,
    settings: IngestSettings,
    ids: Ids,
) -> tuple[dict[str, NDArray[Any]], Ledger]:
    """Look up the values of some sources.

    Parameters
    ----------
    partition : Partition
        With the files of the table (`partitions_with`).
    release : ReleaseSpec
        What the archive looks like.
    rule : RepeatedTable
        The table and its columns.
    settings : IngestSettings
        Rows of a block; whether checksums are compared.
    ids : ndarray of int64, shape (n,)
        Sources, sorted, each once.

    Returns
    -------
    columns : dict of str to ndarray of shape (m,)
        ``source_id`` and the values of those m that have any.
    ledger : Ledger
        What was wrong.
    """
    spec = release.tables[rule.table]
    key = {"source_id": spec.columns["source_id"]}
    spec = spec.model_copy(update={"columns": {**key, **rule.read_as()}})
    described = release.model_copy(update={"tables": {**release.tables, rule.table: spec}})
    ledger = Ledger([rule.table], ())
    reader = PartitionReader(partition, described, settings, ledger)
    blocks = reader.blocks(rule.table) if reader.has(rule.table) else iter(())
    columns, _ = look_up(rule.table, ids, blocks, described, ledger, in_words=True)
    known = np.any([_is_there(values) for values in columns.values()], axis=0)
    return {_IDS: ids[known], **{name: v[known] for name, v in columns.items()}}, ledger


def _is_there(values: NDArray[Any]) -> NDArray[np.bool_]:
    there = values != b"" if values.dtype.kind == "S" else np.isfinite(values)
    return np.asarray(there)


@dataclass(frozen=True)
class RepeatContext:
    """What all tasks share."""

    workdir: Workdir
    release: ReleaseSpec
    settings: IngestSettings


def _work(context: RepeatContext, task: Task) -> Outcome:
    root, partition = context.workdir.root, task.payload["partition"]
    rule = context.release.beside[task.payload["name"]]
    ids = FeatureStore(root / task.payload["features"]).column(_IDS)
    columns, ledger = read_repeated(partition, context.release, rule, context.settings, ids)
    out = context.workdir.new_output("repeated", task.name)
    try:
        digest = _write(out, columns)
    except BaseException:
        remove_tree(out)
        raise
    rows = len(columns[_IDS])
    return Outcome(
        rows_in=rows,
        rows_out=rows,
        inputs=file_facts(partition),
        output=str(out.relative_to(root)),
        output_digest=digest,
        notes=ledger.notes(),
    )


STAGE = Stage("repeated", version=2, work=_work, expendable=True)


def plan(
    partitions: Sequence[Partition],
    features: Sequence[Receipt],
    release: ReleaseSpec,
    name: str,
    settings: IngestSettings,
) -> list[Task]:
    """Return a task for each partition that was ingested, of one table beside the catalogue."""
    by_name = {partition.name: partition for partition in partitions}
    rule = release.beside[name]
    shared = digest_json(
        [
            STAGE.version,
            rule.model_dump(mode="json"),
            release.tables[rule.table].columns["source_id"].model_dump(mode="json"),
            release.text.model_dump(mode="json"),
            settings.verify_checksums,
        ]
    )
    return [
        Task(
            STAGE.name,
            task_of(name, receipt),
            digest_json([shared, receipt.output_digest, file_facts(by_name[receipt.task])]),
            {"partition": by_name[receipt.task], "features": receipt.output, "name": name},
            (Need(receipt.stage, receipt.task),),
            work=float(by_name[receipt.task].size or 1),
        )
        for receipt in features
        if receipt.task in by_name
    ]


def task_of(name: str, feature: Receipt) -> str:
    """Return the name of the task that looks up a table's values for a partition."""
    return f"{name}-{feature.task}"


def _write(out: Path, columns: Columns) -> str:
    """Write a store: an array of the columns of each dtype, text as letters; return its digest."""
    out.mkdir(parents=True)
    columns = _in_numbers(columns)
    names: dict[str, list[str]] = {}
    whole = ArrayDigest("repeated", "uint8")
    for name, values in columns.items():
        names.setdefault(values.dtype.name, []).append(name)
        digest = ArrayDigest(name, values.dtype.str)
        digest.update(values)
        whole.update(np.frombuffer(digest.hexdigest().encode(), np.uint8))
    for dtype, members in names.items():
        stacked = np.stack([columns[name] for name in members])
        write_columns(out / dtype, stacked, _ROWS, ("column", "source"))
    write_group(out, {"kind": "repeated", "columns": names})
    return whole.hexdigest()


def _in_numbers(columns: Columns) -> Columns:
    made: dict[str, NDArray[Any]] = {}
    for name, values in columns.items():
        text = values.dtype.kind == "S"
        made |= packed(name, values, values.dtype.itemsize) if text else {name: values}
    return made
