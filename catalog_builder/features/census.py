"""Counts who was asked for in a partition that could not be ingested, one table at a time.

Whatever ended the ingest may end the next reader of that file as well, even of its ids alone. So
each table is counted by a task of its own: one that dies takes no other's count with it. Of a table
that cannot be read to its end, a table that announces it may still say who has a row in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import Partition
from catalog_builder.archive.marks import is_marked
from catalog_builder.archive.shares import Share
from catalog_builder.archive.tables import TableName
from catalog_builder.features.counts import how_counted
from catalog_builder.features.ledger import Ids, Ledger, unique
from catalog_builder.features.reading import read_ids
from catalog_builder.features.stage import IngestContext, went_without
from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.errors import InputError
from catalog_builder.runtime.damage import Need
from catalog_builder.runtime.receipts import SIMULATED, Receipt
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import write_json

#: Reason of sources whose partition could not be ingested at all.
QUARANTINED = "quarantined_partition"


def _count_table(context: IngestContext, task: Task) -> Outcome:
    """Record the sources that a table requests, or that a looked-up one announces."""
    partition: Partition = task.payload["partition"]
    table: TableName = task.payload["table"]
    release = context.release
    ledger = Ledger(list(release.tables), release.driving_tables)
    problem, simulated = "", False
    for file in partition.files[table]:
        wrong, was_read = _count_file(context, task, file, ledger)
        problem = problem or wrong
        simulated = is_marked(file, was_read=was_read) or simulated
    announcing = release.announced_in(table)
    found = {spectra: ledger.announced(spectra) for spectra, _ in announcing}
    if table in release.driving_tables:
        found[table] = ledger.requested
    out = context.workdir.new_output("census", task.name, suffix="")
    out.mkdir()
    for name, ids in found.items():
        np.save(out / f"{name}.npy", ids, allow_pickle=False)
    named = ledger.requested.size
    notes: dict[str, Any] = {"problem": problem} if problem else {}
    if simulated:
        notes[SIMULATED] = True
    return Outcome(
        rows_in=named + ledger.nameless.total(),
        rows_out=named,
        rejected=dict(ledger.nameless),
        output=str(out.relative_to(context.workdir.root)),
        output_digest=_digest(found),
        notes=notes,
    )


def _count_file(
    context: IngestContext, task: Task, file: FileRef, ledger: Ledger
) -> tuple[str, bool]:
    """Record the sources of a file; return what is wrong with it, and whether it gave rows."""
    partition: Partition = task.payload["partition"]
    table: TableName = task.payload["table"]
    release, was_read = context.release, False
    announcing = release.announced_in(table)
    columns = {announcement.column for _, announcement in announcing}
    share = Share.of(partition, file, release.partition)
    try:
        for whole in read_ids(file, table, release, context.settings.block_rows, share, columns):
            block = share.part(whole)
            was_read = was_read or whole.n_read > 0
            ids = block.columns["source_id"]
            ledger.request(table, ids)
            ledger.reject_unread(table, block.rejects)
            for spectra, announcement in announcing:
                said = announcement.said_by(block.columns[announcement.column])
                ledger.announce(spectra, ids[said & ~share.outside(block)])
    except InputError as error:
        return str(error).replace(file.url, file.name), was_read
    return "", was_read


def _sum_up(context: IngestContext, task: Task) -> Outcome:
    """Count each requested source of a partition once, and say how the count was made."""
    partition: Partition = task.payload["partition"]
    counts: dict[TableName, Receipt] = task.payload["counts"]
    root, release = context.workdir.root, context.release
    found = {table: _read(root / count.output) for table, count in counts.items()}
    whole = {table for table, count in counts.items() if "problem" not in count.notes}
    named, nameless, tables = [], 0, {}
    for table in release.driving_tables:
        if table not in partition.files:
            continue
        if table in counts:
            named.append(found[table][table])
            nameless += sum(counts[table].rejected.values())
        announcers = release.announcers(table)
        said = unique([found[each][table] for each in announcers if each in found])
        tables[table] = how_counted(
            whole=table in whole, announced=said, announcers_whole=whole.issuperset(announcers)
        )
        if table not in whole:
            named.append(said)
    requested = int(unique(named).size) + nameless
    marks = {SIMULATED: True} if any(count.simulated for count in counts.values()) else {}
    out = context.workdir.new_output("census", task.name, suffix=".json")
    write_json(out, {"requested": requested, "tables": tables})
    return Outcome(
        rows_in=requested,
        rows_out=0,
        rejected={QUARANTINED: requested},
        output=str(out.relative_to(root)),
        output_digest=digest_json([requested, tables]),
        notes={"counts": tables, **marks},
    )


COUNT = Stage("count", version=2, work=_count_table, expendable=True, incomplete=went_without)
CENSUS = Stage("census", version=2, work=_sum_up, expendable=True)


def plan_counts(tasks: Sequence[Task], context: IngestContext) -> list[Task]:
    """Return a task for each table of each ingest task that is in quarantine."""
    release = context.release
    announcing = [table for table in release.joined_tables if release.announced_in(table)]
    tables = (release.source_table, *announcing, *release.driving_tables)
    return [
        Task(
            COUNT.name,
            f"{task.name}-{table}",
            digest_json([COUNT.version, task.key, table]),
            {"partition": task.payload["partition"], "table": table},
        )
        for task in tasks
        for table in dict.fromkeys(tables)
        if table in task.payload["partition"].files
    ]


def plan_census(tasks: Sequence[Task], counts: Sequence[Receipt]) -> list[Task]:
    """Return a task for each ingest task in quarantine, that adds up the counts of its tables."""
    by_name = {receipt.task: receipt for receipt in counts}
    plan = []
    for task in tasks:
        found = {
            table: by_name[f"{task.name}-{table}"]
            for table in task.payload["partition"].files
            if f"{task.name}-{table}" in by_name
        }
        facts = {table: [count.output_digest, count.notes] for table, count in found.items()}
        key = digest_json([CENSUS.version, task.key, facts])
        # The arrays that they wrote have no checksums of their own.
        needs = tuple(Need(each.stage, each.task, checked="everything") for each in found.values())
        payload = {**task.payload, "counts": found}
        plan.append(Task(CENSUS.name, task.name, key, payload, needs))
    return plan


def _read(folder: Path) -> dict[str, Ids]:
    return {file.stem: np.load(file, allow_pickle=False) for file in folder.glob("*.npy")}


def _digest(arrays: dict[TableName, Ids]) -> str:
    return digest_json(
        {name: hashlib.sha256(ids.tobytes()).hexdigest() for name, ids in arrays.items()}
    )
