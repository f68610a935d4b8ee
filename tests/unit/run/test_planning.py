"""A plan is estimated from what files hold, whatever they are called."""

import gzip
import os

import pytest

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.release import load_release
from catalog_builder.model.settings import ModelSettings
from catalog_builder.run.planning import Plan, _estimate_rows, _networks
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
