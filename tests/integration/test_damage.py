"""A bit that flips in a store between two steps is named, and the store made again as it was."""

import json
import random
import shutil

import pytest

from tests.integration.conftest import columns_of, sealed


def forget(work, *stages):
    """Leave the workdir as it was before these stages."""
    for stage in stages:
        shutil.rmtree(work / "receipts" / stage)
    shutil.rmtree(work / "catalogs")


def flip(work, stage, task, pattern, seed=0):
    """Flip a bit of a task's output; return the file, relative to the workdir."""
    receipt = json.loads((work / "receipts" / stage / f"{task}.json").read_text())
    rng = random.Random(seed)
    victim = rng.choice(sorted((work / receipt["output"]).glob(pattern)))
    content = bytearray(victim.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    victim.write_bytes(content)
    return victim.relative_to(work).as_posix()


def tasks(work, stage):
    return sorted(path.stem for path in (work / "receipts" / stage).glob("[!.]*.json"))


def warnings_of(work):
    log = max((work / "logs").glob("run-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    found = [event for event in events if event["event"] == "damage"]
    return {event["file"]: f"{event['stage']}/{event['task']}" for event in found}


PUBLISH = ("publish-chunks", "publish")
PREDICT = ("predict", *PUBLISH)


@pytest.mark.parametrize("place", ["float32/c/*/*", "float32/zarr.json", "zarr.json"])
def test_predictions(site, work, place):
    (catalogue,) = sealed(work)
    before = columns_of(catalogue)
    forget(work, *PUBLISH)
    first, second = tasks(work, "predict")[1:3]
    files = {flip(work, "predict", task, place): f"predict/{task}" for task in (first, second)}
    executed = site.run(work)
    assert executed["predict"] == 2
    assert set(executed) == {*PREDICT}
    assert warnings_of(work) == files
    assert columns_of(sealed(work)[0]) == before


def test_features_and_model(site, work):
    before = columns_of(sealed(work)[0])
    forget(work, *PREDICT)
    partition = tasks(work, "ingest")[2]
    files = {
        flip(work, "ingest", partition, "xp_flux/c.*"): f"ingest/{partition}",
        flip(work, "model", "ensemble", "member-*.safetensors"): "model/ensemble",
    }
    executed = site.run(work)
    assert (executed["ingest"], executed["model"]) == (1, 1)
    assert warnings_of(work) == files
    assert columns_of(sealed(work)[0]) == before


def test_weights_and_training_set(site, work):
    """Neither has a checksum of its own everywhere: what flips must not get into the model."""
    before = columns_of(sealed(work)[0])
    forget(work, "model", *PREDICT)
    files = {
        flip(work, "train", "member-01", "member.safetensors"): "train/member-01",
        flip(work, "training-set", "apogee-dr17", "zarr.json"): "training-set/apogee-dr17",
    }
    executed = site.run(work)
    assert (executed["train"], executed["training-set"]) == (1, 1)
    assert warnings_of(work) == files
    assert columns_of(sealed(work)[0]) == before


def test_a_step_alone_has_what_it_needs_made_again(site, work):
    before = columns_of(sealed(work)[0])
    forget(work, *PUBLISH)
    task = tasks(work, "predict")[0]
    flip(work, "predict", task, "int64/c/*/*")
    assert site.run(work, steps=("publish",))["predict"] == 1
    assert columns_of(sealed(work)[0]) == before


def test_chunks_and_metadata_of_a_catalogue_that_is_being_built(site, work):
    (catalogue,) = sealed(work)
    before = columns_of(catalogue)
    building = catalogue.with_name(f".building-{catalogue.name}")
    catalogue.rename(building)
    (work / "receipts" / "publish" / f"{catalogue.name}.json").unlink()
    for name in ("teff/c/0", "zarr.json", "logg/zarr.json"):
        file = building / "catalog.zarr" / name
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    assert site.run(work) == {"publish-chunks": 1, "publish": 1}
    assert columns_of(sealed(work)[0]) == before
