"""What `fetch` decides before it asks anybody: names, addresses, pauses, plans."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog_builder.archive.release import load_release
from catalog_builder.fetch.client import Client, StoppedError, TransientError
from catalog_builder.fetch.driver import fetch_archive, plan_fetch
from catalog_builder.fetch.listing import _files, _next_marker, _parse, is_plain_name
from catalog_builder.fetch.plan import Download, FetchPlan, Folder, destination
from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.labels.survey import load_survey

QUICK = FetchSettings(attempts=3, pause_seconds=0.0)
PREFIX = "Gaia/gdr3/gaia_source/"


def page_of(*entries: str, truncated: bool = False) -> bytes:
    return (
        f"<ListBucketResult><IsTruncated>{str(truncated).lower()}</IsTruncated>"
        f"{''.join(entries)}</ListBucketResult>"
    ).encode()


def entry(key: str, size: str = "7") -> str:
    return f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>&quot;abc&quot;</ETag></Contents>"


NOT_PLAIN = ["", ".", "..", ".hidden", "a\\b", "a\0b", "a\nb", "a\x7f", "a" * 256]


@pytest.mark.parametrize("name", [*NOT_PLAIN, "a/b", "/a", "a/", "../a"])
def test_a_name_that_is_not_plain_is_known(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", [*NOT_PLAIN, "/a", "a/", "a//b", "../a", "a/../b"])
def test_a_place_that_is_not_below_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a plain name"):
        destination(tmp_path, "folder", name)
    assert destination(tmp_path, "folder/below", "name") == tmp_path / "folder/below/name"


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_no_name_leads_out_of_the_folder(parts: list[str]) -> None:
    out = Path("/archive")
    try:
        place = destination(out, *parts)
    except ConfigError:
        return
    assert place.is_relative_to(out)
    assert place != out
    assert ".." not in place.parts
    assert not any(part.startswith(".") for part in place.relative_to(out).parts)
    assert not any(unicodedata.category(char) == "Cc" and char < "\x80" for char in str(place))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_listing_or_an_input_error(noise: bytes) -> None:
    try:
        _parse("https://example.org/", noise)
    except InputError:
        return
    assert b"ListBucketResult" in noise


@given(st.text(alphabet="./\\aG:\u0001", max_size=12))
def test_a_key_becomes_a_plain_name_or_nothing(tail: str) -> None:
    page = _parse("url", page_of("<Contents><Key/><Size>1</Size></Contents>"))
    page.findall("Contents/Key")[0].text = PREFIX + tail
    try:
        files = list(_files("url", page, PREFIX))
    except InputError:
        return
    assert all(PurePosixPath(file.name).parts == (file.name,) for file in files)
    assert [file.name for file in files] == ([tail.strip()] if is_plain_name(tail.strip()) else [])


def test_a_page_gives_names_sizes_and_tags() -> None:
    page = _parse("url", page_of(entry(PREFIX), entry(f"{PREFIX}a.csv.gz"), entry(f"{PREFIX}b/c")))

    (file,) = _files("url", page, PREFIX)

    assert (file.name, file.size, file.etag) == ("a.csv.gz", 7, "abc")


def test_the_next_page_begins_at_the_marker_or_the_last_key() -> None:
    entries = entry(f"{PREFIX}a"), entry(f"{PREFIX}b")
    assert _next_marker(_parse("url", page_of(*entries))) is None
    assert _next_marker(_parse("url", page_of(*entries, truncated=True))) == f"{PREFIX}b"
    marked = page_of(*entries, "<NextMarker>m</NextMarker>", truncated=True)
    assert _next_marker(_parse("url", marked)) == "m"


@pytest.mark.parametrize(
    ("address", "allow_http"),
    [
        ("http://example.org/x", False),
        ("file:///etc/passwd", True),
        ("ftp://example.org/x", True),
        ("example.org/x", True),
        ("https:///x", True),
        ("", True),
    ],
)
def test_an_address_of_another_scheme_is_refused(address: str, allow_http: bool) -> None:
    with pytest.raises(ConfigError, match="is not an address we fetch from"):
        Client(QUICK, allow_http=allow_http).check_address(address)


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError, match="carries a user name") as caught:
        Client(QUICK).check_address("https://me:secret@example.org/x")

    assert "secret" not in str(caught.value)


def test_patience_ends_after_so_many_failures_without_progress() -> None:
    progress = [0, 0, 1 << 20, 0, 0]
    calls = 0

    def attempt() -> None:
        nonlocal calls
        calls += 1
        raise TransientError("cut", progress=progress[calls - 1])

    with pytest.raises(InputError, match="failed 3 times in a row, at last with: cut"):
        Client(QUICK).patiently("https://example.org/x", attempt)

    assert calls == 5


def test_a_stopped_client_tries_nothing() -> None:
    client = Client(QUICK)
    client.stop.set()

    with pytest.raises(StoppedError):
        client.patiently("https://example.org/x", lambda: None)


@pytest.mark.parametrize(
    ("failures", "asked", "least", "most"),
    [
        (1, None, 0.5, 1.0),
        (4, None, 4.0, 8.0),
        (1, 7.0, 7.0, 7.0),
        (1, 1e9, 60, 60),
        (99, 0, 60, 60),
    ],
)
def test_pauses_grow_with_jitter_to_a_limit(
    failures: int, asked: float | None, least: float, most: float
) -> None:
    client = Client(FetchSettings(pause_seconds=1.0, max_pause_seconds=60.0))

    assert all(least <= client._pause(failures, asked) <= most for _ in range(20))


def test_settings_refuse_unknown_keys_and_all_have_a_sentence() -> None:
    with pytest.raises(ValidationError):
        FetchSettings(job=3)
    for field in FetchSettings.model_fields.values():
        assert field.description
        assert field.description.endswith(".")


def test_the_release_and_survey_descriptions_lead_to_the_published_files() -> None:
    rule = load_release("dr3").download
    assert rule is not None
    folder = load_release("dr3").tables["gaia_source"].folders[0]
    assert f"{rule.root}{folder}/" == "https://cdn.gea.esac.esa.int/Gaia/gdr3/gaia_source/"
    assert str(rule.listing).endswith("?prefix=Gaia/")
    survey = load_survey("apogee-dr17").download
    assert survey is not None
    assert survey.sha1 is not None


def test_what_cannot_be_planned_is_told(tmp_path: Path) -> None:
    release = load_release("dr3")
    nowhere = release.model_copy(update={"download": None})
    smaller = release.model_copy(update={"tables": {"gaia_source": release.tables["gaia_source"]}})

    with pytest.raises(ConfigError, match="does not say where it is published"):
        plan_fetch(nowhere, None, tmp_path, settings=QUICK)
    with pytest.raises(ConfigError, match="has no table rvs_mean_spectrum"):
        plan_fetch(smaller, None, tmp_path, settings=QUICK, tables=["rvs_mean_spectrum"])
    with pytest.raises(ConfigError, match="is not an address we fetch from"):
        plan_fetch(release, None, tmp_path, settings=QUICK, listing="http://example.org/")


def test_nothing_asked_for_is_nothing_done(tmp_path: Path) -> None:
    report = fetch_archive(load_release("dr3"), None, tmp_path, settings=QUICK, tables=())

    assert (report.n_files, report.n_bytes) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_counts_what_is_there(tmp_path: Path) -> None:
    files = [Download(f"https://example.org/{name}", tmp_path / name, 10) for name in "abcd"]
    files[0].path.write_bytes(b"x" * 10)
    files[1].partial.write_bytes(b"x" * 4)
    files[2].path.write_bytes(b"x" * 3)
    plan = FetchPlan((Folder("table", tuple(files), None, None),))

    assert (plan.n_files, plan.n_bytes, plan.bytes_there) == (4, 40, 14)
