"""A workdir that is foreign, damaged, full or no folder: told so, or repaired; never trusted."""

import json
import os
import subprocess

import numpy as np
import pytest
import zarr

from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.errors import StoreError


def same_as_clean(bench, books):
    return books.receipt["output_digest"] == bench.clean_books.receipt["output_digest"]


def first_store(bench):
    return bench.workdir / bench.receipt(bench.archive.first)["output"]


# --- no workdir -----------------------------------------------------------------------------------


def test_a_workdir_that_is_a_file(bench):
    bench.workdir.write_text("no folder")
    bench.refuse(5, bench.workdir, "cannot be written", "--workdir")
    assert bench.workdir.read_text() == "no folder"


def test_a_workdir_below_a_file(bench, tmp_path):
    (tmp_path / "file").write_text("no folder")
    answer = bench.step("ingest", "--workdir", tmp_path / "file" / "work")
    assert answer.code == 5
    assert str(tmp_path / "file" / "work") in " ".join(answer.err.split())


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_workdir_without_permission(bench):
    bench.workdir.mkdir()
    bench.workdir.chmod(0o555)
    bench.refuse(5, bench.workdir, "Permission denied", "--workdir")


@pytest.mark.parametrize("command", ["status", "clean"])
def test_a_folder_that_is_no_workdir(bench, tmp_path, command):
    answer = bench.command(command, "--workdir", tmp_path)
    assert answer.code == 5
    assert "not a workdir" in answer.err


def test_somebody_elses_data_in_the_workdir(bench):
    bench.workdir.mkdir()
    foreign = bench.workdir / "results.zarr"
    zarr.create_group(store=foreign).create_array("flux", shape=(3,), dtype="f4")[:] = 7
    _, books = bench.ingest_by_command()
    assert same_as_clean(bench, books)
    assert (zarr.open_group(foreign)["flux"][:] == 7).all()


# --- receipts and stores --------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[:100])


def edit(path):
    content = json.loads(path.read_text())
    content["rows_out"] += 1
    content["rows_in"] += 1
    path.write_text(json.dumps(content))


def garble(path):
    path.write_bytes(bytes(range(256)))


def strip(path):
    path.write_text("{}")


@pytest.mark.parametrize("damage", [truncate, edit, garble, strip])
def test_a_damaged_receipt_is_done_again(bench, damage):
    bench.ingest()
    damage(bench.workdir / "receipts" / "ingest" / f"{bench.archive.first}.json")
    answer, books = bench.ingest_by_command()
    assert "1 ingest" in answer.out
    assert same_as_clean(bench, books)


def test_a_receipt_of_another_partition_is_done_again(bench):
    bench.ingest()
    receipts = bench.workdir / "receipts" / "ingest"
    foreign = (receipts / f"{bench.archive.second}.json").read_bytes()
    (receipts / f"{bench.archive.first}.json").write_bytes(foreign)
    answer, books = bench.ingest_by_command()
    assert "1 ingest" in answer.out
    assert same_as_clean(bench, books)


def empty(store):
    for path in sorted(store.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def lose_a_chunk(store):
    next(store.rglob("c.*")).unlink()


def replace_by_another_zarr(store):
    empty(store)
    zarr.create_group(store=store, overwrite=True).create_array("x", shape=(3,), dtype="f4")


@pytest.mark.parametrize("damage", [empty, lose_a_chunk, replace_by_another_zarr])
def test_a_damaged_or_foreign_store_is_made_again(bench, damage):
    bench.ingest()
    damage(first_store(bench))
    answer, books = bench.ingest_by_command()
    assert "1 ingest" in answer.out
    assert same_as_clean(bench, books)


def test_a_foreign_zarr_is_no_feature_store(tmp_path):
    group = zarr.create_group(store=tmp_path / "foreign.zarr")
    group.create_array("source_id", shape=(3,), dtype="i8")
    with pytest.raises(StoreError, match=r"foreign\.zarr is not a feature store") as refusal:
        FeatureStore(tmp_path / "foreign.zarr")
    assert "same command again" in refusal.value.way_out
    group.attrs["kind"] = "training"
    with pytest.raises(StoreError, match="its kind is 'training'"):
        FeatureStore(tmp_path / "foreign.zarr")
    with pytest.raises(StoreError, match="nowhere"):
        FeatureStore(tmp_path / "nowhere.zarr")


@pytest.mark.parametrize("name", ["rvs_flux", "xp_flux_error", "source_float64"])
def test_a_flipped_byte_in_a_store_is_found_on_reading(bench, name):
    bench.ingest()
    store = first_store(bench)
    chunk = next((store / name).glob("c.*"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(StoreError) as refusal:
        FeatureStore(store).read(np.arange(5))
    assert str(store) in refusal.value.problem
    assert "same command again" in refusal.value.way_out


# --- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system that a few files fill, and a function that changes its size."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", *options, "tmpfs", place], check=False, capture_output=True
        )

    if os.geteuid() != 0 or mount("-o", "size=400k").returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield place, lambda size: mount("-o", f"remount,size={size}")
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_and_the_same_command_after_space_is_made(bench, small_disk):
    place, resize = small_disk
    workdir = place / "work"
    answer = bench.step("ingest", "--workdir", workdir)
    assert answer.code == 5, answer.err
    assert "No space left on device" in answer.err
    assert "same command again" in answer.err
    assert not list((workdir / "receipts" / "ingest").glob("*.quarantined"))
    resize("64m")
    answer = bench.step("ingest", "--workdir", workdir)
    assert answer.code == 0, answer.err
    for partition in (bench.archive.first, bench.archive.second):
        receipt = json.loads((workdir / "receipts" / "ingest" / f"{partition}.json").read_text())
        assert receipt["output_digest"] == bench.clean[partition]["output_digest"]


def test_a_disk_that_is_full_from_the_start(bench, small_disk):
    place, _ = small_disk
    (place / "ballast").write_bytes(bytes((400 << 10) - 4096))
    answer = bench.step("ingest", "--workdir", place / "work")
    assert answer.code in {5, 9}, answer.err
    assert "\n  -> " in answer.err


def test_a_plan_that_does_not_fit_the_disk(bench, small_disk):
    place, resize = small_disk
    resize("256k")
    answer = bench.step("ingest", "--workdir", place / "work")
    assert answer.code == 9, answer.err
    assert "--workdir" in answer.err
