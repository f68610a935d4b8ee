"""What is written is there whole, or not at all; what is asked wrongly is refused before."""

import fcntl
import json
import multiprocessing
import os
import shutil
import signal

import pytest

from catalog_builder import credit_of, export, open_lazy
from catalog_builder.exporting.export import FORMATS
from catalog_builder.ground.errors import CatalogueError, ConfigError


def test_nothing_is_written_over(catalogue, tmp_path):
    (tmp_path / "a").write_text("mine")
    (tmp_path / "b").symlink_to("nowhere")
    for name in "ab":
        with pytest.raises(ConfigError, match="exists, and is not written over"):
            export(catalogue, "csv", tmp_path / name)
    assert (tmp_path / "a").read_text() == "mine"


def test_nothing_is_added_to_a_catalogue(catalogue):
    before = sorted(catalogue.rglob("*"))
    for place in (catalogue / "x.csv", catalogue / "catalog.zarr" / "x.csv"):
        with pytest.raises(ConfigError, match="would lie in the sealed catalogue"):
            export(catalogue, "csv", place)
    assert sorted(catalogue.rglob("*")) == before


def test_it_is_named_after_release_and_version(catalogue, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export(catalogue.parent / "v1", "csv", compressed=True)[0].name == "dr3-v1.csv.gz"
    assert export(catalogue, "cds", where="gold")[0].name == "dr3-v1-cds"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dr3-v1-cds", "dr3-v1.csv.gz"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"format": "xml"}, ConfigError, "votable, cds, csv, parquet"),
        ({"columns": ["lgg"]}, CatalogueError, "Did you mean logg"),
        ({"columns": ["teff", "teff"]}, ConfigError, "teff is named twice"),
        ({"columns": []}, ConfigError, "No column is named"),
        ({"where": "tef > 3"}, ConfigError, "Did you mean teff"),
        ({"format": "parquet", "compressed": True}, ConfigError, "is not compressed"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    catalogue, tmp_path, options, error, words
):
    with pytest.raises(error, match=words):
        export(catalogue, **{"format": "csv", "out": tmp_path / "x", **options})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["csv", "cds"])
def test_an_error_on_the_way_leaves_nothing(catalogue, tmp_path, name):
    def stop(seen, rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(catalogue, name, tmp_path / "x", progress=stop)
    assert list(tmp_path.iterdir()) == []


def _killed_at_first_news(catalogue, out, name):
    export(catalogue, name, out, progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.parametrize("name", ["votable", "cds"])
def test_killed_it_leaves_nothing_to_see_and_the_next_goes_on(catalogue, tmp_path, name):
    context = multiprocessing.get_context("fork")
    args = (catalogue, tmp_path / "x", name)
    process = context.Process(target=_killed_at_first_news, args=args)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".x.partial"]
    _, rows = export(catalogue, name, tmp_path / "x")
    assert rows == 23
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_two_do_not_write_to_one_place(catalogue, tmp_path):
    with (tmp_path / ".x.partial").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CatalogueError, match="Another process writes"):
            export(catalogue, "csv", tmp_path / "x")
    assert export(catalogue, "csv", tmp_path / "x")[1] == 23


def test_it_says_how_far_it_is(catalogue, tmp_path):
    told = []
    export(catalogue, "csv", tmp_path / "a", progress=lambda *news: told.append(news))
    assert told == [(10, 23), (20, 23), (23, 23)]
    told.clear()
    export(catalogue, "cds", tmp_path / "b", progress=lambda *news: told.append(news))
    assert told[-1] == (46, 46)


def test_a_damaged_chunk_is_named(catalogue, tmp_path):
    copy = shutil.copytree(catalogue, tmp_path / "v1")
    (copy / "catalog.zarr" / "logg" / "c" / "1").unlink()
    with pytest.raises(CatalogueError, match="logg/c/1 is missing"):
        export(copy, "csv", tmp_path / "x")
    assert export(copy, "csv", tmp_path / "x", columns=["teff"])[1] == 23


@pytest.mark.parametrize("name", FORMATS)
def test_a_catalogue_of_before_has_no_columns_of_today(
    tmp_path, schema, full_schema, publish_as_0_1, name
):
    folder = publish_as_0_1(tmp_path / "dr3" / "v1", schema)
    # Its bits do not say on what they cast doubt, and nothing says its labels: today's do.
    said = json.loads((folder / "schema.json").read_text())
    del said["contract"]
    for bit in said["flags"]["bits"]:
        bit.pop("doubts", None)
    (folder / "schema.json").write_text(json.dumps(said))
    path, rows = export(folder, name, tmp_path / "x", where="gold or not gold")
    assert rows == 23
    if name == "csv":
        stored = [column.name for column in full_schema.all_columns if column in schema.all_columns]
        assert path.read_text().splitlines()[0].split(",") == stored
    assert len(open_lazy(folder).columns) == len(schema.all_columns)
    assert credit_of(folder).license is None
