"""Publishing at any size: processor time a row, the seal, memory; one worker or several.

    python tests/benchmarks/publishing.py make --from WORKDIR --rows 1000000 --out STORES
    python tests/benchmarks/publishing.py publish --stores STORES --workers 2

`make` repeats the predictions of a complete run under new source ids until there are so many rows.
Floats are jittered, or they would compress ten times too well. With `--beside RELEASE` every second
star has values for the tables that this release repeats beside a catalogue. `publish` makes a
catalogue of them with the publish stages of whatever version of the program is imported (to compare
two, give PYTHONPATH), each chunk a task in one of so many processes, then the seal in a process of
its own. They have the environment of workers, for how memory is given back depends on it.
It prints one line of JSON: processor time of chunks and of the seal, wall times, peak memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catalog_builder.archive.release import load_release
from catalog_builder.catalog.release_json import SEALED_FIELDS
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.side_table import SideTable
from catalog_builder.features import repeated
from catalog_builder.inference.rows import RowWriter, read_rows
from catalog_builder.publish.edition import Edition
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.publish.stage import (
    CHUNKS,
    SEAL,
    PublishContext,
    plan_chunk_tasks,
    plan_seal,
    prepare_store,
)
from catalog_builder.runtime.clusters.local import WORKER_ENVIRONMENT
from catalog_builder.runtime.receipts import EVERYTHING, Receipt, read_receipt
from catalog_builder.runtime.tasks import Stage, Task, run_task
from catalog_builder.runtime.workdir import Workdir

#: Rows of a partition that is made: as many XP stars as one of DR3 has on average.
PARTITION_ROWS = 65_000
#: The folder of values for tables beside the catalogue.
BESIDE = "beside"


def make(source: Path, rows: int, out: Path, beside: str | None = None) -> None:
    """Write stores of so many rows, and the facts of the catalogue that they make."""
    tables = _tables(beside)
    (sealed,) = source.glob("catalogs/*/[!.]*/RELEASE.json")
    schema = CatalogSchema.model_validate_json((sealed.parent / "schema.json").read_text())
    out.mkdir(parents=True)
    shutil.copy(sealed, out / "RELEASE.json")
    shutil.copy(sealed.parent / "schema.json", out / "schema.json")
    receipts = [read_receipt(file) for file in sorted(source.glob("receipts/predict/[!.]*.json"))]
    parts = [read_rows(source / r.output, 0, r.rows_out) for r in receipts if r is not None]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in schema.names}
    rng, done = np.random.default_rng(1), 0
    while done < rows:
        count = min(PARTITION_ROWS, rows - done)
        writer = RowWriter(out / f"{done:010d}.zarr", schema, count)
        columns = _repeated(schema, whole, done, count, rng)
        writer.write(0, columns)
        writer.finish()
        for table in tables:
            folder = out / BESIDE / table.name
            folder.mkdir(parents=True, exist_ok=True)
            values = _values_beside(table, columns["source_id"][::2], rng)
            repeated._write(folder / f"{done:010d}", values)
        done += count
    (out / BESIDE).mkdir(exist_ok=True)
    (out / BESIDE / "release").write_text(beside or "")


def _tables(release: str | None) -> tuple[SideTable, ...]:
    """Return the tables that a release repeats beside a catalogue."""
    rules = load_release(release).beside if release else {}
    return tuple(rule.declared(name) for name, rule in rules.items())


def _values_beside(table: SideTable, ids: Any, rng: np.random.Generator) -> dict[str, Any]:
    made = {"source_id": ids}
    for column in table.columns[1:]:
        if column.is_text:
            length = column.numpy_dtype.itemsize
            digits = rng.integers(0, 10, (len(ids), length)) + ord("0")
            made[column.name] = digits.astype(np.uint8).view(f"S{length}")[:, 0]
        else:
            made[column.name] = (5000 * rng.random(len(ids))).astype(column.numpy_dtype)
    return made


def _repeated(
    schema: CatalogSchema,
    whole: dict[str, Any],
    first: int,
    count: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    places = np.arange(first, first + count) % len(whole["source_id"])
    columns = {}
    for column in schema.columns:
        values = whole[column.name][places]
        if column.nullable:
            values = values * (1 + 1e-3 * rng.standard_normal(count)).astype(values.dtype)
        columns[column.name] = values
        if column.name.startswith("corr_"):
            columns[column.name] = np.clip(values, -1, 1)
    columns["ra"] = np.mod(columns["ra"] + 360 * rng.random(count), 360)
    columns["dec"] = np.clip(columns["dec"] + 5 * rng.standard_normal(count), -90, 90)
    columns["source_id"] = np.arange(first, first + count, dtype=np.int64) * 1_000_003 + 17
    return columns


def publish(
    stores: Path, workers: int, chunk_rows: int, formats: tuple[str, ...], *, report: bool
) -> dict[str, Any]:
    """Make a catalogue of the stores, and say what it took."""
    schema = CatalogSchema.model_validate_json((stores / "schema.json").read_text())
    predictions = [_receipt(store) for store in sorted(stores.glob("*.zarr"))]
    rows = sum(receipt.rows_out for receipt in predictions)
    record = json.loads((stores / "RELEASE.json").read_text())
    record = {
        n: fact
        for n, fact in record.items()
        if n not in SEALED_FIELDS | {"exports", "selection", "tables", "checks"}
    }
    record["accounting"] = {"requested": rows, "published": rows, "rejected": {}}
    settings = PublishSettings(chunk_rows=chunk_rows, report=report, formats=formats)
    edition = Edition("dr3", "v1", "0123456789abcdef")
    for left in ("catalogs", "receipts", "running"):
        shutil.rmtree(stores / left, ignore_errors=True)
    tables = _tables((stores / BESIDE / "release").read_text())
    values = {
        table.name: {
            receipt.task: receipt.model_copy(
                update={"output": f"{BESIDE}/{table.name}/{receipt.task}"}
            )
            for receipt in predictions
        }
        for table in tables
    }
    context = PublishContext(
        Workdir(stores),
        schema,
        settings,
        edition,
        {**record, "version": edition.name},
        tables=tables,
    )
    begin, used = time.monotonic(), _used()
    context = prepare_store(context, predictions)
    prepared = _used() - used
    chunks = plan_chunk_tasks(edition, predictions, settings, beside=values)
    used = _used()
    memory = _side_by_side(CHUNKS, context, chunks, workers)
    middle, of_chunks = time.monotonic(), _used() - used
    used = _used()
    of_seal = _side_by_side(SEAL, context, plan_seal(edition, chunks), 1)
    sealed = _used() - used
    end = time.monotonic()
    return {
        "rows": rows,
        "chunks": len(chunks),
        "workers": workers,
        "prepare_s": round(prepared, 2),
        "chunks_us_a_row": round(1e6 * of_chunks / rows, 2),
        "seal_us_a_row": round(1e6 * sealed / rows, 2),
        "chunks_processor_s": round(of_chunks, 2),
        "seal_processor_s": round(sealed, 2),
        "chunks_wall_s": round(middle - begin, 2),
        "seal_wall_s": round(end - middle, 2),
        "chunk_peak_mib": max(memory),
        "seal_peak_mib": max(of_seal),
    }


def _receipt(store: Path) -> Receipt:
    rows = len(read_rows(store, 0, PARTITION_ROWS)["source_id"])
    return Receipt(
        stage="predict",
        task=store.stem,
        stage_version=1,
        key="k",
        rows_in=rows,
        rows_out=rows,
        output=store.name,
        pattern=EVERYTHING,
        output_digest=store.stem,
        inventory="",
        seconds=0.0,
    )


def _used() -> float:
    """Return the processor time of this process and of those that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _side_by_side(
    stage: Stage, context: PublishContext, tasks: Sequence[Task], workers: int
) -> list[int]:
    """Run tasks in new processes; return the peak memory of each, MiB."""
    spawn = multiprocessing.get_context("spawn")
    peaks = spawn.SimpleQueue()
    pool = [
        spawn.Process(target=_work, args=(stage, context, tasks[n::workers], peaks))
        for n in range(workers)
    ]
    os.environ |= WORKER_ENVIRONMENT  # it is read where a process starts
    for process in pool:
        process.start()
    for process in pool:
        process.join()
        if process.exitcode:
            raise SystemExit(f"{stage.name} failed")
    return [peaks.get() for _ in pool]


def _work(stage: Stage, context: PublishContext, tasks: Sequence[Task], peaks: Any) -> None:
    for task in tasks:
        run_task(stage, context, context.workdir, task)
    peaks.put(_peak_mib())


def _peak_mib() -> int:
    """Return the most memory that this process has had.

    `getrusage` would give that of the process which started it if that had more: the figure is kept
    where a new program takes the place of a forked one.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) // 1024


def main() -> None:
    """Make stores, or publish them."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("--from", dest="source", type=Path, required=True)
    making.add_argument("--rows", type=int, required=True)
    making.add_argument("--out", type=Path, required=True)
    making.add_argument("--beside", metavar="RELEASE")
    publishing = commands.add_parser("publish")
    publishing.add_argument("--stores", type=Path, required=True)
    publishing.add_argument("--workers", type=int, default=1)
    publishing.add_argument("--formats", nargs="+", default=("fits",))
    publishing.add_argument("--chunk-rows", type=int, default=65_536)
    publishing.add_argument("--no-report", action="store_true")
    chosen = parser.parse_args()
    if chosen.command == "make":
        make(chosen.source, chosen.rows, chosen.out, chosen.beside)
        return
    report = not chosen.no_report
    how = (chosen.workers, chosen.chunk_rows, tuple(chosen.formats))
    print(json.dumps(publish(chosen.stores, *how, report=report)))


if __name__ == "__main__":
    main()
