"""FITS and Parquet files that ask for more than they hold: refused, in little memory."""

import gzip
import struct
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import DamagedFileError, inflate, read_blocks
from catalog_builder.archive.readers.parquet import pages as parquet_pages
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.labels.read import read_labels
from catalog_builder.labels.survey import load_survey

RVS = "rvs_mean_spectrum"
LITTLE = 64 << 20


@pytest.fixture
def little_memory():
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < LITTLE


def blocks_of(path, release, table=RVS, **options):
    return list(read_blocks(FileRef(str(path), 0), table, release, **options))


def cards(*lines):
    text = "".join(line.ljust(80) for line in [*lines, "END"]).encode()
    return text + b" " * (-len(text) % 2880)


PRIMARY = cards("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0")


def header(**changes):
    said = {"NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1, "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": 1} | changes
    lines = [f"{keyword:8}= {value}" for keyword, value in said.items()]
    columns = ("TTYPE1  = 'source_id'", "TFORM1  = 'K'")
    return cards("XTENSION= 'BINTABLE'", "BITPIX  = 8", *lines, *columns)


# --- FITS headers ---------------------------------------------------------------------------------

COMMENT = b"COMMENT".ljust(80)
IMAGE = cards("XTENSION= 'IMAGE   '", "BITPIX  = 8", "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1")
HEADERS = {
    "many columns": (PRIMARY + header(TFIELDS=10**9), "TFIELDS = 1000000000"),
    "a thousand columns": (PRIMARY + header(TFIELDS=1000), "TFIELDS = 1000"),
    "columns less than none": (PRIMARY + header(TFIELDS=-1), "TFIELDS = -1"),
    "columns true": (PRIMARY + header(TFIELDS="T"), "TFIELDS = True"),
    "rows less than none": (PRIMARY + header(NAXIS2=-1), "NAXIS2 = -1"),
    "rows beyond all disks": (PRIMARY + header(NAXIS2=10**30), "NAXIS2 = 1"),
    "rows and bytes beyond all disks": (
        PRIMARY + header(NAXIS1=2**40, NAXIS2=2**40),
        "larger than any disk",
    ),
    "a heap less than none": (PRIMARY + header(PCOUNT=-9), "PCOUNT = -9"),
    "groups": (PRIMARY + header(GCOUNT=2**59), "larger than any disk"),
    "axes": (PRIMARY + header(NAXIS=10**7), "NAXIS = 10000000"),
    "a long row": (PRIMARY + header(NAXIS1=2**27, TFORM1="'16777216K'"), "a row has 134217728"),
    "an empty row": (PRIMARY + header(NAXIS1=0, TFIELDS=0), "a row has 0 bytes"),
    "no end": (PRIMARY[:240] + COMMENT * 360_000, "a header has more than 2 MiB"),
    "an end too late": (
        PRIMARY + cards("XTENSION= 'BINTABLE'", *["COMMENT"] * 30_000),
        "a header has more than 2 MiB",
    ),
    "many units": (PRIMARY + IMAGE * 5000, "the first 100 header-data units"),
    "long units": (
        PRIMARY + cards("XTENSION= 'IMAGE'", "NAXIS   = 0", *["COMMENT"] * 20_000) * 3,
        "more than 4 MiB",
    ),
    "cut off": (PRIMARY + header()[:2000], "cut off in a header"),
}


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_ask_for_too_much(tiny, tmp_path, case, packed):
    path = tmp_path / "x.fits"
    content, message = HEADERS[case]
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    with pytest.raises(DamagedFileError, match=message) as caught:
        blocks_of(path, tiny)
    assert str(path) in str(caught.value)
    with pytest.raises(DamagedFileError, match=r"x\.fits"):
        list(read_labels(FileRef(str(path), 0), load_survey("apogee-dr17")))


def test_what_stands_before_and_behind_a_table_is_passed_over(tiny, tmp_path):
    path = tmp_path / "x.fits"
    table = fits.BinTableHDU.from_columns(
        [fits.Column("source_id", "K", array=[5, 6]), fits.Column("ra", "D", array=[1.0, 2.0])]
    )
    image = fits.ImageHDU(np.zeros((50, 40), np.float32))
    squeezed = fits.CompImageHDU(np.zeros((50, 40), np.float32))
    text = fits.TableHDU.from_columns([fits.Column("a", "I5", array=[1])])
    before = [fits.PrimaryHDU(np.zeros(9)), image, squeezed, text]
    fits.HDUList([*before, table]).writeto(path, checksum=True)
    path.write_bytes(path.read_bytes() + b"a special record".ljust(2880))
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["source_id"].tolist() == [5, 6]


# --- arrays of variable length --------------------------------------------------------------------


def ragged(path, form="QE(4)", rows=4, length=4, **keywords):
    """Write rows that have both arrays in the heap."""
    arrays = np.empty(rows, object)
    arrays[:] = [np.full(length, row, np.float32) for row in range(rows)]
    columns = [fits.Column("source_id", "K", array=np.arange(1, rows + 1))]
    columns += [fits.Column(name, form, array=arrays) for name in ("flux", "flux_error")]
    fits.BinTableHDU.from_columns(columns).writeto(path, overwrite=True)
    if keywords:
        with fits.open(path, mode="update") as hdus:
            hdus[1].header.update(keywords)
    return path


def point(path, row, length, offset):
    """Write the descriptor of a row's flux."""
    content = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        place = hdus.fileinfo(1)["datLoc"] + hdus[1].header["NAXIS1"] * row + 8
    content[place : place + 16] = struct.pack(">qq", length, offset)
    path.write_bytes(content)


BEYOND = [
    *[(2**62, 0), (2**61, 0), (2**63 - 1, 0), (4, 2**63 - 8), (4, 2**63 - 1), (2**62, 2**62)],
    *[(-1, 0), (-(2**63), -(2**63)), (4, -8), (4, 10**6), (5, 0), (3, 0), (4, 116), (2**28, 0)],
]


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(("length", "offset"), BEYOND)
def test_a_row_whose_array_cannot_be_is_left_out(tiny, tmp_path, length, offset):
    path = ragged(tmp_path / "x.fits")
    point(path, 1, length, offset)
    (block,) = blocks_of(path, tiny)
    assert block.columns["source_id"].tolist() == [1, 3, 4]
    assert block.columns["flux"].tolist() == [[0] * 4, [2] * 4, [3] * 4]
    assert [(reject.row, reject.reason) for reject in block.rejects] == [
        (1, RejectReason.WRONG_ARRAY_LENGTH)
    ]


@pytest.mark.parametrize("place", [10**19, 2**62, 10**6, 10, 0, -5])
def test_a_heap_that_lies_elsewhere_gives_no_row(tiny, tmp_path, place):
    path = ragged(tmp_path / "x.fits", THEAP=place)
    (block,) = blocks_of(path, tiny)
    assert block.n_rows == 0
    assert [reject.reason for reject in block.rejects] == [RejectReason.WRONG_ARRAY_LENGTH] * 4


@pytest.mark.parametrize("place", ["1E999", "'abc'"])
def test_a_heap_without_a_place_is_refused(tiny, tmp_path, place):
    path = ragged(tmp_path / "x.fits", THEAP=160)
    content = path.read_bytes()
    card = b"THEAP   =                  160"
    assert card in content
    path.write_bytes(content.replace(card, f"THEAP   = {place}".ljust(30).encode()))
    with pytest.raises(DamagedFileError, match=r"x\.fits"):
        blocks_of(path, tiny)


def test_a_heap_that_is_cut_off_is_damage(tiny, tmp_path):
    path = ragged(tmp_path / "x.fits")
    path.write_bytes(path.read_bytes()[: -2880 + 4 * 40 + 20])
    with pytest.raises(DamagedFileError, match="cut off"):
        blocks_of(path, tiny)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("packed", [False, True])
def test_many_rows_may_share_an_array_but_not_a_long_one(tiny, tmp_path, packed):
    path, rows = ragged(tmp_path / "x.fits", rows=1024, length=1024), 1024
    for length, kept in ((4, rows - 1), (2**19, 0)):
        content = bytearray(path.read_bytes())
        with fits.open(path) as hdus:
            start = hdus.fileinfo(1)["datLoc"]
        for row in range(1, rows):
            at = start + 40 * row + 8
            content[at : at + 32] = struct.pack(">qqqq", length, 4096, 4, 4096)
        other = tmp_path / "y.fits"
        other.write_bytes(gzip.compress(content, 1) if packed else content)
        (block,) = blocks_of(other, tiny)
        assert block.n_rows == kept
        assert set(block.columns["flux"].reshape(-1).tolist()) == ({1} if kept else set())


def test_fixed_arrays_of_another_length_are_not_spread_out(tiny, tmp_path):
    path = tmp_path / "x.fits"
    columns = [fits.Column("source_id", "K", array=[1, 2])]
    columns += [fits.Column(name, "5B", array=np.ones((2, 5))) for name in ("flux", "flux_error")]
    fits.BinTableHDU.from_columns(columns).writeto(path)
    (block,) = blocks_of(path, tiny)
    assert [reject.reason for reject in block.rejects] == [RejectReason.WRONG_ARRAY_LENGTH] * 2


def test_a_gzipped_heap_is_not_inflated_for_each_block(tiny, tmp_path, monkeypatch):
    plain = ragged(tmp_path / "x.fits", rows=12_000)
    packed = tmp_path / "x.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
    inflated, pieces = [], inflate.Inflater.pieces

    def counted(inflater):
        for piece in pieces(inflater):
            inflated.append(len(piece))
            yield piece

    monkeypatch.setattr(inflate.Inflater, "pieces", counted)
    blocks = blocks_of(packed, tiny, block_rows=300)
    for name, values in blocks_of(plain, tiny, block_rows=300)[-1].columns.items():
        np.testing.assert_array_equal(blocks[-1].columns[name], values)
    assert sum(block.n_rows for block in blocks) == 12_000
    # To check it, for the rows, and for each of two columns.
    assert sum(inflated) <= 4 * plain.stat().st_size


def test_a_gzipped_heap_out_of_order_is_given_up_in_the_end(tiny, tmp_path, monkeypatch):
    path = ragged(tmp_path / "x.fits", rows=20_000)
    for row in range(0, 20_000, 4000):
        point(path, row, 4, 20_000 * 32 - 16)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    assert sum(block.n_rows for block in blocks_of(path, tiny, block_rows=500)) == 20_000
    monkeypatch.setattr(inflate, "MAX_WASTED_BYTES", 1 << 20)
    monkeypatch.setattr(inflate, "MAX_REWINDS", 1)
    with pytest.raises(DamagedFileError, match="out of order") as caught:
        blocks_of(path, tiny, block_rows=500)
    assert caught.value.way_out == "Decompress the file."


# --- Parquet --------------------------------------------------------------------------------------


def lists(*lengths):
    ends = np.cumsum([0, *lengths]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.zeros(ends[-1], np.float32)))


def parquet(path, *lengths, **options):
    columns = {"flux": lists(*lengths), "flux_error": lists(*[4] * len(lengths))}
    ids = np.arange(1, len(lengths) + 1)
    pq.write_table(pa.table({"source_id": ids, **columns}), path, compression="zstd", **options)
    return path


def read_until_damage(path, release, **options):
    rows = []

    def consume():
        for block in read_blocks(FileRef(str(path), 0), RVS, release, **options):
            rows.extend(block.columns["source_id"].tolist())

    with pytest.raises(DamagedFileError) as caught:
        consume()
    assert str(path) in str(caught.value)
    return rows, str(caught.value)


def test_a_few_bytes_of_parquet_with_a_long_list(tiny, tmp_path):
    path = parquet(tmp_path / "x.parquet", 4, 4, 1 << 23, 4, row_group_size=2)
    assert path.stat().st_size < 5000
    before = pa.total_allocated_bytes()
    rows, message = read_until_damage(path, tiny)
    assert rows == [1, 2]
    assert "row group 1, column flux.list.element: 2 rows of 4 elements" in message
    assert pa.total_allocated_bytes() - before < LITTLE


def test_a_list_of_another_length_costs_one_row(tiny, tmp_path):
    (block,) = blocks_of(parquet(tmp_path / "x.parquet", 4, 100_000, 4), tiny)
    assert block.columns["source_id"].tolist() == [1, 3]


def varint(number, width=1):
    """Write an integer as Thrift does, in at least so many bytes."""
    digits = [number * 2 >> 7 * place & 127 for place in range(width)]
    return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])


def test_a_footer_that_says_less_than_the_pages_hold(tiny, tmp_path):
    path = parquet(tmp_path / "x.parquet", 1 << 23)
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    said = varint(1 << 23, 4)
    assert said in content[footer:]
    path.write_bytes(content[:footer] + content[footer:].replace(said, varint(4, 4)))
    assert pq.ParquetFile(path).metadata.row_group(0).column(1).num_values == 4
    rows, message = read_until_damage(path, tiny)
    assert rows == []
    assert "and the footer says 4" in message


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_what_pages_expand_to_is_bounded(tiny, tmp_path, monkeypatch, version):
    options = {"use_dictionary": False, "data_page_version": version}
    path = parquet(tmp_path / "x.parquet", *[4] * 5000, **options)
    assert sum(block.n_rows for block in blocks_of(path, tiny)) == 5000
    monkeypatch.setattr(parquet_pages, "MAX_ELEMENTS", 5000)
    monkeypatch.setattr(parquet_pages, "MAX_EXPANSION", 1)
    assert "expand to 20000 values" in read_until_damage(path, tiny)[1]
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES", 1000)
    assert "says that it expands to" in read_until_damage(path, tiny)[1]


def test_pages_of_every_kind_are_known(tiny, tmp_path):
    columns = {
        "source_id": pa.array(np.arange(1, 30_001)),
        "ra": pa.array(np.random.default_rng(0).random(30_000)),
        "has_rvs": pa.array([None, True, False] * 10_000),
    }
    path = tmp_path / "x.parquet"
    for compression in ("none", "snappy", "gzip", "brotli", "zstd", "lz4"):
        for version in ("1.0", "2.0"):
            pq.write_table(
                pa.table(columns),
                path,
                compression=compression,
                data_page_version=version,
                data_page_size=2000,
                write_page_checksum=True,
                write_page_index=version == "2.0",
                row_group_size=7000,
            )
            blocks = blocks_of(path, tiny, "gaia_source")
            assert sum(block.n_rows for block in blocks) == 30_000


# --- booleans -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "true", "nulled"),
    [
        (pa.array([0.0, 1.0, np.nan, 0.5, -1.0, np.inf, None]), [1], 4),
        (pa.array([0, 1, 2, -1, None], pa.int8()), [1], 2),
        (pa.array([0, 1, 255], pa.uint8()), [1], 1),
        (pa.array([False, True, None]), [1], 0),
    ],
)
def test_only_0_and_1_are_booleans(tiny, tmp_path, values, true, nulled):
    n_rows = len(values)
    table = {"source_id": np.arange(1, n_rows + 1), "ra": np.zeros(n_rows), "has_rvs": values}
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    (block,) = blocks_of(tmp_path / "x.parquet", tiny, "gaia_source")
    assert np.flatnonzero(block.columns["has_rvs"]).tolist() == true
    assert block.columns["has_rvs"].dtype == bool
    assert block.cell_nulls.get("has_rvs", 0) == nulled


@pytest.mark.parametrize(
    ("form", "values", "nulled"),
    [
        ("E", [0, 1, np.nan, 7], 2),
        ("J", [0, 1, 2, -1], 2),
        ("L", [ord("F"), ord("T"), 0, ord("x")], 1),
    ],
)
def test_only_0_and_1_are_booleans_in_fits(tiny, tmp_path, form, values, nulled):
    path = tmp_path / "x.fits"
    columns = [fits.Column("source_id", "K", array=[1, 2, 3, 4])]
    columns.append(fits.Column("ra", "D", array=np.zeros(4)))
    stored = np.array(values, np.int8) if form == "L" else np.array(values)
    columns.append(fits.Column("has_rvs", "B" if form == "L" else form, array=stored))
    fits.BinTableHDU.from_columns(columns).writeto(path)
    if form == "L":
        path.write_bytes(path.read_bytes().replace(b"= 'B       '", b"= 'L       '"))
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["has_rvs"].tolist() == [False, True, False, False]
    assert block.cell_nulls == {"has_rvs": nulled}
