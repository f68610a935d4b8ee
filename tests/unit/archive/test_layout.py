import hashlib
import pickle
import time

import fsspec
import pytest

from catalog_builder.archive.files import checksum_matches
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.ground.errors import ConfigError, InputError


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "gaia_source").mkdir()
    (tmp_path / "rvs").mkdir()
    for limits in ("00-07", "08-15", "16-47"):
        (tmp_path / f"gaia_source/Source_{limits}.csv.gz").write_bytes(b"source")
    for limits in ("00-07", "16-47"):
        (tmp_path / f"rvs/Rvs_{limits}.csv.gz").write_bytes(b"rvs")
    return tmp_path


def test_partitions_are_the_union_of_tables_where_something_is_asked_for(archive, tiny):
    partitions = list_partitions(str(archive), tiny)
    assert [part.name for part in partitions] == ["00-07", "16-47"]
    assert [(part.start, part.stop) for part in partitions] == [(0, 7), (16, 47)]
    assert partitions[0].files["rvs_mean_spectrum"][0].name == "Rvs_00-07.csv.gz"
    assert partitions[0].size == len(b"source") + len(b"rvs")


def test_a_spectrum_file_without_source_file_is_still_a_partition(archive, tiny):
    (archive / "gaia_source/Source_00-07.csv.gz").unlink()
    assert set(list_partitions(str(archive), tiny)[0].files) == {"rvs_mean_spectrum"}


def test_the_first_folder_with_files_counts(archive, tiny):
    (archive / "deep/rvs").mkdir(parents=True)
    assert len(list_partitions(str(archive), tiny)) == 2
    (archive / "deep/rvs/Rvs_08-15.csv").write_bytes(b"")
    assert [part.name for part in list_partitions(str(archive), tiny)] == ["08-15"]


def test_the_preferred_format_counts(archive, tiny):
    for ending in ("fits", "parquet", "csv"):
        (archive / f"rvs/Rvs_00-07.{ending}").write_bytes(b"")
    (archive / "rvs/Rvs_08-15.fits").write_bytes(b"")
    (archive / "rvs/Rvs_08-15.parquet").write_bytes(b"")
    names = [
        part.files["rvs_mean_spectrum"][0].name for part in list_partitions(str(archive), tiny)
    ]
    assert names == ["Rvs_00-07.csv.gz", "Rvs_08-15.parquet", "Rvs_16-47.csv.gz"]


def test_foreign_files_are_ignored(archive, tiny):
    for name in ("README", "Rvs_00-07.csv.gz.part", "Other_00-07.csv.gz", "Rvs_1-2.csv.gz"):
        (archive / "rvs" / name).write_bytes(b"")
    assert len(list_partitions(str(archive), tiny)) == 2


@pytest.mark.parametrize("limits", ["07-00", "40-48", "99-99"])
def test_a_range_off_the_sky_is_refused(archive, tiny, limits):
    (archive / f"rvs/Rvs_{limits}.csv.gz").write_bytes(b"")
    with pytest.raises(InputError, match=f"{limits} is no range of level-1 pixels"):
        list_partitions(str(archive), tiny)


@pytest.mark.parametrize("table", ["rvs/Rvs_", "gaia_source/Source_"])
def test_overlapping_ranges_are_refused(archive, tiny, table):
    (archive / f"{table}06-09.csv.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"_00-07\.csv\.gz and .*_06-09\.csv\.gz overlap"):
        list_partitions(str(archive), tiny)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ((), ["00-07", "16-47"]),
        (("3",), ["00-07"]),
        (("47",), ["16-47"]),
        (("00-07",), ["00-07"]),
        (("7-16",), ["00-07", "16-47"]),
        (("0, 20",), ["00-07", "16-47"]),
        (("9", "1"), ["00-07"]),
    ],
)
def test_ranges(archive, tiny, ranges, expected):
    assert [part.name for part in list_partitions(str(archive), tiny, ranges)] == expected


@pytest.mark.parametrize("text", ["x", "7-3", "-3", "3-", "1-2-3", "9" * 40])
def test_what_is_no_range(archive, tiny, text):
    with pytest.raises(ConfigError, match="is not a range"):
        list_partitions(str(archive), tiny, [text])


def test_a_range_without_partitions_tells_what_there_is(archive, tiny):
    with pytest.raises(ConfigError, match="It has 2, from 00-07 to 16-47"):
        list_partitions(str(archive), tiny, ["9"])


def test_nothing_found_tells_where_it_looked(tmp_path, archive, tiny):
    with pytest.raises(InputError, match=r"Looked for gaia_source/Source_\*\.csv\.gz"):
        list_partitions(str(tmp_path / "nowhere"), tiny)
    for file in (archive / "rvs").iterdir():
        file.unlink()
    with pytest.raises(InputError, match=r"deep/rvs/Rvs_\*\.csv\.gz, rvs/Rvs_\*\.csv\.gz"):
        list_partitions(str(archive), tiny)


@pytest.mark.parametrize(
    ("layout", "place"),
    [
        ("regions", "region=0/Source_1.csv.gz"),
        ("hats", "Norder=0/Dir=0/Npix=3.csv.gz"),
        ("anywhere", "first/Source_1.csv.gz"),
    ],
)
def test_files_in_another_layout_are_told(tmp_path, tiny, layout, place):
    file = tmp_path / "gaia_source" / place
    file.parent.mkdir(parents=True)
    file.write_bytes(b"source")
    release = tiny
    if layout == "hats":  # whose files begin with no stem
        spec = tiny.tables["gaia_source"].model_copy(update={"stem": ""})
        release = tiny.model_copy(update={"tables": {**tiny.tables, "gaia_source": spec}})
    with pytest.raises(InputError, match="holds no gaia_source") as refusal:
        list_partitions(str(tmp_path), release)
    assert f"such as gaia_source/{place}: write `layout: {layout}`" in refusal.value.way_out


def test_an_unknown_protocol_is_an_input_error(tiny):
    with pytest.raises(InputError, match="Protocol not known"):
        list_partitions("nonsense://x", tiny)


def test_a_folder_that_cannot_be_listed(archive, tiny, monkeypatch):
    def refuse(self, path, detail=True, **options):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.ls", refuse)
    with pytest.raises(InputError, match=r"cannot be listed: .*Permission denied"):
        list_partitions(str(archive), tiny)


def test_checksums(archive, tiny):
    digest = hashlib.sha1(b"rvs").hexdigest()
    (archive / "rvs/SUMS").write_text(
        f"{digest}  Rvs_00-07.csv.gz\r\n"
        f"{'0' * 40}  SUMS\n"
        "no checksum at all\n"
        f"{digest[:-1]}  Rvs_16-47.csv.gz\n"
    )
    first, last = (
        part.files["rvs_mean_spectrum"][0] for part in list_partitions(str(archive), tiny)
    )
    assert first.checksum == f"sha1:{digest}"
    assert checksum_matches(first)
    assert last.checksum is None
    assert checksum_matches(last)
    (archive / "rvs/Rvs_00-07.csv.gz").write_bytes(b"RVS")
    assert not checksum_matches(first)
    (archive / "rvs/Rvs_00-07.csv.gz").unlink()
    with pytest.raises(InputError, match=r"Rvs_00-07\.csv\.gz cannot be read"):
        checksum_matches(first)


def test_an_archive_in_memory(tiny):
    memory = fsspec.filesystem("memory")
    memory.pipe({"/sky/gaia_source/Source_00-01.csv": b"a", "/sky/rvs/Rvs_00-01.csv": b"bc"})
    try:
        (part,) = list_partitions("memory://sky", tiny)
        file = part.files["rvs_mean_spectrum"][0]
        assert file.size == 2
        with fsspec.open(file.url, "rb") as stream:
            assert stream.read() == b"bc"
    finally:
        memory.rm("/sky", recursive=True)


def test_partitions_travel_in_tasks(archive, tiny):
    partitions = list_partitions(archive.as_uri(), tiny)
    assert pickle.loads(pickle.dumps(partitions)) == partitions


def test_the_real_number_of_partitions_is_listed_quickly(dr3, tmp_path):
    for name in ("gaia_source", "rvs_mean_spectrum"):
        table = dr3.tables[name]
        folder = tmp_path / table.folders[0]
        folder.mkdir(parents=True)
        for k in range(3386):
            (folder / f"{table.stem}{232 * k:06d}-{232 * k + 231:06d}.csv.gz").touch()
    start = time.process_time()
    assert len(list_partitions(str(tmp_path), dr3)) == 3386
    assert time.process_time() - start < 5.0


def test_real_archive(shared_data, dr3):
    partitions = list_partitions(str(shared_data / "real-dr3"), dr3)
    assert len(partitions) == 16
    assert sum("rvs_mean_spectrum" in part.files for part in partitions) == 3
    assert all(file.checksum for part in partitions for (file,) in part.files.values())
    assert all(checksum_matches(file) for (file,) in partitions[0].files.values())


def test_every_reason_has_its_sentence():
    assert all(reason.sentence.endswith(".") for reason in RejectReason)
