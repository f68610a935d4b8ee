"""One table in every format gives the same rows."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from pyarrow import parquet

from catalog_builder.comparing.outside.draft import own_names
from catalog_builder.comparing.outside.formats import open_rows
from catalog_builder.comparing.outside.mapping import load_mapping
from catalog_builder.comparing.outside.places import find_files
from catalog_builder.comparing.outside.stars import OtherStars
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.agreed import default_schema

IDS = [4295806720, 5836436438341351424, 7]
WITHOUT_UNITS = {"csv", "csv.gz", "tsv", "odd.txt", "parquet"}
KINDS = {"source_id": "id", "Teff": "number", "Flag": "text"}
README = """J/A+A/1/1   A table                                 (Somebody+, 2024)
================================================================================
File Summary:
--------------------------------------------------------------------------------
 FileName      Lrecl  Records   Explanations
--------------------------------------------------------------------------------
ReadMe            80        .   This file
table1.dat        40        3   The table
--------------------------------------------------------------------------------

Byte-by-byte Description of file: table1.dat
--------------------------------------------------------------------------------
   Bytes Format Units   Label     Explanations
--------------------------------------------------------------------------------
   1- 19  I19   ---     source_id Gaia DR3 source
  21- 26  F6.1  K       Teff      ?=-999.9 Temperature
  28- 29  A2    ---     Flag      ? A flag
--------------------------------------------------------------------------------
"""


def table():
    teff = np.ma.array([5000.5, 0.0, 4000.0], mask=[False, True, False])
    made = Table([IDS, teff, ["ok", "", "no"]], names=["source_id", "Teff", "Flag"])
    made["Teff"].unit = "K"
    return made


def plain(rows, delimiter=","):
    lines = [["source_id", "Teff", "Flag"], [IDS[0], 5000.5, "ok"], [IDS[1], "null", ""]]
    lines.append([IDS[2], 4000, "no"])
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines).encode()


def write(folder, kind):
    path = folder / {"cds": "table1.dat", "cds.gz": "table1.dat.gz"}.get(kind, f"t.{kind}")
    if kind in {"csv", "tsv", "csv.gz", "odd.txt"}:
        content = plain(IDS, "\t" if kind == "tsv" else ",")
        content = b"# a remark\n" * 3000 + content if kind == "odd.txt" else content
        path.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    elif kind.startswith("cds"):
        (folder / "ReadMe").write_text(README)
        lines = f"{IDS[0]:19d} 5000.5 ok\n{IDS[1]:19d} -999.9\n{IDS[2]:19d} 4000.0 no\n".encode()
        path.write_bytes(gzip.compress(lines) if kind.endswith("gz") else lines)
    elif kind.endswith("ecsv"):
        table().write(path, format="ascii.ecsv", delimiter="," if kind == "ecsv" else " ")
    elif kind in {"vot", "xml"}:
        table().write(path, format="votable", tabledata_format="binary2" if kind == "vot" else None)
    elif kind.startswith("fits"):
        table().write(path, format="fits")
    else:
        rows = {"source_id": IDS, "Teff": [5000.5, None, 4000.0], "Flag": ["ok", None, "no"]}
        parquet.write_table(pa.table(rows), path)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        *("csv", "tsv", "csv.gz", "odd.txt", "ecsv", "space.ecsv", "vot", "xml", "fits"),
        *("fits.gz", "parquet", "cds", "cds.gz"),
    ],
)
def test_a_table_is_the_same_in_every_format(kind, tmp_path):
    path = write(tmp_path, kind)
    (found,) = find_files(tmp_path)
    assert found == path
    rows = open_rows(path)
    assert list(rows.units) == ["source_id", "Teff", "Flag"]
    assert rows.units["Teff"] == ("" if kind in WITHOUT_UNITS else "K")
    blocks = list(rows.blocks(KINDS))
    joined = {name: np.concatenate([block[name] for block in blocks]) for name in KINDS}
    assert joined["source_id"].tolist() == IDS
    np.testing.assert_array_equal(joined["Teff"], [5000.5, np.nan, 4000.0])
    assert joined["Flag"].tolist() == ["ok", "", "no"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("source_id,Teff,Flag\n1,hot,a\n", "hot"),
        ('source_id,Teff,Flag\n1,"5000\n', "cannot be read|hot|CSV"),
        ("source_id,Teff,Flag\n1,2\n", "cannot be read"),
    ],
)
def test_damaged_text_is_told_of(content, words, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        list(open_rows(path).blocks(KINDS))


def test_a_file_of_names_alone_has_no_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("source_id,Teff,Flag\n")
    assert sum(len(block["source_id"]) for block in open_rows(path).blocks(KINDS)) == 0


def test_a_data_file_that_is_not_the_described_one(tmp_path):
    path = write(tmp_path, "cds")
    path.write_text("source_id,Teff\n1,2\n")
    with pytest.raises(InputError, match=r"bytes 1-19"):
        list(open_rows(path).blocks(KINDS))


def test_an_archive_is_looked_through_for_what_the_mapping_names(tmp_path):
    folder = tmp_path / "gdr3/Astrophysical_parameters/astrophysical_parameters"
    folder.mkdir(parents=True)
    for name in ("AstrophysicalParameters_0-1.csv.gz", "AstrophysicalParameters_2-3.csv.gz"):
        (folder / name).write_bytes(b"x")
    (folder / "_MD5SUM.txt").write_text("x")
    found = find_files(tmp_path, load_mapping("gsp-spec"))
    assert [path.name[-10:] for path in found] == ["0-1.csv.gz", "2-3.csv.gz"]
    with pytest.raises(InputError, match="holds no table"):
        find_files(tmp_path)


def test_hats_is_read_from_its_dataset(tmp_path):
    (tmp_path / "hats.properties").write_text("x")
    (tmp_path / "partition_info.csv").write_text("x")
    rows = tmp_path / "dataset/Norder=1/Dir=0"
    rows.mkdir(parents=True)
    (tmp_path / "dataset/_metadata").write_text("x")
    (rows / "Npix=3.parquet").write_text("x")
    assert [path.name for path in find_files(tmp_path)] == ["Npix=3.parquet"]


def test_what_is_not_there_is_told_of(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        find_files(tmp_path / "none.csv")


def test_fits_with_a_votable_in_its_first_unit_is_fits(tmp_path):
    """TOPCAT writes such: fits-plus."""
    text = np.frombuffer(b"<?xml version='1.0'?>\n<VOTABLE version='1.3'>\n</VOTABLE>", np.uint8)
    table().write(tmp_path / "t.fits")
    with fits.open(tmp_path / "t.fits") as plain:
        units = [fits.PrimaryHDU(text), plain[1].copy()]
        fits.HDUList(units).writeto(tmp_path / "plus.fits")
    rows = open_rows(tmp_path / "plus.fits")
    (block,) = rows.blocks(KINDS)
    assert block["source_id"].tolist() == IDS


BENCHMARKS = (
    Path(__file__).parents[5]
    / "shared/data/fixtures/benchmark-stars/gbs_v3_tmass_gaiadr3_hip_allwise_all_columns.fits"
)


@pytest.mark.skipif(not BENCHMARKS.is_file(), reason="the benchmark stars are not here")
def test_benchmark_stars_as_published():
    """Gaia FGK benchmark stars, and GSP-Phot as the archive gives it, in one real file."""
    units = open_rows(BENCHMARKS).units
    own = own_names(units, default_schema().labels)
    assert {"teff", "logg"} <= {*own.labels}
    for mapping in (own, load_mapping("gsp-phot")):
        other = OtherStars([BENCHMARKS], mapping, ("teff", "logg", "m_h"))
        (stars,) = other.blocks()
        assert other.read.rows == 192
        assert other.read.rejected["no_source_id"] == 13
        assert len(stars.ids) > 100
        assert 3000 < np.nanmedian(stars.values["teff"]) < 7000
        known = np.isfinite(stars.values["teff"])
        assert np.isfinite(stars.errors["teff"][known]).all()
