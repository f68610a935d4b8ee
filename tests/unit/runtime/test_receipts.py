"""A receipt proves that a task is done, and nothing less does."""

import json

import pytest
from pydantic import ValidationError

from catalog_builder.runtime.receipts import (
    Receipt,
    TaskState,
    find_receipt,
    inventory_of,
    read_receipt,
    write_receipt,
)


@pytest.fixture
def done(tmp_path):
    output = tmp_path / "features" / "000001-abc.zarr"
    output.mkdir(parents=True)
    (output / "chunk").write_bytes(b"12345")
    receipt = Receipt(
        stage="ingest",
        task="000001",
        stage_version=1,
        key="k",
        rows_in=3,
        rows_out=2,
        rejected={"bad_number": 1},
        output="features/000001-abc.zarr",
        output_digest="d",
        pattern="**/*",
        inventory=inventory_of(output),
        seconds=0.1,
    )
    path = tmp_path / "receipts" / "ingest" / "000001.json"
    write_receipt(path, receipt)
    return tmp_path, path


def state(root, path, key="k", task="000001"):
    return find_receipt(path, root, "ingest", task, key)[0]


def test_a_whole_receipt_with_its_output_is_done(done):
    assert state(*done) is TaskState.DONE
    assert read_receipt(done[1]).balances()


def test_no_receipt_is_missing(done):
    root, path = done
    path.unlink()
    assert state(root, path) is TaskState.MISSING


def test_other_inputs_make_it_stale(done):
    assert state(*done, key="other") is TaskState.STALE


def test_a_foreign_receipt_is_not_taken(done):
    assert state(*done, task="000002") is TaskState.DAMAGED_RECEIPT
    root, path = done
    assert find_receipt(path, root, "predict", "000001", "k")[0] is TaskState.DAMAGED_RECEIPT


@pytest.mark.parametrize(("rows_out", "balances"), [(1, False), (2, True), (3, False)])
def test_rows_balance_or_do_not(done, rows_out, balances):
    receipt = read_receipt(done[1])
    assert receipt.model_copy(update={"rows_out": rows_out}).balances() is balances


@pytest.mark.parametrize("output", ["/etc", "../features", "features/../../etc", "a/.."])
def test_an_output_lies_inside_the_workdir(done, output):
    content = read_receipt(done[1]).model_dump()
    with pytest.raises(ValidationError, match="inside the workdir"):
        Receipt.model_validate({**content, "output": output})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"rows_out": 2', '"rows_out": 3'),
        lambda text: "",
        lambda text: "[]",
        lambda text: json.dumps({**json.loads(text), "extra": 1}),
    ],
    ids=["truncated", "edited", "empty", "not a receipt", "extra key"],
)
def test_a_damaged_receipt_is_recognised(done, damage):
    root, path = done
    path.write_text(damage(path.read_text()))
    assert state(root, path) is TaskState.DAMAGED_RECEIPT


@pytest.mark.parametrize(
    "damage",
    [
        lambda output: (output / "chunk").write_bytes(b"1234"),
        lambda output: (output / "chunk").write_bytes(b"123456"),
        lambda output: (output / "chunk").unlink(),
        lambda output: (output / "more").write_bytes(b"1"),
        lambda output: (output / "chunk").rename(output / "moved"),
    ],
    ids=["truncated", "longer", "removed", "added", "moved"],
)
def test_a_damaged_output_is_recognised(done, damage):
    root, path = done
    damage(root / "features" / "000001-abc.zarr")
    assert state(root, path) is TaskState.DAMAGED_OUTPUT


def test_a_crash_leaves_the_old_receipt(done, monkeypatch):
    _, path = done
    before = path.read_bytes()

    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        write_receipt(path, read_receipt(path))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
