"""Alarms: what is spoilt in silence raises one, twenty clean skies of other seeds raise none.

``python -m tests.long.alarms --skies 20`` trains a small model on one sky; then skies of other
seeds go through ingest and prediction with it, clean ones and one spoilt in each way of `TRAPS`.
With ``--table FILE`` the traps and what was said of them are written down.
"""

from __future__ import annotations

import argparse
import gzip
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.archive.release import load_release
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.parallax import zero_point
from catalog_builder.features.population import NOTE, InputCounts
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.inference.alarm_record import Comparison
from catalog_builder.inference.alarms import compare
from catalog_builder.inference.predict import predict_partition
from catalog_builder.inference.settings import AlarmSettings
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.model.ensemble import Estimator
from catalog_builder.model.population import AnswerCounts
from catalog_builder.run.alarms import strangers
from catalog_builder.simulate.sky import simulate
from tests.long.hostile import run

TRAINING_STARS, STARS = 3000, 1500
TRAINING_SEED, FIRST_SEED = 1, 100
GAIA, RVS = "gaia_source/GaiaSource_*", "rvs_mean_spectrum/RvsMeanSpectrum_*"
XP = "xp_continuous_mean_spectrum/XpContinuousMeanSpectrum_*"
MODEL = ("model.epochs=40", "model.folds=2", "model.min_regime_stars=20")

Table = pd.DataFrame
Rows = Callable[[Table, np.random.Generator], None]
Description = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Trap:
    """A way of being wrong in silence: files that are edited, a description that is."""

    files: str = ""
    edit: Rows | None = None
    describe: Description | None = None
    lost: str = ""
    #: Whether anything can be seen of it.
    seen: bool = True


def spectra(table: Table, column: str) -> np.ndarray:
    """Return a column of arrays as numbers."""
    cells = [cell.strip("[]()").replace("null", "nan").split(",") for cell in table[column]]
    return np.array(cells, dtype=np.float64)


def put(table: Table, column: str, values: np.ndarray) -> None:
    """Write numbers as a column of arrays, spelt as the archive does."""
    first = str(table[column].iloc[0])
    table[column] = [
        first[0] + ",".join(f"{value:.7g}" for value in row) + first[-1] for row in values
    ]


def null(*names: str) -> Rows:
    def edit(table: Table, rng: np.random.Generator) -> None:
        for name in names:
            table[name] = "null"

    return edit


def rename(name: str, other: str) -> Rows:
    def edit(table: Table, rng: np.random.Generator) -> None:
        table[other] = table.pop(name)

    return edit


def set_to(name: str, value: str) -> Rows:
    def edit(table: Table, rng: np.random.Generator) -> None:
        table[name] = value

    return edit


def by_their_median(table: Table, rng: np.random.Generator) -> None:
    flux = spectra(table, "flux")
    median = np.nanmedian(flux, axis=1, keepdims=True)
    put(table, "flux_error", spectra(table, "flux_error") / median)
    put(table, "flux", flux / median)


def noisy(table: Table, rng: np.random.Generator) -> None:
    """Add noise for an S/N of 4, which samples share as far as a detector pixel goes."""
    flux = spectra(table, "flux")
    noise = rng.normal(size=flux.shape)
    noise = (noise + np.roll(noise, 1, axis=1)) / np.sqrt(2)
    put(table, "flux", flux + noise / 4)
    put(table, "flux_error", np.full(flux.shape, 0.25))


def shuffled(table: Table, rng: np.random.Generator) -> None:
    order = rng.permutation(len(table))
    for name in ("flux", "flux_error"):
        table[name] = table[name].to_numpy()[order]


def flipped(table: Table, rng: np.random.Generator) -> None:
    """Give the table a bias of its own, of the wrong sign."""
    rule = load_release("dr3").parallax_zero_point
    columns = {name: table[name] for name in rule.inputs.values()}
    numbers = {name: pd.to_numeric(column, errors="coerce") for name, column in columns.items()}
    found = zero_point(rule, {n: v.to_numpy(float) for n, v in numbers.items()}, len(table))
    table["tentative_parallax_bias"] = ["null" if np.isnan(one) else f"{-one:.6f}" for one in found]


def column_rule(content: dict[str, Any]) -> None:
    columns = content["tables"]["gaia_source"]["columns"]
    columns["tentative_parallax_bias"] = {"dtype": "float64", "unit": "mas"}
    inputs = {"bias": "tentative_parallax_bias"}
    content["parallax_zero_point"] = {"rule": "column", "inputs": inputs}


def grid(**keys: Any) -> Description:
    return lambda content: content["spectra"]["rvs"]["grid"].update(keys)


def swapped_bands(content: dict[str, Any]) -> None:
    for name, spec in content["tables"]["xp_continuous_mean_spectrum"]["columns"].items():
        if name.startswith(("bp_", "rp_")):
            spec["names"] = [("rp_" if name.startswith("bp_") else "bp_") + name[3:]]


def swapped_magnitudes(table: Table, rng: np.random.Generator) -> None:
    bp, rp = "phot_bp_mean_mag", "phot_rp_mean_mag"
    table[bp], table[rp] = table[rp].copy(), table[bp].copy()


#: A description that asks for a bias column, for the traps of the zero point.
TRAPS: dict[str, Trap] = {
    "bias column null": Trap(GAIA, set_to("tentative_parallax_bias", "null"), column_rule),
    "bias column renamed": Trap(describe=column_rule),
    "bias sign flipped": Trap(GAIA, flipped, column_rule),
    "input of the zero point null": Trap(GAIA, null("ecl_lat")),
    "photometry in another table": Trap(
        GAIA, null("phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag")
    ),
    "BP and RP magnitudes swapped": Trap(GAIA, swapped_magnitudes),
    "S/N elsewhere": Trap(GAIA, rename("rvs_spec_sig_to_noise", "snr")),
    "S/N and G_RVS elsewhere": Trap(GAIA, null("rvs_spec_sig_to_noise", "grvs_mag")),
    "RVS missing, flags moved": Trap(GAIA, set_to("has_rvs", "False"), lost="rvs_mean_spectrum"),
    "grid off by 0.2 nm": Trap(describe=grid(start=846.2)),
    "grid off by half a sample of 0.025 nm": Trap(describe=grid(start=846.0125)),
    # 1.8 km/s: within the noise of every spectrum, and of the velocities that DR3 is corrected by.
    "grid off by half a sample of 0.01 nm": Trap(describe=grid(start=846.005), seen=False),
    "all normalised by their median": Trap(RVS, by_their_median),
    "spectra at S/N 4": Trap(RVS, noisy),
    "shuffled RVS": Trap(RVS, shuffled),
    "BP and RP coefficients swapped": Trap(describe=swapped_bands),
}


def spoil(trap: Trap, sky: Path, out: Path, seed: int) -> str:
    """Copy a sky and spoil it; return the release description that it is read with."""
    shutil.copytree(sky, out)
    rng = np.random.default_rng(seed)
    for sums in out.rglob("_MD5SUM.txt"):
        sums.unlink()
    for file in sorted(out.rglob(trap.files)) if trap.files and trap.edit else ():
        lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
        head = [line for line in lines if line.startswith("#")]
        table = pd.read_csv(
            io.StringIO("".join(lines[len(head) :])), dtype=str, keep_default_na=False
        )
        if trap.edit is not None:
            trap.edit(table, rng)
        # Without its header: it describes columns that are no longer these.
        file.write_bytes(gzip.compress(table.to_csv(index=False).encode(), 1))
    if trap.lost:
        shutil.rmtree(next(out.rglob(trap.lost)))
    content = yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())
    if trap.describe is not None:
        trap.describe(content)
    file = out / "described.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(file)


class Counts(NamedTuple):
    """What the receipts of a sky would hold."""

    seen: InputCounts
    answers: AnswerCounts
    #: Sources that were asked for, and those of them without a row in the source table.
    asked: int
    lost: int


def counted(sky: Path, described: str, estimator: Estimator, folder: Path) -> Counts:
    """Ingest and predict a sky with a model; return what receipts would hold of it."""
    release, schema = load_release(described), CatalogSchema.of(estimator.contract)
    seen: list[InputCounts] = []
    answers: list[AnswerCounts] = []
    asked = lost = 0
    for part in list_partitions(str(sky), release):
        features = folder / part.name
        made = ingest_partition(part, release, IngestSettings(), features)
        seen.append(InputCounts.model_validate(made.notes[NOTE]))
        asked += made.rows_in
        lost += made.rejected.get(RejectReason.NO_GAIA_SOURCE_ROW, 0)
        rows = folder / f"{part.name}-rows"
        done = predict_partition(
            features, estimator, schema, 1024, rows, source_id_release=release.name
        )
        answers.append(done.answers)
    return Counts(InputCounts.total(seen), AnswerCounts.total(answers), asked, lost)


def compared(estimator: Estimator, counts: Counts, settings: AlarmSettings) -> Comparison:
    """Compare stars with the archive of a model."""
    schema, inputs = CatalogSchema.of(estimator.contract), estimator.contract.inputs
    population = estimator.document.population
    found = compare(population, inputs, counts.seen, counts.answers, schema, settings)
    more = strangers(counts.lost, counts.asked, settings)
    return found.model_copy(update={"alarms": (*found.alarms, *more)})


def largest(estimator: Estimator, counts: Counts) -> str:
    """Return which share differs most, however little, and by how much."""
    every = AlarmSettings(tolerance=1e-9, most=1e-9, false_alarm_rate=0.49)
    found = compared(estimator, counts, every).alarms
    shares = {a.about: abs(a.here - a.expected) for a in found if "median" not in a.about}
    name = max(shares, key=shares.__getitem__, default="")
    return f"the largest difference is {shares[name]:.3f} ({name})" if name else "no difference"


def refused(sky: Path, described: str) -> str:
    """Return what the gate has against a sky, shortly."""
    release = load_release(described)
    findings = examine_archive(list_partitions(str(sky), release), release).findings
    return findings[0].line if findings else ""


def train(folder: Path) -> Path:
    """Train a small model on a sky; return its directory."""
    sky, work = folder / "training-sky", folder / "work"
    simulate("dr3", TRAINING_STARS, TRAINING_SEED, sky)
    settings = [part for setting in MODEL for part in ("--set", setting)]
    code, said = run(sky, work, *settings, "--until", "train")
    if code:
        raise SystemExit(f"the training ended with {code}: {said[-2000:]}")
    return next(path.parent for path in work.glob("models/model-*/model.json"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Try clean skies and traps; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skies", type=int, default=20)
    parser.add_argument("--traps", nargs="*", default=list(TRAPS))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--table", type=Path)
    chosen = parser.parse_args(arguments)
    bad, rows = 0, []
    with tempfile.TemporaryDirectory(prefix="alarms-") as name:
        folder = Path(name)
        estimator = Estimator.load(chosen.model or train(folder))
        for seed in range(FIRST_SEED, FIRST_SEED + chosen.skies):
            sky = folder / f"sky-{seed}"
            simulate("dr3", STARS, seed, sky)
            counts = counted(sky, "dr3", estimator, folder / f"clean-{seed}")
            found = compared(estimator, counts, AlarmSettings())
            bad += bool(found.alarms)
            most = largest(estimator, counts)
            print(f"clean sky {seed}: {' '.join(found.lines())} {most}", flush=True)
        sky = folder / "sky"
        simulate("dr3", STARS, FIRST_SEED - 1, sky, clean=True)
        for number, trap in enumerate(chosen.traps):
            spoilt = folder / f"trap-{number}"
            described = spoil(TRAPS[trap], sky, spoilt, number)
            gate = refused(spoilt, described)
            counts = counted(spoilt, described, estimator, folder / f"spoilt-{number}")
            found = compared(estimator, counts, AlarmSettings())
            bad += not found.alarms and TRAPS[trap].seen
            print(f"{trap}: gate {gate or 'passes'}; {' '.join(found.lines())}", flush=True)
            rows.append((trap, gate, found))
    if chosen.table:
        chosen.table.write_text(in_words(rows))
    print(f"{chosen.skies} clean skies and {len(chosen.traps)} traps, {bad} not as they should be")
    return int(bad > 0)


def in_words(rows: Sequence[tuple[str, str, Comparison]]) -> str:
    """Return traps and messages as a table."""
    lines = ["| trap | the gate names | the first alarm |", "|---|---|---|"]
    for trap, gate, found in rows:
        first = found.alarms[0].words if found.alarms else "-"
        lines.append(f"| {trap} | {gate or '-'} | {first} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
