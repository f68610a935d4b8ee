"""The HATS collection, written by chunks: the store's rows, each in its leaf, and described."""

import hashlib
import shutil
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.exports._hats_parts import HatsRows
from catalog_builder.catalog.exports.hats import FORMAT, export_hats
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.catalog.voparquet import in_bytes
from catalog_builder.catalog.zarr_store import read_rows
from catalog_builder.ground.errors import StoreError
from catalog_builder.publish.gather import ChunkDamageError
from catalog_builder.publish.seal import seal

ROWS = 23
# All over the sky, but for two stars a few arcseconds on either side of the first leaf's corner.
DEC = np.concatenate([np.linspace(-80, 80, ROWS - 2), [1 / 3600, -1 / 3600]])
RA = np.concatenate([np.linspace(5, 355, ROWS - 2), [45.0, 45.0]])


@pytest.fixture(scope="module")
def positions():
    null = np.arange(ROWS) == 4
    return {"ra": np.where(null, np.nan, RA), "dec": np.where(null, np.nan, DEC)}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory, schema, publish_rows, positions):
    """Return a sealed catalogue that no test may change."""
    target = tmp_path_factory.mktemp("hats") / "dr3" / "v1"
    return publish_rows(target, schema, formats=("hats",), **positions)


@pytest.fixture
def damaged(catalogue, tmp_path):
    """Return a copy of it that a test may damage."""
    return shutil.copytree(catalogue, tmp_path / "v1")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def rows_in(catalogue, name="catalogue"):
    return pa.concat_tables(
        pq.ParquetFile(path).read()
        for path in sorted((catalogue / "hats" / name).rglob("part-*.parquet"))
    )


def test_rows_are_those_of_the_store(catalogue, schema):
    assert validate_catalog(catalogue) == []
    assert validate_catalog(catalogue, sample=1) == []
    rows = HatsRows(catalogue / "hats", schema, ROWS)
    found = [rows.block(start, 10) for start in (0, 10, 20)]
    for first, block in read_rows(catalogue / "catalog.zarr", schema.names):
        for name, values in block.items():
            np.testing.assert_array_equal(found[first // 10][name], values)
            assert found[first // 10][name].dtype == values.dtype


def test_every_row_is_in_one_leaf(catalogue, make_rows):
    ids = rows_in(catalogue)["source_id"].to_pylist()
    assert sorted(ids) == make_rows(ROWS)["source_id"].tolist()
    lines = (catalogue / "hats/catalogue/partition_info.csv").read_text().splitlines()
    assert lines[0] == "Norder,Npix,num_rows"
    assert sum(int(line.split(",")[2]) for line in lines[1:]) == ROWS
    folders = {path.parent for path in (catalogue / "hats/catalogue").rglob("part-*.parquet")}
    assert len(folders) == len(lines) - 1 > 5


def test_stars_beside_a_leaf_are_in_its_margin(catalogue, make_rows):
    ids = make_rows(ROWS)["source_id"]
    beside = rows_in(catalogue, "margin_10arcs")
    assert set(beside["source_id"].to_pylist()) == set(ids[-2:].tolist())


def test_nothing_is_near_an_edge_and_there_is_no_margin(build):
    building, target, said = build(("hats",), ra=np.full(ROWS, 45.0), dec=np.full(ROWS, 30.0))
    seal(building, target, said)
    assert not (target / "hats/margin_10arcs").exists()
    assert "margin" not in (target / "hats/collection.properties").read_text()
    assert validate_catalog(target) == []


def test_bytes_repeat_whoever_writes_them(catalogue, tmp_path, schema, facts):
    export_hats(catalogue / "catalog.zarr", tmp_path / "hats", schema, facts)
    assert [path.relative_to(tmp_path) for path in files(tmp_path / "hats")] == [
        path.relative_to(catalogue) for path in files(catalogue / "hats")
    ]
    for path in files(tmp_path / "hats"):
        assert path.read_bytes() == (catalogue / path.relative_to(tmp_path)).read_bytes()


def test_a_task_that_is_tried_again_writes_the_same(build, positions):
    building, _, said = build(("hats",), **positions)
    target = building.target(FORMAT)
    before = {path: path.read_bytes() for path in files(target.path)}
    assert FORMAT.by_chunks.begin(target) is False
    rows = with_derived(next(read_rows(building.store, building.schema.names))[1], building.schema)
    parts = said(0).written["hats"].parts
    again = FORMAT.by_chunks.write(target, 0, rows).parts
    assert [part.file for part in again] == [part.file for part in parts]
    assert {path: path.read_bytes() for path in files(target.path)} == before
    ended = [FORMAT.by_chunks.end(target, [said(n).written["hats"] for n in range(3)])] * 2
    assert ended[0] == ended[1]


def test_a_null_is_null_and_columns_are_described(catalogue, schema):
    table = rows_in(catalogue)
    assert table["m_h"].null_count == 5
    assert table.column_names == ["_healpix_29", *(c.name for c in schema.all_columns)]
    assert table.schema.field("has_rvs").type == pa.bool_()
    for path in (catalogue / "hats").rglob("part-*.parquet"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = Table.read(path, format="parquet.votable")
        for column in schema.all_columns:
            assert str(found[column.name].unit or "") == column.unit
            assert found[column.name].meta.get("ucd", "") == column.ucd
            assert found[column.name].description.startswith(column.description)


def test_what_is_simulated_is_marked(build, facts):
    building, target, said = build(("hats",), {**facts, "simulated": True})
    seal(building, target, said)
    for path in (target / "hats").rglob("*"):
        if path.suffix == ".parquet" or path.name == "_common_metadata":
            assert pq.read_metadata(path).metadata[b"SIMULATD"] == b"true"
    assert "simulated" in (target / "hats/catalogue/hats.properties").read_text()


@pytest.mark.parametrize("missing", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_a_part_that_is_gone_is_told_of_its_chunk(build, positions, missing):
    building, target, said = build(("hats",), **positions)
    missing(building.folder / said(1).written["hats"].parts[0].file)
    with pytest.raises(ChunkDamageError) as caught:
        seal(building, target, said)
    assert caught.value.index == 1


def test_a_file_of_nobody_is_refused(build):
    building, target, said = build(("hats",))
    (building.folder / "hats/catalogue/dataset/notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"notes\.txt is not part of the catalogue"):
        seal(building, target, said)


def _rewrite(path, table):
    path.write_bytes(in_bytes(table))


def _flipped(path):
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def _other_value(path):
    table = pq.ParquetFile(path).read()
    values = pa.array(table["dec"].to_numpy() * 0.999)
    place = table.column_names.index("dec")
    _rewrite(path, table.set_column(place, table.schema.field("dec"), values))


def _other_unit(path):
    table = pq.ParquetFile(path).read()
    words = {k: v.replace(b'unit="K"', b'unit="m"') for k, v in table.schema.metadata.items()}
    _rewrite(path, table.replace_schema_metadata(words))


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (_flipped, "its bytes have changed since sealing"),
        (_other_value, "_healpix_29: is not the pixel of ra and dec"),
        (_other_value, "differs from catalog.zarr"),
        (_other_unit, "IVOA.VOTable-Parquet.content is not what the schema declares"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: shutil.move(path, path.with_name("part-000000000001.parquet")), "missing"),
    ],
)
def test_damage_is_found(damaged, harm, problem):
    harm(sorted((damaged / "hats/catalogue").rglob("part-000000000000.parquet"))[-1])
    assert any(problem in str(finding) for finding in validate_catalog(damaged))


def _other_label(table):
    place = table.column_names.index("teff")
    values = pa.array(table["teff"].to_numpy() + np.float32(1))
    return table.set_column(place, table.schema.field("teff"), values)


def _other_star(table):
    place = table.column_names.index("source_id")
    return table.set_column(place, table.schema.field("source_id"), pa.array([1] * len(table)))


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (_other_label, "teff: values are not those of catalogue"),
        (_other_star, "source_id 1 is not in catalogue"),
    ],
)
def test_a_margin_of_other_values_is_found(damaged, schema, other, problem):
    file = min((damaged / "hats/margin_10arcs").rglob("part-*.parquet"))
    _rewrite(file, other(pq.ParquetFile(file).read()))
    log = FindingLog()
    FORMAT.check(damaged / "hats", schema, log)
    assert any(problem in str(finding) for finding in log.as_list())


@pytest.mark.parametrize("name", ["collection.properties", "catalogue/partition_info.csv"])
def test_a_collection_that_cannot_be_read_is_a_finding(damaged, schema, name):
    (damaged / "hats" / name).write_text("nothing\nof use\n")
    log = FindingLog()
    FORMAT.check(damaged / "hats", schema, log)
    assert any("cannot be read" in str(finding) for finding in log.as_list())


def test_digests_of_all_files_are_listed(catalogue):
    lines = (catalogue / "SHA256PARTS").read_text().splitlines()
    listed = {line.split(" ", 3)[3]: line.split(" ")[0] for line in lines}
    for path in files(catalogue / "hats"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert listed[path.relative_to(catalogue).as_posix()] == digest


def test_hats_itself_takes_it(catalogue):
    validation = pytest.importorskip("hats.io.validation")
    assert validation.is_valid_collection(catalogue / "hats", strict=True)
