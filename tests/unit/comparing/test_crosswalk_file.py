"""Crosswalks come as CSV, ECSV, FITS or Parquet, and what cannot be used is refused by name."""

import gzip

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import MaskedColumn, Table
from pyarrow import parquet

from catalog_builder.archive.readers.block import DamagedFileError
from catalog_builder.comparing.crosswalk_file import read_crosswalk
from catalog_builder.comparing.matching import NO_ID, CrosswalkIds, Match
from catalog_builder.ground.errors import InputError

BIG = 2**62 + 1
OLD = [BIG, 12, 0, 14, 15]
NEW = [101, BIG + 4, 103, 104, 105]
MATCHES = [1, 1, 0, 2, 1]
TEXT = "source_id,dr3_source_id,n_matches\n" + "\n".join(
    f"{new},{old or ''},{n}" for new, old, n in zip(NEW, OLD, MATCHES, strict=True)
)


def as_csv(path):
    path.write_text(TEXT)


def as_packed_csv(path):
    path.write_bytes(gzip.compress(TEXT.encode()))


def as_table(path, kind):
    old = MaskedColumn(OLD, mask=[value == 0 for value in OLD], dtype=np.int64)
    table = Table({"source_id": NEW, "dr3_source_id": old, "n_matches": MATCHES})
    table.write(path, format=kind)


def as_parquet(path):
    old = [value or None for value in OLD]
    parquet.write_table(
        pa.table({"source_id": NEW, "dr3_source_id": old, "n_matches": MATCHES}), path
    )


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("c.csv", as_csv),
        ("c.csv.gz", as_packed_csv),
        ("c.ecsv", lambda path: as_table(path, "ascii.ecsv")),
        ("c.fits", lambda path: as_table(path, "fits")),
        ("c.parquet", as_parquet),
        ("whatever", as_parquet),
    ],
)
def test_each_format_gives_the_same(tmp_path, name, write):
    write(tmp_path / name)
    found = read_crosswalk(tmp_path / name)
    ids, status = found.to_new(np.array([BIG, 12, 13, 14, 15]))
    assert ids.tolist() == [101, BIG + 4, NO_ID, NO_ID, 105]
    assert status.tolist() == [Match.ONE, Match.ONE, Match.NONE, Match.SEVERAL, Match.ONE]
    of_new = found.of_new(np.array([101, 103, 104, 106]))
    assert of_new.tolist() == [Match.ONE, Match.NONE, Match.SEVERAL, Match.NONE]
    assert "dr3_source_id to source_id" in found.title


def test_a_status_in_words_tells_what_is_ambiguous(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("source_id,old_source_id,status\n1,11,one\n2,12,several\n3,,none\n")
    _, status = read_crosswalk(path).to_new(np.array([11, 12, 13]))
    assert status.tolist() == [Match.ONE, Match.SEVERAL, Match.NONE]


def test_a_pair_that_is_called_one_star_is_one_beside_a_rival_that_is_not(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("source_id,old_source_id,status\n100,10,one\n100,11,several\n101,11,several\n")
    found = read_crosswalk(path)
    assert found.to_new(np.array([10, 11]))[1].tolist() == [Match.ONE, Match.SEVERAL]
    assert found.of_new(np.array([100]))[0] == Match.ONE


def test_a_status_counts_beside_a_number_of_matches(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("source_id,old_source_id,n_matches,status\n1,11,1,one\n2,12,1,several\n")
    _, status = read_crosswalk(path).to_new(np.array([11, 12]))
    assert status.tolist() == [Match.ONE, Match.SEVERAL]


def test_the_column_of_old_ids_can_be_named(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("source_id,dr2_source_id,dr3_source_id\n1,21,31\n")
    with pytest.raises(InputError, match="has 2 columns beside source_id"):
        read_crosswalk(path)
    ids, _ = read_crosswalk(path, "dr2_source_id").to_new(np.array([21, 31]))
    assert ids.tolist() == [1, NO_ID]
    with pytest.raises(InputError, match="no column edr3 with old ids"):
        read_crosswalk(path, "edr3")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,dr3_source_id\n1,2\n", "has no column source_id"),
        ("source_id,dr3_source_id\n1,2.5\n", "dr3_source_id is float64, not whole numbers"),
        ("source_id,name\n1,a\n", "has 0 columns beside source_id"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, text, problem):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        read_crosswalk(path)


def test_what_is_not_there_or_no_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        read_crosswalk(tmp_path / "none.csv")
    (tmp_path / "page").write_text("<html><body>no</body></html>")
    with pytest.raises(DamagedFileError):
        read_crosswalk(tmp_path / "page")


def test_an_empty_crosswalk_matches_nobody():
    none = np.empty(0, dtype=np.int64)
    found = CrosswalkIds(none, none)
    assert found.to_new(np.array([1]))[1].tolist() == [Match.NONE]
    assert found.of_new(np.array([1])).tolist() == [Match.NONE]


def test_a_pair_that_comes_twice_is_one():
    found = CrosswalkIds(np.array([1, 1]), np.array([5, 5]))
    assert found.to_new(np.array([1]))[0].tolist() == [5]


def test_what_the_command_crosswalk_writes_is_read(tmp_path):
    """A row for each likely pair, and one with one id alone for each star without."""
    path = tmp_path / "crosswalk.csv"
    path.write_text(
        "source_id,dr3_source_id,likely_matches,neighbours,angular_distance,"
        "magnitude_difference,status\n"
        "1,11,1,1,0.1,0.01,one\n2,12,2,2,0.1,,several\n3,12,2,2,0.2,0.02,several\n"
        "4,,0,0,,,none\n,15,0,0,,,none\n"
    )
    found = read_crosswalk(path)
    ids, status = found.to_new(np.array([11, 12, 15]))
    assert ids.tolist() == [1, NO_ID, NO_ID]
    assert status.tolist() == [Match.ONE, Match.SEVERAL, Match.NONE]
    # That 3 is one of several is known of the old star only; of the new one, that it is not sure.
    assert found.of_new(np.array([1, 3, 4])).tolist() == [Match.ONE, Match.SHARED, Match.NONE]
