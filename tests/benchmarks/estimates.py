"""Compare what a run says is left with what was: a table for each stage that takes long enough.

``python tests/benchmarks/estimates.py WORKDIR -- COMMAND`` runs the command and looks at its
workdir twice a second; without a command it looks until the lock of the driver goes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from catalog_builder.runtime.watch import read_progress
from catalog_builder.runtime.workdir import Workdir

#: A shorter stage has nothing to estimate.
SECONDS = 5.0


def watch(workdir: Workdir, command: list[str]) -> dict[str, list[tuple[float, float | None]]]:
    """Return for each stage what was said when; the last entry is its end."""
    process = subprocess.Popen(command) if command else None
    said: dict[str, list[tuple[float, float | None]]] = {}
    current = ""
    while process.poll() is None if process else workdir.lock_file.exists():
        now, found = time.monotonic(), read_progress(workdir)
        if current and (found is None or found.stage != current):
            said[current].append((now, 0.0))
        current = "" if found is None else found.stage
        if found is not None:
            said.setdefault(current, []).append((now, found.seconds_left))
        time.sleep(0.5)
    return said


def rows(said: dict[str, list[tuple[float, float | None]]]) -> list[str]:
    """Return the table: how far estimates from half-way on are from the truth."""
    table = ["| stage | s | estimates | median | 90 % of them within | worst, of the whole stage |"]
    table.append("|---|---:|---:|---:|---:|---:|")
    for stage, moments in said.items():
        begin, end = moments[0][0], moments[-1][0]
        later = [(t, left) for t, left in moments if t - begin >= (end - begin) / 2 and t < end - 1]
        told = [(end - t, left) for t, left in later if left is not None]
        if end - begin < SECONDS or not told:
            continue
        off = sorted(abs(left - true) / true for true, left in told)
        worst = max(abs(left - true) for true, left in told) / (end - begin)
        cells = (stage, f"{end - begin:.0f}", f"{len(told)} of {len(later)}")
        cells += (f"{off[len(off) // 2]:.0%}", f"{off[int(0.9 * (len(off) - 1))]:.0%}")
        table.append("| " + " | ".join((*cells, f"{worst:.0%}")) + " |")
    return table


if __name__ == "__main__":
    print("\n".join(rows(watch(Workdir(Path(sys.argv[1])), sys.argv[3:]))))
