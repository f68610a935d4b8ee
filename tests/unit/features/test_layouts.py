"""The same rows in other layouts give the same features, and each row is accounted for once."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from catalog_builder.archive import pieces as cutting
from catalog_builder.archive.layout import list_partitions, told_of_choices
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import load_release
from catalog_builder.archive.shares import Share
from catalog_builder.features.ingest import IngestResult, ingest_partition
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.errors import InputError
from catalog_builder.simulate.sky import simulate
from tests.layouts import describe, description, put_in_folders, read_table, tables_of, write

RVS, SOURCES = "rvs_mean_spectrum", "gaia_source"


@pytest.fixture(scope="module")
def sky(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sky") / "archive"
    simulate("dr3", 400, 5, out)
    return out


class Ingested:
    """All partitions of an archive, ingested."""

    def __init__(self, archive: Path, content: dict, out: Path) -> None:
        out.mkdir()
        release = load_release(describe(out, content))
        self.partitions = list_partitions(str(archive), release)
        settings = IngestSettings(block_rows=50)
        self.results: list[IngestResult] = []
        parts = []
        for part in self.partitions:
            self.results.append(ingest_partition(part, release, settings, out / part.name))
            store = FeatureStore(out / part.name)
            parts.append(store.read(slice(0, store.column("source_id").size)))
        names = parts[0].keys()
        self.columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
        order = np.argsort(self.columns["source_id"])
        self.columns = {name: values[order] for name, values in self.columns.items()}

    @property
    def books(self) -> dict[str, Counter[str]]:
        """Rows read and rejected by table, over all partitions."""
        found: dict[str, Counter[str]] = {"read": Counter()}
        for result in self.results:
            found["read"].update(result.notes["rows_read"])
            for table, reasons in result.notes["row_rejects"].items():
                found.setdefault(table, Counter()).update(reasons)
        return found

    @property
    def rows_in(self) -> int:
        return sum(result.rows_in for result in self.results)


@pytest.fixture(scope="module")
def in_folders(sky, tmp_path_factory):
    """The sky in each layout with folders; HATS has files beside its tables."""
    out = tmp_path_factory.mktemp("folders")
    made = {name: put_in_folders(sky, out / name, name) for name in ("regions", "hats")}
    for name in ("_metadata", "data_thumbnail.parquet"):
        (made["hats"] / f"hats/{RVS}/dataset/{name}").write_bytes(b"PAR1")
    (made["hats"] / f"hats/{RVS}/partition_info.csv").write_text("Norder,Npix\n")
    return made


@pytest.fixture(scope="module")
def plain(sky, tmp_path_factory):
    content = description("ranges")
    original = load_release("dr3").model_dump(mode="json", exclude_unset=True)
    content["tables"], content["partition"] = original["tables"], original["partition"]
    return Ingested(sky, content, tmp_path_factory.mktemp("plain") / "out")


def assert_same(one: Ingested, other: Ingested) -> None:
    assert one.columns.keys() == other.columns.keys()
    for name, values in one.columns.items():
        if name == "xp_flux_error":  # a matrix product of float32, in blocks of other rows
            np.testing.assert_allclose(values, other.columns[name], rtol=2e-5)
        elif not name.endswith("_row"):
            np.testing.assert_array_equal(values, other.columns[name], err_msg=name)


def assert_same_books(one: Ingested, other: Ingested) -> None:
    """What was read; a row that no reader could make sense of is in the first archive alone."""
    mine, others = one.books, other.books
    for reason in ("malformed_row", "wrong_array_length", "bad_number"):
        others["read"][RVS] -= others.get(RVS, Counter()).pop(reason, 0)
    assert {table: found for table, found in others.items() if found} == mine


@pytest.mark.parametrize("layout", ["regions", "hats"])
@pytest.mark.parametrize("most_bytes", [1 << 29, 20_000])
def test_the_same_rows_in_folders(in_folders, plain, tmp_path, monkeypatch, layout, most_bytes):
    """Also where pieces are small: then files are shared, and read for several."""
    monkeypatch.setattr(cutting.cut_into_pieces, "__defaults__", (most_bytes,))
    options = {"position_column": "_healpix_29"} if layout == "hats" else {}
    found = Ingested(in_folders[layout], description(layout, **options), tmp_path / "out")
    assert_same(found, plain)
    assert found.rows_in == plain.rows_in
    assert_same_books(found, plain)
    shares = any(part.first_of for part in found.partitions)
    assert shares or most_bytes > 20_000
    assert len({part.name for part in found.partitions}) == len(found.partitions)


def test_tables_cut_into_other_ranges(sky, plain, tmp_path):
    release = load_release("dr3")
    content = description("ranges")
    archive = tmp_path / "archive"
    for step, table in enumerate(tables_of(release), 3):
        columns = read_table(sky, release, table)
        pixels = columns["source_id"] >> 43
        edges = np.linspace(0, 12 << 16, step, dtype=int)
        for first, end in pairwise(edges):
            rows = (pixels >= first) & (pixels < end)
            path = archive / f"gdr4/{table}/{first:06d}-{end - 1:06d}.parquet"
            write(path, {name: values[rows] for name, values in columns.items()})
    found = Ingested(archive, content, tmp_path / "out")
    assert_same(found, plain)
    assert_same_books(found, plain)


def a_table(ids: np.ndarray, release) -> dict[str, np.ndarray]:
    """Return rows of spectra for some ids."""
    columns = {}
    for name, spec in release.tables[RVS].columns.items():
        shape = (ids.size,) if spec.length is None else (ids.size, spec.length)
        columns[name] = np.ones(shape, spec.numpy_dtype)
    return columns | {"source_id": ids}


def source_ids(*pixels: int) -> np.ndarray:
    """Return an id in each of some pixels of level 2."""
    return np.array([(pixel << 55) + 7 for pixel in pixels], np.int64)


@pytest.fixture
def odd(tmp_path):
    """Spectra in folders, as a test writes them, and a source table of one file."""
    content = description("regions")
    content["driving_tables"] = [RVS]
    content["spectra"].pop("xp")
    release = load_release(describe(tmp_path, content))
    root = tmp_path / "archive"

    def put(region: str, ids: np.ndarray, name: str = "a.parquet") -> Path:
        path = root / f"gdr4/{RVS}" / (f"region={region}" if region else "") / name
        write(path, a_table(ids, release))
        return path

    everybody = source_ids(*range(192))
    sources = {
        name: np.ones(192, spec.numpy_dtype)
        for name, spec in release.tables[SOURCES].columns.items()
    }
    write(
        root / f"gdr4/{SOURCES}/region=0/a.parquet",
        {name: values[:16] for name, values in (sources | {"source_id": everybody}).items()},
    )
    return root, content, put


def test_an_empty_region_and_files_without_rows(odd, tmp_path):
    root, content, put = odd
    put("00", source_ids(0, 1))
    put("01", source_ids())
    (root / f"gdr4/{RVS}/region=02").mkdir()
    found = Ingested(root, content, tmp_path / "out")
    assert [part.name for part in found.partitions] == ["000000-016383", "016384-032767"]
    assert found.rows_in == 2


def test_orders_over_each_other_and_a_row_twice(odd, tmp_path):
    """A region and one within it: both are read, and nobody is taken twice."""
    root, content, put = odd
    put("0", source_ids(0, 1, 5, 9))
    put("00", source_ids(1, 2), "b.parquet")
    put("00", source_ids(3), "c.parquet")
    found = Ingested(root, content, tmp_path / "out")
    assert [part.name for part in found.partitions] == ["000000-065535"]
    assert len(found.partitions[0].files[RVS]) == 3
    assert found.books[RVS] == {"duplicate_source_id": 1}
    assert found.rows_in == 6
    assert found.columns["source_id"].size == 6


@pytest.mark.parametrize("most_bytes", [1 << 29, 1])
def test_a_row_in_the_wrong_region_is_rejected_once(odd, tmp_path, monkeypatch, most_bytes):
    monkeypatch.setattr(cutting.cut_into_pieces, "__defaults__", (most_bytes,))
    root, content, put = odd
    put("0", source_ids(0, 5, 20, 9))  # 20 is of base pixel 1
    put("00", source_ids(1, 4), "b.parquet")  # 4 is of region 01
    put("1", source_ids(21))
    found = Ingested(root, content, tmp_path / "out")
    assert len(found.partitions) == (2 if most_bytes > 1 else 3)
    assert found.books[RVS] == {"outside_partition_range": 2}
    assert found.books["read"][RVS] == 7
    rejected = Counter()
    for result in found.results:
        rejected.update(result.rejected)
    # The star of region 1 has no row in the source table.
    assert rejected == {"outside_partition_range": 2, "no_gaia_source_row": 1}


def test_a_stray_file_is_named(odd, tmp_path):
    root, content, put = odd
    put("00", source_ids(0))
    put("", source_ids(1), "lost.parquet")
    release = load_release(describe(tmp_path, content))
    told = told_of_choices(list_partitions(str(root), release))
    assert told == f"files that lie in no region are not read: gdr4/{RVS}/lost.parquet"


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("c0", "region=c0 is no region"),
        ("04", "region=04 is no region"),
        ("", "region= is no region"),
        ("0000000000", "finer than partition.healpix_level: 8"),
    ],
)
def test_a_folder_that_is_no_region(odd, tmp_path, region, words):
    root, content, put = odd
    path = put("00", source_ids(0))
    path.parent.rename(path.parent.with_name(f"region={region}"))
    with pytest.raises(InputError, match=words):
        list_partitions(str(root), load_release(describe(tmp_path, content)))


def test_a_damaged_file_costs_its_own_rows(odd, tmp_path):
    root, content, put = odd
    put("00", source_ids(0))
    put("00", source_ids(1), "b.parquet").write_bytes(b"PAR1 and no more")
    found = Ingested(root, content, tmp_path / "out")
    (result,) = found.results
    assert list(result.notes["file_rejects"]) == [f"gdr4/{RVS}/region=00/b.parquet"]
    assert found.columns["source_id"].tolist() == source_ids(0).tolist()


def test_row_groups_of_other_pieces_are_not_read(odd, tmp_path, monkeypatch):
    monkeypatch.setattr(cutting.cut_into_pieces, "__defaults__", (1,))
    root, content, put = odd
    ids = np.sort(np.concatenate([source_ids(*range(16)) + step for step in range(50)]))
    put("0", ids)
    for pixel in range(4):
        put(f"0{pixel}", source_ids(4 * pixel) + 99)
    release = load_release(describe(tmp_path, content))
    parts = list_partitions(str(root), release)
    assert len(parts) == 4
    (whole,) = (file for file in parts[1].files[RVS] if file.limits == (0, 65535))
    share = Share.of(parts[1], whole, release.partition)
    blocks = list(read_blocks(whole, RVS, release, block_rows=64, within=share.within))
    assert [block.first_row for block in blocks] == [200, 264, 328, 392]
    assert sum(share.part(block).n_rows for block in blocks) == 200


def test_files_that_are_not_cut_by_place(odd, tmp_path, monkeypatch):
    """Ids that are no pixels, in files of any folder: each star once, also in several pieces."""
    root, content, _ = odd
    content["partition"]["layout"] = "anywhere"
    release = load_release(describe(tmp_path, content))
    ids = np.random.default_rng(3).integers(1, 2**62, 600) * 2 + 1  # half lie beyond the sky
    for number, some in enumerate(np.split(ids, 3)):
        write(root / f"gdr4/{RVS}/x/{number}/b.parquet", a_table(some, release))
    write(root / f"gdr4/{RVS}/c.parquet", a_table(ids[:1], release))
    for path in (root / f"gdr4/{SOURCES}").rglob("*.parquet"):
        path.unlink()
    columns = release.tables[SOURCES].columns
    sources = {name: np.ones(600, spec.numpy_dtype) for name, spec in columns.items()}
    write(root / f"gdr4/{SOURCES}/all.parquet", sources | {"source_id": ids})
    for most_bytes, count in ((1 << 29, 1), (1, 24)):
        monkeypatch.setattr(cutting, "PIECE_BYTES", most_bytes)
        found = Ingested(root, content, tmp_path / f"out{count}")
        assert len(found.partitions) == count
        assert found.rows_in == 600
        np.testing.assert_array_equal(found.columns["source_id"], np.sort(ids))
        assert found.books["read"] == {RVS: 601, SOURCES: 600}
        assert found.books[RVS] == {"duplicate_source_id": 1}
