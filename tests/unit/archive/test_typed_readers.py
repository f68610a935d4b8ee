"""FITS and Parquet give the same blocks as text."""

import decimal
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import DamagedFileError, UnforeseenDamageError, read_blocks
from catalog_builder.archive.readers.fits.table import open_fits_table
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.ground.errors import InputError

RVS = "rvs_mean_spectrum"
FLUX = np.arange(12, dtype=np.float32).reshape(3, 4)


def blocks_of(path, release, table=RVS, **options):
    return list(read_blocks(FileRef(str(path), 0), table, release, **options))


def good_until_damage(path, release, **options):
    blocks = []

    def consume():
        blocks.extend(read_blocks(FileRef(str(path), 0), RVS, release, **options))

    with pytest.raises(DamagedFileError) as caught:
        consume()
    return blocks, caught.value


def write_fits(path, columns):
    fits.BinTableHDU.from_columns(columns).writeto(path, overwrite=True)
    return path


def rvs_fits(path, ids=(1, 2, 3), flux=FLUX, form="4E", **extra):
    return write_fits(
        path,
        [
            fits.Column("SOURCE_ID", "K", array=np.array(ids)),
            fits.Column("flux", form, array=flux),
            fits.Column("flux_error", "4E", array=FLUX + 1),
            fits.Column("n", "I", array=np.array([7, -32768, 9]), null=-32768),
        ],
    )


@pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
def test_fits(tiny, tmp_path, block_rows):
    blocks = blocks_of(rvs_fits(tmp_path / "x.fits"), tiny, block_rows=block_rows)
    columns = {
        name: np.concatenate([b.columns[name] for b in blocks]) for name in blocks[0].columns
    }
    assert columns["source_id"].tolist() == [1, 2, 3]
    assert columns["flux"].dtype == np.dtype("=f4")
    np.testing.assert_array_equal(columns["flux"], FLUX)
    assert columns["n"].tolist() == [7, 0, 9]
    assert np.isnan(columns["weight"]).all()
    assert [b.first_row for b in blocks] == list(range(0, 3, block_rows))


def test_fits_arrays_of_variable_length(tiny, tmp_path):
    ragged = np.empty(3, object)
    ragged[:] = [np.float64([1, 2, 3, 4]), np.float64([]), np.float64([5, 6])]
    (block,) = blocks_of(rvs_fits(tmp_path / "x.fits", flux=ragged, form="PD()"), tiny)
    assert block.columns["source_id"].tolist() == [1, 2]
    assert block.columns["flux"][0].tolist() == [1, 2, 3, 4]
    assert np.isnan(block.columns["flux"][1]).all()
    (reject,) = block.rejects
    assert (reject.row, reject.source_id) == (2, 3)
    assert reject.reason is RejectReason.WRONG_ARRAY_LENGTH


def test_fits_booleans_unsigned_integers_and_scaling(tiny, tmp_path):
    path = write_fits(
        tmp_path / "x.fits",
        [
            fits.Column("source_id", "K", array=[1, 2, 3]),
            fits.Column("ra", "J", array=np.array([1, 3, 5], np.int32)),
            fits.Column("has_rvs", "L", array=[True, False, True]),
            fits.Column("params", "I", array=np.array([0, 32768, 65535], np.uint16), bzero=32768),
        ],
    )
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["TSCAL2"], hdus[1].header["TZERO2"] = 0.5, 1.0
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["ra"].tolist() == [1.5, 2.5, 3.5]
    assert block.columns["has_rvs"].tolist() == [True, False, True]
    assert block.columns["params"].tolist() == [0, 0, 0]
    assert block.cell_nulls == {"params": 2}


def test_bad_ids_are_rejected(tiny, tmp_path):
    (block,) = blocks_of(rvs_fits(tmp_path / "x.fits", ids=(1, 0, -5)), tiny)
    assert [(row.row, row.source_id, row.reason) for row in block.rejects] == [
        (1, None, RejectReason.BAD_SOURCE_ID),
        (2, None, RejectReason.BAD_SOURCE_ID),
    ]
    assert block.row_numbers.tolist() == [0]
    assert block.n_read == 3


def test_a_truncated_fits_yields_its_complete_rows(tiny, tmp_path):
    path = rvs_fits(tmp_path / "x.fits")
    content = path.read_bytes()
    row_bytes = 8 + 16 + 16 + 2
    data = len(content) - 2880
    path.write_bytes(content[: data + 2 * row_bytes + 5])
    blocks, damage = good_until_damage(path, tiny)
    assert [block.n_rows for block in blocks] == [2]
    assert damage.reason is RejectReason.TRUNCATED_FILE
    assert "row 2 of 3" in str(damage)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([fits.Column("source_id", "K", array=[1])], "column flux is missing"),
        (
            [fits.Column("source_id", "K", array=[1])]
            + [fits.Column(n, "E", array=[1.0]) for n in ("flux", "flux_error")],
            "column flux holds numbers of kind 'f', but .* arrays of 4 float32",
        ),
        (
            [fits.Column("source_id", "5A", array=["abc"])]
            + [fits.Column(n, "4E", array=FLUX[:1]) for n in ("flux", "flux_error")],
            "column source_id holds text, but .* int64.*dtype: text",
        ),
        (
            [
                fits.Column("source_id", "K", array=[1]),
                fits.Column("flux", "4E", array=FLUX[:1], unit="Jy"),
                fits.Column("flux_error", "4E", array=FLUX[:1]),
            ],
            "flux is in 'Jy'",
        ),
    ],
)
def test_fits_tables_that_are_refused(tiny, tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        blocks_of(write_fits(tmp_path / "x.fits", columns), tiny)


def test_fits_without_a_table(tiny, tmp_path):
    path = tmp_path / "x.fits"
    fits.PrimaryHDU(np.zeros(3)).writeto(path)
    with pytest.raises(DamagedFileError, match="no binary table"):
        blocks_of(path, tiny)


def parquet(path, **columns):
    table = pa.table({"source_id": pa.array([1, 2, 3], pa.int64()), **columns})
    pq.write_table(table, path, row_group_size=2)
    return path


LISTS = pa.array(FLUX.tolist(), pa.list_(pa.float32()))


@pytest.mark.parametrize("block_rows", [1, 2, 100])
def test_parquet(tiny, tmp_path, block_rows):
    path = parquet(
        tmp_path / "x.parquet",
        flux=LISTS,
        flux_error=pa.array(FLUX.tolist(), pa.list_(pa.float64(), 4)),
        weight=pa.array([[1.0, None], None, [2.0]], pa.list_(pa.float64())),
        n=pa.array([5, None, 70_000], pa.int32()),
    )
    blocks = blocks_of(path, tiny, block_rows=block_rows)
    columns = {
        name: np.concatenate([b.columns[name] for b in blocks]) for name in blocks[0].columns
    }
    np.testing.assert_array_equal(columns["flux"], FLUX)
    np.testing.assert_array_equal(columns["flux_error"], FLUX)
    np.testing.assert_array_equal(columns["weight"], [[1, np.nan], [np.nan] * 2, [np.nan] * 2])
    assert columns["n"].tolist() == [5, 0, 0]
    for name in ("n", "weight"):
        assert sum(b.cell_nulls.get(name, 0) for b in blocks) == 1


def test_parquet_rejects_and_nulls(tiny, tmp_path):
    path = parquet(
        tmp_path / "x.parquet",
        flux=pa.array([[1, 2, 3, 4], [1, 2], None], pa.list_(pa.float32())),
        flux_error=LISTS,
    )
    (block,) = blocks_of(path, tiny)
    assert block.columns["source_id"].tolist() == [1, 3]
    assert np.isnan(block.columns["flux"][1]).all()
    assert [row.reason for row in block.rejects] == [RejectReason.WRONG_ARRAY_LENGTH]


def test_parquet_booleans_and_units(tiny, tmp_path):
    for unit, refused in (("deg", False), ("rad", True)):
        path = tmp_path / f"{unit}.parquet"
        schema = pa.schema(
            [
                pa.field("source_id", pa.int64()),
                pa.field("ra", pa.float64(), metadata={"unit": unit}),
                pa.field("has_rvs", pa.bool_()),
            ]
        )
        pq.write_table(
            pa.table({"source_id": [1, 2], "ra": [1.0, None], "has_rvs": [True, None]}, schema),
            path,
        )
        if refused:
            with pytest.raises(InputError, match="ra is in 'rad'"):
                blocks_of(path, tiny, "gaia_source")
            continue
        (block,) = blocks_of(path, tiny, "gaia_source")
        assert block.columns["has_rvs"].tolist() == [True, False]
        assert np.isnan(block.columns["ra"]).tolist() == [False, True]


def test_parquet_that_is_refused(tiny, tmp_path):
    with pytest.raises(InputError, match="column flux_error is missing"):
        blocks_of(parquet(tmp_path / "x.parquet", flux=LISTS), tiny)
    strings = pa.array(["[1,2,3,4]"] * 3)
    with pytest.raises(InputError, match="column flux holds text"):
        blocks_of(parquet(tmp_path / "x.parquet", flux=strings, flux_error=LISTS), tiny)
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")
    with pytest.raises(DamagedFileError, match="cannot be read as Parquet"):
        blocks_of(tmp_path / "x.parquet", tiny)


# --- source ids to the last digit -----------------------------------------------------------------

IDS = [4295806720, 2**53 + 1, 6917528997577384321, 2**63 - 1]


def source_fits(path, *columns, **keywords):
    write_fits(path, [*columns, fits.Column("ra", "D", array=np.zeros(len(columns[0].array)))])
    with fits.open(path, mode="update") as hdus:
        hdus[1].header.update(keywords)
    return path


@pytest.mark.parametrize(
    ("form", "stored", "scale", "zero", "meant"),
    [
        ("K", np.array(IDS, np.uint64), 1, 2**63, IDS),
        ("K", np.array(IDS[:2], np.int64), 1, 0, IDS[:2]),
        ("J", np.array([1, 2**31, 2**32 - 1], np.uint32), 1, 2**31, [1, 2**31, 2**32 - 1]),
        ("I", np.array([1, 2**15, 2**16 - 1], np.uint16), 1, 2**15, [1, 2**15, 2**16 - 1]),
    ],
)
@pytest.mark.parametrize("spelling", [int, float])
def test_unsigned_ids_in_fits_keep_every_digit(
    tiny, tmp_path, form, stored, scale, zero, meant, spelling
):
    column = fits.Column("source_id", form, array=stored, bzero=zero or None)
    path = source_fits(tmp_path / "x.fits", column, TSCAL1=spelling(scale), TZERO1=spelling(zero))
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["source_id"].tolist() == meant
    assert not block.rejects


@pytest.mark.parametrize(
    ("form", "stored", "scale", "zero", "meant"),
    [
        ("B", np.array([129, 255], np.uint8), 1, -128, [1, 127]),
        ("K", np.array([3, 2**60 + 1]), 4, 1, [13, 2**62 + 5]),
        ("K", np.array([-1, 3]), -1, 10**18, [10**18 + 1, 10**18 - 3]),
    ],
)
def test_scaled_ids_in_fits_keep_every_digit(tiny, tmp_path, form, stored, scale, zero, meant):
    column = fits.Column("source_id", form, array=stored)
    path = source_fits(tmp_path / "x.fits", column, TSCAL1=scale, TZERO1=zero)
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["source_id"].tolist() == meant


@pytest.mark.parametrize("beyond", [2**63, 2**64 - 1])
def test_an_id_beyond_63_bits_is_rejected(tiny, tmp_path, beyond):
    column = fits.Column("source_id", "K", array=np.array([7, beyond], np.uint64), bzero=2**63)
    (block,) = blocks_of(source_fits(tmp_path / "x.fits", column), tiny, "gaia_source")
    pq.write_table(
        pa.table({"source_id": pa.array([7, beyond], pa.uint64()), "ra": [0.0, 0.0]}),
        tmp_path / "x.parquet",
    )
    (other,) = blocks_of(tmp_path / "x.parquet", tiny, "gaia_source")
    for found in (block, other):
        assert found.columns["source_id"].tolist() == [7]
        assert [(row.row, row.source_id, row.reason.value) for row in found.rejects] == [
            (1, None, "bad_source_id")
        ]


def test_ids_scaled_beyond_64_bits_are_rejected_row_by_row(tiny, tmp_path):
    column = fits.Column("source_id", "K", array=np.array([5, 2**62, -(2**62)]))
    path = source_fits(tmp_path / "x.fits", column, TSCAL1=3, TZERO1=1)
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["source_id"].tolist() == [16]
    assert [row.row for row in block.rejects] == [1, 2]


@pytest.mark.parametrize("table", ["gaia_source", RVS])
@pytest.mark.parametrize(
    ("form", "keywords"),
    [
        ("D", {}),
        ("E", {}),
        ("K", {"TSCAL1": 0.5}),
        ("J", {"TZERO1": 0.5}),
        ("D", {"TZERO1": 2**63}),
    ],
)
def test_float_ids_in_fits_are_refused_by_name(tiny, tmp_path, table, form, keywords):
    columns = [fits.Column("source_id", form, array=np.array([2, 4]))]
    columns += [fits.Column(name, "4E", array=FLUX[:2]) for name in ("flux", "flux_error")]
    path = source_fits(tmp_path / "x.fits", *columns, **keywords)
    with pytest.raises(
        InputError, match=r"x\.fits: column source_id holds floating-point"
    ) as caught:
        blocks_of(path, tiny, table)
    assert "64-bit integers" in caught.value.way_out


@pytest.mark.parametrize("keywords", [{"TSCAL2": 0}, {"TSCAL2": 0.0}])
def test_a_scale_of_zero_is_refused(tiny, tmp_path, keywords):
    column = fits.Column("source_id", "K", array=np.array([1]))
    path = write_fits(tmp_path / "x.fits", [column, fits.Column("ra", "J", array=[5])])
    with fits.open(path, mode="update") as hdus:
        hdus[1].header.update(keywords)
    with pytest.raises(InputError, match="column ra: its TSCAL is 0"):
        blocks_of(path, tiny, "gaia_source")


def test_fractions_in_tzero_are_added(tiny, tmp_path):
    column = fits.Column("source_id", "K", array=np.array([1, 2]))
    path = write_fits(tmp_path / "x.fits", [column, fits.Column("ra", "J", array=[5, 6])])
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["TZERO2"] = 0.25
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["ra"].tolist() == [5.25, 6.25]


@pytest.mark.parametrize("form", ["4J", "PJ()"])
def test_scaled_integers_of_arrays_and_their_nulls(tiny, tmp_path, form):
    flux = np.array([[1, 2, -9, 4]] * 3, np.int32)
    if form.startswith("P"):
        flux, rows = np.empty(3, object), flux
        flux[:] = list(rows)
    path = rvs_fits(tmp_path / "x.fits", flux=flux, form=form)
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["TSCAL2"], hdus[1].header["TZERO2"] = 0.5, 1.0
        hdus[1].header["TNULL2"] = -9
    (block,) = blocks_of(path, tiny)
    np.testing.assert_array_equal(block.columns["flux"], [[1.5, 2.0, np.nan, 3.0]] * 3)


@pytest.mark.parametrize(
    ("ids", "meant"),
    [
        (pa.array(IDS, pa.uint64()), IDS),
        (pa.array(IDS, pa.uint64()).dictionary_encode(), IDS),
        (pa.array([decimal.Decimal(i) for i in IDS], pa.decimal128(20, 0)), IDS),
        (pa.array([decimal.Decimal(i) for i in IDS], pa.decimal256(40, 0)), IDS),
        (pa.array([1, 2, 255], pa.uint8()), [1, 2, 255]),
        (pa.array([1, None, 2**32 - 1], pa.uint32()), [1, 2**32 - 1]),
        (pa.array([decimal.Decimal(i) for i in (7, -7, 10**19)], pa.decimal128(38, 0)), [7]),
    ],
)
def test_integer_ids_in_parquet_keep_every_digit(tiny, tmp_path, ids, meant):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"source_id": ids, "ra": np.zeros(len(ids))}), path)
    (block,) = blocks_of(path, tiny, "gaia_source")
    assert block.columns["source_id"].tolist() == meant
    assert [row.source_id for row in block.rejects] == [None] * (len(ids) - len(meant))


@pytest.mark.parametrize("table", ["gaia_source", RVS])
@pytest.mark.parametrize(
    "ids",
    [
        pa.array([1.0, 2.0, 3.0]),
        pa.array([1.0, 2.0, 3.0], pa.float32()),
        pa.array([1.0, 2.0, 3.0]).dictionary_encode(),
        pa.array([decimal.Decimal("1.5")] * 3, pa.decimal128(20, 1)),
    ],
)
def test_float_ids_in_parquet_are_refused_by_name(tiny, tmp_path, table, ids):
    path = tmp_path / "x.parquet"
    more = {"flux": LISTS, "flux_error": LISTS, "ra": [0.0] * 3}
    pq.write_table(pa.table({"source_id": ids, **more}), path)
    with pytest.raises(InputError, match="column source_id holds floating-point numbers"):
        blocks_of(path, tiny, table)


def test_booleans_are_no_ids(tiny, tmp_path):
    pq.write_table(pa.table({"source_id": [True], "ra": [0.0]}), tmp_path / "x.parquet")
    column = fits.Column("source_id", "L", array=np.array([True]))
    for path in (tmp_path / "x.parquet", source_fits(tmp_path / "x.fits", column)):
        with pytest.raises(InputError, match="column source_id holds booleans"):
            blocks_of(path, tiny, "gaia_source")


# --- what the file itself says of its bytes -------------------------------------------------------


def flipped(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    return path


def summed_fits(path):
    rvs_fits(path)
    with fits.open(path) as hdus:
        hdus.writeto(path, overwrite=True, checksum=True)
    return path


def test_fits_sums_that_hold(tiny, tmp_path):
    (block,) = blocks_of(summed_fits(tmp_path / "x.fits"), tiny)
    assert block.columns["source_id"].tolist() == [1, 2, 3]


def test_fits_data_that_contradict_their_sum_give_no_row(tiny, tmp_path):
    path = summed_fits(tmp_path / "x.fits")
    blocks, damage = good_until_damage(flipped(path, path.stat().st_size - 2880 + 9), tiny)
    assert blocks == []
    assert damage.reason is RejectReason.UNREADABLE_FILE
    assert "DATASUM" in str(damage)


def test_a_fits_header_that_contradicts_its_sum_gives_no_row(tiny, tmp_path):
    path = summed_fits(tmp_path / "x.fits")
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"TNULL4  =               -32768", b"TNULL4  =               -12768")
    )
    assert path.read_bytes() != content
    blocks, damage = good_until_damage(path, tiny)
    assert blocks == []
    assert "CHECKSUM" in str(damage)


def test_a_truncated_fits_with_sums_yields_its_complete_rows(tiny, tmp_path):
    path = summed_fits(tmp_path / "x.fits")
    path.write_bytes(path.read_bytes()[: -2880 + 2 * 42 + 5])
    blocks, damage = good_until_damage(path, tiny)
    assert [block.n_rows for block in blocks] == [2]
    assert damage.reason is RejectReason.TRUNCATED_FILE


def packed_fits(path, **options):
    plain = rvs_fits(path.with_suffix(""))
    path.write_bytes(gzip.compress(plain.read_bytes(), mtime=0, **options))
    return path


def ids_until_damage(path):
    rows = []
    try:
        with open_fits_table(str(path)) as table:
            for block in table.blocks(["SOURCE_ID"], 1):
                rows += block["SOURCE_ID"].values.tolist()
    except DamagedFileError as damage:
        return rows, damage
    return rows, None


def test_a_gzipped_fits_is_read_and_its_crc_looked_at(tmp_path):
    path = packed_fits(tmp_path / "x.fits.gz")
    assert ids_until_damage(path) == ([1, 2, 3], None)
    for place in (path.stat().st_size - 6, path.stat().st_size // 2, path.stat().st_size - 1):
        rows, damage = ids_until_damage(flipped(packed_fits(path), place))
        assert rows == []
        assert "is not valid gzip" in str(damage)


def test_a_gzipped_fits_that_ends_early_yields_its_complete_rows(tmp_path):
    path = packed_fits(tmp_path / "x.fits.gz", compresslevel=0)  # stored: cut where we like
    path.write_bytes(path.read_bytes()[: -8 - 2880 + 2 * 42 + 5])
    rows, damage = ids_until_damage(path)
    assert rows == [1, 2]
    assert damage.reason is RejectReason.TRUNCATED_FILE
    assert "cut off" in str(damage)


def test_parquet_pages_are_checked(tiny, tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"source_id": [1, 2, 3], "flux": LISTS, "flux_error": LISTS})
    options = {"row_group_size": 1, "compression": "NONE", "use_dictionary": False}
    pq.write_table(table, path, write_page_checksum=True, **options)
    flux = pq.ParquetFile(path).metadata.row_group(1).column(1)
    flipped(path, flux.data_page_offset + flux.total_compressed_size - 1)
    blocks, damage = good_until_damage(path, tiny, block_rows=1)
    assert [block.columns["source_id"].tolist() for block in blocks] == [[1]]
    assert damage.reason is RejectReason.UNREADABLE_FILE
    assert "x.parquet" in str(damage)
    assert "CRC" in str(damage)


# --- headers and pages of wrong bytes -------------------------------------------------------------

CARDS = [
    *("TSCAL2  = 0", "TSCAL4  = 1E308", "TSCAL4  = NaN", "TZERO4  = 'abc'", "TNULL4  = 1.5"),
    *("TZERO1  = 9.22337203685478E18", "TFORM1  = 'D'", "TFORM1  = '1X'", "TFORM2  = 'PD(4)'"),
    *("TDIM2   = '(2,2)'", "NAXIS2  = 99999999999999", "THEAP   = -5", "PCOUNT  = -1", ""),
]


def mutate(rng, content):
    if rng.random() < 0.3:
        return content[: int(rng.integers(len(content)))]
    changed = bytearray(content)
    for place in rng.integers(len(content), size=3):
        changed[place] = rng.integers(256)
    return bytes(changed)


@pytest.mark.parametrize("kind", ["fits", "parquet"])
def test_wrong_bytes_give_only_documented_errors(tiny, tmp_path, kind):
    path, rng = tmp_path / f"x.{kind}", np.random.default_rng(0)
    if kind == "fits":
        whole = rvs_fits(path).read_bytes()
        cards = [card.encode().ljust(80) for card in CARDS]
        places = [2880 + 80 * number for number in range(26)]
        cases = [whole[:at] + card + whole[at + 80 :] for card in cards for at in places[::5]]
    else:
        whole, cases = parquet(path, flux=LISTS, flux_error=LISTS).read_bytes(), []
    for case in [*cases, *(mutate(rng, whole) for _ in range(300))]:
        path.write_bytes(case)
        try:
            blocks_of(path, tiny, block_rows=2)
        except UnforeseenDamageError:
            raise
        except InputError:
            pass


def test_arrays_of_several_dimensions_are_arrays(tiny, tmp_path):
    path = rvs_fits(tmp_path / "x.fits")
    with fits.open(path, mode="update") as hdus:
        hdus[1].header["TDIM2"] = "(2,2)"
    (block,) = blocks_of(path, tiny)
    np.testing.assert_array_equal(block.columns["flux"], FLUX)
