"""Tables beside a catalogue, as a run plans them."""

from types import SimpleNamespace

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.features import repeated
from catalog_builder.features.settings import IngestSettings
from catalog_builder.run.beside import tables_beside
from catalog_builder.runtime.receipts import Receipt


def receipt(stage, task):
    return Receipt(
        stage=stage, stage_version=1, task=task, key="k", rows_in=0, rows_out=0, pattern="*",
        output=f"{stage}/{task}", output_digest=task, inventory="", seconds=0,
    )  # fmt: skip


@pytest.fixture
def run(monkeypatch):
    parts = [SimpleNamespace(name=name, size=1, files={}) for name in ("0-4", "5-9")]
    monkeypatch.setattr(repeated, "partitions_with", lambda *_: parts)
    return SimpleNamespace(
        config=SimpleNamespace(
            publish=SimpleNamespace(beside=True), ingest=IngestSettings()
        ),
        workdir=None, archive="", release=load_release("dr3"), partitions=parts,
        features=[receipt("ingest", part.name) for part in parts],
    )  # fmt: skip


def test_a_partition_whose_values_are_in_quarantine_has_none(run):
    def step(_step, stage, _context, tasks):
        # As the driver returns them: a task that was given up has no receipt.
        return [receipt(stage.name, task.name) for task in tasks[1:]]

    run.step = step
    values = tables_beside(run).values["parameters"]
    assert {part: made.task for part, made in values.items()} == {"5-9": "parameters-5-9"}
