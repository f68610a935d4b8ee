"""Archives in layouts that nobody described: a draft reads them as they are, in seconds."""

import time

import numpy as np
import pytest
from astropy.table import Table

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import load_release
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.inspect import inspect_archive
from catalog_builder.inspecting.likeness import LEAST, likeness
from catalog_builder.inspecting.profile import find_sentinels, profile_columns
from catalog_builder.inspecting.raw import read_raw
from tests.layouts import write
from tests.unit.inspecting.nasty import ARCHIVES, SHORT, VIZIER


def columns_by(archive, release, table):
    blocks = [
        block.columns
        for part in list_partitions(str(archive), release)
        for file in part.files.get(table, ())
        for block in read_blocks(file, table, release)
    ]
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    order = np.argsort(columns["source_id"])
    return {name: values[order] for name, values in columns.items()}


@pytest.mark.parametrize(
    ("name", "layout", "column"),
    [
        ("hats", "hats", None),
        ("chunks", "anywhere", None),
        ("pixels", "ranges", None),
        ("regions", "regions", None),
    ],
)
def test_a_draft_reads_what_was_written(sky, tmp_path, name, layout, column):
    archive = ARCHIVES[name](sky, tmp_path / "archive")
    started = time.process_time()
    found = inspect_archive(str(archive), load_release("dr3"))
    assert time.process_time() - started < 60
    assert found.problem is None
    assert "AGAINST THE DRAFT: Looked at" in found.text
    assert found.text.partition("AGAINST THE DRAFT:")[2].splitlines()[0].endswith("against it.")
    (tmp_path / "draft.yaml").write_text(found.draft)
    own, old = load_release(tmp_path / "draft.yaml"), load_release("dr3")
    assert (own.partition.layout, own.partition.position_column) == (layout, column)
    for table in ("gaia_source", "rvs_mean_spectrum"):
        made, told = columns_by(archive, own, table), columns_by(sky, old, table)
        assert set(made) - {"(position)"} == set(told)
        for key, values in told.items():
            np.testing.assert_allclose(made[key], values, rtol=1e-6, err_msg=key)


def test_a_large_table_is_looked_at_in_less_than_a_minute(sky, tmp_path):
    """A hundred thousand sources in one file, and as many in another table."""
    archive = ARCHIVES["regions"](sky, tmp_path / "archive")
    rng = np.random.default_rng(1)
    for path in (archive / "release/gaia_source").glob("*/*.parquet"):
        path.unlink()
    ids = np.sort(rng.integers(1, 12 << 59, 100_000))
    for base in range(12):
        some = ids[(ids >> 59) == base]
        columns = {"dr4_source_id": some, "ra_deg": rng.uniform(0, 360, some.size)}
        columns |= {name: rng.normal(size=some.size) for name in ("dec_deg", "plx_mas", "plx_err")}
        columns |= {f"mag_{band}": rng.normal(14, 1, some.size) for band in ("g", "bp", "rp")}
        write(archive / f"release/gaia_source/region={base:x}/x.parquet", columns)
    started = time.process_time()
    found = inspect_archive(str(archive), load_release("dr3"))
    assert time.process_time() - started < 60
    assert "TABLE gaia_source" in found.text


@pytest.mark.parametrize("names", [VIZIER, SHORT])
def test_names_that_others_give(names):
    for described, found in names.items():
        assert likeness(described, found) >= LEAST
        others = {name: likeness(name, found) for name in names if name != described}
        assert likeness(described, found) > max(others.values())


def test_numbers_that_stand_for_none():
    good = np.random.default_rng(0).normal(10, 2, 100).tolist()
    assert find_sentinels([*good, *[-999.0] * 3]) == (-999.0,)
    assert find_sentinels([*good, *[99.99] * 3, *[-9999.0] * 5]) == (-9999.0, 99.99)
    assert find_sentinels([*good, -999.0, -999.0]) == ()
    assert find_sentinels([*good, *[25.0] * 9]) == ()
    # Angles and counts reach so far without it.
    assert find_sentinels([*np.linspace(-90, 90, 50), *[99.0] * 5]) == ()
    assert find_sentinels([]) == ()


def test_text_of_many_values_is_no_boolean(tmp_path):
    file = tmp_path / "a.fits"
    words = [f"2M{number:08d}" for number in range(100)]
    flags = ["T", "F"] * 50
    Table({"name": words, "flag": flags, "letter": ["N"] * 100}).write(file)
    profiles = profile_columns(read_raw(str(file), 100))
    kinds = {name: profile.kind for name, profile in profiles.items()}
    assert kinds == {"name": "text", "flag": "boolean", "letter": "text"}


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_what_parts_fields(tmp_path, delimiter):
    file = tmp_path / "a.csv"
    rows = [["# a comment, with a comma"], ["id", "list", "x"], ["1", '"[1,2,3]"', "-1.5"]]
    file.write_text("\n".join(delimiter.join(row) for row in rows) + "\n")
    raw = read_raw(str(file), 9)
    assert raw.delimiter == delimiter
    assert raw.cells == {"id": ["1"], "list": ["[1,2,3]"], "x": ["-1.5"]}


def test_groups_of_files_in_folders(tmp_path):
    for place in (
        "a/region=00/part-1.parquet",
        "e/region=00/abc123.parquet",
        "e/region=00/77fe.parquet",
        "e/region=01/fe-ab.parquet",
        "a/region=01/part-7.parquet",
        "b/Norder=1/Dir=0/Npix=3.parquet",
        "b/Norder=0/Dir=0/Npix=3.parquet",
        "c/0001/lines/x1.csv",
        "c/0002/lines/x2.csv",
        "gdr4/d_1-2.fits",
        "_temporary.csv",
        "d/_metadata",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("x\n1\n")
    groups = {group.name: group for group in find_groups(str(tmp_path))}
    assert list(groups) == [
        "a/*/part-*.parquet",
        "b/*/*.parquet",
        "c/*/lines/x*.csv",
        "e/*/*.parquet",
        "gdr4/d_*.fits",
    ]
    assert [groups[name].top for name in groups] == ["a", "b", "c", "e", "gdr4"]
    assert [len(group.files) for group in groups.values()] == [2, 2, 2, 3, 1]
