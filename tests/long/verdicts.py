"""A finished run spoilt in many ways: which checks fail, against the list of `tests.spoilt`.

    python -m tests.long.verdicts WORKDIR

reads the predictions, matches and model of a run that trained one (the demo's, say), and writes
nothing. It ends with 1 if a line came out otherwise than the list says.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.population import inputs_of
from catalog_builder.inference.rows import read_rows
from catalog_builder.labels.survey import load_survey
from catalog_builder.model.population import Population
from catalog_builder.publish.labelled import labelled_rows
from catalog_builder.runtime.receipts import Receipt, read_receipt
from tests.spoilt import SPOILT, Sky, red


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


def main() -> int:
    """Spoil a run in every way of the list; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir", type=Path)
    sky, wrong = sky_of(parser.parse_args().workdir), 0
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
