"""`fetch` against a server that cuts, lies, stalls and sends away."""

from __future__ import annotations

import email.utils
import os
import time
from pathlib import Path
from typing import Any

import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.ground.errors import ConfigError, InputError, ResourceError, StoreError


def test_an_archive_comes_whole_and_is_not_fetched_twice(
    site: Any, fetch: Any, release: ReleaseSpec, tmp_path: Path
) -> None:
    first = fetch(site, tmp_path)

    assert site.is_whole(tmp_path)
    assert (first.n_files, first.n_fetched, first.unverified) == (7, 7, ())
    assert first.bytes_received == site.total_served == first.n_bytes
    assert [part.name for part in list_partitions(str(tmp_path), release)] == [
        "000000-000009",
        "000020-000029",
    ]

    again = fetch(site, tmp_path)
    assert (again.n_fetched, again.bytes_received) == (0, 0)
    assert all(len(site.gets(key)) == 1 for key in site.files)


def test_only_the_tables_and_ranges_asked_for(site: Any, fetch: Any, tmp_path: Path) -> None:
    fetch(site, tmp_path, tables=("rvs_mean_spectrum",), ranges=("25,900-950",))

    assert site.gets(site.rvs(2))
    assert not site.gets(site.rvs(0))
    assert not any(site.gets(site.source(index)) for index in range(3))


def test_progress_rises_to_the_total(site: Any, fetch: Any, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    site.faults[site.source(1)] = [lambda handler, data: handler.serve(data, cut_after=9000)]

    fetch(site, tmp_path, on_progress=lambda done, total: seen.append((done, total)))

    total = sum(len(content) for content in site.files.values())
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_a_cut_connection_is_gone_on_with(site: Any, fetch: Any, tmp_path: Path) -> None:
    key = site.source(0)
    site.faults[key] = [
        lambda handler, data: handler.serve(data, cut_after=9000),
        lambda handler, data: handler.serve(data, cut_after=500),
    ]

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)
    assert [one.range for one in site.gets(key)] == [None, "bytes=9000-", "bytes=9500-"]
    assert site.served[key] == len(site.files[key])


def test_a_line_that_always_breaks_but_goes_forward_is_not_given_up(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    # 20 000 bytes at 4100 a time, and twice as slow as `attempts` would allow without progress.
    site.always[site.source(0)] = lambda handler, data: handler.serve(data, cut_after=4100)
    site.always[site.source(1)] = lambda handler, data: handler.serve(data, cut_after=100)

    with pytest.raises(InputError, match=r"1 of 7 files could not be fetched") as caught:
        fetch(site, tmp_path)

    assert "GaiaSource_000010-000019.csv.gz" in str(caught.value)
    assert (tmp_path / site.source(0)).read_bytes() == site.files[site.source(0)]
    assert len(site.gets(site.source(1))) == 4


def test_a_server_that_always_breaks_at_the_same_byte_is_given_up(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    site.knows_ranges = False
    site.always[site.source(0)] = lambda handler, data: handler.serve(data, cut_after=15_000)

    with pytest.raises(InputError, match="times in a row"):
        fetch(site, tmp_path)

    assert len(site.gets(site.source(0))) <= 5


def test_a_server_that_ignores_ranges_starts_the_file_anew(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    key = site.source(0)
    site.knows_ranges = False
    site.faults[key] = [lambda handler, data: handler.serve(data, cut_after=9000)]

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)
    assert [one.status for one in site.gets(key)] == [200, 200]


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changed_between_the_parts_starts_anew(
    site: Any, fetch: Any, tmp_path: Path, honours_if_range: bool
) -> None:
    key = site.source(0)
    # Without checksums, which would repair a file made of two: the tags alone must tell.
    del site.files["gdr3/gaia_source/_MD5SUM.txt"]

    def old_then_cut(handler: Any, data: bytes) -> None:
        handler.serve(bytes(reversed(data)), cut_after=9000, tag="old")

    def part_of_another(handler: Any, data: bytes) -> None:
        handler.status(206)
        handler.send_header("Content-Range", f"bytes 9000-{len(data) - 1}/{len(data)}")
        handler.send_header("ETag", '"new"')
        handler.send_header("Content-Length", str(len(data) - 9000))
        handler.end_headers()
        handler.send_body(data[9000:])

    site.faults[key] = [old_then_cut] if honours_if_range else [old_then_cut, part_of_another]

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)
    statuses = [one.status for one in site.gets(key)]
    assert statuses == ([200, 200] if honours_if_range else [200, 206, 200])


def test_a_part_kept_from_another_day_is_thrown_away_when_the_size_changed(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    key = site.source(0)
    # Neither tags nor checksums: the size that is remembered must tell.
    del site.files["gdr3/gaia_source/_MD5SUM.txt"]
    site.always[key] = lambda handler, data: handler.serve(data, cut_after=100, tag="")
    with pytest.raises(InputError):
        fetch(site, tmp_path)
    site.always[key] = lambda handler, data: handler.serve(data, tag="")
    site.files[key] = bytes(reversed(site.files[key])) + b"more"
    before = len(site.gets(key))

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)
    assert [one.range for one in site.gets(key)[before:]] == [None]


@pytest.mark.parametrize("note", [b"", b"[]", b'{"size": "x", "validator": 3}', b"\xff"])
def test_a_note_that_is_none_of_ours_does_no_harm(
    site: Any, fetch: Any, tmp_path: Path, note: bytes
) -> None:
    path = tmp_path / site.source(0)
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".partial").write_bytes(b"not of this file")
    path.with_name(path.name + ".partial.json").write_bytes(note)

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)


def test_a_busy_server_is_asked_again(site: Any, fetch: Any, tmp_path: Path) -> None:
    date = email.utils.formatdate(time.time() - 60, usegmt=True)
    refusals = [(503, {}), (500, {"Retry-After": date}), (429, {"Retry-After": "nonsense"})]
    for index, (status, headers) in enumerate(refusals):
        site.faults[site.source(index)] = [
            lambda handler, data, status=status, headers=headers: handler.answer(
                status, b"busy", headers
            )
        ] * 3

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)
    assert [len(site.gets(site.source(index))) for index in range(3)] == [4, 4, 4]


def test_retry_after_is_waited_for(site: Any, fetch: Any, settings: Any, tmp_path: Path) -> None:
    site.faults[site.source(0)] = [
        lambda handler, data: handler.answer(503, b"", {"Retry-After": "1"})
    ]
    start = time.monotonic()

    fetch(site, tmp_path, settings=settings.model_copy(update={"max_pause_seconds": 5.0}))

    assert time.monotonic() - start >= 1.0


def test_what_the_server_refuses_for_good_is_not_asked_again(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    site.always[site.rvs(0)] = lambda handler, data: handler.answer(403, b"no")

    with pytest.raises(InputError, match=r"403 Forbidden[\s\S]*The same command") as caught:
        fetch(site, tmp_path)

    assert site.base in str(caught.value)
    assert len(site.gets(site.rvs(0))) == 1
    others = set(site.files) - {site.rvs(0)}
    assert all((tmp_path / key).read_bytes() == site.files[key] for key in others)

    site.always.clear()
    assert fetch(site, tmp_path).n_fetched == 1
    assert site.is_whole(tmp_path)


def test_a_silent_server_is_left(site: Any, fetch: Any, settings: Any, tmp_path: Path) -> None:
    def silent_halfway(handler: Any, data: bytes) -> None:
        handler.status(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.send_body(data[:5000])
        handler.connection.recv(1)  # until the client hangs up
        handler.close_connection = True

    site.faults[site.source(0)] = [silent_halfway]

    fetch(site, tmp_path, settings=settings.model_copy(update={"timeout_seconds": 1.0}))

    assert site.is_whole(tmp_path)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x"])
def test_a_wrong_size_once_is_mended_and_always_is_an_error(
    site: Any, fetch: Any, tmp_path: Path, change: Any
) -> None:
    def wrong(handler: Any, data: bytes) -> None:
        handler.answer(200, change(data))

    site.faults[site.source(0)] = [wrong]
    site.always[site.source(1)] = wrong

    with pytest.raises(InputError, match="where the listing says 20000") as caught:
        fetch(site, tmp_path)

    assert "1 of 7" in str(caught.value)
    assert not (tmp_path / site.source(1)).exists()
    assert (tmp_path / site.source(0)).read_bytes() == site.files[site.source(0)]


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x" * 100_000])
def test_a_body_without_length_is_measured(
    site: Any, fetch: Any, tmp_path: Path, change: Any
) -> None:
    def without_length(handler: Any, data: bytes) -> None:
        handler.status(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.send_body(change(data))
        handler.close_connection = True

    site.faults[site.source(0)] = [without_length]

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)


def test_a_wrong_checksum_once_is_mended(site: Any, fetch: Any, tmp_path: Path) -> None:
    key = site.source(0)
    site.faults[key] = [lambda handler, data: handler.serve(b"?" + data[1:])]

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)
    assert [one.range for one in site.gets(key)] == [None, None]


def test_a_file_that_is_always_wrong_gets_no_name(site: Any, fetch: Any, tmp_path: Path) -> None:
    key = site.source(0)
    site.always[key] = lambda handler, data: handler.serve(b"?" + data[1:])

    with pytest.raises(InputError, match=r"its md5 is [0-9a-f]{32}, where [0-9a-f]{32} is due"):
        fetch(site, tmp_path)

    assert len(site.gets(key)) == 2
    assert not list(tmp_path.rglob(f"{Path(key).name}*"))


def test_a_file_damaged_on_disk_is_fetched_again(
    site: Any, fetch: Any, settings: Any, tmp_path: Path
) -> None:
    fetch(site, tmp_path)
    (tmp_path / site.source(0)).write_bytes(b"?" * 20_000)
    (tmp_path / site.source(1)).write_bytes(b"short")

    trusting = settings.model_copy(update={"recheck": False})
    assert fetch(site, tmp_path, settings=trusting).n_fetched == 1  # its size gives it away
    assert fetch(site, tmp_path).n_fetched == 1
    assert site.is_whole(tmp_path)


def test_a_folder_without_its_checksum_list_is_told(site: Any, fetch: Any, tmp_path: Path) -> None:
    del site.files["gdr3/gaia_source/_MD5SUM.txt"]

    report = fetch(site, tmp_path)

    assert {path.name for path in report.unverified} == {
        Path(site.source(index)).name for index in range(3)
    }
    assert "no checksum is published for 3 files" in report.to_text()


def test_without_its_list_a_folder_is_not_trusted_but_the_others_come(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    site.always["gdr3/gaia_source/_MD5SUM.txt"] = lambda handler, data: handler.answer(404, b"")

    with pytest.raises(InputError, match=r"_MD5SUM\.txt of gaia_source, and so its 3 files"):
        fetch(site, tmp_path)

    assert not any((tmp_path / site.source(index)).exists() for index in range(3))
    assert all((tmp_path / site.rvs(index)).exists() for index in (0, 2))


def test_a_checksum_list_that_changed_is_fetched_again(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    fetch(site, tmp_path)
    names = [Path(site.source(index)).name for index in range(3)]
    site.add_table("gdr3/gaia_source", {name: name.encode() for name in names})

    fetch(site, tmp_path)

    assert site.is_whole(tmp_path)


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "//user:secret@127.0.0.1/x",
        "",
    ],
)
def test_a_redirect_to_where_we_do_not_go_is_refused(
    site: Any, fetch: Any, tmp_path: Path, target: str
) -> None:
    site.always[site.source(0)] = lambda handler, data: handler.answer(
        302, b"", {"Location": target}
    )

    with pytest.raises(InputError, match="redirects") as caught:
        fetch(site, tmp_path)

    assert "secret" not in str(caught.value)
    assert not (tmp_path / site.source(0)).exists()
    assert len(site.gets(site.source(0))) == 1


def test_a_redirect_that_is_allowed_is_followed_and_a_ring_is_not(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    site.files["elsewhere"] = site.files[site.source(0)]
    site.always[site.source(0)] = lambda handler, data: handler.answer(
        307, b"", {"Location": "/elsewhere"}
    )
    site.always[site.source(1)] = lambda handler, data: handler.answer(
        302, b"", {"Location": handler.path}
    )

    with pytest.raises(InputError, match="redirects more than 5 times"):
        fetch(site, tmp_path)

    assert (tmp_path / site.source(0)).read_bytes() == site.files["elsewhere"]


def test_plain_http_is_refused_unless_allowed(site: Any, fetch: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--allow-http"):
        fetch(site, tmp_path, allow_http=False)

    assert not site.requests


@pytest.mark.parametrize(
    "key",
    [
        "gdr3/gaia_source/../../../evil/GaiaSource_000000-000009.csv.gz",
        "gdr3/gaia_source/..",
        "gdr3/gaia_source//tmp/GaiaSource_000000-000009.csv.gz",
        "/etc/GaiaSource_000000-000009.csv.gz",
        "other/GaiaSource_000000-000009.csv.gz",
        "gdr3/gaia_source/..\\GaiaSource_000000-000009.csv.gz",
        "gdr3/gaia_source/GaiaSource_\t000000-000009.csv.gz",
    ],
)
def test_a_listing_with_a_name_that_leads_out_is_not_believed(
    site: Any, fetch: Any, tmp_path: Path, key: str
) -> None:
    site.extra_keys = [key]

    with pytest.raises(InputError, match="nothing is fetched from"):
        fetch(site, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_hidden_files_and_folders_below_are_left_alone(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    others = {"gdr3/gaia_source/.profile": b"x", "gdr3/gaia_source/more/GaiaSource_1.csv.gz": b"x"}
    site.files |= others

    fetch(site, tmp_path)

    for key in others:
        del site.files[key]
    assert site.is_whole(tmp_path)


def test_evil_names_in_the_checksum_list_are_never_written(
    site: Any, fetch: Any, tmp_path: Path
) -> None:
    key = "gdr3/gaia_source/_MD5SUM.txt"
    evil = f"{'1' * 32}  ../../../evil\n{'2' * 32}  /etc/evil\n{'3' * 32}  a\0b\n"
    site.files[key] = evil.encode() + site.files[key]

    fetch(site, tmp_path / "out")

    assert site.is_whole(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (b"<html><body>Sign in</body></html>", "not a listing but <html>"),
        (b"not xml", "not an XML listing"),
        (b"<ListBucketResult><Contents><Key>gdr3/gaia_", "not an XML listing"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
            b"<ListBucketResult><Name>&b;</Name></ListBucketResult>",
            "document type",
        ),
        (
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ListBucketResult/>'.encode(
                "utf-16"
            ),
            "document type",
        ),
        (
            b"<ListBucketResult><Contents><Key>gdr3/gaia_source/GaiaSource_000000-000009.csv.gz"
            b"</Key><Size>-1</Size></Contents></ListBucketResult>",
            "the size of GaiaSource_000000-000009.csv.gz is '-1'",
        ),
        (b" " * (17 << 20), "is larger than"),
    ],
)
def test_a_page_that_is_no_listing_is_refused(
    site: Any, fetch: Any, tmp_path: Path, page: bytes, says: str
) -> None:
    site.listing_pages = [page]

    with pytest.raises(InputError, match=says):
        fetch(site, tmp_path)


def test_an_empty_listing_names_the_table_and_where_it_was_looked_for(
    empty_site: Any, fetch: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no files GaiaSource_\*\.csv\.gz in gdr3/gaia_source"):
        fetch(empty_site, tmp_path)


def test_a_listing_that_does_not_end_is_left(site: Any, fetch: Any, tmp_path: Path) -> None:
    page = b"<IsTruncated>true</IsTruncated><NextMarker>m</NextMarker>"
    site.listing_pages = [b"<ListBucketResult>" + page + b"</ListBucketResult>"] * 10

    with pytest.raises(InputError, match="does not end"):
        fetch(site, tmp_path)

    assert len(site.requests) == 2


@pytest.mark.parametrize("with_next_marker", [True, False])
def test_a_listing_of_many_pages_is_read_to_its_end(
    empty_site: Any, fetch: Any, tmp_path: Path, with_next_marker: bool
) -> None:
    names = [f"GaiaSource_{10 * index:06d}-{10 * index + 9:06d}.csv.gz" for index in range(2100)]
    empty_site.add_table("gdr3/gaia_source", dict.fromkeys(names, b"x"))
    empty_site.with_next_marker = with_next_marker

    # The last file of the last page.
    fetch(empty_site, tmp_path, tables=("gaia_source",), ranges=("20995",))

    assert (tmp_path / "gdr3/gaia_source" / names[-1]).read_bytes() == b"x"
    assert sum(one.method == "LIST" for one in empty_site.requests) == 3
    assert len([one for one in empty_site.requests if one.method == "GET"]) == 2


def test_a_disk_that_is_too_small_is_told_before(site: Any, fetch: Any, tmp_path: Path) -> None:
    site.listed_sizes[site.source(0)] = 10**17

    with pytest.raises(ResourceError, match=r"100000000\.0 GB are to be fetched"):
        fetch(site, tmp_path / "out")

    assert not any(one.method == "GET" for one in site.requests)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["", "gdr3", "gdr3/gaia_source/_MD5SUM.txt/x"])
def test_a_place_that_cannot_be_written_is_an_error(
    site: Any, fetch: Any, tmp_path: Path, place: str
) -> None:
    wrong = tmp_path / "out" / place
    wrong.parent.mkdir(parents=True, exist_ok=True)
    wrong.write_text("a file where a folder should be, or the other way round")

    with pytest.raises(StoreError, match=r"cannot be (written|made)"):
        fetch(site, tmp_path / "out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_up_meanwhile_is_told(site: Any, fetch: Any, tmp_path: Path) -> None:
    full = tmp_path / f"{site.source(0)}.partial"
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")

    with pytest.raises(ResourceError, match=r"No space left on device[\s\S]*The same command"):
        fetch(site, tmp_path)

    full.unlink()
    fetch(site, tmp_path)
    assert site.is_whole(tmp_path)


def test_two_fetches_into_one_folder_are_refused(site: Any, fetch: Any, tmp_path: Path) -> None:
    def fetch_meanwhile(handler: Any, data: bytes) -> None:
        try:
            fetch(site, tmp_path)
        except StoreError as error:
            refused.append(str(error))
        handler.serve(data)

    refused: list[str] = []
    site.faults[site.source(0)] = [fetch_meanwhile]

    fetch(site, tmp_path)

    assert len(refused) == 1
    assert "in use by process" in refused[0]
    assert site.is_whole(tmp_path)


def test_the_rate_is_limited(site: Any, fetch: Any, settings: Any, tmp_path: Path) -> None:
    start = time.monotonic()

    fetch(
        site,
        tmp_path,
        settings=settings.model_copy(update={"max_bytes_per_second": 200_000}),
    )

    # 100 kB and some; the last piece waits for nobody.
    assert time.monotonic() - start >= 0.45


def test_a_proxy_of_the_environment_is_used(
    site: Any, fetch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server is its own proxy: asked with whole addresses, it takes their path.
    monkeypatch.setenv("http_proxy", site.base)
    monkeypatch.setenv("no_proxy", "")

    fetch(site, tmp_path, root="http://archive.invalid/")

    assert site.is_whole(tmp_path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ending", ["", ".partial", ".partial.json"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_lies_in_the_way_is_named(
    site: Any, fetch: Any, tmp_path: Path, ending: str, kind: str
) -> None:
    """A pipe is not waited for, and nothing is written through a link to another place."""
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.write_text("somebody's")
    place = out / (site.source(0) + ending)
    place.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(victim)

    if ending or kind == "folder":
        with pytest.raises(StoreError, match=Path(site.source(0)).name):
            fetch(site, out)
    else:
        fetch(site, out)  # the whole file takes the place of the pipe, or of the link
        assert place.read_bytes() == site.files[site.source(0)]
    assert victim.read_text() == "somebody's"
