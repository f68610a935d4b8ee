"""The FITS file, read back with astropy: the store's values, units, UCDs and descriptions."""

import hashlib
import shutil
import subprocess
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.exports import Target
from catalog_builder.catalog.exports.fits import FORMAT, export_fits
from catalog_builder.catalog.manifests import gap_of
from catalog_builder.ground.errors import CatalogueError

CARDS = [("VERSION", "v1", "version of the catalogue"), ("NSTARS", 23, "")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory, full_schema, write_store):
    folder = tmp_path_factory.mktemp("export")
    columns = write_store(folder / "catalog.zarr", 23, schema=full_schema)
    export_fits(folder / "catalog.zarr", folder / "catalog.fits", full_schema, CARDS)
    return folder, columns


def test_values_and_order_are_those_of_the_store(exported, full_schema):
    folder, columns = exported
    with fits.open(folder / "catalog.fits", checksum=True) as hdus:
        hdus.verify("exception")
        table = hdus["CATALOG"].data
        assert table.names == [column.name for column in full_schema.all_columns]
        assert table.names[-2:] == ["training_range", "flags"]
        for name, values in columns.items():
            np.testing.assert_array_equal(table[name], values)
            assert table[name].dtype.kind == values.dtype.kind
        assert set(table["training_range"]) == {"0000000", "0090000"}


def test_every_column_is_described(exported, full_schema):
    folder, _ = exported
    header = fits.getheader(folder / "catalog.fits", "CATALOG")
    for number, column in enumerate(full_schema.all_columns, start=1):
        assert header[f"TTYPE{number}"] == column.name
        assert header.get(f"TUNIT{number}", "") == column.unit
        assert header[f"TUCD{number}"] == column.ucd
        assert header[f"TCOMM{number}"] == column.description
    assert header["TUNIT6"] == "log(cm.s**-2)"


def test_provenance_is_in_the_primary_header(exported):
    header = fits.getheader(exported[0] / "catalog.fits", 0)
    assert header["VERSION"] == "v1"
    assert header.comments["VERSION"] == "version of the catalogue"
    assert header["NSTARS"] == 23


def test_no_date_is_written_and_bytes_repeat(exported, full_schema):
    folder, _ = exported
    export_fits(folder / "catalog.zarr", folder / "again.fits", full_schema, CARDS)
    data = (folder / "catalog.fits").read_bytes()
    assert (folder / "again.fits").read_bytes() == data
    assert b"DATE" not in data[:2880]
    assert len(data) % 2880 == 0


@pytest.mark.parametrize("rows", [1, 9, 10, 11, 27])
def test_sizes_around_a_chunk(tmp_path, schema, write_store, rows):
    columns = write_store(tmp_path / "c.zarr", rows)
    export_fits(tmp_path / "c.zarr", tmp_path / "c.fits", schema)
    with fits.open(tmp_path / "c.fits", checksum=True) as hdus:
        np.testing.assert_array_equal(hdus[1].data["source_id"], columns["source_id"])


def test_memory_does_not_grow_with_rows(tmp_path, schema, write_store):
    peaks = []
    for rows in (4_000, 16_000):
        write_store(tmp_path / f"{rows}.zarr", rows, chunk_rows=1_000)
        tracemalloc.start()
        export_fits(tmp_path / f"{rows}.zarr", tmp_path / f"{rows}.fits", schema)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


@pytest.fixture(scope="module")
def at_once(exported, full_schema, facts):
    """Return the columns of a store, and the file that is written of it at once."""
    folder, columns = exported
    FORMAT.write(folder / "catalog.zarr", folder / "at-once.fits", full_schema, facts)
    return columns, (folder / "at-once.fits").read_bytes()


@pytest.mark.parametrize("chunk_rows", [1, 7, 10, 23, 40])
def test_a_file_written_by_chunks_is_the_same_to_the_byte(
    tmp_path, full_schema, at_once, facts, chunk_rows
):
    """Rows of 267 bytes begin at any byte of a word: the sums of parts are shifted as they do."""
    columns, expected = at_once
    target = Target(tmp_path / "catalog.fits", full_schema, facts, 23)
    assert FORMAT.by_chunks.begin(target)
    rows = with_derived(columns, full_schema)
    starts = list(range(0, 23, chunk_rows))
    written = {}
    for start in sorted(starts, key=lambda start: -start % 5):  # in any order
        some = {name: values[start : start + chunk_rows] for name, values in rows.items()}
        written[start] = FORMAT.by_chunks.write(target, start, some)
    in_order = [written[start] for start in starts]
    head = FORMAT.by_chunks.end(target, in_order)
    assert FORMAT.by_chunks.end(target, in_order) == head
    data = target.path.read_bytes()
    assert data == expected
    parts = [*head, *(part for one in in_order for part in one.parts)]
    assert gap_of(parts, len(data)) == ""
    for part in parts:
        some = data[part.start : part.start + part.size]
        assert hashlib.sha256(some).hexdigest() == part.digest
    assert not FORMAT.by_chunks.begin(target)
    target.path.write_bytes(data[:-1])
    assert FORMAT.by_chunks.begin(target)


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="needs fitsverify")
def test_fitsverify_accepts_it(pristine):
    command = ["fitsverify", str(pristine / "catalog.fits")]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "0 warning(s) and 0 error(s)" in said.stdout, said.stdout


def test_an_interrupted_export_leaves_no_file(tmp_path, schema, write_store):
    write_store(tmp_path / "c.zarr", 23)
    chunk = tmp_path / "c.zarr" / "flags" / "c" / "2"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(CatalogueError, match="checksum"):
        export_fits(tmp_path / "c.zarr", tmp_path / "c.fits", schema)
    assert not (tmp_path / "c.fits").exists()
