"""What the log of the last run says: where it is, how fast, and what went wrong."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog_builder.runtime.workdir import Workdir

_PREFIX = "run-"


@dataclass
class Pace:
    """What a stage did in one run; times are seconds since 1970."""

    begin: float
    until: float
    tasks: int = 0
    rows: int = 0


@dataclass
class LastRun:
    """The last run, as far as its log goes.

    Attributes
    ----------
    name : str or None
        None if there is no log.
    current : str or None
        The stage begun last.
    moment : float or None
        When something was last begun or finished.
    stall_seconds : float or None
        The setting of that run.
    error : str or None
        Why it ended early.
    stages : dict of str to Pace
        By stage.
    failures : dict
        Stage to task to reason.
    """

    name: str | None = None
    current: str | None = None
    moment: float | None = None
    stall_seconds: float | None = None
    error: str | None = None
    stages: dict[str, Pace] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)


def read_last_run(workdir: Workdir) -> LastRun:
    """Read the newest log; lines that are damaged or of another kind are passed over."""
    logs = sorted(workdir.logs.glob(f"{_PREFIX}*.jsonl"))
    if not logs:
        return LastRun()
    last = LastRun(name=logs[-1].stem.removeprefix(_PREFIX))
    for event in _events(logs[-1]):
        try:
            _take(last, event)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return last


def _take(last: LastRun, event: dict[str, Any]) -> None:
    moment = float(calendar.timegm(time.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ")))
    kind, stage = event["event"], str(event.get("stage"))
    if kind in ("start", "stage", "cluster", "done", "failure"):
        last.moment = moment
    if kind == "stage":
        last.current = stage
        last.stages[stage] = Pace(moment, moment)
        last.stall_seconds = float(event["stall_seconds"])
    elif kind == "done":
        pace = last.stages[stage]
        pace.tasks, pace.rows, pace.until = pace.tasks + 1, pace.rows + event["rows_in"], moment
        last.failures.get(stage, {}).pop(event["task"], None)
    elif kind == "failure":
        last.failures.setdefault(stage, {})[event["task"]] = str(event["reason"])
    elif kind == "error":
        last.error = f"{event['problem']} {event.get('way_out', '')}".strip()


def _events(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except json.JSONDecodeError:
                    continue  # a killed driver may leave half a line
                if isinstance(event, dict):
                    yield event
    except OSError:
        return
