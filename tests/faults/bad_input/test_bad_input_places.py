"""Files under names that promise something else, links, pipes: read right, or refused by name."""

import gzip
import os
import shutil

import numpy as np
import pytest
from astropy.io import fits

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import read_blocks
from catalog_builder.features import stage as ingesting
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.errors import InputError
from catalog_builder.runtime.tasks import run_task
from catalog_builder.runtime.workdir import Workdir

RVS = "rvs_mean_spectrum"


def as_fits(bench, path):
    """Return the RVS table of the first partition as FITS."""
    spec = bench.archive.release.tables[RVS]
    blocks = list(read_blocks(FileRef(str(path), 0), RVS, bench.archive.release))
    columns = []
    for name, column in spec.columns.items():
        values = np.concatenate([block.columns[name] for block in blocks])
        kind = {"i": "K", "f": "E", "b": "L"}[column.numpy_dtype.kind]
        columns.append(fits.Column(name, f"{column.length or ''}{kind}", array=values))
    fits.BinTableHDU.from_columns(columns).writeto(path.with_name("table"))
    content = path.with_name("table").read_bytes()
    path.with_name("table").unlink()
    return content


def digest(books):
    return books.receipt["output_digest"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".fits", ".parquet"])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "fits", "fits.gz"])
def test_a_table_under_another_name(bench, ending, kind):
    path = bench.archive.path(RVS)
    content = path.read_bytes()
    if kind.startswith("fits"):
        content = gzip.compress(as_fits(bench, path))
    if not kind.endswith("gz"):
        content = gzip.decompress(content)
    bench.archive.remove(RVS)
    path.with_name(path.name.replace(".csv.gz", ending)).write_bytes(content)
    books = bench.ingest()
    assert books.rows_in == bench.clean_books.rows_in
    assert (books.files, books.rejected, books.rows) == ({}, {}, {})
    assert digest(books) == digest(bench.clean_books)


@pytest.mark.parametrize(
    "page", [b"<!doctype html><title>503</title>", b"<html><title>503</title>"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_error_page_under_the_name_of_a_file(bench, page, pack):
    path = bench.archive.path(RVS)
    bench.archive.write(RVS, pack(page))
    books = bench.ingest()
    assert books.files[path.name]["reason"] == "unreadable_file"
    assert 'an HTML page ("503")' in books.files[path.name]["detail"]


@pytest.mark.timeout(120)
def test_a_pipe_is_named_and_not_waited_for(bench):
    path = bench.archive.path(RVS)
    bench.archive.remove(RVS)
    os.mkfifo(path)
    answer, books = bench.ingest_by_command()
    assert "it is a named pipe" in books.files[path.name]["detail"]
    assert path.name in answer.err
    assert books.has["xp"] == bench.clean_books.has["xp"]


@pytest.mark.timeout(120)
def test_pipes_in_the_place_of_a_whole_table(bench):
    for partition in (bench.archive.first, bench.archive.second):
        bench.archive.remove(RVS, partition)
        os.mkfifo(bench.archive.path(RVS, partition))
    bench.refuse(4, "None of the 2 files of rvs_mean_spectrum", "named pipe")


@pytest.mark.timeout(120)
def test_a_pipe_in_the_place_of_the_checksums(bench):
    listing = bench.archive.path(RVS).parent / "_MD5SUM.txt"
    listing.unlink()
    os.mkfifo(listing)
    bench.refuse(4, "The checksum list", listing, "named pipe", "remove it")


def test_two_files_of_one_partition(bench):
    path = bench.archive.path(RVS)
    (path.with_name(path.name.replace(".csv.gz", ".fits"))).write_bytes(b"whatever it is")
    answer, books = bench.ingest_by_command()
    said = " ".join(answer.err.split())
    assert f"{path.name}, not {path.name.replace('.csv.gz', '.fits')}" in said
    assert digest(books) == digest(bench.clean_books)


def test_an_archive_of_links(bench, tmp_path):
    store = tmp_path / "store"
    bench.archive.root.rename(store)
    for path in sorted(store.rglob("*")):
        place = bench.archive.root / path.relative_to(store)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            os.utime(path, (1e9, 1e9))
            place.symlink_to(os.path.relpath(path, place.parent))
    _, books = bench.ingest_by_command()
    assert (books.files, books.rejected) == ({}, {})
    assert digest(books) == digest(bench.clean_books)
    answer = bench.step("ingest")
    assert "none, everything was complete" in answer.out


def test_a_link_that_is_led_elsewhere_during_the_run(bench, tmp_path):
    """The other file has the same bytes, size and time: nothing but the link tells."""
    path = bench.archive.path(RVS)
    path.rename(tmp_path / "a")
    shutil.copy(tmp_path / "a", tmp_path / "b")
    for name in "ab":
        os.utime(tmp_path / name, (1e9, 1e9))
    path.symlink_to(tmp_path / "a")
    workdir, settings = Workdir(bench.workdir), IngestSettings()
    context = ingesting.IngestContext(workdir, bench.archive.release, settings)
    partitions = list_partitions(str(bench.archive.root), bench.archive.release)
    task = ingesting.plan(partitions, bench.archive.release, settings)[0]
    path.unlink()
    path.symlink_to(tmp_path / "b")
    with pytest.raises(InputError, match="changed while it was read: it is a link") as refusal:
        run_task(ingesting.STAGE, context, workdir, task)
    assert path.name in refusal.value.problem
    assert not workdir.receipt_file("ingest", task.name).exists()
