"""What takes minutes: kills, spoilt archives, interrupts, skies, a release (``make check-long``).

Each part is a program of its own whose last line is its result and whose exit code is 0 where all
is good. With ``--record FILE`` the results are written down, each with its day and the commit that
it is of; lines of parts that were not run now stay as they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What each part runs, and what it shows.
PARTS = {
    "kills": (
        ("tests/faults/kills.py",),
        "20 kills at random times, each followed by the same command: an equal catalogue",
    ),
    "hostile": (
        ("-m", "tests.long.hostile"),
        "spoilt archives through whole runs: nothing vanishes, is invented, or damaged and used",
    ),
    "interrupts": (
        ("tests/faults/interrupts.py",),
        "Ctrl-C at twenty moments: one line, exit code 130, nothing left",
    ),
    "skies": (
        ("-m", "tests.long.skies"),
        "clean skies of several seeds, read by astropy table by table, and run with no reject",
    ),
    "rehearsal": (
        ("-m", "tests.long.rehearsal"),
        "one sky in two releases: two catalogues, labels through the crosswalk, and their drift",
    ),
    "tutorials": (
        ("-m", "tests.long.tutorials"),
        "the notebooks of docs/tutorials from top to bottom, on a demo run",
    ),
    "alarms": (
        ("-m", "tests.long.alarms"),
        "a model on twenty clean skies of other seeds: no alarm; on spoilt ones: one each",
    ),
    "verdicts": (
        ("-m", "tests.long.verdicts", "--skies", "10"),
        "the checks of ten clean skies under one model: at most one fails among all of them",
    ),
}

HEAD = """# The long checks

What takes minutes and does not run with every change: `make check-long`, or a part of it,
`make check-long CHECKS=skies`. The last result of each, Python {python}, {cores} cores:

| part | what it shows | result | day | commit | min |
|---|---|---|---|---|---:|
"""


@dataclass(frozen=True)
class Result:
    """How a part ended."""

    part: str
    good: bool
    words: str
    minutes: float


def run(part: str) -> Result:
    """Run one part, passing on what it prints."""
    arguments, _ = PARTS[part]
    begin, last = time.monotonic(), ""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    return Result(part, process.returncode == 0, last, (time.monotonic() - begin) / 60)


def in_words(results: list[Result], before: str = "") -> str:
    """Return the page of results, with the lines that a page before has of other parts."""
    lines = {line.split("|")[1].strip(): line for line in before.splitlines() if "|" in line}
    for result in results:
        verdict = "good" if result.good else "**not good**"
        day, what = time.strftime("%Y-%m-%d", time.gmtime()), PARTS[result.part][1]
        cells = (result.part, what, f"{verdict}: {result.words}", day, f"`{commit()}`")
        lines[result.part] = f"| {' | '.join(cells)} | {result.minutes:.0f} |"
    head = HEAD.format(python=platform.python_version(), cores=os.cpu_count())
    return head + "".join(f"{lines[part]}\n" for part in PARTS if part in lines)


def commit() -> str:
    """Return the commit of the working tree, and whether it was changed since."""
    git = ("git", "-C", str(ROOT))
    name = subprocess.check_output([*git, "rev-parse", "--short=12", "HEAD"], text=True).strip()
    changed = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True).strip()
    return f"{name} with changes" if changed else name


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, by commas")
    parser.add_argument("--record", type=Path, help="page to write the lines of")
    chosen = parser.parse_args()
    parts = chosen.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    results = []
    for part in parts:
        print(f"== {part}: {PARTS[part][1]}", flush=True)
        results.append(run(part))
    print(in_words(results))
    if chosen.record is not None:
        page = chosen.record.read_text(encoding="utf-8") if chosen.record.exists() else ""
        chosen.record.write_text(in_words(results, page), encoding="utf-8")
    return int(not all(result.good for result in results))


if __name__ == "__main__":
    sys.exit(main())
