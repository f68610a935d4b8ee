"""A bad file is used as far as it is good, or not at all; it is named, and all else stays."""

import gzip
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

GAIA = "gaia_source"
RVS = "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"
SAMPLED = "xp_sampled_mean_spectrum"


def expect_loss(bench, table, reason, *words):
    """Ingest; assert that the file of a table is named with a reason and words; return books."""
    books = bench.ingest()
    name = bench.archive.path(table).name
    assert set(books.files) == {name}
    assert (books.files[name]["table"], books.files[name]["reason"]) == (table, reason)
    for word in words:
        assert word in books.files[name]["detail"]
    assert str(bench.archive.root) not in books.files[name]["detail"]
    return books


def assert_only_rvs_is_lost(bench, books, rows_left=0):
    """The partition goes on without (the rest of) its RVS spectra, and every source counts."""
    others = bench.archive.ids(XP, SAMPLED)
    assert books.has["rvs"] == rows_left
    assert books.has["xp"] == bench.clean_books.has["xp"]
    assert books.rows_out >= len(others)


# --- damaged on the way ---------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_truncated_gzip(bench, share):
    content = bench.archive.path(RVS).read_bytes()
    bench.archive.write(RVS, content[: int(share * len(content))])
    books = expect_loss(bench, RVS, "truncated_file", "cut off", "Fetch the file again")
    assert 0 < books.has["rvs"] < bench.clean_books.has["rvs"]  # what could be read is kept
    assert books.rows == {}


def test_wrong_checksum(bench):
    lost = bench.archive.ids(RVS)
    content = bench.archive.path(RVS).read_bytes()
    bench.archive.write(RVS, content + b"\0", listed=False)  # padding: the table itself is whole
    books = expect_loss(bench, RVS, "checksum_mismatch", "md5", "fetch the file again")
    assert_only_rvs_is_lost(bench, books)
    assert books.rows == {RVS: {"checksum_mismatch": len(lost)}}
    assert books.rows_in == bench.clean_books.rows_in  # who is lost is known
    only_rvs = lost - bench.archive.ids(XP, SAMPLED)
    assert books.rejected == ({"checksum_mismatch": len(only_rvs)} if only_rvs else {})


def test_checksums_are_not_compared_when_told_so(bench):
    content = bench.archive.path(RVS).read_bytes()
    bench.archive.write(RVS, content + b"\0", listed=False)
    _, books = bench.ingest_by_command("--set", "ingest.verify_checksums=false")
    assert books.files == {}
    assert books.has == bench.clean_books.has


def test_truncated_and_with_another_checksum(bench):
    content = bench.archive.path(RVS).read_bytes()
    bench.archive.write(RVS, content[: len(content) // 2], listed=False)
    books = expect_loss(bench, RVS, "checksum_mismatch")
    assert_only_rvs_is_lost(bench, books)


def test_empty_file(bench):
    bench.archive.write(RVS, b"")
    assert_only_rvs_is_lost(bench, expect_loss(bench, RVS, "truncated_file", "is empty"))


def test_gzip_of_nothing(bench):
    bench.archive.write_text(RVS, b"")
    assert_only_rvs_is_lost(
        bench, expect_loss(bench, RVS, "truncated_file", "no line of column names")
    )


def test_header_only(bench):
    text = bench.archive.text(RVS)
    text.rows.clear()
    bench.archive.write(RVS, text)
    books = bench.ingest()
    assert books.files == {}  # a table may be empty
    assert_only_rvs_is_lost(bench, books)


def test_comments_only(bench):
    bench.archive.write_text(RVS, "\n".join(bench.archive.text(RVS).header).encode())
    expect_loss(bench, RVS, "truncated_file", "no line of column names")


def test_no_gzip_at_all(bench):
    """A name is no promise: the table is read as what it is."""
    bench.archive.write(RVS, bench.archive.text(RVS).to_bytes())
    assert bench.ingest().receipt["output_digest"] == bench.clean_books.receipt["output_digest"]


def test_binary_garbage(bench):
    bench.archive.write(RVS, bytes(range(256)) * 100)
    assert_only_rvs_is_lost(bench, expect_loss(bench, RVS, "unreadable_file", "no known format"))


def test_binary_garbage_inside_gzip(bench):
    bench.archive.write_text(RVS, bytes(range(256)) * 1000)
    books = bench.ingest()
    assert set(books.files) == {bench.archive.path(RVS).name}
    assert_only_rvs_is_lost(bench, books)


def test_wrong_crc(bench):
    asked = bench.archive.ids()
    content = bytearray(bench.archive.path(RVS).read_bytes())
    content[-8] ^= 0xFF  # the CRC stands before the length in the last eight bytes
    bench.archive.write(RVS, bytes(content))
    books = expect_loss(bench, RVS, "unreadable_file", "gzip")
    assert_only_rvs_is_lost(bench, books)
    # Who is asked for by this file alone is still known, by the source table's word.
    assert (books.rows_in, books.rows_out) == (len(asked), len(bench.archive.ids(XP, SAMPLED)))
    assert books.receipt["notes"]["absent"] == {RVS: bench.clean_books.has["rvs"]}


@pytest.mark.parametrize("table", [RVS, XP, SAMPLED, GAIA])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "no list"])
def test_a_flipped_bit_gives_no_row_and_no_phantom(bench, table, listed):
    if not bench.archive.path(table).is_file():
        pytest.skip("the partition has no such table")
    asked = bench.archive.ids()
    content = bytearray(bench.archive.path(table).read_bytes())
    content[int(0.9 * len(content))] ^= 0x10
    bench.archive.write(table, bytes(content), listed=listed)
    if not listed:
        (bench.archive.path(table).parent / "_MD5SUM.txt").unlink()
    books = expect_loss(bench, table, "unreadable_file", "gzip")
    assert books.rows_in == len(asked)
    rest = {RVS, XP, SAMPLED} - {table}
    left = set() if table == GAIA else bench.archive.ids(*rest) & asked
    assert books.rows_out == len(left)
    assert set(books.rejected) <= {"unreadable_file"}


def test_of_a_flipped_file_that_differs_from_its_list_no_id_is_believed(bench):
    asked = bench.archive.ids()
    content = bytearray(bench.archive.path(RVS).read_bytes())
    content[len(content) // 2] ^= 0x10
    bench.archive.write(RVS, bytes(content), listed=False)
    books = expect_loss(bench, RVS, "checksum_mismatch")
    assert_only_rvs_is_lost(bench, books)
    assert (books.rows_in, books.rows_out) == (len(asked), len(bench.archive.ids(XP, SAMPLED)))


def test_members_before_a_bad_one_are_used(bench):
    whole = bench.archive.text(RVS)
    lines = whole.to_bytes().splitlines(keepends=True)
    content = gzip.compress(b"".join(lines[:-3])) + gzip.compress(b"".join(lines[-3:]))
    bench.archive.write(RVS, content[:-8] + bytes(8))
    books = expect_loss(bench, RVS, "unreadable_file", "gzip")
    assert books.has["rvs"] == len(whole.rows) - 3


def test_parquet_pages_that_fail_their_checksum(bench):
    """The ids of the others lie in pages of their own: it is known who is lost."""
    rows = bench.archive.text(RVS)
    ids = sorted(map(int, rows.column("source_id")))
    arrays = {
        name: [
            [float(cell) for cell in row.strip("[]()").replace("null", "nan").split(",")]
            for row in rows.column(name)
        ]
        for name in ("flux", "flux_error")
    }
    path = bench.archive.path(RVS).with_name(
        bench.archive.path(RVS).name.replace(".csv.gz", ".parquet")
    )
    order = {"source_id": pa.array(map(int, rows.column("source_id")), pa.int64())}
    lists = {name: pa.array(cells, pa.list_(pa.float32())) for name, cells in arrays.items()}
    options = {"row_group_size": 2, "compression": "NONE", "write_page_checksum": True}
    pq.write_table(pa.table({**order, **lists}), path, use_dictionary=False, **options)
    bench.archive.remove(RVS)
    content = bytearray(path.read_bytes())
    flux = pq.ParquetFile(path).metadata.row_group(1).column(1)
    content[flux.data_page_offset + flux.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    books = bench.ingest()
    assert books.files[path.name]["reason"] == "unreadable_file"
    assert "CRC" in books.files[path.name]["detail"]
    assert books.rows[RVS]["unreadable_file"] >= len(ids) - 4
    assert books.rows_in == bench.clean_books.rows_in


def test_garbage_after_the_gzip_stream(bench):
    content = bench.archive.path(RVS).read_bytes()
    bench.archive.write(RVS, content + b"garbage after the end")
    books = expect_loss(bench, RVS, "unreadable_file", "gzip")
    assert books.has["rvs"] == bench.clean_books.has["rvs"]


def test_a_line_without_end(bench):
    text = bench.archive.text(RVS).to_bytes()
    bench.archive.write_text(RVS, text + b"1" * (40 << 20))
    books = expect_loss(bench, RVS, "unreadable_file", "line of more than 32 MiB")
    assert books.has["rvs"] == bench.clean_books.has["rvs"]


# --- not as described -----------------------------------------------------------------------------


def drop_column(text, name):
    place = text.names.index(name)
    for cells in (text.names, *text.rows):
        del cells[place]


def test_missing_column(bench):
    lost = bench.archive.ids(RVS)
    text = bench.archive.text(RVS)
    drop_column(text, "flux_error")
    bench.archive.write(RVS, text)
    books = expect_loss(
        bench, RVS, "file_not_as_described", "flux_error is missing", "release description"
    )
    assert_only_rvs_is_lost(bench, books)
    assert books.rows == {RVS: {"file_not_as_described": len(lost)}}
    assert books.rows_in == bench.clean_books.rows_in


def test_missing_id_column(bench):
    text = bench.archive.text(RVS)
    drop_column(text, "source_id")
    bench.archive.write(RVS, text)
    books = expect_loss(bench, RVS, "file_not_as_described", "source_id is missing")
    assert_only_rvs_is_lost(bench, books)


def test_missing_optional_column(bench):
    text = bench.archive.text(GAIA)
    drop_column(text, "ruwe")
    bench.archive.write(GAIA, text)
    books = bench.ingest()
    assert (books.files, books.rejected, books.cells) == ({}, {}, {})


def in_header(text, column, old, new):
    """Change the ECSV description of a column."""
    place = next(n for n, line in enumerate(text.header) if line.strip() == f"#   name: {column}")
    for line in range(place, place + 4):
        if old in text.header[line]:
            text.header[line] = text.header[line].replace(old, new)
            return
    raise AssertionError(f"{column} has no {old!r}")


@pytest.mark.parametrize(
    ("table", "column", "old", "new", "seen"),
    [
        (GAIA, "parallax", "float64", "string", "parallax is described as string"),
        (RVS, "flux", "subtype: 'float32[null]'", "subtype: float32", "a list of 2401"),
        (GAIA, "parallax", "unit: mas", "unit: arcsec", "parallax is in 'arcsec'"),
        (SAMPLED, "flux", "unit: W.m**-2.nm**-1", "unit: Jy", "flux is in 'Jy'"),
    ],
)
def test_a_header_that_contradicts_the_description(bench, table, column, old, new, seen):
    text = bench.archive.text(table)
    in_header(text, column, old, new)
    bench.archive.write(table, text)
    expect_loss(bench, table, "file_not_as_described", seen, "Correct whichever is wrong")


def test_a_column_twice(bench):
    text = bench.archive.text(RVS)
    text.names[text.names.index("combined_ccds")] = "flux"
    bench.archive.write(RVS, text)
    expect_loss(bench, RVS, "file_not_as_described", "flux stands 2 times", "surplus column")


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        (b"# delimiter: ','", b"# delimiter: '|'", "delimiter '|'"),
        (b"# datatype:", b"# datatype: {", "not YAML"),
        (b"# datatype:", b"# columns:", "does not list the columns"),
    ],
)
def test_a_damaged_ecsv_header(bench, old, new, seen):
    content = bench.archive.text(RVS).to_bytes()
    bench.archive.write_text(RVS, content.replace(old, new, 1))
    expect_loss(bench, RVS, "file_not_as_described", seen)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.removesuffix(b"\n"),
        lambda content: content + b"\n\n",
        lambda content: content[content.index(b"\nsource_id") + 1 :],
    ],
    ids=["CRLF", "byte order mark", "no last newline", "empty lines", "plain CSV"],
)
def test_spellings_of_the_same_table(bench, change):
    bench.archive.write_text(RVS, change(bench.archive.text(RVS).to_bytes()))
    assert bench.ingest().receipt["output_digest"] == bench.clean_books.receipt["output_digest"]


def test_gzip_in_many_members_with_padding(bench):
    content = bench.archive.text(RVS).to_bytes()
    half = len(content) // 2
    members = gzip.compress(content[:half]) + gzip.compress(content[half:]) + bytes(512)
    bench.archive.write(RVS, members)
    assert bench.ingest().receipt["output_digest"] == bench.clean_books.receipt["output_digest"]


# --- not there ------------------------------------------------------------------------------------


def test_no_source_table_in_a_partition(bench):
    bench.archive.remove(GAIA)
    books = bench.ingest()
    assert books.rows_out == 0
    assert books.rejected == {"no_gaia_source_row": bench.clean_books.rows_in}


def test_half_a_source_table(bench):
    lines = bench.archive.text(GAIA).to_bytes().splitlines(keepends=True)
    whole = gzip.compress(b"".join(lines), compresslevel=0)  # stored: cut where we like
    bench.archive.write(GAIA, whole[: len(whole) - len(b"".join(lines[-8:]))])
    books = expect_loss(bench, GAIA, "truncated_file", "cut off")
    assert books.rows_out > 0
    assert set(books.rejected) == {"truncated_file"}
    assert books.rows_in == bench.clean_books.rows_in


def test_no_rvs_file_is_no_fault(bench):
    bench.archive.remove(RVS)
    books = bench.ingest()
    assert (books.files, books.rejected) == ({}, {})
    assert books.rows_in == len(bench.archive.ids())


def test_a_folder_with_the_name_of_a_file(bench):
    bench.archive.remove(RVS)
    bench.archive.path(RVS).mkdir()
    assert_only_rvs_is_lost(bench, expect_loss(bench, RVS, "unreadable_file", "it is a folder"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_without_permission_is_tried_again(bench):
    bench.archive.path(RVS).chmod(0)
    books = expect_loss(bench, RVS, "unreadable_file", "Permission denied")
    assert_only_rvs_is_lost(bench, books)
    bench.archive.path(RVS).chmod(0o644)
    _, books = bench.ingest_by_command("--retry-quarantined")
    assert books.has == bench.clean_books.has


def test_a_file_that_could_not_be_read_is_tried_again_on_demand(bench):
    """A lost mount leaves size and time as they are: only the user knows that it is back."""
    content, facts = bench.archive.path(RVS).read_bytes(), bench.archive.path(RVS).stat()
    bench.archive.write(RVS, bytes(len(content)), listed=False)
    os.utime(bench.archive.path(RVS), ns=(facts.st_atime_ns, facts.st_mtime_ns))
    answer, books = bench.ingest_by_command()
    assert bench.archive.path(RVS).name in answer.err  # a warning, for those who read no receipts
    assert_only_rvs_is_lost(bench, books)
    bench.archive.write(RVS, content, listed=False)
    os.utime(bench.archive.path(RVS), ns=(facts.st_atime_ns, facts.st_mtime_ns))
    answer, books = bench.ingest_by_command()
    assert books.has["rvs"] == 0  # nothing tells that the file is another one
    answer, books = bench.ingest_by_command("--retry-quarantined")
    assert "1 ingest" in answer.out
    assert books.has == bench.clean_books.has
