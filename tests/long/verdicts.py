"""What the checks of a catalogue say of spoilt ones, and of clean skies.

    python -m tests.long.verdicts WORKDIR

reads the predictions, matches and model of a run that trained one (the demo's, say), spoils it in
many ways, and compares the checks that fail with the list of `tests.spoilt`.

    python -m tests.long.verdicts --skies 10 [--model MODEL]

answers so many skies of other seeds, in which nothing is wrong, with one model (by default that of
a sky of its own) and judges each: at most one fails among all their checks. Either ends with 1 if
it came out otherwise.
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

from catalog_builder.archive.files import make_file
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.catalog.check_record import counted
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.population import NOTE, InputCounts, inputs_of
from catalog_builder.features.settings import IngestSettings
from catalog_builder.inference.predict import predict_partition
from catalog_builder.inference.rows import read_rows
from catalog_builder.labels.survey import load_survey
from catalog_builder.model.ensemble import Estimator
from catalog_builder.model.population import Population
from catalog_builder.publish.labelled import labelled_rows
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.simulate.sky import simulate
from catalog_builder.training.labels import collect_labels
from tests.long.alarms import train
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
    """Judge so many skies with nothing wrong under one model; print a line for each."""
    states: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="verdicts-") as name:
        folder = Path(name)
        estimator = Estimator.load(model or train(folder))
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            checks = another_sky(seed, estimator, folder / f"sky-{seed}").checks()
            states.update(check.state for check in checks)
            said = [check.line for check in checks if check.state in {"fail", "warn"}]
            print(f"sky {seed}: {counted(checks)}. {' '.join(said)}", flush=True)
            shutil.rmtree(folder / f"sky-{seed}")
    fails = states["fail"]
    print(
        f"{count} clean skies under one model, {sum(states.values())} checks: {fails} fail,"
        f" {states['warn']} warn, {states['not tested']} not tested"
    )
    return int(fails > 1)


def another_sky(seed: int, estimator: Estimator, folder: Path) -> Sky:
    """Return a sky of another seed, answered by a model, with the labels of its survey."""
    archive, release = folder / "archive", load_release("dr3")
    simulate(release.name, STARS, seed, archive)
    schema, ingested, rows = CatalogSchema.of(estimator.contract), [], []
    requested: Counter[str] = Counter()
    for part in list_partitions(str(archive), release):
        features, store = folder / f"{part.name}-features", folder / f"{part.name}-rows"
        made = ingest_partition(part, release, IngestSettings(), features)
        done = predict_partition(
            features, estimator, schema, 1024, store, source_id_release=release.name
        )
        ingested.append(InputCounts.model_validate(made.notes[NOTE]))
        requested.update({"requested": made.rows_in, "published": done.rows, **made.rejected})
        requested["no_answer"] += done.failed
        rows.append(read_rows(store, 0, done.rows))
    columns = {name: np.concatenate([part[name] for part in rows]) for name in schema.names}
    accounting = {name: requested.pop(name) for name in ("requested", "published")}
    population = estimator.document.population
    assert population is not None
    return Sky(
        schema,
        columns,
        *labels_of(archive, columns["source_id"], schema),
        {
            "accounting": {**accounting, "rejected": dict(requested)},
            "metrics": estimator.document.metrics,
        },
        InputCounts.total(ingested),
        population,
        folds=len(estimator.folds),
    )


def labels_of(
    archive: Path, ids: np.ndarray, schema: CatalogSchema
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of stars with labels, their labels and errors, in the schema's order."""
    (file,) = (archive / "apogee").glob("*.fits")
    survey = load_survey("apogee-dr17")
    found = collect_labels(make_file(str(file), {"size": file.stat().st_size}), survey).columns
    place = np.searchsorted(ids, found["source_id"]).clip(max=len(ids) - 1)
    hit = ids[place] == found["source_id"]
    order = [survey.declared.names.index(name) for name in schema.contract.labels.names]
    values, errors = (found[name][hit][:, order] for name in ("labels", "label_error"))
    return place[hit], values.astype(float), errors.astype(float)


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
