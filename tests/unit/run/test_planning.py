"""A plan is estimated from what files hold, whatever they are called."""

import gzip
import os
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from astropy.io import fits
from astropy.table import Table

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.marks import KEYWORD, MARK_FILE
from catalog_builder.archive.release import load_release
from catalog_builder.model.settings import ModelSettings
from catalog_builder.run import row_counts
from catalog_builder.run.checks import _warn_of_few_labels
from catalog_builder.run.planning import Plan, _estimate_rows, _networks, _rows_of
from catalog_builder.run.row_counts import stated_rows
from catalog_builder.run.runs import _told_if_simulated
from catalog_builder.training.settings import TrainingSettings

TABLE = load_release("dr3").tables["rvs_mean_spectrum"]
ROWS = 50
TEXT = b"# a comment\nsource_id,flux,flux_error\n" + b"".join(
    b'%d,"[%s]","[%s]"\n' % (n, b"1.25," * 2000, b"0.25," * 2000) for n in range(ROWS)
)


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.fits", "x.parquet"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_rows_are_estimated_from_the_text(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(TEXT))
    rows = _estimate_rows([FileRef(str(path), path.stat().st_size)], TABLE)
    assert abs(rows - ROWS) <= 3


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "x.csv")
    assert _estimate_rows([FileRef(str(tmp_path / "x.csv"), 0)], TABLE) == 1


def test_the_plan_says_which_of_several_files_is_read():
    facts = {"partitions": 1, "files": 2, "bytes_in": 3, "rows": {}, "workers": 1}
    facts |= {"budgets": {"ingest": 1}, "memory_limit": 2, "memory_machine": 3}
    facts |= {"disk_needed": 1, "disk_free": 2}
    assert "Note:" not in Plan(**facts).in_words()
    assert Plan(**facts, choices="a, not b").in_words().endswith("Note: a, not b.")


def test_the_plan_says_what_the_networks_of_folds_cost():
    said = _networks(ModelSettings(), TrainingSettings())
    assert "6 for the stars that teach, each without one of 3 folds of them; 2.5 times" in said
    assert "times" not in _networks(ModelSettings(folds=0), TrainingSettings())
    # Half of 9 / 6 as many stars, and 2 networks beside 4.
    assert "1.4 times" in _networks(ModelSettings(folds=2, fold_members=1), TrainingSettings())


@pytest.mark.parametrize("form", ["parquet", "fits"])
def test_rows_that_files_state_are_counted(tmp_path, form, monkeypatch):
    files = []
    for rows in (5, 900, 40):
        path = tmp_path / f"{rows}.{form}"
        if form == "parquet":
            pl.DataFrame({"source_id": np.arange(rows)}).write_parquet(path)
        else:
            Table({"source_id": np.arange(rows)}).write(path)
        files.append(FileRef(str(path), path.stat().st_size))
    assert stated_rows(files) == (945, True)
    # Of too many files some are asked, and bytes tell the rest.
    monkeypatch.setattr(row_counts, "_MOST", 2)
    rows, counted = stated_rows(files)
    assert not counted
    assert rows > 0
    (tmp_path / "x.csv").write_bytes(TEXT)
    assert stated_rows([FileRef(str(tmp_path / "x.csv"), 1)]) is None
    facts = {"partitions": 1, "files": 2, "bytes_in": 3, "rows": {"a": 945, "b": 9}, "workers": 1}
    facts |= {"budgets": {"ingest": 1}, "memory_limit": 2, "memory_machine": 3}
    facts |= {"disk_needed": 1, "disk_free": 2, "counted": frozenset({"a"})}
    lines = Plan(**facts).in_words().splitlines()
    assert [line.split() for line in lines[2:4]] == [["a", "945"], ["b", "about", "9"]]


def test_a_table_without_rows_has_none(tmp_path):
    pl.DataFrame({"source_id": np.arange(0)}).write_parquet(tmp_path / "x.parquet")
    assert _rows_of([FileRef(str(tmp_path / "x.parquet"), 400)], TABLE) == (0, True)
    assert _rows_of([FileRef(str(tmp_path / "none.csv"), 0)], TABLE) == (1, False)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_rows_of_fits_are_counted_from_its_head(tmp_path, pack):
    """What a dry run asks for is not the whole file, nor whether its sums are right."""
    path = tmp_path / "x.fits"
    rows = np.zeros(900, dtype=[("source_id", "i8")])
    fits.BinTableHDU(rows).writeto(path, checksum=True)
    content = bytearray(path.read_bytes())
    content[2 * 2880 + 17] ^= 1
    path.write_bytes(pack(content))
    assert stated_rows([FileRef(str(path), path.stat().st_size)]) == (900, True)


@pytest.mark.parametrize(("rows", "is_told"), [(836, True), (4000, False)])
def test_too_few_labels_are_told_before_hours_are_spent(tmp_path, rows, is_told):
    path, told = tmp_path / "labels.fits", []
    Table({"TEFF": np.zeros(rows)}).write(path)
    pipeline = SimpleNamespace(
        label_file=FileRef(str(path), path.stat().st_size),
        wanted={"training-set", "train"},
        config=SimpleNamespace(training=TrainingSettings(), model=ModelSettings()),
        driver=SimpleNamespace(events=SimpleNamespace(warn=told.append)),
    )
    _warn_of_few_labels(pipeline)
    assert bool(told) == is_told
    if is_told:
        assert "836 label rows, of which about 501 at most are fit stars" in told[0]
        assert "a label needs 1,000 (model.min_label_stars) and may not be trained" in told[0]


def test_simulated_stars_are_told_before_anything_is_done(tmp_path):
    labels = tmp_path / "labels.fits"
    Table({"TEFF": np.zeros(9)}).write(labels)
    config = SimpleNamespace(model_path=None)
    facts = {"archive": str(tmp_path), "config": config, "wanted": {"training-set"}}
    pipeline = SimpleNamespace(**facts, label_file=FileRef(str(labels), 1))
    assert _told_if_simulated(pipeline) == ""
    Table({"TEFF": np.zeros(9)}, meta={KEYWORD: True}).write(labels, overwrite=True)
    assert _told_if_simulated(pipeline) == "SIMULATED STARS, says the label file."
    (tmp_path / MARK_FILE).write_text("{}")
    said = _told_if_simulated(pipeline)
    assert said == "SIMULATED STARS, says the archive and the label file."
