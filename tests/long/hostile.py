"""A collection of spoilt archives, each through a whole run: nothing vanishes or is invented.

``python -m tests.long.hostile --cases 64 --seed 1`` spoils one file of a small simulated sky at a
time, in every way that `tests/long/spoil.py` knows, and runs over it with a model that is there. A
run may end with an error in words. Where it seals a catalogue:

* its books balance, and it is valid;
* every row is a star of the sky, and no star is asked for that is not there;
* stars of other partitions have the very row that they have in the undisturbed catalogue;
* stars of the spoilt one have that row too, or one that says which input it went without;
* of a harmless change (a link, another line ending) the same catalogue comes out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from catalog_builder import open_catalog
from catalog_builder.archive.release import load_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.simulate.sky import simulate
from tests.long.spoil import KINDS, Kind

STARS, SEED = 600, 7
QUICK = (
    "model.epochs=2",
    "model.members=2",
    "model.folds=0",
    "model.min_label_stars=50",
    "ingest.max_rejected=1",
    "cluster.performance_report=false",
)
PATIENCE = 1800.0
#: Exit codes of errors in words; 1 is a defect, and a signal is negative.
IN_WORDS = {0, 3, 4, 5, 6, 8, 9}
TABLES = ("gaia_source", "rvs_mean_spectrum", "xp_continuous_mean_spectrum")
#: By which a label may differ with the company that a star has in its batch; a wrong spectrum
#: changes it by a hundred times as much.
ROUNDING = 1e-4
#: The columns by which a row says what it went without.
INPUTS = ("has_rvs", "has_xp")


@dataclass(frozen=True)
class Bench:
    """A sky, the undisturbed catalogue of it, and the model that made it."""

    sky: Path
    model: Path
    rows: pd.DataFrame
    columns: dict[str, str]
    #: Stars with a spectrum, by partition.
    stars: dict[str, set[int]]
    requested: int


def run(archive: Path, workdir: Path, *more: str) -> tuple[int, str]:
    """Run over an archive; return the exit code and all that was said."""
    pairs = [part for setting in QUICK for part in ("--set", setting)]
    command = [sys.executable, "-m", "catalog_builder.cli", "run", "--release", "dr3"]
    command += ["--archive", str(archive), "--workdir", str(workdir), "--workers", "2"]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [*command, *pairs, *more],
            env={**os.environ, **threads},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no end within {PATIENCE:.0f} s"
    return done.returncode, done.stdout + done.stderr


def make_bench(root: Path) -> Bench:
    """Simulate a sky and run over it undisturbed: once to learn, once with what was learnt."""
    simulate("dr3", STARS, SEED, root / "sky")
    prepare(root / "sky")
    code, said = run(root / "sky", root / "first")
    if code != 0:
        raise RuntimeError(f"the undisturbed run ended with {code}\n{said}")
    receipt = json.loads((root / "first" / "receipts" / "model" / "ensemble.json").read_text())
    model = root / "first" / receipt["output"]
    code, said = run(root / "sky", root / "second", "--model", str(model))
    if code != 0:
        raise RuntimeError(f"the undisturbed run ended with {code}\n{said}")
    sealed = catalogue(root / "second")
    record = json.loads((sealed / "RELEASE.json").read_text())
    stars = {
        file.stem.removeprefix("truth_"): set(pd.read_parquet(file)["source_id"].tolist())
        for file in (root / "sky" / "truth").glob("*.parquet")
    }
    return Bench(
        root / "sky",
        model,
        table_of(sealed),
        record["columns"],
        stars,
        record["accounting"]["requested"],
    )


def prepare(archive: Path) -> None:
    """Remove the checksum lists, for damage is to be found without them, and the second XP product.

    A star that lost one product would go on with the other, and not say so.
    """
    for file in archive.rglob("_MD5SUM.txt"):
        file.unlink()
    spec = load_release("dr3").tables["xp_sampled_mean_spectrum"]
    shutil.rmtree(archive / spec.folders[0])


def catalogue(workdir: Path) -> Path:
    """Return the folder of the only sealed catalogue."""
    (file,) = workdir.glob("catalogs/*/[!.]*/RELEASE.json")
    return file.parent


def table_of(folder: Path) -> pd.DataFrame:
    """Return a catalogue's scalar columns by source id."""
    with open_catalog(folder) as dataset:
        flat = {name: dataset[name].values for name in dataset.variables if dataset[name].ndim == 1}
        ids = dataset["source_id"].values
    return pd.DataFrame({**flat, "source_id": ids}).set_index("source_id")


def try_case(bench: Bench, name: str, table: str, seed: int, root: Path) -> tuple[str, list[str]]:
    """Spoil one file, run, and return how it ended and what is wrong with that."""
    rng, kind = random.Random(seed), KINDS[name]
    archive, workdir = root / "sky", root / "work"
    shutil.copytree(bench.sky, archive)
    spec = load_release("dr3").tables[table]
    files = sorted((archive / spec.folders[0]).glob(f"{spec.stem}*.csv.gz"))
    chosen = rng.choice(files)
    partition = chosen.name.removeprefix(spec.stem).removesuffix(".csv.gz")
    kind.spoil(chosen, rng)
    begin = time.monotonic()
    code, said = run(archive, workdir, "--model", str(bench.model))
    ended = f"exit {code} in {time.monotonic() - begin:.0f} s"
    found = []
    if code not in IN_WORDS:
        found.append(f"exit code {code}: {said[-2000:]}")
    if "Traceback" in said:
        found.append("a traceback is shown")
    if code == 0:
        ended_with, problems = judge(bench, kind, partition, workdir)
        ended += f", {ended_with}"
        found += problems
    elif kind.harmless:
        found.append(f"a harmless change was refused: {said[-500:]}")
    return ended, found


def judge(bench: Bench, kind: Kind, partition: str, workdir: Path) -> tuple[str, list[str]]:
    """Return a sealed catalogue's books in words, and what is wrong with it."""
    folder = catalogue(workdir)
    record = json.loads((folder / "RELEASE.json").read_text())
    books = record["accounting"]
    lost = sum(books["rejected"].values())
    words = f"{books['requested']} = {books['published']} + {lost}"
    found = [str(finding) for finding in validate_catalog(folder)]
    rows = table_of(folder)
    if books["requested"] != books["published"] + lost or books["published"] != len(rows):
        found.append(f"the books do not balance: {books}, {len(rows)} rows")
    if books["requested"] > bench.requested and not kind.asks_for_more:
        found.append(f"{books['requested']} are requested, the sky has {bench.requested}")
    if books["requested"] < bench.requested and not says_so(record, partition):
        found.append(f"only {books['requested']} of {bench.requested} are requested, unexplained")
    strangers = rows.index.difference(bench.rows.index)
    if len(strangers):
        found.append(f"{len(strangers)} stars are published that are not there")
    if kind.harmless and record["columns"] != bench.columns:
        found.append("a harmless change gives another catalogue")
    found += wrong_rows(bench, kind, partition, rows.drop(index=strangers))
    return words, found


def says_so(record: dict, partition: str) -> bool:
    """Say whether a catalogue's incidents name a partition, by itself or by one of its files."""
    incidents = record["incidents"]
    return partition in incidents["partitions"] or any(
        partition in name for name in incidents["files"]
    )


def wrong_rows(bench: Bench, kind: Kind, partition: str, rows: pd.DataFrame) -> list[str]:
    """Return what is wrong with rows that differ from the undisturbed ones."""
    before = bench.rows.loc[rows.index]
    same = np.ones(len(rows), bool)
    for name in rows:
        a, b = rows[name].to_numpy(), before[name].to_numpy()
        # Where a star of the batch is lost, the others may be added up in another order.
        exact = a.dtype.kind != "f"
        same &= (
            (a == b) if exact else np.isclose(a, b, rtol=ROUNDING, atol=ROUNDING, equal_nan=True)
        )
    inside = rows.index.isin(list(bench.stars[partition]))
    found = []
    if not same[~inside].all():
        found.append(f"{(~same[~inside]).sum()} rows of other partitions differ")
    fewer = np.zeros(len(rows), bool)
    for name in INPUTS:
        fewer |= before[name].to_numpy() & ~rows[name].to_numpy()
    unsaid = inside & ~same & ~fewer
    if unsaid.any() and not kind.in_silence:
        found.append(f"{unsaid.sum()} rows differ without saying what they went without")
    return found


def schedule(cases: int, seed: int) -> list[tuple[str, str, int]]:
    """Go through all kinds, each with another table and seed in every round."""
    names = list(KINDS)
    chosen = []
    for number in range(cases):
        lap, place = divmod(number, len(names))
        table = TABLES[(lap + place + 1) % len(TABLES)]
        chosen.append((names[place], table, seed + number))
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the collection and print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=len(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    chosen = parser.parse_args(arguments)
    cases = [case for case in schedule(chosen.cases, chosen.seed) if chosen.only in case[0]]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        bench = make_bench(Path(folder))
        for number, (name, table, seed) in enumerate(cases, start=1):
            root = Path(folder) / f"case-{number:03d}"
            root.mkdir()
            ended, found = try_case(bench, name, table, seed, root)
            bad += bool(found)
            verdict = "; ".join(found) or "good"
            print(f"{number:3d} {name}, {table}, seed {seed}: {ended}: {verdict}", flush=True)
            shutil.rmtree(root, ignore_errors=True)
    print(f"{len(cases)} cases, {bad} not good")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
