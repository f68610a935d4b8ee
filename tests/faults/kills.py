"""Kill a run at a random time, give the same command again, compare with an undisturbed run.

``make faults`` runs this file: 24 kills, and the table of them as Markdown. The tests beside it use
its parts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.looking.status import read_status
from catalog_builder.runtime.receipts import is_intact, read_receipt
from catalog_builder.runtime.running import running
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.simulate.sky import simulate

HERE = Path(__file__).parent
#: The stages of each step, in order.
STEPS = {
    "ingest": ("ingest",),
    "training-set": ("labels", "match", "training-set"),
    "train": ("train", "model"),
    "predict": ("predict",),
    "publish": ("publish-chunks", "publish"),
}
#: What the stages leave in the workdir.
OUTPUTS = {
    "ingest": ("features",),
    "training-set": ("labels", "matches", "training"),
    "train": ("models",),
    "predict": ("predictions",),
    "publish": ("catalogs",),
}
SETTINGS = (
    "model.epochs=2",
    "model.members=2",
    "model.folds=0",
    "model.min_label_stars=50",
    "publish.chunk_rows=100",
    "publish.formats=[fits, hats]",
    "cluster.performance_report=false",
)
PATIENCE = 1800.0
CLUSTER_EXIT = 6


@dataclass(frozen=True)
class Kill:
    """Whom to kill in which step, and when."""

    step: str
    victim: str
    seed: int
    #: Stage whose receipt is held back; empty for a random time.
    before_receipt: str = ""
    #: Where in publishing it is held (`hold_within.py`); empty for a random time.
    within: str = ""


#: Places within publishing, whom to kill there, and what that is called.
WITHIN = {
    "rows": ("worker", "half of a chunk's FITS rows written"),
    "leaf": ("worker", "half of a file of a HATS leaf written"),
    "header": ("driver", "half of the FITS header written, in the seal"),
    "described": ("driver", "all described, nothing revealed"),
    "revealed": ("driver", "revealed, neither `latest` nor the receipt written"),
}


@dataclass
class Bench:
    """An archive, an undisturbed run over it, and room for more."""

    root: Path
    seconds: dict[str, float] = field(default_factory=dict)
    settings: tuple[str, ...] = SETTINGS
    #: What starts programs: `subprocess`, or what the tests beside put in its place.
    programs: Any = subprocess

    @property
    def archive(self) -> Path:
        """The simulated sky."""
        return self.root / "sky"

    @property
    def reference(self) -> Path:
        """The workdir of the undisturbed run."""
        return self.root / "undisturbed"

    def command(self, workdir: Path, cluster: str = "local") -> list[str]:
        """Return the one command that is given again and again."""
        pairs = [part for setting in self.settings for part in ("--set", setting)]
        return [
            *(sys.executable, "-m", "catalog_builder.cli", "run", "--release", "dr3"),
            *("--archive", str(self.archive), "--workdir", str(workdir), *pairs),
            *("--cluster", cluster, *(("--workers", "2") if cluster == "local" else ())),
        ]

    def finish(self, workdir: Path, cluster: str = "local") -> float:
        """Run the command to its good end; return the seconds it took."""
        begin = time.monotonic()
        done = self.programs.run(
            self.command(workdir, cluster),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"exit code {done.returncode}\n{done.stderr}")
        return time.monotonic() - begin


def make_bench(root: Path, stars: int = 600, settings: tuple[str, ...] = SETTINGS) -> Bench:
    """Simulate a sky and run over it undisturbed."""
    bench = Bench(root, settings=settings)
    simulate("dr3", stars, 7, bench.archive)
    bench.finish(bench.reference)
    for step, stages in STEPS.items():
        receipts = [
            receipt
            for stage in stages
            for file in (bench.reference / "receipts" / stage).glob("*.json")
            if (receipt := read_receipt(file)) is not None
        ]
        # Two workers, and a first task that takes longer for its imports.
        bench.seconds[step] = sum(receipt.seconds for receipt in receipts) / 2
    return bench


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a run: one thread for each library, as on any cluster."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {**os.environ, **threads, **more}


def holding(stage: str, flag: Path) -> dict[str, str]:
    """Return the environment of a run that is held before a stage's first receipt."""
    return environment(
        DASK_DISTRIBUTED__WORKER__PRELOAD=str(HERE / "hold_receipt.py"),
        HOLD_STAGE=stage,
        HOLD_FLAG=str(flag),
    )


def holding_within(place: str, flag: Path) -> dict[str, str]:
    """Return the environment of a run that is held within publishing."""
    return environment(
        DASK_DISTRIBUTED__WORKER__PRELOAD=str(HERE / "hold_within.py"),
        HOLD_WITHIN=place,
        HOLD_FLAG=str(flag),
    )


@contextmanager
def started(
    bench: Bench, command: Sequence[str], log: Path, env: dict[str, str]
) -> Iterator[subprocess.Popen]:
    """Start a process, and leave none of it and of its children behind."""
    with log.open("ab") as output:
        process = bench.programs.Popen(command, env=env, stdout=output, stderr=output)
    family = [psutil.Process(process.pid)]
    try:
        yield process
    finally:
        family += _children(process.pid)
        for member in family:
            _kill(member.pid)
        process.wait()


@contextmanager
def cluster(
    bench: Bench, folder: Path, env: dict[str, str]
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start a scheduler and two workers as processes of their own; yield address and scheduler."""
    folder.mkdir(parents=True)
    file, dask = folder / "scheduler.json", (sys.executable, "-m", "dask")
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler += ["--no-dashboard", "--scheduler-file", str(file)]
    worker = [*dask, "worker", "--scheduler-file", str(file), "--nworkers", "2", "--nthreads", "1"]
    worker += ["--no-dashboard", "--local-directory", str(folder)]
    with started(bench, scheduler, folder / "scheduler.log", env) as process:
        _wait_for(lambda: _address(file))
        with started(bench, worker, folder / "worker.log", env):
            yield _address(file), process


def _address(file: Path) -> str:
    try:  # the scheduler writes in place: the file can be there and empty
        return json.loads(file.read_text())["address"]
    except (FileNotFoundError, json.JSONDecodeError):
        return ""


def experiment(bench: Bench, kill: Kill, workdir: Path) -> dict[str, object]:
    """Kill one run, let the same command end it, and say how it went."""
    begin_at(bench.reference, workdir, kill.step)
    flag = workdir.with_suffix(".held")
    env = environment()
    if kill.before_receipt:
        env = holding(kill.before_receipt, flag)
    if kill.within:
        env = holding_within(kill.within, flag)
    log = workdir.with_suffix(".log")
    if kill.victim == "scheduler":
        folder = workdir.with_suffix(".cluster")
        with (
            cluster(bench, folder / "first", env) as (address, scheduler),
            started(bench, bench.command(workdir, address), log, env) as driver,
        ):
            moment = _await_moment(bench, kill, workdir, flag, driver)
            _kill(scheduler.pid)
            code = driver.wait(PATIENCE)
        _expect(code == CLUSTER_EXIT, f"the driver ended with {code}", log)
        read_status(workdir)
        with cluster(bench, folder / "second", environment()) as (address, _):
            seconds = bench.finish(workdir, address)
    else:
        with started(bench, bench.command(workdir), log, env) as driver:
            moment = _await_moment(bench, kill, workdir, flag, driver)
            if kill.victim == "driver":
                orphans = _children(driver.pid)
                _kill(driver.pid)
                driver.wait(PATIENCE)
                psutil.wait_procs(orphans, timeout=120)
                alive = [orphan for orphan in orphans if orphan.is_running()]
                _expect(not alive, f"workers outlive their driver: {alive}", log)
            else:
                _kill(_worker_at_work(workdir, driver.pid, flag))
                code = driver.wait(PATIENCE)
                _expect(code == 0, f"the driver ended with {code} without a worker", log)
        read_status(workdir)
        seconds = bench.finish(workdir)
    findings = differences(bench.reference, workdir)
    return {"moment": moment, "seconds": seconds, "findings": findings}


def begin_at(reference: Path, workdir: Path, step: str) -> None:
    """Copy a complete workdir as it was before a step began."""
    workdir.mkdir()
    for earlier in list(STEPS)[: list(STEPS).index(step)]:
        for name in OUTPUTS[earlier]:
            shutil.copytree(reference / name, workdir / name)
        for stage in STEPS[earlier]:
            shutil.copytree(reference / "receipts" / stage, workdir / "receipts" / stage)


def differences(reference: Path, workdir: Path) -> list[str]:
    """Compare a finished workdir with the undisturbed one: empty if all is as it should be."""
    found = []
    records = [_release(folder) for folder in (reference, workdir)]
    for key in ("columns", "accounting", "model_digest", "inputs", "version"):
        if records[0][key] != records[1][key]:
            found.append(f"{key} differ")
    (sealed,) = {file.parent for file in workdir.glob("catalogs/*/[!.]*/RELEASE.json")}
    found += [str(finding) for finding in validate_catalog(sealed)]
    for file in sorted(workdir.glob("receipts/*/[!.]*.json")):
        receipt = read_receipt(file)
        if receipt is None:
            found.append(f"{file} is damaged")
        elif receipt.stage != "publish-chunks" and not is_intact(
            workdir / receipt.output, receipt.pattern, receipt.inventory
        ):
            found.append(f"the output of {file} is not what it says")
    names = [
        sorted(p.relative_to(folder).as_posix() for p in folder.glob("receipts/*/*"))
        for folder in (reference, workdir)
    ]
    if names[0] != names[1]:
        found.append(f"other receipts: {sorted(set(names[0]) ^ set(names[1]))}")
    if list(workdir.glob("catalogs/*/.*")):
        found.append("an unsealed catalogue is left")
    if (sealed.parent / "latest").read_text() != f"{sealed.name}\n":
        found.append("`latest` is another catalogue")
    if running(Workdir(workdir)) or (workdir / "driver.lock").exists():
        found.append("marks or the lock are left")
    return found


def _release(workdir: Path) -> dict[str, object]:
    (file,) = workdir.glob("catalogs/*/[!.]*/RELEASE.json")
    return dict(json.loads(file.read_text()))


def _await_moment(
    bench: Bench, kill: Kill, workdir: Path, flag: Path, driver: subprocess.Popen
) -> str:
    """Wait until the run is where it is to be killed; say where that is."""
    stages = STEPS[kill.step]
    if kill.before_receipt:
        _wait_for(lambda: flag.exists() and flag.read_text() != "", driver)
        return f"{kill.before_receipt}: data written, receipt not"
    if kill.within:
        _wait_for(lambda: flag.exists() and flag.read_text() != "", driver)
        return WITHIN[kill.within][1]

    def begun() -> bool:
        return any(mark.stage in stages for mark in running(Workdir(workdir)))

    _wait_for(begun, driver)
    delay = random.Random(kill.seed).uniform(0.0, 0.9 * bench.seconds[kill.step])
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.01)
    marks = [mark for mark in running(Workdir(workdir)) if mark.stage in stages]
    at_work = ", ".join(f"{mark.stage}/{mark.task}" for mark in marks[:2]) or "between tasks"
    return f"{delay:.1f} s in, {at_work}"


def _worker_at_work(workdir: Path, driver: int, flag: Path) -> int:
    if flag.exists():
        return int(flag.read_text())
    # Of the driver's processes only Dask's workers have threads.
    workers = {child.pid for child in _children(driver) if _threads(child) > 1}
    marked = [mark.pid for mark in running(Workdir(workdir)) if mark.pid in workers]
    return (marked or sorted(workers))[0]


def _threads(process: psutil.Process) -> int:
    try:
        return int(process.num_threads())
    except psutil.NoSuchProcess:
        return 0


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_for(condition, driver: subprocess.Popen | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline or (driver is not None and driver.poll() is not None):
            raise RuntimeError("the moment to kill never came")
        time.sleep(0.01)


def _expect(condition: bool, problem: str, log: Path) -> None:
    if not condition:
        raise RuntimeError(f"{problem}\n{log.read_text()}")


def schedule(runs: int, seed: int) -> list[Kill]:
    """Spread kills over steps, victims and moments; the first 20 are the suite of `make faults`."""
    receipts = {
        "ingest": "ingest",
        "training-set": "match",
        "train": "train",
        "predict": "predict",
        "publish": "publish-chunks",
    }
    kills = []
    for number in range(runs):
        step = list(STEPS)[number % len(STEPS)]
        lap = number // len(STEPS)
        # Laps: driver at random, worker before a receipt, scheduler at random, then driver before
        # the last receipt of the step (of two stages in publish: the seal) or a worker at random.
        victim = ("driver", "worker", "scheduler", "driver" if number % 2 else "worker")[lap % 4]
        held = receipts[step] if lap % 4 == 1 else ""
        if lap % 4 == 3 and victim == "driver":
            held = STEPS[step][-1]
        kills.append(Kill(step, victim, seed + number, held))
    return kills


def within(seed: int) -> list[Kill]:
    """Return a kill at each place within publishing."""
    return [Kill("publish", victim, seed, within=place) for place, (victim, _) in WITHIN.items()]


def main() -> int:
    """Run the suite and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1, help="number of the first run")
    parser.add_argument("--table", type=Path, help="also write the table's rows to this file")
    chosen = parser.parse_args()
    rows = [
        "| run | seed | step | victim | moment | resumed s | equal |",
        "|---:|---:|---|---|---|---:|---|",
    ]
    print("\n".join(rows), flush=True)
    unequal = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        bench = make_bench(Path(folder))
        kills = list(enumerate(schedule(chosen.runs, chosen.seed) + within(chosen.seed), start=1))
        for number, kill in kills[chosen.first - 1 :]:
            workdir = Path(folder) / f"run-{number:02d}"
            try:
                made = experiment(bench, kill, workdir)
                moment, seconds = made["moment"], f"{made['seconds']:.0f}"
                equal = "; ".join(made["findings"]) or "yes"
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                moment, seconds, equal = "", "", f"no: {error}"
            unequal += equal != "yes"
            cells = (number, kill.seed, kill.step, kill.victim, moment, seconds, equal)
            rows.append("| " + " | ".join(map(str, cells)) + " |")
            print(rows[-1], flush=True)
            shutil.rmtree(workdir, ignore_errors=True)
    if chosen.table is not None:
        chosen.table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{len(rows) - 2} runs, {unequal} not equal")
    return int(unequal > 0)


if __name__ == "__main__":
    sys.exit(main())
