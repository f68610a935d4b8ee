"""Skies without warts: astropy reads every table of them, and a run rejects nobody.

``python -m tests.long.skies --seeds 1 2 3``
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from astropy.table import Table

from catalog_builder.simulate.sky import simulate
from tests.long.hostile import catalogue, run

STARS = 600


def problems_of(seed: int, root: Path) -> list[str]:
    """Write a clean sky, read it with astropy, run over it; return what is wrong with it."""
    sky = root / "sky"
    simulate("dr3", STARS, seed, sky, clean=True)
    found = []
    rows = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for file in sorted(sky.rglob("*.csv.gz")):
            try:
                rows += len(Table.read(file, format="ascii.ecsv"))
            except (ValueError, Warning) as error:
                found.append(f"{file.name} is not read by astropy: {error}")
        for file in sorted(sky.rglob("*.fits")):
            rows += len(Table.read(file))
    if not rows:
        found.append("astropy found no row")
    code, said = run(sky, root / "work", "--set", "ingest.max_rejected=0")
    if code != 0:
        return [*found, f"the run ended with {code}: {said[-1000:]}"]
    record = json.loads((catalogue(root / "work") / "RELEASE.json").read_text())
    if record["accounting"]["rejected"]:
        found.append(f"rejected are {record['accounting']['rejected']}")
    for name in ("files", "rows", "cells", "partitions"):
        if record["incidents"][name]:
            found.append(f"incidents in {name}: {record['incidents'][name]}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Try each seed and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    chosen = parser.parse_args(arguments)
    bad = 0
    for seed in chosen.seeds:
        with tempfile.TemporaryDirectory(prefix="skies-") as folder:
            found = problems_of(seed, Path(folder))
        bad += bool(found)
        print(f"seed {seed}: {'; '.join(found) or 'good'}", flush=True)
    print(f"{len(chosen.seeds)} clean skies, {bad} not good")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
