"""Files of the later release: regions that tile the sky, and cells as they were."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pyarrow.parquet as pq

from catalog_builder.simulate.twin.columns import FOLDERS
from catalog_builder.simulate.twin.files import Files, regions_of
from catalog_builder.simulate.twin.places import word
from catalog_builder.simulate.twin.sheets import Sheet
from catalog_builder.simulate.writing.ecsv import Column
from tests.unit.simulate.twin.reading import read

EVERYWHERE = np.arange(3072, dtype=np.int64) << 51


def test_a_word_is_the_base_pixel_and_a_digit_for_each_level():
    assert word(np.array([0, 11 << 4 | 0b0111]), 2).tolist() == ["000", "b13"]
    assert word(np.array([10]), 0).tolist() == ["a"]


def test_regions_tile_the_sky_at_mixed_levels():
    for fine in (False, True):
        names, met = [], np.zeros(len(EVERYWHERE), dtype=int)
        for name, rows in regions_of(EVERYWHERE, 50_000, fine):
            names.append(name)
            met += rows
            pixels = np.flatnonzero(rows)
            assert len(pixels) == 4 ** (5 - len(name))
            assert {one[: len(name)] for one in word(pixels, 4).tolist()} == {name}
        assert (met == 1).all()
        assert len({len(name) for name in names}) > 1


def test_tables_of_spectra_are_cut_finer():
    plain, fine = (len(list(regions_of(EVERYWHERE, 20_000, one))) for one in (False, True))
    assert fine > plain


def test_a_row_lies_in_the_region_of_its_id(regions):
    root = regions.later_archive / FOLDERS["gaia_source"]
    folders = sorted(root.iterdir())
    assert len(folders) >= 12
    several = 0
    for folder in folders:
        name = folder.name.removeprefix("region=")
        files = list(folder.glob("*.parquet"))
        several += len(files) > 1
        for file in files:
            ids = pq.read_table(file, partitioning=None)["source_id"].to_numpy()
            assert (np.diff(ids) > 0).all()
            spelt = word(ids >> 35, 12)
            assert all(one.startswith(name) for one in spelt)
    assert several  # a region that two ranges share


def test_nulls_and_units_are_in_the_files(tmp_path):
    sheet = Sheet(
        (
            Column("source_id", "int64"),
            Column("mag", "float32", "mag"),
            Column("count", "int8"),
            Column("yes", "bool"),
            Column("name", "string"),
            Column("flux", "float32", array=True),
        ),
        {
            "source_id": np.array([1 << 51, 2 << 51]),
            "mag": np.array([1.5, np.nan], np.float32),
            "count": np.ma.array(np.array([3, 0], np.int8), mask=[False, True]),
            "yes": np.ma.array([True, False], mask=[False, True]),
            "name": np.ma.array(["one", ""], mask=[False, True]),
            "flux": np.array([[1.0, np.nan], [np.nan, np.nan]], np.float32),
        },
    )
    with ExitStack() as stack:
        files = Files(stack, tmp_path, "part", 10)
        files.write({"gaia_source": sheet})
    assert files.rows == {"gaia_source": 2}
    frame = read(tmp_path, "gaia_source")
    first, second = frame.rows()
    assert first[:5] == (1 << 51, 1.5, 3, True, "one")
    assert first[5][0] == 1.0
    assert np.isnan(first[5][1])
    assert second[1:] == (None, None, None, None, None)
    path = next(tmp_path.rglob("*.parquet"))
    schema = pq.read_schema(path)
    assert schema.field("mag").metadata == {b"unit": b"mag"}
    assert schema.field("count").type == "int8"
