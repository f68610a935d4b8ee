"""Places of files: pipes are not waited for, links are followed, packages are named."""

import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import fsspec
import pytest

import catalog_builder
from catalog_builder.archive.files import digest_file, read_checksums, refuse_if_changed
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import DamagedFileError, read_blocks
from catalog_builder.archive.storage import open_bytes
from catalog_builder.archive.tables import ChecksumRule
from catalog_builder.ground.errors import InputError

RVS = "rvs_mean_spectrum"
ROW = '{},"[1,2,3,4]","[1,2,3,4]"\n'
CSV = ("source_id,flux,flux_error\n" + "".join(ROW.format(i) for i in range(1, 25))).encode()


@pytest.fixture
def archive(tmp_path):
    root = tmp_path / "archive"
    (root / "gaia_source").mkdir(parents=True)
    (root / "rvs").mkdir()
    (root / "gaia_source/Source_00-07.csv").write_bytes(b"source_id,ra\n1,2\n")
    (root / "rvs/Rvs_00-07.csv").write_bytes(CSV)
    return root


def rvs_file(archive, release):
    return list_partitions(str(archive), release)[0].files[RVS][0]


def rows_of(file, release):
    return sum(block.n_rows for block in read_blocks(file, RVS, release))


# --- what is no file ------------------------------------------------------------------------------


def fifo(path):
    os.mkfifo(path)
    return "a named pipe"


def a_socket(path):
    # Relative: the address of a socket may have no more than about 100 bytes.
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)
    return "a socket"


def device(path):
    path.symlink_to("/dev/zero")
    return "a device"


def folder(path):
    path.mkdir()
    return "a folder"


def broken_link(path):
    path.symlink_to("nowhere")
    return "a symbolic link whose target is not there"


def loop(path):
    path.symlink_to(path.name)
    return "a symbolic link that leads back to itself"


def link_to_folder(path):
    path.symlink_to(path.parent)
    return "a folder"


ODD = pytest.mark.parametrize(
    "make", [fifo, a_socket, device, folder, broken_link, loop, link_to_folder]
)


@ODD
@pytest.mark.timeout(30)
def test_what_is_no_file_is_refused_by_name_and_not_waited_for(archive, tiny, make):
    place = archive / "rvs/Rvs_00-07.csv"
    place.unlink()
    what = make(place)
    file = rvs_file(archive, tiny)  # it stays in the plan: its sources are missed, not forgotten
    with pytest.raises(DamagedFileError, match=f"Rvs_00-07.csv cannot be read: it is {what}"):
        rows_of(file, tiny)
    with pytest.raises(InputError, match=what):
        digest_file(file.url, "md5")
    refuse_if_changed(file)  # it is what it was


@ODD
@pytest.mark.timeout(30)
def test_a_checksum_list_that_is_no_file(archive, tiny, make):
    what = make(archive / "rvs/SUMS")
    with pytest.raises(InputError, match=f"checksum list .*SUMS cannot be read: it is {what}"):
        list_partitions(str(archive), tiny)


def test_a_checksum_list_that_is_a_page(tmp_path):
    (tmp_path / "SUMS").write_bytes(b"<html><title>Login</title></html>")
    rule = ChecksumRule(file_name="SUMS", algorithm="md5")
    with pytest.raises(InputError, match=r'SUMS is an HTML page \("Login"\)'):
        read_checksums(str(tmp_path), {"SUMS"}, rule)


def test_a_checksum_list_without_end_is_refused(tmp_path):
    with (tmp_path / "SUMS").open("wb") as stream:
        stream.truncate(20 << 30)  # of zeros, and of no block on the disk
    rule = ChecksumRule(file_name="SUMS", algorithm="md5")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"checksum list .*SUMS has more than 64 MiB"):
            read_checksums(str(tmp_path), {"SUMS"}, rule)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(30)
def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("catalog_builder.archive.storage.why_no_file", lambda *_: None)
    with pytest.raises(OSError, match="no file any more"), open_bytes(str(tmp_path / "pipe")):
        pass


def test_a_real_file_is_preferred_to_what_is_none(archive, tiny):
    os.mkfifo(archive / "rvs/Rvs_00-07.csv.gz")
    file = rvs_file(archive, tiny)
    assert (file.name, file.passed_over) == ("Rvs_00-07.csv", ("Rvs_00-07.csv.gz",))


# --- links ----------------------------------------------------------------------------------------


def link_farm(tmp_path, archive, hops=1, relative=False):
    """Replace the files of the archive by links to files of another time elsewhere."""
    store = tmp_path / "store"
    store.mkdir()
    for path in [*archive.rglob("*.csv")]:
        target = store / path.name
        path.rename(target)
        os.utime(target, (1e9, 1e9))
        for hop in range(hops - 1):
            link = store / f"{path.name}.{hop}"
            link.symlink_to(target)
            target = link
        path.symlink_to(os.path.relpath(target, path.parent) if relative else target)
    return store


@pytest.mark.parametrize(("hops", "relative"), [(1, False), (1, True), (3, False)])
def test_an_archive_of_links(tmp_path, archive, tiny, hops, relative):
    link_farm(tmp_path, archive, hops, relative)
    file = rvs_file(archive, tiny)
    assert (file.size, file.mtime) == (len(CSV), 1e9)
    assert rows_of(file, tiny) == 24
    refuse_if_changed(file)


def test_folders_that_are_links(tmp_path, archive, tiny):
    for name in ("rvs", "gaia_source"):
        (archive / name).rename(tmp_path / f"other-{name}")
        (archive / name).symlink_to(tmp_path / f"other-{name}")
    (tmp_path / "all").symlink_to(archive)
    file = rvs_file(tmp_path / "all", tiny)
    assert rows_of(file, tiny) == 24
    refuse_if_changed(file)


def grown(target, place):
    target.write_bytes(CSV + ROW.format(99).encode())


def touched(target, place):
    os.utime(target, (2e9, 2e9))


def replaced(target, place):
    other = target.with_name("new")
    other.write_bytes(CSV)
    other.replace(target)


def led_elsewhere(target, place):
    """The other file has the same size and time: only the link tells."""
    other = target.with_name("new")
    other.write_bytes(CSV.replace(b"[1,2", b"[9,9"))
    os.utime(other, (1e9, 1e9))
    place.unlink()
    place.symlink_to(other)


def no_link_any_more(target, place):
    place.unlink()
    place.write_bytes(CSV)
    os.utime(place, (1e9, 1e9))


@pytest.mark.parametrize("change", [grown, touched, replaced, led_elsewhere, no_link_any_more])
def test_a_target_that_changes_is_noticed(tmp_path, archive, tiny, change):
    store = link_farm(tmp_path, archive)
    file = rvs_file(archive, tiny)
    change(store / "Rvs_00-07.csv", archive / "rvs/Rvs_00-07.csv")
    with pytest.raises(InputError, match="changed while it was read"):
        refuse_if_changed(file)


def test_a_target_that_goes_or_comes_is_noticed(tmp_path, archive, tiny):
    store = link_farm(tmp_path, archive)
    file = rvs_file(archive, tiny)
    (store / "Rvs_00-07.csv").unlink()
    with pytest.raises(InputError, match="is gone since the run was planned"):
        refuse_if_changed(file)
    broken = rvs_file(archive, tiny)
    refuse_if_changed(broken)
    (store / "Rvs_00-07.csv").write_bytes(CSV)
    with pytest.raises(InputError, match="it had 0 bytes when the run was planned"):
        refuse_if_changed(broken)


def test_a_folder_behind_a_broken_link_is_named(tmp_path, archive, tiny):
    (archive / "rvs").rename(tmp_path / "away")
    (archive / "deep").symlink_to("gone")
    with pytest.raises(InputError, match="deep: it is a symbolic link whose target is not there"):
        list_partitions(str(archive), tiny)


def test_ordinary_files_are_looked_at_once(archive, tiny, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "catalog_builder.archive.folders.find_out", lambda *place: seen.append(place)
    )
    list_partitions(str(archive), tiny)
    assert seen == []


# --- times of object stores -----------------------------------------------------------------------


@pytest.mark.parametrize(("now", "same"), [(100.0, True), (100.25, True), (101.0, False)])
def test_a_store_that_lists_fractions_of_a_second(archive, tiny, now, same):
    """Listings of some object stores have them, and their answers about one object do not."""
    from dataclasses import replace
    from datetime import UTC, datetime

    memory = fsspec.filesystem("memory")
    memory.pipe({"/sky/gaia_source/Source_00-07.csv": CSV, "/sky/rvs/Rvs_00-07.csv": CSV})
    try:
        file = replace(list_partitions("memory://sky", tiny)[0].files[RVS][0], mtime=100.25)
        memory.store["/sky/rvs/Rvs_00-07.csv"].created = datetime.fromtimestamp(now, UTC)
        if same:
            refuse_if_changed(file)
        else:
            with pytest.raises(InputError, match="written to"):
                refuse_if_changed(file)
    finally:
        memory.rm("/sky", recursive=True)


# --- packages -------------------------------------------------------------------------------------


NEEDED = {
    "http://h/x": ("aiohttp", "`pip install '{}[http]'`"),
    "https://h/x": ("aiohttp", "`pip install '{}[http]'`"),
    "s3://b/x": ("s3fs", "`pip install '{}[s3]'`"),
    "s3a://b/x": ("s3fs", "`pip install '{}[s3]'`"),
    "gs://b/x": ("gcsfs", "`pip install gcsfs`"),
    "gcs://b/x": ("gcsfs", "`pip install gcsfs`"),
    "abfs://c/x": ("adlfs", "`pip install adlfs`"),
    "abfss://c/x": ("adlfs", "`pip install adlfs`"),
    "sftp://h/x": ("paramiko", "`pip install paramiko`"),
    "hf://datasets/x": ("huggingface_hub", "https://"),
    "zip://a.csv::s3://b/x.zip": ("s3fs", "`pip install '{}[s3]'`"),
    "gopher://h/x": ("Protocol not known: gopher", "https://"),
}
ASK = """
import json, sys
for package in ("aiohttp", "s3fs", "gcsfs", "adlfs", "paramiko", "huggingface_hub"):
    sys.modules[package] = None  # as if it were not installed
from catalog_builder.archive.storage import check_address
from catalog_builder.ground.errors import InputError
said = {}
for url in sys.argv[1:]:
    try:
        check_address(url, "The archive")
    except InputError as error:
        said[url] = str(error)
print(json.dumps(said))
"""


def test_what_is_missing_is_named():
    done = subprocess.run(
        [sys.executable, "-c", ASK, *NEEDED], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    for url, (package, way_out) in NEEDED.items():
        assert said[url].startswith(f"The archive {url} cannot be opened: ")
        assert package in said[url]
        assert way_out.format(catalog_builder.DISTRIBUTION) in said[url]
        assert "\n" not in said[url]


# --- a web server ---------------------------------------------------------------------------------


class Handler(http.server.SimpleHTTPRequestHandler):
    """Python's own, which knows no ranges."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        if self.path.startswith("/forbidden"):
            self.send_error(403)
        else:
            super().do_GET()


@contextmanager
def served(archive):
    handler = functools.partial(Handler, directory=str(archive))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def site(archive):
    with served(archive) as address:
        yield address


def test_an_archive_on_a_web_server(site, archive, tiny):
    file = rvs_file(site, tiny)
    assert file.size == len(CSV)  # a page of links gives no sizes
    assert file.mtime == int((archive / "rvs/Rvs_00-07.csv").stat().st_mtime)
    assert rows_of(file, tiny) == 24
    refuse_if_changed(file)
    os.utime(archive / "rvs/Rvs_00-07.csv", (1e9, 1e9))
    with pytest.raises(InputError, match="written to"):
        refuse_if_changed(file)
    (archive / "rvs/Rvs_00-07.csv").write_bytes(CSV * 2)
    with pytest.raises(InputError, match="bytes when the run was planned"):
        refuse_if_changed(file)


def test_a_server_that_ends_is_not_a_file_that_is_gone(archive, tiny):
    with served(archive) as site:
        file = rvs_file(site, tiny)
    with pytest.raises(InputError, match="cannot be reached any more"):
        refuse_if_changed(file)


def test_a_server_that_refuses_is_not_a_file_that_is_gone(site, tiny):
    file = rvs_file(site, tiny)
    with pytest.raises(InputError, match=r"cannot be reached any more: 403"):
        refuse_if_changed(replace(file, url=f"{site}/forbidden/x"))
    with pytest.raises(InputError, match="is gone since the run was planned"):
        refuse_if_changed(replace(file, url=f"{site}/x"))


def test_a_large_file_on_a_server_without_ranges(site, archive, tmp_path):
    content = os.urandom(7 << 20)  # more than fsspec asks for at once
    (archive / "large").write_bytes(content)
    with open_bytes(f"{site}/large") as stream:
        assert stream.read(100) == content[:100]
        assert stream.seek(-50, os.SEEK_END) == len(content) - 50
        assert stream.read() == content[-50:]
        stream.seek(6 << 20)
        assert stream.read(10) == content[6 << 20 : (6 << 20) + 10]
    with open_bytes(f"{site}/large") as stream:
        assert stream.read() == content


def test_a_web_server_that_says_no_or_is_not_there(site, tiny):
    with pytest.raises(InputError, match=r"cannot be listed: .*403"):
        list_partitions(f"{site}/forbidden", tiny)
    with pytest.raises(InputError, match="is not there"):
        list_partitions(f"{site}/nowhere", tiny)
    with pytest.raises(InputError, match="cannot be listed"):
        list_partitions("http://127.0.0.1:9/x", tiny)
