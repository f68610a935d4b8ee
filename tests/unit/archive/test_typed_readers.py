"""FITS and Parquet give the same blocks as text."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import DamagedFileError, read_blocks
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.errors import InputError

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
            [fits.Column(n, "E", array=[1.0]) for n in ("source_id", "flux", "flux_error")],
            "column flux holds of kind 'f', but .* arrays of 4 float32",
        ),
        (
            [fits.Column("source_id", "5A", array=["abc"])]
            + [fits.Column(n, "4E", array=FLUX[:1]) for n in ("flux", "flux_error")],
            "column source_id holds text, but .* int64",
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
