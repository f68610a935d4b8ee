"""How far a run is, read from its receipts: works from any shell, whatever the run is doing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from catalog_builder.errors import StoreError
from catalog_builder.runtime.lock import holder
from catalog_builder.runtime.receipts import read_receipt
from catalog_builder.runtime.workdir import Workdir

#: Stages in the order of the work; others follow by name.
ORDER = (
    "ingest",
    "labels",
    "match",
    "training-set",
    "train",
    "model",
    "predict",
    "publish-chunks",
    "publish",
)


@dataclass
class StageStatus:
    """What the receipts of one stage say."""

    stage: str
    done: int = 0
    damaged: list[str] = field(default_factory=list)
    planned: int | None = None
    rows_in: int = 0
    rows_out: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: str = ""
    slowest_seconds: float = 0.0


@dataclass
class RunStatus:
    """The state of a workdir."""

    workdir: str
    driver: dict[str, Any] | None
    stages: list[StageStatus]
    failures: list[dict[str, Any]]
    catalogues: list[str]

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=1)

    def to_text(self) -> str:
        """Return everything as a table."""
        who = (
            f"running: process {self.driver['pid']} on {self.driver['host']} since"
            f" {self.driver['since']}"
            if self.driver
            else "not running"
        )
        lines = [f"{self.workdir}: {who}", ""]
        lines.append("stage            tasks          rows in     rows out   rejected   task time")
        for stage in self.stages:
            tasks = (
                f"{stage.done}/{stage.planned}" if stage.planned is not None else f"{stage.done}"
            )
            lines.append(
                f"{stage.stage:<15} {tasks:>7} {stage.rows_in:>15,} {stage.rows_out:>12,}"
                f" {sum(stage.rejected.values()):>10,} {stage.seconds:>9.1f} s"
            )
            lines += [f"    {reason}: {count}" for reason, count in sorted(stage.rejected.items())]
            lines += [f"    damaged receipt: {name}" for name in stage.damaged]
        for failure in self.failures:
            lines.append(f"failed: {failure['stage']}/{failure['task']}: {failure['reason']}")
        lines.append("")
        lines += [f"catalogue: {path}" for path in self.catalogues] or ["no catalogue yet"]
        return "\n".join(lines)


def read_status(root: Path) -> RunStatus:
    """Read the state of a workdir.

    Raises
    ------
    StoreError
        If it is no workdir.
    """
    workdir = Workdir(root)
    if not workdir.logs.is_dir() and not workdir.receipts.is_dir():
        raise StoreError(f"{root} is not a workdir of catalog-builder.", "Give it with --workdir.")
    events = _last_run(workdir)
    planned = {e["stage"]: e["planned"] for e in events if e["event"] == "stage"}
    names = {path.name for path in workdir.receipts.glob("*")} | set(planned)
    ordered = [name for name in ORDER if name in names] + sorted(names - set(ORDER))
    done = {(e["stage"], e["task"]) for e in events if e["event"] == "done"}
    return RunStatus(
        workdir=str(root),
        driver=holder(workdir.lock_file),
        stages=[_stage(workdir, name, planned.get(name)) for name in ordered],
        failures=[
            {key: event[key] for key in ("stage", "task", "reason")}
            for event in events
            if event["event"] == "failure" and (event["stage"], event["task"]) not in done
        ],
        catalogues=sorted(
            str(path.parent) for path in workdir.catalogs.glob("*/[!.]*/RELEASE.json")
        ),
    )


def _stage(workdir: Workdir, name: str, planned: int | None) -> StageStatus:
    status = StageStatus(name, planned=planned)
    for file in sorted((workdir.receipts / name).glob("[!.]*.json")):
        receipt = read_receipt(file)
        if receipt is None:
            status.damaged.append(file.stem)
            continue
        status.done += 1
        status.rows_in += receipt.rows_in
        status.rows_out += receipt.rows_out
        status.rejected.update(receipt.rejected)
        status.seconds += receipt.seconds
        if receipt.seconds > status.slowest_seconds:
            status.slowest, status.slowest_seconds = receipt.task, receipt.seconds
    return status


def _last_run(workdir: Workdir) -> list[dict[str, Any]]:
    logs = sorted(workdir.logs.glob("run-*.jsonl"))
    if not logs:
        return []
    events = []
    for line in logs[-1].read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # a killed driver may leave half a line
    return events
