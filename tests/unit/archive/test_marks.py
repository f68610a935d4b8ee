"""A simulated table is known by its header in every format, an archive by a file in its root."""

import gzip
import os
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.marks import KEYWORD, MARK_FILE, is_marked, is_marked_archive
from catalog_builder.simulate.ecsv import Column, TableWriter


def marked(path):
    return is_marked(FileRef(str(path), 0))


@pytest.fixture
def simulated(tmp_path):
    """Return a small table as the simulator writes it."""
    path = tmp_path / "simulated.csv.gz"
    with TableWriter(path, [Column("source_id", "int64"), Column("ra", "float64", "deg")]) as out:
        out.write({"source_id": np.array([1, 2]), "ra": np.array([0.5, 1.5])})
    return path


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("csv.gz", None),
        ("ecsv", {"format": "ascii.ecsv", "delimiter": ","}),
        ("fits", {"format": "fits"}),
        ("fits.gz", {"format": "fits"}),
        ("parquet", {"format": "parquet"}),
    ],
)
def test_the_mark_outlives_a_conversion_by_astropy(simulated, tmp_path, ending, options):
    path = tmp_path / f"copy.{ending}"
    if options is None:
        path.write_bytes(simulated.read_bytes())
    else:
        Table.read(simulated, format="ascii.ecsv").write(path, **options)
    assert marked(path)


def test_a_name_says_nothing_of_the_content(simulated, tmp_path):
    (tmp_path / "odd.fits").write_bytes(simulated.read_bytes())
    (tmp_path / "odd.csv").write_bytes(gzip.decompress(simulated.read_bytes()))
    assert marked(tmp_path / "odd.fits")
    assert marked(tmp_path / "odd.csv")


def test_a_card_in_the_primary_header_is_enough(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header[KEYWORD] = True
    table = fits.BinTableHDU(np.zeros(3, dtype=[("source_id", "i8")]))
    fits.HDUList([primary, table]).writeto(tmp_path / "t.fits")
    assert marked(tmp_path / "t.fits")


def test_a_key_of_parquet_is_enough(tmp_path):
    table = pa.table({"a": [1]}).replace_schema_metadata({KEYWORD: "true"})
    pq.write_table(table, tmp_path / "t.parquet")
    assert marked(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "text",
    [
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na\n1\n",
        # Said of a column, refused by a value, and in a row: none of them is the mark.
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: SIMULATD, datatype: int64}\nSIMULATD\n1\n",
        "# %ECSV 1.0\n# ---\n# meta: {SIMULATD: false}\na\n1\n",
        "a\n# SIMULATD: true\n",
        "",
    ],
)
def test_other_tables_are_not_marked(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert not marked(tmp_path / "t.csv")
    assert not marked(tmp_path / "t.csv.gz")


def test_a_card_that_says_no_is_no_mark(tmp_path):
    table = fits.BinTableHDU(np.zeros(3, dtype=[("a", "i8")]))
    table.header[KEYWORD] = False
    table.writeto(tmp_path / "t.fits")
    assert not marked(tmp_path / "t.fits")


@pytest.mark.parametrize(
    "content", [b"\x1f\x8bnonsense", b"PAR1nonsense", b"SIMPLE  =", b"\0" * 99]
)
def test_what_cannot_be_read_says_nothing(tmp_path, content):
    (tmp_path / "t").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not marked(tmp_path / "t")
    assert not marked(tmp_path / "absent")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert not marked(tmp_path / "pipe")


@pytest.mark.parametrize("name", [MARK_FILE, "truth/about.json"])
def test_a_file_in_the_root_marks_an_archive(tmp_path, name):
    assert not is_marked_archive(str(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    assert is_marked_archive(str(tmp_path))
    assert is_marked_archive(f"file://{tmp_path}/")
