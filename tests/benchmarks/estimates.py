"""Compare what a run says is left with what was: a table for each stage that takes long enough.

``python tests/benchmarks/estimates.py WORKDIR -- COMMAND`` runs the command and looks at its
workdir four times a second; without a command it looks until the lock of the driver goes. With
``--trace FILE`` before the two dashes the epochs of members are kept as well, and

``python tests/benchmarks/estimates.py --replay FILE`` plays them through the estimate as it is now.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.stage import LOG, MEMBER, TrainContext
from catalog_builder.run.config import load_config
from catalog_builder.runtime import watch as watch_module
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.running import mark, running
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.watch import StageWatch, read_progress
from catalog_builder.runtime.workdir import Workdir

#: A shorter stage has nothing to estimate.
SECONDS = 5.0
#: What was said when: (moment, seconds left).
Said = list[tuple[float, float | None]]


def watch(workdir: Workdir, command: list[str]) -> tuple[dict[str, Said], dict[str, Any]]:
    """Return for each stage what was said when, the last entry its end; and the trace."""
    process = subprocess.Popen(command) if command else None
    said: dict[str, Said] = {}
    looks: list[tuple[float, dict[str, Any]]] = []
    begin, current, written = time.time(), "", 0.0
    while process.poll() is None if process else workdir.lock_file.exists():
        now, found, wrote = time.time(), read_progress(workdir), _written(workdir)
        if current and (found is None or found.stage != current):
            said[current].append((now, 0.0))
        current = "" if found is None else found.stage
        # An estimate is of the moment at which it was made, not of that of reading it.
        if found is not None and wrote != written:
            written = wrote
            said.setdefault(current, []).append((wrote, found.seconds_left))
        at_work = _members(workdir)
        if at_work != (looks[-1][1] if looks else {}):
            looks.append((round(now - begin, 2), at_work))
        time.sleep(0.25)
    return said, {"looks": looks}


def _written(workdir: Workdir) -> float:
    try:
        return workdir.progress_file.stat().st_mtime
    except OSError:
        return 0.0


def _members(workdir: Workdir) -> dict[str, Any]:
    """Return the members that workers are at: their epoch and the best one, None before any."""
    names = [each.task for each in running(workdir) if each.stage == MEMBER.name]
    found: dict[str, Any] = dict.fromkeys(sorted(names))
    for name in found:
        for log in workdir.models.glob(f"members/{name}-*/{LOG}"):
            try:
                row = json.loads(log.read_text().splitlines()[-1])
                found[name] = [row["epoch"], row["best_epoch"]]
            except (OSError, IndexError, ValueError):
                pass
    return found


def replay(trace: dict[str, Any], places: int = 2) -> Said:
    """Return what is said of the training of a trace, once a second; the last entry is its end."""
    looks = [(moment, at_work) for moment, at_work in trace["looks"]]
    begin, end = looks[0][0], looks[-1][0]
    names = sorted({name for _, at_work in looks for name in at_work})
    tasks = [Task(MEMBER.name, name, "0123456789abcdef") for name in names]
    clock = SimpleNamespace(now=begin)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(watch_module, "time", SimpleNamespace(monotonic=lambda: clock.now)),
        ExitStack() as marks,
    ):
        workdir = Workdir(Path(folder))
        # As many epochs as the traces have.
        settings = load_config(None, ["model.epochs=80"], {}).model
        context = TrainContext(workdir, default_contract(), settings, 1, "cpu", {})
        for name, steps in trace.get("before", {}).items():
            _log(workdir, name, steps)
        events, meter = Events(workdir.logs, verbosity=-1), mock.Mock()
        marks.callback(events.close)
        stage = StageWatch(workdir, events, meter, MEMBER, context, tasks, lambda: places)
        said: Said = []
        begun: dict[str, tuple[float, ExitStack]] = {}
        while (now := clock.now + 1.0) < end:
            while looks[0][0] <= now:
                moment, at_work = looks.pop(0)
                for name in [name for name in begun if name not in at_work]:
                    since, one = begun.pop(name)
                    one.close()
                    clock.now = moment
                    stage.finished(name, _receipt(name, moment - since))
                for name, steps in at_work.items():
                    if name not in begun:
                        begun[name] = (moment, marks.enter_context(ExitStack()))
                        begun[name][1].enter_context(mark(workdir, MEMBER.name, name))
                    if steps is not None:
                        _log(workdir, name, steps)
            clock.now = now
            stage._look(now)
            said.append((now, stage._progress(now).seconds_left))
        return [*said, (end, 0.0)]


def _log(workdir: Workdir, name: str, steps: list[int]) -> None:
    file = workdir.models / "members" / f"{name}-0123456789ab" / LOG
    file.parent.mkdir(parents=True, exist_ok=True)
    row = {"epoch": steps[0], "best_epoch": steps[1], "validation_loss": 0.0}
    file.write_text(json.dumps(row) + "\n")


def _receipt(name: str, seconds: float) -> Receipt:
    facts = dict.fromkeys(("key", "output", "output_digest", "pattern", "inventory"), "none")
    return Receipt(
        stage=MEMBER.name,
        task=name,
        stage_version=1,
        rows_in=1,
        rows_out=1,
        seconds=max(0.0, seconds),
        **facts,
    )


def errors(said: Said) -> list[tuple[float, float | None]]:
    """Return (true, said) seconds left from half-way on, but for the last second."""
    begin, end = said[0][0], said[-1][0]
    later = [(t, left) for t, left in said if t - begin >= (end - begin) / 2 and t < end - 1]
    return [(end - t, left) for t, left in later]


def rows(said: dict[str, Said]) -> list[str]:
    """Return the table: how far estimates from half-way on are from the truth."""
    head = ("stage", "s", "estimates", "median", "90 % of them within", "within 30 %", "worst, s")
    table = [f"| {' | '.join(head)} |", "|---|---:|---:|---:|---:|---:|---:|"]
    for stage, moments in said.items():
        seconds, later = moments[-1][0] - moments[0][0], errors(moments)
        told = [(true, left) for true, left in later if left is not None]
        if seconds < SECONDS or not later:
            continue
        cells = (stage, f"{seconds:.0f}", f"{len(told)} of {len(later)}")
        if told:
            off = sorted(abs(left - true) / true for true, left in told)
            cells += (f"{off[len(off) // 2]:.0%}", f"{off[int(0.9 * (len(off) - 1))]:.0%}")
            cells += (f"{sum(each <= 0.3 for each in off) / len(off):.0%}",)
            cells += (f"{max(abs(left - true) for true, left in told):.1f}",)
        table.append("| " + " | ".join(cells) + " |")
    return table


def main(arguments: list[str]) -> None:
    """Do what the lines at the top say."""
    if arguments[0] == "--replay":
        print("\n".join(rows({"train": replay(json.loads(Path(arguments[1]).read_text()))})))
        return
    place = arguments.index("--") if "--" in arguments else len(arguments)
    command, options = arguments[place + 1 :], arguments[1:place]
    said, trace = watch(Workdir(Path(arguments[0])), command)
    print("\n".join(rows(said)))
    if options[:1] == ["--trace"]:
        Path(options[1]).write_text(json.dumps(trace))


if __name__ == "__main__":
    main(sys.argv[1:])
