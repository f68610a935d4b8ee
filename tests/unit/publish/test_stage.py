"""The books of a catalogue: what was asked for is a row, or rejected for a reason."""

from pathlib import Path

import pytest

from catalog_builder.catalog.layout import STORE_NAME, building_dir
from catalog_builder.inference.rows import RowWriter
from catalog_builder.publish import building
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.publish.stage import (
    CHUNKS,
    Edition,
    PublishContext,
    accounting,
    prepare_store,
)
from catalog_builder.runtime.damage import DamagedStoreError
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.workdir import Workdir

EDITION = Edition("dr3", "v1", "0123456789abcdef")


@pytest.fixture
def publishing(tmp_path, full_schema, make_rows, facts):
    """Return the context of a catalogue of three rows, and a function that writes its one chunk."""
    workdir = Workdir(tmp_path)
    record = {**facts, "accounting": {"requested": 3, "published": 3, "rejected": {}}}
    writer = RowWriter(tmp_path / "predictions.zarr", full_schema, 3)
    writer.write(0, make_rows(3, full_schema))
    writer.finish()
    context = PublishContext(workdir, full_schema, PublishSettings(), EDITION, record)
    payload = {"index": 0, "pieces": [("predictions.zarr", 0, 3)], "beyond": []}
    task = Task("publish-chunks", "v1-0", "k", payload)
    return context, lambda known: CHUNKS.work(known, task)


def store_of(context):
    return building_dir(context.edition.folder(context.workdir)) / STORE_NAME


def test_a_chunk_costs_no_store_of_its_own(publishing, monkeypatch):
    """To build an empty store for each, to compare its metadata, took three times the writing."""
    context, write = publishing
    known = prepare_store(context, ())
    monkeypatch.setattr(building, "create_store", None)
    assert write(known).rows_out == 3
    assert len(known.metadata) == 1 + len(context.schema.columns)


@pytest.mark.parametrize("name", ["zarr.json", "teff/zarr.json"])
@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"{}")])
def test_metadata_that_change_are_named_by_the_next_chunk_and_restored(publishing, name, harm):
    context, write = publishing
    known = prepare_store(context, ())
    file = store_of(context) / name
    content = file.read_bytes()
    harm(file)
    with pytest.raises(DamagedStoreError) as caught:
        write(known)
    assert [one.file for one in caught.value.damage] == [
        file.relative_to(context.workdir.root).as_posix()
    ]
    assert prepare_store(context, ()) == known
    assert file.read_bytes() == content
    assert write(known).rows_out == 3


def receipt(stage, rows_in, **rejected):
    return Receipt(
        stage=stage,
        task="0",
        stage_version=1,
        key="k",
        rows_in=rows_in,
        rows_out=rows_in - sum(rejected.values()),
        rejected=rejected,
        output="o",
        pattern="*",
        output_digest="d",
        inventory="",
        seconds=0.0,
    )


@pytest.mark.parametrize(
    ("features", "census", "predictions", "expected"),
    [
        ([(5, {})], [], [(5, {})], (5, 5, {})),
        (
            [(7, {"bad_number": 2}), (4, {"bad_number": 1, "malformed_row": 1})],
            [(9, {"quarantined_partition": 9})],
            [(5, {}), (2, {})],
            (20, 7, {"bad_number": 3, "malformed_row": 1, "quarantined_partition": 9}),
        ),
        # Stars without a finite answer, and a partition that was not predicted at all.
        (
            [(10, {}), (6, {"bad_number": 1})],
            [],
            [(10, {"prediction_failed": 3})],
            (16, 7, {"bad_number": 1, "prediction_failed": 3, "partition_not_predicted": 5}),
        ),
        ([(10, {})], [], [], (10, 0, {"partition_not_predicted": 10})),
    ],
)
def test_every_requested_source_is_counted_once(features, census, predictions, expected):
    stages = zip(("ingest", "census", "predict"), (features, census, predictions), strict=True)
    receipts = [[receipt(stage, n, **why) for n, why in some] for stage, some in stages]
    books = accounting(*receipts)
    assert (books["requested"], books["published"], books["rejected"]) == expected
    assert books["requested"] == books["published"] + sum(books["rejected"].values())
    assert list(books["rejected"]) == sorted(books["rejected"])
