"""Validation: silent on a clean catalogue, and precise on a damaged one."""

import contextlib
import json
import os
import shutil
import socket
import stat
import warnings

import numpy as np
import pytest
import zarr
from astropy.io import fits
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog_builder.catalog.finding import Finding, FindingLog, unequal
from catalog_builder.catalog.release_json import ReleaseRecord, read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.catalog.validate_rows import Span, SpanResults
from catalog_builder.ground.errors import CatalogueError


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0x20
    path.write_bytes(data)


def found(folder, file, column="", problem="", row=None):
    """Return whether validation says this; all of it if it does not, for the report."""
    findings = validate_catalog(folder)
    hits = [
        f
        for f in findings
        if (f.file, f.column) == (file, column)
        and problem in f.problem
        and (row is None or f.row == row)
    ]
    return hits or pytest.fail(f"not found in: {[str(f) for f in findings]}")


def rewrite_values(folder, **columns):
    """Change values in the store the way zarr does, so that its checksums hold."""
    for name, values in columns.items():
        zarr.open_array(str(folder / "catalog.zarr"), path=name, mode="r+")[:] = values


def values(folder, name):
    return zarr.open_array(str(folder / "catalog.zarr"), path=name, mode="r")[:]


def test_a_clean_catalogue_gives_no_finding(pristine):
    assert validate_catalog(pristine) == []
    assert validate_catalog(str(pristine)) == []


def test_a_release_folder_stands_for_its_latest_version(pristine):
    assert validate_catalog(pristine.parent) == []


def test_no_catalogue_at_all_is_an_error(tmp_path):
    with pytest.raises(CatalogueError, match="not a sealed catalogue"):
        validate_catalog(tmp_path)


def test_a_flipped_byte_in_a_chunk(sealed):
    flip(sealed / "catalog.zarr" / "logg" / "c" / "1", 20)
    found(sealed, "catalog.zarr/logg/c/1", problem="bytes have changed")
    found(sealed, "catalog.zarr", "logg", "damaged chunk", row=10)
    # The other columns, the FITS file and the other chunks of this one stay unsuspected.
    assert len(validate_catalog(sealed)) == 2


def test_a_flipped_byte_in_the_fits_data(sealed):
    with fits.open(sealed / "catalog.fits") as hdus:
        data_at = hdus["CATALOG"].fileinfo()["datLoc"]
        row_bytes = hdus["CATALOG"].header["NAXIS1"]
    flip(sealed / "catalog.fits", data_at + 12 * row_bytes + 8 + 3)
    found(sealed, "catalog.fits", problem="bytes have changed")
    found(sealed, "catalog.fits", problem="checksum of HDU 1")
    found(sealed, "catalog.fits", "ra", "differs from catalog.zarr", row=12)


def test_a_flipped_byte_anywhere_in_the_fits_file_is_found(sealed):
    data = (sealed / "catalog.fits").read_bytes()

    @example(30)  # astropy then sees no unit at all in the file
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(data) - 1))
    def check(place):
        flip(sealed / "catalog.fits", place)
        assert any(f.file == "catalog.fits" for f in validate_catalog(sealed))
        (sealed / "catalog.fits").write_bytes(data)

    check()


def test_a_flipped_byte_anywhere_in_the_metadata_is_found(sealed):
    path = sealed / "catalog.zarr" / "teff" / "zarr.json"
    data = path.read_bytes()

    @example(data.index(b"fill_value") + 2)  # zarr then sees no array
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(data) - 1))
    def check(place):
        flip(path, place)
        assert validate_catalog(sealed)
        path.write_bytes(data)

    check()


def test_a_missing_column(sealed):
    shutil.rmtree(sealed / "catalog.zarr" / "alpha_m")
    found(sealed, "catalog.zarr", "alpha_m", "missing")
    found(sealed, "catalog.zarr/alpha_m/zarr.json", problem="missing")


def test_an_extra_column(sealed):
    zarr.open_group(str(sealed / "catalog.zarr"), mode="r+").create_array(
        "vbroad", shape=(23,), dtype="f4"
    )
    found(sealed, "catalog.zarr", "vbroad", "not in the schema")


@pytest.mark.parametrize("key", ["units", "ucd", "description"])
def test_a_wrong_attribute(sealed, key):
    array = zarr.open_array(str(sealed / "catalog.zarr"), path="teff", mode="r+")
    array.attrs[key] = "deg"
    found(sealed, "catalog.zarr", "teff", f"{key} is 'deg'")


def test_a_wrong_unit_only_where_xarray_reads_it(sealed):
    path = sealed / "catalog.zarr" / "zarr.json"
    content = json.loads(path.read_text())
    content["consolidated_metadata"]["metadata"]["teff"]["attributes"]["units"] = "deg"
    path.write_text(json.dumps(content))
    found(sealed, "catalog.zarr", "teff", "units is 'deg', declared 'K'")


def test_a_wrong_unit_in_the_fits_header(sealed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.setval(sealed / "catalog.fits", "TUNIT4", value="deg", ext=1)
    found(sealed, "catalog.fits", "teff", "TUNIT is 'deg', declared 'K'")


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: record["metrics"]["teff"].update(robust_scatter=8.0),
        lambda record: record["accounting"].update(requested=24, rejected={"no spectrum": 1}),
        lambda record: record.update(model_digest="other"),
    ],
)
def test_an_edited_record(sealed, edit):
    record = json.loads((sealed / "RELEASE.json").read_text())
    edit(record)
    (sealed / "RELEASE.json").write_text(json.dumps(record, indent=2))
    found(sealed, "RELEASE.json", problem="edited after sealing")


def test_a_record_that_breaks_its_rules(sealed):
    record = json.loads((sealed / "RELEASE.json").read_text())
    record["accounting"]["requested"] = 99
    (sealed / "RELEASE.json").write_text(json.dumps(record))
    found(sealed, "RELEASE.json", problem="99 requested")


@pytest.mark.parametrize(
    "name", ["RELEASE.json", "SHA256SUMS", "schema.json", "catalog.fits", "catalog.zarr/ra/c/2"]
)
def test_a_missing_file(sealed, name):
    (sealed / name).unlink()
    found(sealed, name)


def test_a_missing_store(sealed):
    shutil.rmtree(sealed / "catalog.zarr")
    found(sealed, "catalog.zarr", problem="cannot be opened")


@pytest.mark.parametrize("name", ["RELEASE.json", "SHA256SUMS", "schema.json"])
def test_a_flipped_byte_in_the_papers(sealed, name):
    flip(sealed / name, 30)
    found(sealed, name)


def test_a_file_that_does_not_belong(sealed):
    (sealed / "notes.txt").write_text("mine")
    found(sealed, "notes.txt", problem="not part")


@pytest.mark.parametrize("share_left", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_fits_file(sealed, share_left):
    data = (sealed / "catalog.fits").read_bytes()
    (sealed / "catalog.fits").write_bytes(data[: int(share_left * len(data))])
    found(sealed, "catalog.fits", problem="bytes have changed")


def test_changed_values_behind_intact_checksums(sealed):
    rewrite_values(sealed, ra=values(sealed, "ra") + 1.0)
    found(sealed, "catalog.zarr", "ra", "not those that RELEASE.json seals")
    found(sealed, "catalog.fits", "ra", "differs from catalog.zarr", row=0)


@pytest.mark.parametrize(
    ("column", "row", "value", "problem"),
    [
        ("e_teff", 3, np.nan, "a label without a positive sigma"),
        ("e_teff", 13, 0.0, "a label without a positive sigma"),
        ("e_m_h", 5, 0.1, "a sigma without a label"),
        ("e_m_h_epistemic", 20, 0.0, "a sigma without a label"),
        ("corr_teff_logg", 1, -1.1, "a correlation outside -1 to 1"),
        ("teff", 22, np.inf, "infinite"),
        ("flags", 9, 1 << 40, "an undeclared bit is set"),
        ("quality_tier", 9, 0, "no declared tier"),
        ("quality_tier", 9, 4, "no declared tier"),
        ("flags", 9, -1, "an undeclared bit is set"),
        ("source_id", 10, 0, "not larger than in the row before"),
    ],
)
def test_rules_of_the_rows(sealed, column, row, value, problem):
    changed = values(sealed, column)
    changed[row] = value
    rewrite_values(sealed, **{column: changed})
    found(sealed, "catalog.zarr", column, problem, row=row)


def test_a_source_twice_across_a_chunk_boundary(sealed):
    ids = values(sealed, "source_id")
    ids[10] = ids[9]
    rewrite_values(sealed, source_id=ids)
    found(sealed, "catalog.zarr", "source_id", "not larger", row=10)


def test_a_null_label_without_its_flag(sealed):
    flags = values(sealed, "flags")
    flags[5] = 15
    rewrite_values(sealed, flags=flags)
    found(sealed, "catalog.zarr", "m_h", "flag is not set", row=5)


def test_published_must_be_the_rows(sealed):
    record = read_release(sealed)
    content = record.model_dump(mode="json", exclude={"seal"})
    content["accounting"] = {"requested": 25, "published": 25, "rejected": {}}
    wrong = ReleaseRecord.model_validate(content)
    wrong = wrong.model_copy(update={"seal": wrong.expected_seal()})
    (sealed / "RELEASE.json").write_text(wrong.to_json())
    findings = validate_catalog(sealed)
    assert [f.problem for f in findings] == ["25 published sources are 23 rows"]


def test_columns_of_different_length(sealed):
    zarr.open_array(str(sealed / "catalog.zarr"), path="ra", mode="r+").resize((24,))
    found(sealed, "catalog.zarr", problem="different lengths: [23, 24]")


def test_a_finding_reads_as_a_sentence():
    log = FindingLog()
    log.add_rows("catalog.zarr", "infinite", "teff", 10, np.array([False, True, True]))
    log.add_rows("catalog.zarr", "infinite", "teff", 20, np.array([True]))
    log.add_rows("catalog.zarr", "infinite", "logg", 0, np.array([False]))
    log.add("SHA256SUMS", "missing")
    assert log.as_list()[0] == Finding("catalog.zarr", "infinite", "teff", 11, 3)
    assert [str(f) for f in log.as_list()] == [
        "catalog.zarr, column teff, row 11: infinite (3 rows in all)",
        "SHA256SUMS: missing",
    ]


def test_null_equals_null():
    left = np.array([1.0, np.nan, np.nan, 2.0], dtype=np.float32)
    right = np.array([1.0, np.nan, 0.0, 3.0], dtype=">f4")
    assert unequal(left, right).tolist() == [False, False, True, True]


def make_device(path):
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def make_socket(path):
    # From its own folder: the path of a socket has room for some hundred characters.
    with socket.socket(socket.AF_UNIX) as end, contextlib.chdir(path.parent):
        end.bind(path.name)


#: What may be added to a catalogue's folder, and what validation says of it.
ADDITIONS = {
    "a linked folder": (lambda path: path.symlink_to("/usr"), "symbolic link"),
    "a linked file": (lambda path: path.symlink_to("/etc/hostname"), "symbolic link"),
    "a dangling link": (lambda path: path.symlink_to("nowhere"), "symbolic link"),
    "a circle": (lambda path: path.symlink_to("."), "symbolic link"),
    "an empty folder": (lambda path: path.mkdir(), "a folder that is not part"),
    "a folder of folders": (lambda path: (path / "a").mkdir(parents=True), "a folder that is not"),
    "a pipe": (os.mkfifo, "is a pipe"),
    "a device": (make_device, "is a device"),
    "a socket": (make_socket, "is a socket"),
    "a file": (lambda path: path.write_text("x"), "not part of the sealed catalogue"),
}


@pytest.mark.parametrize("kind", ADDITIONS)
@pytest.mark.parametrize("place", ["added", ".hidden", "catalog.zarr/teff/c/9"])
def test_whatever_is_added_is_found_and_not_opened(sealed, kind, place):
    cause, words = ADDITIONS[kind]
    cause(sealed / place)
    found(sealed, place, problem=words)


@pytest.mark.parametrize(
    "name",
    [
        *("RELEASE.json", "SHA256SUMS", "schema.json", "catalog.fits", "catalog.zarr"),
        *("catalog.zarr/zarr.json", "catalog.zarr/teff", "catalog.zarr/teff/c/1"),
    ],
)
def test_a_part_of_the_catalogue_that_is_a_link_or_a_pipe_is_found(sealed, tmp_path, name):
    part, moved = sealed / name, tmp_path / "moved"
    part.rename(moved)
    part.symlink_to(moved)
    found(sealed, name, problem="symbolic link")
    part.unlink()
    os.mkfifo(part)
    found(sealed, name, problem="is a pipe")


def test_a_hard_link_is_a_file_like_any_other(sealed, tmp_path):
    chunk = sealed / "catalog.zarr" / "teff" / "c" / "1"
    os.link(chunk, tmp_path / "other")
    assert validate_catalog(sealed) == []


def test_a_part_that_is_left_out_or_repeated(sealed):
    lines = (sealed / "SHA256PARTS").read_text().splitlines(keepends=True)
    (sealed / "SHA256PARTS").write_text("".join(lines[1:]))
    found(sealed, "SHA256PARTS", problem="bytes have changed")
    found(sealed, "catalog.fits", problem="leave out or repeat bytes")
    (sealed / "SHA256PARTS").write_text("x y z\n")
    found(sealed, "SHA256PARTS", problem="cannot be read")


def test_a_flipped_bit_names_the_part_it_is_in(sealed):
    part = (sealed / "SHA256PARTS").read_text().splitlines()[1].split(" ")
    start, size = int(part[1]), int(part[2])
    flip(sealed / "catalog.fits", start + 5)
    found(sealed, "catalog.fits", problem=f"bytes {start} to {start + size}")


@pytest.fixture(params=["by chunks", "0.1.0"])
def either(request, publish_as_0_1, publish_rows, schema, tmp_path):
    """Return a catalogue as it is made today, and one as version 0.1.0 made it."""
    make = publish_rows if request.param == "by chunks" else publish_as_0_1
    return make(tmp_path / "either" / "v1", schema)


#: One file of every kind, and a place in it.
KINDS = {"catalog.zarr/teff/c/1": 20, "catalog.zarr/ra/zarr.json": 60, "schema.json": 30}


@pytest.mark.parametrize("asked", [{}, {"sample": 4}])
def test_catalogues_of_today_and_of_0_1_0_are_validated(either, asked):
    assert validate_catalog(either, **asked) == []
    for name, place in (*KINDS.items(), ("catalog.fits", -2870)):
        data = (either / name).read_bytes()
        flip(either / name, place)
        files = {finding.file for finding in validate_catalog(either, **asked)}
        assert name in files, (name, files)
        (either / name).write_bytes(data)


def test_values_of_0_1_0_that_changed_are_found(publish_as_0_1, schema, tmp_path):
    folder = publish_as_0_1(tmp_path / "old" / "v1", schema)
    rewrite_values(folder, ra=values(folder, "ra") + 1.0)
    found(folder, "catalog.zarr", "ra", "not those that RELEASE.json seals")


def test_blocks_of_another_size_are_not_taken_for_ours(sealed):
    record = read_release(sealed).model_copy(update={"block_rows": 1000})
    record = record.model_copy(update={"seal": record.expected_seal()})
    (sealed / "RELEASE.json").write_text(record.to_json())
    (finding,) = validate_catalog(sealed)
    assert "digests of blocks of 1000 rows are not known" in finding.problem


def test_several_processes_find_what_one_finds(either):
    flip(either / "catalog.zarr" / "logg" / "c" / "1", 20)
    flip(either / "catalog.fits", -2870)
    rewrite_values(either, ra=values(either, "ra") + 1.0)
    findings = validate_catalog(either)
    assert {"catalog.zarr", "catalog.fits"} <= {one.file.split("/")[0] for one in findings}
    assert validate_catalog(either, workers=2) == findings


def test_sources_in_disorder_between_two_spans_are_found(schema):
    """What one process sees of its rows is all in order."""
    log = FindingLog()
    results = SpanResults(schema, log)
    results.add(Span(0, [], 5, 90, {}), 100)
    results.add(Span(100, [], 90, 99, {}), 200)
    (finding,) = log.as_list()
    assert (finding.column, finding.row, finding.count) == ("source_id", 100, 1)
    # The spans of a sample do not follow each other.
    log = FindingLog()
    results = SpanResults(schema, log)
    results.add(Span(0, [], 5, 90, {}), 100)
    results.add(Span(300, [], 80, 99, {}), 400)
    assert log.as_list() == []
