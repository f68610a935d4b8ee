"""Interrupt a run at moments from its start to its end, and look at what is printed and left.

Run as a program it prints a Markdown table, ``--moments`` of them, over a small demonstration.
The tests beside it use its parts.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAM = (sys.executable, "-m", "catalog_builder.cli")
SETTINGS = (
    "demo.stars=600",  # the fewest that leave enough labelled stars to train on
    "model.epochs=2",
    "model.members=2",
    "model.folds=0",
    "model.min_label_stars=50",
    "model.min_regime_stars=20",
)
#: After the signal a run may take so long; more is a finding.
PATIENCE = 60.0
#: What the one line says.
WORDS = "Interrupted"
#: Names of files and folders that are never left.
PARTIAL = ("driver.lock", ".fetch.lock", "*.partial", ".*.json.*", ".probe-*", ".driver.lock.*")


@dataclass
class Interruption:
    """What came of a signal."""

    code: int | None
    #: Seconds from the signal to the end.
    seconds: float
    #: Lines on standard error from the interruption on.
    lines: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def command(workdir: Path, *more: str) -> list[str]:
    """Return a small run of everything."""
    pairs = [part for setting in SETTINGS for part in ("--set", setting)]
    run = ["run", "--release", "dr3-demo", "--workdir", str(workdir), "--workers", "2"]
    return [*PROGRAM, *run, *pairs, *more]


def interrupt(
    told: Sequence[str],
    folder: Path,
    delay: float,
    number: int = signal.SIGINT,
    *,
    group: bool = True,
    again: float | None = None,
    own: int = 0,
) -> Interruption:
    """Start a command in `folder`, signal it after `delay` seconds, and look at what is left.

    Parameters
    ----------
    told : sequence of str
        The command.
    folder : Path
        What is looked through for partial files afterwards.
    delay : float
        Seconds after the start of the process.
    number : int
        The signal.
    group : bool
        Whether all processes get it, as from a terminal, or the first one only.
    again : float, optional
        Seconds after which it is sent once more.
    own : int
        Exit code with which the command ends by itself.
    """
    log = folder.with_suffix(".stderr")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            told, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
    time.sleep(delay)
    family = _family(process.pid)
    before = len(log.read_text().splitlines())
    begin = time.monotonic()
    over = process.poll() is not None  # then there is nothing to interrupt
    _send(process, number, group=group)
    if again is not None:
        time.sleep(again)
        _send(process, number, group=group)
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        code = None
    seconds = time.monotonic() - begin
    lines = log.read_text().splitlines()[max(0, before - 1) :]
    # Workers notice the end of the driver by themselves, at once.
    family += _group(process.pid)
    _, alive = psutil.wait_procs(family, timeout=5.0)
    found = Interruption(code, seconds, lines)
    if not over:
        found.findings = list(_findings(found, folder, alive, log.read_text(), own))
    for each in alive:
        each.kill()
    return found


def _findings(found: Interruption, folder: Path, alive: list[psutil.Process], text: str, own: int):
    # A signal that comes when all is done finds nothing to interrupt.
    if found.code not in (own, 130):
        yield f"exit code {found.code}"
    said = text.count(WORDS)
    if found.code == 130 and said != 1:
        yield f"{said} lines of {WORDS!r}"
    if "Traceback" in text or "KeyboardInterrupt" in text or "Abort" in text:
        yield "a traceback"
    if found.code == 130 and found.lines and WORDS not in found.lines[-1]:
        yield f"after it: {found.lines[-1]!r}"
    if alive:
        yield f"outlive it: {'; '.join(map(_line, alive))}"
    left = sorted({p.name for pattern in PARTIAL for p in folder.rglob(pattern)})
    if left:
        yield f"left: {', '.join(left)}"


def _line(process: psutil.Process) -> str:
    try:
        return f"{process.status()} {' '.join(process.cmdline())[-90:]}"
    except psutil.NoSuchProcess:
        return "gone by now"


def _send(process: subprocess.Popen, number: int, *, group: bool) -> None:
    try:
        os.killpg(process.pid, number) if group else process.send_signal(number)
    except ProcessLookupError:
        return


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _group(pid: int) -> list[psutil.Process]:
    """Return what is left of a session."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.pid != pid and os.getsid(process.pid) == pid:
                left.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return left


def started() -> float:
    """Return how long Python takes to start, before which no program can answer a signal."""
    begin = time.monotonic()
    subprocess.run((sys.executable, "-c", "pass"), check=True)
    return max(0.05, 2 * (time.monotonic() - begin))


def main() -> int:
    """Interrupt a run at moments spread over the whole of it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--first", type=float, help="seconds; by default when Python has started")
    parser.add_argument("--last", type=float, help="seconds; by default the time a run takes")
    chosen = parser.parse_args()
    # A shell lets what it starts in the background ignore Ctrl-C, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="interrupts-") as root:
        last = chosen.last
        if last is None:
            begin = time.monotonic()
            subprocess.run(command(Path(root) / "whole"), check=False, capture_output=True)
            last = time.monotonic() - begin
        first = chosen.first or started()
        print("| s | signal | to | exit | after s | lines | findings |")
        print("|---:|---|---|---:|---:|---:|---|", flush=True)
        for k in range(chosen.moments):
            # Closer together at the beginning, where imports and workers start.
            delay = first * (last / first) ** (k / max(1, chosen.moments - 1))
            number = (signal.SIGINT, signal.SIGINT, signal.SIGINT, signal.SIGTERM)[k % 4]
            group, again = k % 3 != 2, 0.3 if k % 5 == 4 else None
            made = interrupt(
                command(Path(root) / f"run-{k}"),
                Path(root) / f"run-{k}",
                delay,
                number,
                group=group,
                again=again,
            )
            bad += bool(made.findings)
            to = ("all" if group else "driver") + (", twice" if again else "")
            cells = (f"{delay:.2f}", signal.Signals(number).name, to, made.code)
            cells += (f"{made.seconds:.1f}", len(made.lines), "; ".join(made.findings) or "none")
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(f"{chosen.moments} interruptions, {bad} with findings")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
