"""What the checks of a catalogue say of spoilt ones, and of clean skies.

    python -m tests.long.verdicts WORKDIR

reads the predictions, matches and model of a run that trained one (the demo's, say), spoils it in
many ways, and compares the checks that fail with the list of `tests.spoilt`.

    python -m tests.long.verdicts --skies 10 [--model MODEL]

runs over so many skies of other seeds with nothing wrong and one model, by default that of a sky of
its own, and judges each: at most one fails among all their checks. Either ends with 1 if it came
out otherwise.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from catalog_builder.catalog.check_record import Check, counted
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.population import inputs_of
from catalog_builder.inference.rows import read_rows
from catalog_builder.labels.survey import load_survey
from catalog_builder.model.population import Population
from catalog_builder.publish.labelled import labelled_rows
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.simulate.sky import simulate
from tests.long.alarms import train
from tests.long.hostile import catalogue, run
from tests.spoilt import SPOILT, Sky, red

#: Of each clean sky, and the first of their seeds.
STARS, FIRST_SEED = 2500, 300


def sky_of(workdir: Path) -> Sky:
    """Return the rows of a finished run, and what its checks know."""
    predictions, features, matches = (
        _receipts(workdir, stage) for stage in ("predict", "ingest", "match")
    )
    (folder, *_) = [path.parent for path in workdir.glob("catalogs/*/[!.]*/RELEASE.json")]
    schema = CatalogSchema.model_validate_json((folder / "schema.json").read_text())
    record = json.loads((folder / "RELEASE.json").read_text())
    parts = [read_rows(workdir / each.output, 0, each.rows_out) for each in predictions]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in schema.names}
    stores = [
        (feature.output, match.output)
        for feature, match in zip(features, matches, strict=True)
        if match.rows_out
    ]
    survey = load_survey(record["model"]["survey"]).declared.names
    names = schema.contract.labels.names
    found = labelled_rows(workdir, stores, columns["source_id"], survey, names)
    (made,) = workdir.glob("models/model-*/model.json")
    document = json.loads(made.read_text())
    return Sky(
        schema,
        columns,
        found.rows,
        found.labels.astype(float),
        found.errors.astype(float),
        {name: record[name] for name in ("accounting", "metrics")},
        inputs_of(features),
        Population.model_validate(document["population"]),
        folds=len(document["taught"]["folds"]),
    )


def _receipts(workdir: Path, stage: str) -> list[Receipt]:
    files = sorted(workdir.glob(f"receipts/{stage}/[!.]*.json"))
    return [receipt for file in files if (receipt := read_receipt(file)) is not None]


def clean_skies(count: int, model: Path | None) -> int:
    """Judge so many clean skies under one model; print a line for each."""
    states: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="verdicts-") as name:
        folder = Path(name)
        model = model or train(folder)
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            checks = checks_of_sky(seed, model, folder / f"sky-{seed}")
            states.update(check.state for check in checks)
            said = [check.line for check in checks if check.state in {"fail", "warn"}]
            print(f"sky {seed}: {counted(checks)}. {' '.join(said)}", flush=True)
    fails = states["fail"]
    print(
        f"{count} clean skies under one model, {sum(states.values())} checks: {fails} fail,"
        f" {states['warn']} warn, {states['not tested']} not tested"
    )
    return int(fails > 1)


def checks_of_sky(seed: int, model: Path, folder: Path) -> list[Check]:
    """Run over a clean sky of another seed, with the labels of its survey; return its checks."""
    sky, work = folder / "sky", folder / "work"
    simulate("dr3", STARS, seed, sky)
    (labels,) = (sky / "apogee").glob("*.fits")
    code, said = run(sky, work, "--model", str(model), "--labels", str(labels))
    if code:
        raise SystemExit(f"the run over sky {seed} ended with {code}: {said[-2000:]}")
    record = json.loads((catalogue(work) / "RELEASE.json").read_text())
    shutil.rmtree(folder)
    return [Check.model_validate(check) for check in record["checks"]]


def main() -> int:
    """Spoil a run in every way of the list, or judge clean skies; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir", type=Path, nargs="?")
    parser.add_argument("--skies", type=int, default=0)
    parser.add_argument("--model", type=Path)
    chosen = parser.parse_args()
    if chosen.skies:
        return clean_skies(chosen.skies, chosen.model)
    if chosen.workdir is None:
        parser.error("give a WORKDIR, or --skies")
    sky, wrong = sky_of(chosen.workdir), 0
    for what, (spoil, expected) in {"nothing": (None, frozenset()), **SPOILT}.items():
        one = sky.copy()
        if spoil is not None:
            spoil(one)
        found = red(one.judge())
        wrong += found != expected
        said = ", ".join(sorted(found)) or "none"
        listed = "" if found == expected else f"; the list says {', '.join(sorted(expected))}"
        print(f"{what}: {said}{listed}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
