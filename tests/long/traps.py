"""Traps in a later release: each is refused by the gate, or an alarm, or does no harm.

``python -m tests.long.traps [--model DIR] [--table FILE]``. A model of DR3 meets archives in the
shape of DR4, of other stars than its own: clean ones of other seeds, and one with each trap of
`simulate --trap`, which its description does not say. ``--table`` writes down what was said.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import CatalogBuilderError
from catalog_builder.inference.settings import AlarmSettings
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.model.ensemble import Estimator
from catalog_builder.simulate.twin.recipe import Recipe
from catalog_builder.simulate.twin.sky import simulate_two
from catalog_builder.simulate.twin.traps import TRAPS
from tests.long.alarms import compared, counted, train

STARS, FIRST_SEED = 1500, 300
#: Traps that change no answer, and why.
HARMLESS: Final = {"rvs-missing": "the announced spectra are counted as absent"}


def said_of(sky: Path, described: str, estimator: Estimator, folder: Path) -> tuple[str, list[str]]:
    """Return what the gate refuses, and what alarms say where it lets the archive pass."""
    try:
        release = load_release(described)
        partitions = list_partitions(str(sky), release)
        findings = examine_archive(partitions, release).findings
        if findings:
            first = findings[0]
            return f"{first.line}: {first.problem}", []
        counts = counted(sky, described, estimator, folder)
    except CatalogBuilderError as error:
        return error.problem, []
    alarms = compared(estimator, counts, AlarmSettings()).alarms
    return "", [alarm.words for alarm in alarms]


def main(arguments: Sequence[str] | None = None) -> int:
    """Try clean archives and traps; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skies", type=int, default=5)
    parser.add_argument("--traps", nargs="*", default=list(TRAPS))
    parser.add_argument("--stars", type=int, default=STARS)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--table", type=Path)
    chosen = parser.parse_args(arguments)
    bad, rows = 0, []
    with tempfile.TemporaryDirectory(prefix="traps-") as name:
        folder = Path(name)
        estimator = Estimator.load(chosen.model or train(folder))
        tried: list[tuple[str, int]] = [("", seed) for seed in range(chosen.skies)]
        tried += [(trap, chosen.skies) for trap in chosen.traps]
        for number, (trap, seed) in enumerate(tried):
            recipe = Recipe(traps=(trap,) if trap else ())
            skies = folder / f"skies-{number}"
            made = simulate_two("dr4", "dr3", chosen.stars, FIRST_SEED + seed, skies, recipe)
            gate, alarms = said_of(
                made.later_archive, str(made.description), estimator, folder / f"made-{number}"
            )
            caught = bool(gate or alarms)
            bad += caught if not trap else not caught and trap not in HARMLESS
            what = trap or f"clean, seed {FIRST_SEED + seed}"
            words = gate or "; ".join(alarms) or HARMLESS.get(trap, "nothing")
            print(f"{what}: {'gate: ' if gate else f'{len(alarms)} alarms: '}{words}", flush=True)
            if trap:
                rows.append((trap, gate, alarms))
    if chosen.table:
        chosen.table.write_text(in_words(rows), encoding="utf-8")
    tried_all = f"{chosen.skies} clean archives and {len(chosen.traps)} traps"
    print(f"{tried_all}, {bad} not as they should be")
    return int(bad > 0)


def in_words(rows: Sequence[tuple[str, str, list[str]]]) -> str:
    """Return traps and messages as a table."""
    lines = ["| trap | what it does | what says so |", "|---|---|---|"]
    for trap, gate, alarms in rows:
        said = f"nothing: {HARMLESS.get(trap, '**it passes**')}"
        if gate:
            said = f"the gate: {gate}"
        elif alarms:
            said = f"{len(alarms)} alarms: {alarms[0]}"
        lines.append(f"| `{trap}` | {TRAPS[trap].meaning} | {said} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
