"""The move to a new release, rehearsed on one simulated sky in two releases (``make rehearsal``).

``python -m tests.long.rehearsal --seeds 11 12``. For each seed, with the program's own commands:
both archives; a catalogue of the older one; `inspect`, which drafts a description of the newer; the
gate; the newer one's catalogue, trained on labels from the crosswalk; the drift between both. Then
the truth is asked whether every label came to its own star.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import zarr

STARS = 6000
#: Name of the description that the simulation writes beside the newer archive.
RELEASE = "dr4-simulated"
#: Two members; the folds and epochs of a run that is worth looking at.
TRAINING = ("model.members=2", "model.epochs=30", "model.patience=8")
#: A median that is larger, in sigma and in its own errors, is a shift from one release to the next.
MEDIAN, ERRORS = 0.1, 3.0
#: Share of stars within the expected difference, and how far it may be off.
SHARE, OFF = 0.68, 0.05


def command(*arguments: str | Path, log: Path) -> None:
    """Give one command of the program; what it says goes to the log.

    Raises
    ------
    RuntimeError
        With the last lines, if it fails.
    """
    words = [str(part) for part in arguments]
    print(f"   catalog-builder {' '.join(words)}", flush=True)
    with log.open("a", encoding="utf-8") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "catalog_builder.cli", *words],
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        last = log.read_text(encoding="utf-8").splitlines()[-15:]
        raise RuntimeError(f"{words[0]} ended with {done.returncode}:\n" + "\n".join(last))


def catalogue_of(workdir: Path, release: str) -> Path:
    """Return the catalogue that a workdir holds of a release."""
    folder = workdir / "catalogs" / release
    return folder / (folder / "latest").read_text(encoding="utf-8").strip()


def rehearse(seed: int, root: Path, stars: int) -> list[str]:
    """Go through the release day; return what is not as it must be."""
    log, skies = root / "log", root / "skies"
    twin = ("--release", "dr4", "--twin-of", "dr3")
    if not skies.exists():  # else it goes on where it was stopped
        sky = ("--stars", str(stars), "--seed", str(seed), "--out", skies)
        command("simulate", *twin, *sky, log=log)
    old, new = skies / "archive-dr3", skies / "archive-dr4"
    described = new / f"{RELEASE}.yaml"
    settings = [part for each in TRAINING for part in ("--set", each)]
    before, after = root / "dr3", root / "dr4"
    command("run", "--release", "dr3", "--archive", old, "--workdir", before, *settings, log=log)
    command("inspect", new, "--release", "dr3", "--draft", root / "draft.yaml", log=log)
    command("doctor", new, "--release", described, log=log)
    command("run", "--release", described, "--archive", new, "--workdir", after, *settings, log=log)
    made = catalogue_of(before, "dr3"), catalogue_of(after, RELEASE)
    walk = root / "crosswalk.csv"
    over = ("--archive", new, "--release", described)
    command("crosswalk", made[1], *over, "-o", walk, log=log)
    labels = new / "apogee" / "allStar-dr17-synspec_rev1.fits"
    page = root / "drift"
    command("drift", *made, "--crosswalk", walk, "--labels", labels, "-o", page, log=log)
    drift = json.loads((page / "drift.json").read_text(encoding="utf-8"))
    return [*drifted(drift), *mistaken(after, new)]


def drifted(drift: dict[str, Any]) -> list[str]:
    """Return which labels moved, by the rule of `drift`, or by more than their median may."""
    found = []
    for name, label in drift["labels"].items():
        share = label["shares"]["adopted"]["within_1"]
        errors = label["median"] / label["median_error"]
        print(
            f"   {name}: {label['state']}; {label['stars']} stars, median"
            f" {label['median_in_sigma']:+.3f} sigma ({errors:+.1f} errors), {share:.1%} within the"
            f" expected difference for a correlation of {label['correlation']:.2f}",
            flush=True,
        )
        if label["state"] == "drifts":
            found.append(f"{name} drifts: {'; '.join(label['reasons'])}")
        if abs(label["median_in_sigma"]) > MEDIAN and abs(errors) > ERRORS:
            found.append(f"{name}: median {label['median_in_sigma']:+.2f} sigma")
        if abs(share - SHARE) > OFF:
            found.append(f"{name}: {share:.1%} within the expected difference")
    return found


def mistaken(workdir: Path, archive: Path) -> list[str]:
    """Return what is wrong with the labels that came through the crosswalk, by the truth."""
    (store,) = {path.parent for path in (workdir / "translated").rglob("old_source_id")}
    group = zarr.open_group(store, mode="r")
    old, new = np.asarray(group["old_source_id"]), np.asarray(group["source_id"])
    truth = pl.concat(map(pl.read_parquet, sorted(archive.glob("truth/ids_*.parquet"))))
    truth = truth.sort("dr3_source_id")
    place = truth["dr3_source_id"].search_sorted(pl.Series(old)).to_numpy()
    wrong = int((truth["source_id"].to_numpy()[place] != new).sum())
    record = json.loads(
        (catalogue_of(workdir, RELEASE) / "RELEASE.json").read_text(encoding="utf-8")
    )
    walk = record["incidents"]["labels"]["crosswalk"]
    print(f"   labels through the crosswalk: {walk}, {wrong} on a wrong star", flush=True)
    return [f"{wrong} labels on a wrong star"] if wrong else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse with each seed and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12])
    parser.add_argument("--stars", type=int, default=STARS)
    parser.add_argument("--keep", type=Path, help="folder that keeps what is made")
    chosen = parser.parse_args(arguments)
    bad = 0
    for seed in chosen.seeds:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
            root = Path(folder) if chosen.keep is None else chosen.keep / f"seed-{seed}"
            root.mkdir(parents=True, exist_ok=True)
            found = rehearse(seed, root, chosen.stars)
        bad += bool(found)
        minutes = (time.monotonic() - begin) / 60
        print(f"seed {seed}: {'; '.join(found) or 'good'} ({minutes:.0f} min)", flush=True)
    print(f"{len(chosen.seeds)} release days, {bad} not good")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
