"""How far a run is, read from its workdir: works from any shell, whatever the run is doing.

Nothing is asked of the driver or the cluster. Plans say what was asked for, receipts what is done,
marks what is being worked on, the log of the last run how fast it goes and what went wrong. Each of
them may be missing, half written or replaced while it is read.
"""

from __future__ import annotations

import heapq
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from catalog_builder.looking.alarms import alarms_in
from catalog_builder.looking.examples import reject_examples
from catalog_builder.looking.progress import LastRun, read_last_run
from catalog_builder.runtime.lock import holder
from catalog_builder.runtime.plans import planned_stages, read_plan
from catalog_builder.runtime.quarantine import all_given_up
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.runtime.running import Mark, running
from catalog_builder.runtime.stall import last_epoch
from catalog_builder.runtime.watch import Progress, read_progress
from catalog_builder.runtime.workdir import Workdir

#: Stages in the order of the work; others follow by name.
ORDER = (
    "ingest",
    "count",
    "census",
    "labels",
    "neighbours",
    "crosswalk",
    "match",
    "training-set",
    "train",
    "model",
    "recalibrate",
    "taught",
    "predict",
    "compare",
    "measure",
    "publish-chunks",
    "publish",
)
#: How many of the slowest tasks are named.
SLOWEST = 3


@dataclass
class StageStatus:
    """What plan, receipts, marks and log say of one stage.

    Attributes
    ----------
    state : str
        ``complete``, ``running``, ``failed`` or ``waiting`` (begun, and not being worked on).
    planned : int or None
        Tasks of the last plan; None if none is known.
    done : int
        Tasks of the plan with a receipt.
    stale : int
        Receipts of earlier plans or settings, which do not count.
    damaged : list of str
        Tasks whose receipt cannot be read.
    running : list of Mark
        What workers are at.
    failed, quarantined : dict of str to str
        Task to reason.
    rejected : dict of str to int
        Sources by reason.
    rejected_rows : dict of str to int
        Rows of tables that were left out, by reason and table; their source may have made it
        without them.
    seconds : float
        Task time, over all receipts that count.
    rate, seconds_left : float or None
        Rows per second of the last run, and the driver's estimate of how long the rest takes.
    slowest : list of (task, seconds)
        The slowest tasks first.
    progress : str
        What workers are at, as the driver says it.
    """

    stage: str
    state: str = "waiting"
    planned: int | None = None
    done: int = 0
    stale: int = 0
    damaged: list[str] = field(default_factory=list)
    running: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    rows_in: int = 0
    rows_out: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    rejected_rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    rate: float | None = None
    seconds_left: float | None = None
    slowest: list[tuple[str, float]] = field(default_factory=list)
    progress: str = ""


@dataclass
class RunStatus:
    """The state of a workdir.

    Attributes
    ----------
    driver : dict or None
        Who is at work (host, pid, since).
    run : str or None
        Name of the last run; its log is ``logs/run-<name>.jsonl``.
    stalled_seconds : float or None
        For how long nothing was finished, if that is longer than ``cluster.stall_seconds``.
    last_error : str or None
        Why the last run ended early.
    reject_examples : dict
        By reason, a few rejected rows: source_id, table, row, partition.
    catalogues : list of str
        Sealed catalogues.
    alarms : dict of str to list of str
        In what those catalogues are far from what their model was made for.
    """

    workdir: str
    driver: dict[str, Any] | None
    run: str | None
    stalled_seconds: float | None
    last_error: str | None
    stages: list[StageStatus]
    reject_examples: dict[str, list[dict[str, Any]]]
    catalogues: list[str]
    alarms: dict[str, list[str]]

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=1)


def read_status(root: Path) -> RunStatus:
    """Read the state of a workdir.

    Raises
    ------
    StoreError
        If it is no workdir.
    """
    workdir = Workdir(root)
    workdir.require()
    driver = holder(workdir.lock_file)
    last = read_last_run(workdir)
    marks = running(workdir) if driver is not None else []
    seen = read_progress(workdir) if driver is not None else None
    if seen is not None and seen.run != last.name:
        seen = None  # of an earlier run
    given_up = {(record.stage, record.task): record for record in all_given_up(workdir)}
    stages, examples = [], {}
    for name in _stages(workdir, last):
        status, receipts = _stage(workdir, name, last)
        plan = read_plan(workdir, name) or {}
        status.quarantined = {
            task: record.reason
            for (stage, task), record in given_up.items()
            if stage == name and plan.get(task, record.key) == record.key
        }
        status.running = [_facts_of(mark) for mark in marks if mark.stage == name]
        _judge(status, last, alive=driver is not None)
        if seen is not None and seen.stage == name and status.state == "running":
            status.seconds_left, status.progress = seen.seconds_left, seen.text
        stages.append(status)
        if name == "ingest":
            examples = reject_examples(workdir, receipts)
    catalogues = sorted(str(path.parent) for path in workdir.catalogs.glob("*/[!.]*/RELEASE.json"))
    return RunStatus(
        workdir=str(root),
        driver=driver,
        run=last.name,
        stalled_seconds=_stalled(workdir, last, seen) if driver is not None else None,
        last_error=last.error if driver is None else None,
        stages=stages,
        reject_examples=examples,
        catalogues=catalogues,
        alarms=alarms_in(catalogues),
    )


def _stages(workdir: Workdir, last: LastRun) -> list[str]:
    names = {path.name for path in workdir.receipts.glob("*")} | planned_stages(workdir)
    names |= last.stages.keys()
    return [name for name in ORDER if name in names] + sorted(names - set(ORDER))


def _stage(workdir: Workdir, name: str, last: LastRun) -> tuple[StageStatus, list[Receipt]]:
    plan = read_plan(workdir, name)
    status = StageStatus(name, planned=None if plan is None else len(plan))
    counted: list[Receipt] = []
    rejected: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for task, receipt in _receipts(workdir.receipts / name):
        if receipt is None:
            status.damaged.append(task)
        elif plan is not None and plan.get(task) != receipt.key:
            status.stale += 1
        else:
            counted.append(receipt)
            rejected.update(receipt.rejected)
            for table, reasons in receipt.notes.get("row_rejects", {}).items():
                rows.update({f"{reason} in {table}": n for reason, n in reasons.items()})
    status.rejected, status.rejected_rows = dict(rejected), dict(rows)
    status.done = len(counted)
    status.rows_in = sum(receipt.rows_in for receipt in counted)
    status.rows_out = sum(receipt.rows_out for receipt in counted)
    status.seconds = round(sum(receipt.seconds for receipt in counted), 3)
    slowest = heapq.nlargest(SLOWEST, counted, key=lambda receipt: receipt.seconds)
    status.slowest = [(receipt.task, receipt.seconds) for receipt in slowest]
    done = {receipt.task for receipt in counted}
    status.failed = {
        task: reason for task, reason in last.failures.get(name, {}).items() if task not in done
    }
    return status, counted


def _receipts(folder: Path) -> Iterable[tuple[str, Receipt | None]]:
    for file in sorted(folder.glob("[!.]*.json")):
        try:
            yield file.stem, read_receipt(file)
        except OSError:
            continue  # removed while the folder was read, or not readable for this user


def _judge(status: StageStatus, last: LastRun, *, alive: bool) -> None:
    """Decide the stage's state, and what its pace in the last run means for the rest."""
    for task in status.quarantined:
        status.failed.pop(task, None)
    left = None
    if status.planned is not None:
        left = max(0, status.planned - status.done - len(status.quarantined))
    current = alive and last.current == status.stage
    if left == 0:
        status.state = "complete"
    elif current or status.running:
        status.state = "running"
    elif status.failed:
        status.state = "failed"
    pace = last.stages.get(status.stage)
    if pace is None or not pace.tasks:
        return
    spent = max(1.0, (time.time() if current and left else pace.until) - pace.begin)
    status.rate = round(pace.rows / spent, 3)
    if current and left:
        status.seconds_left = round(spent / pace.tasks * left, 1)


def _stalled(workdir: Workdir, last: LastRun, seen: Progress | None) -> float | None:
    if last.stall_seconds is None or last.moment is None:
        return None
    # The driver measures silence by a clock that cannot be set.
    clock = time.time() - max(last.moment, last_epoch(workdir))
    silent = clock if seen is None else seen.silent
    return round(silent) if silent > last.stall_seconds else None


def _facts_of(mark: Mark) -> dict[str, Any]:
    """Return a mark without its stage, with the seconds that it has stood."""
    facts = mark.model_dump(exclude={"stage", "since", "process"})
    return {**facts, "seconds": round(max(0.0, time.time() - mark.since), 1)}
