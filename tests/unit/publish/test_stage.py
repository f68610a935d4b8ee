"""The books of a catalogue: what was asked for is a row, or rejected for a reason."""

from pathlib import Path

import pytest

from catalog_builder.catalog.digest import BLOCK_ROWS
from catalog_builder.catalog.layout import STORE_NAME, building_dir
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.inference.rows import RowWriter
from catalog_builder.publish import building
from catalog_builder.publish.edition import Edition, accounting
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.publish.stage import (
    CHUNKS,
    SEAL,
    PublishContext,
    plan_chunk_tasks,
    plan_seal,
    prepare_store,
)
from catalog_builder.runtime.damage import DamagedStoreError
from catalog_builder.runtime.receipts import Receipt, read_receipt, write_receipt
from catalog_builder.runtime.tasks import Task, review, run_task
from catalog_builder.runtime.workdir import Workdir
from tests.unit.catalog.conftest import receipt_of

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


@pytest.fixture
def finished(tmp_path, schema, make_rows, facts):
    """Return a context whose three chunks are written, their tasks, and that of the seal."""
    writer = RowWriter(tmp_path / "predictions.zarr", schema, 23)
    writer.write(0, make_rows(23))
    writer.finish()
    settings = PublishSettings(report=False, chunk_rows=10, formats=("fits", "hats"))
    context = PublishContext(Workdir(tmp_path), schema, settings, EDITION, facts)
    predictions = [receipt_of("predictions.zarr", 23)]
    context = prepare_store(context, predictions)
    chunks = plan_chunk_tasks(EDITION, predictions, settings)
    for task in chunks:
        run_task(CHUNKS, context, context.workdir, task)
    return context, chunks, plan_seal(EDITION, chunks)[0]


@pytest.mark.parametrize("name", ["teff/c/1", "facts", "catalog.fits", "hats"])
def test_what_was_damaged_before_the_seal_is_written_again(finished, name):
    """The driver removes what the error names: then that chunk's task is to be done again."""
    context, chunks, task = finished
    store = store_of(context)
    files = {"facts": context.facts / "000001.npz", "catalog.fits": store.parent / "catalog.fits"}
    files["hats"] = next((store.parent / "hats").rglob("part-000000000010.parquet"))
    file = files.get(name, store / name)
    content = bytearray(file.read_bytes())
    content[-2500 if name == "catalog.fits" else len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedStoreError) as caught:
        run_task(SEAL, context, context.workdir, task)
    (damage,) = caught.value.damage
    assert damage.stage == "publish-chunks"
    assert damage.task in {chunk.name for chunk in chunks}
    (context.workdir.root / damage.file).unlink()
    assert prepare_store(context, [receipt_of("predictions.zarr", 23)]) == context
    (again,) = review(context.workdir, chunks).todo
    assert again == damage.task
    for chunk in chunks:
        run_task(CHUNKS, context, context.workdir, chunk)
    sealed = run_task(SEAL, context, context.workdir, task)
    assert validate_catalog(context.workdir.root / sealed.output) == []
    assert not context.facts.exists()


def test_chunks_whose_fits_file_is_gone_are_all_written_again(finished):
    context, chunks, _ = finished
    (store_of(context).parent / "catalog.fits").unlink()
    prepare_store(context, ())
    assert len(review(context.workdir, chunks).todo) == len(chunks) == 3


def test_a_receipt_of_other_rows_is_no_part_of_the_sum(finished):
    context, chunks, task = finished
    file = context.workdir.receipt_file(CHUNKS.name, chunks[1].name)
    said = read_receipt(file)
    write_receipt(file, said.model_copy(update={"rows_in": 11, "rows_out": 11}))
    with pytest.raises(CatalogueError, match="says 11 rows, and wrote 10"):
        run_task(SEAL, context, context.workdir, task)


@pytest.mark.parametrize("chunk_rows", [20_011, 65_536, 65_537, 100_000])
def test_every_block_is_digested_by_the_task_it_begins_in(chunk_rows):
    counts = [40_000, 0, 60_000, 90_000, 5]
    settings = PublishSettings(chunk_rows=chunk_rows)
    receipts = [receipt_of(str(n), count) for n, count in enumerate(counts)]
    row, blocks = 0, 0
    for task in plan_chunk_tasks(EDITION, receipts, settings):
        rows, beyond = (
            [(int(part), at) for part, start, stop in task.payload[name] for at in (start, stop)]
            for name in ("pieces", "beyond")
        )
        size = sum(stop - start for _, start, stop in task.payload["pieces"])
        more = sum(stop - start for _, start, stop in task.payload["beyond"])
        assert {need.task for need in task.needs} == {str(part) for part, _ in rows + beyond}
        begun = len(range(-(-row // BLOCK_ROWS) * BLOCK_ROWS, row + size, BLOCK_ROWS))
        end = row + size + more
        assert end % BLOCK_ROWS == 0 or end == sum(counts) or not (begun or more)
        blocks += begun
        row += size
    assert row == sum(counts)
    assert blocks == -(-row // BLOCK_ROWS)


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
