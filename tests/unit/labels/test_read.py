from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import DamagedFileError, UnforeseenDamageError
from catalog_builder.archive.readers.fits.table import FitsTable
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.read import read_labels, resolve_duplicates
from catalog_builder.labels.survey import load_survey

SURVEY = load_survey("apogee-dr17")
FLOATS = {
    "TEFF": 5000.0, "TEFF_ERR": 50.0, "LOGG": 2.5, "LOGG_ERR": 0.1, "M_H": -0.5, "M_H_ERR": 0.05,
    "ALPHA_M": 0.1, "ALPHA_M_ERR": 0.03, "FE_H": -0.4, "FE_H_ERR": 0.02, "SNR": 100.0,
}  # fmt: skip
FLAGS = ("STARFLAG", "ASPCAPFLAG", "EXTRATARG", "FE_H_FLAG")


def write(path, rows, drop=(), units=None):
    """Write an allStar file: each row says in what it differs from a good star."""
    columns = []
    for name, value in FLOATS.items():
        array = [row.get(name, value) for row in rows]
        columns.append(fits.Column(name, "E", array=array, unit=(units or {}).get(name)))
    for name in FLAGS:
        array = np.array([row.get(name, 0) for row in rows], np.int64)
        columns.append(fits.Column(name, "K", array=array))
    ids = [row.get("id", number + 1) for number, row in enumerate(rows)]
    columns.append(fits.Column("GAIAEDR3_SOURCE_ID", "K", array=np.array(ids, np.int64)))
    kept = [column for column in columns if column.name not in drop]
    fits.BinTableHDU.from_columns(kept).writeto(path, overwrite=True)
    return FileRef(str(path), path.stat().st_size)


def read_one(path, rows, **options):
    (block,) = read_labels(write(path, rows, **options), SURVEY)
    return block


@pytest.fixture
def path(tmp_path):
    return tmp_path / "allStar.fits"


def test_a_good_star(path):
    block = read_one(path, [{}])
    assert block.source_id.tolist() == [1]
    np.testing.assert_array_equal(block.labels, np.float32([[5000, 2.5, -0.5, 0.1, -0.4]]))
    np.testing.assert_array_equal(block.label_error, np.float32([[50, 0.1, 0.05, 0.03, 0.02]]))
    assert block.snr.tolist() == [100]
    assert (block.n_read, block.rejected, block.label_nulls) == (1, {}, {})


@pytest.mark.parametrize(
    ("form", "values", "names"),
    [
        ("18A", ["2M01  ", "", "2M03"], [b"2M01", b"", b"2M03"]),
        ("K", [7, 2**62, 0], [b"7", b"4611686018427387904", b"0"]),
        ("40A", ["2M01", "x" * 40, "2M03"], [b"2M01", b"", b"2M03"]),
    ],
)
def test_the_surveys_own_names_of_stars(path, form, values, names):
    write(path, [{}, {}, {"TEFF": np.nan}])
    with fits.open(path) as hdus:
        columns = hdus[1].columns + fits.ColDefs([fits.Column("APOGEE_ID", form, array=values)])
        fits.BinTableHDU.from_columns(columns).writeto(path.with_name("named.fits"))
    file = path.with_name("named.fits")
    (block,) = read_labels(FileRef(str(file), file.stat().st_size), SURVEY)
    assert block.names.tolist() == names
    assert read_one(path, [{}, {}]).names.tolist() == [b"", b""]  # the file has no such column


@pytest.mark.parametrize("null", [np.nan, -9999.0, np.inf])
def test_null_labels_and_errors(path, null):
    block = read_one(path, [{"M_H": null}, {"TEFF_ERR": null}, {"LOGG_ERR": 0.0}])
    assert block.label_nulls == {"m_h_missing": 1}
    assert np.isnan(block.labels).tolist()[0] == [False, False, True, False, False]
    assert np.isnan(block.label_error).tolist() == np.isnan(block.labels).tolist()
    assert block.label_error[1, 0] == SURVEY.labels["teff"].error_if_missing
    assert block.label_error[2, 1] == np.float32(SURVEY.labels["logg"].error_if_missing)


def test_small_errors_are_raised_to_the_floor(path):
    block = read_one(path, [{"TEFF_ERR": 0.5, "FE_H_ERR": 1e-4}])
    assert block.label_error[0, 0] == SURVEY.labels["teff"].error_floor
    assert block.label_error[0, 4] == np.float32(SURVEY.labels["fe_h"].error_floor)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": 0}, "no_source_id"),
        ({"id": -(2**63)}, "no_source_id"),
        ({"ASPCAPFLAG": 1 << 23}, "aspcap_failed"),
        ({"ASPCAPFLAG": 1 << 36}, "aspcap_failed"),
        ({"ASPCAPFLAG": 1 << 41}, "multiple_suspect"),
        ({"STARFLAG": 1 << 3}, "bad_spectrum"),
        ({"EXTRATARG": 1 << 2}, "not_a_science_target"),
        ({"SNR": 29.9}, "low_snr"),
        ({"SNR": np.nan}, "low_snr"),
        ({"SNR": -9999.0}, "low_snr"),
        (dict.fromkeys(("TEFF", "LOGG", "M_H", "ALPHA_M", "FE_H"), np.nan), "no_label"),
        # Several cuts fail: the first in order counts.
        ({"SNR": 1.0, "ASPCAPFLAG": (1 << 41) | (1 << 31), "id": 3}, "aspcap_failed"),
    ],
)
def test_stars_that_are_rejected(path, row, reason):
    block = read_one(path, [{}, row, {}])
    assert block.rejected == {reason: 1}
    assert block.source_id.tolist() == [1, 3]
    assert block.n_read == block.source_id.size + sum(block.rejected.values())


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_what_is_learnt_as_a_logarithm_is_above_zero(path, value):
    block = read_one(path, [{"TEFF": value}])
    assert np.isnan(block.labels[0, 0])
    assert np.isnan(block.label_error[0, 0])
    assert block.label_nulls == {"teff_not_above_zero": 1}


@pytest.mark.parametrize(
    ("row", "label", "cut"),
    [
        ({"ASPCAPFLAG": 1 << 16}, 0, "teff_bad"),
        ({"ASPCAPFLAG": 1 << 19}, 2, "m_h_bad"),
        ({"FE_H_FLAG": 1 << 1}, 4, "fe_h_bad"),
        ({"TEFF_ERR": 501.0}, 0, "teff_error_large"),
    ],
)
def test_labels_that_become_null(path, row, label, cut):
    block = read_one(path, [{}, row])
    assert block.rejected == {}
    assert block.label_nulls == {cut: 1}
    assert np.isnan(block.labels[1]).tolist() == [place == label for place in range(5)]
    assert np.isfinite(block.labels[0]).all()


@pytest.mark.parametrize(
    "row", [{"ASPCAPFLAG": 0b111_1111_1111_1111}, {"STARFLAG": 1 << 2}, {"EXTRATARG": 1 << 4}]
)
def test_warnings_do_not_reject(path, row):
    assert read_one(path, [row]).source_id.size == 1


def test_books_balance_over_blocks(path):
    rows = [{"SNR": 10.0 * (number % 7), "id": number % 5} for number in range(100)]
    file = write(path, rows)
    for block_rows in (1, 7, 33, 100, 1000):
        blocks = list(read_labels(file, SURVEY, block_rows=block_rows))
        assert sum(block.n_read for block in blocks) == 100
        for block in blocks:
            assert block.n_read == block.source_id.size + sum(block.rejected.values())
    ids = np.concatenate([block.source_id for block in read_labels(file, SURVEY, block_rows=7)])
    assert ids.tolist() == [n % 5 for n in range(100) if 10 * (n % 7) >= 30 and n % 5]


def test_an_optional_column_may_be_absent_and_others_not(path):
    assert read_one(path, [{}], drop=["FE_H_FLAG"]).source_id.size == 1
    for name in ("ASPCAPFLAG", "TEFF", "TEFF_ERR", "SNR", "GAIAEDR3_SOURCE_ID"):
        with pytest.raises(InputError, match=f"column {name} is missing"):
            read_one(path, [{}], drop=[name])


def test_units(path):
    assert read_one(path, [{}], units={"TEFF": "K", "M_H": "dex", "LOGG": "log(cgs)"})
    with pytest.raises(InputError, match=r"teff .TEFF. is in 'kK'"):
        read_one(path, [{}], units={"TEFF": "kK"})


def test_text_in_place_of_numbers(path):
    columns = [fits.Column(name, "E", array=[1.0]) for name in FLOATS if name != "TEFF"]
    columns += [fits.Column(name, "K", array=[0]) for name in (*FLAGS, "GAIAEDR3_SOURCE_ID")]
    columns.append(fits.Column("TEFF", "5A", array=["hot"]))
    fits.BinTableHDU.from_columns(columns).writeto(path)
    with pytest.raises(InputError, match="column TEFF holds no single numbers"):
        list(read_labels(FileRef(str(path), 0), SURVEY))


@pytest.mark.parametrize("wanted", ["LOGG", "STARFLAG", "GAIAEDR3_SOURCE_ID"])
@pytest.mark.parametrize("spelt", [str.lower, str.title, str])
def test_a_column_that_stands_there_twice(path, wanted, spelt):
    file = write(path, [{}])
    with fits.open(path) as hdus:
        columns = hdus[1].columns + fits.Column("A_SPARE_ONE_WITH_LONG_NAME", "E", array=[0.0])
        fits.BinTableHDU.from_columns(columns).writeto(path.with_name("spare"))
    # astropy writes no column twice: the spare one is given the name.
    double = spelt(wanted)
    content = path.with_name("spare").read_bytes()
    path.write_bytes(content.replace(b"A_SPARE_ONE_WITH_LONG_NAME", f"{double:<26}".encode()))
    with pytest.raises(InputError, match=TWICE[double == wanted].format(wanted, double)) as caught:
        list(read_labels(file, SURVEY))
    assert path.name in str(caught.value)


#: Of names that are the same to the letter, astropy refuses the whole table.
TWICE = {False: r"column {} stands 2 times in the header \(.*{}", True: "{}|name already used"}


def test_what_nobody_foresaw_names_the_file(path, monkeypatch):
    def broken(self, names, block_rows):
        raise TypeError("no such thing")
        yield

    monkeypatch.setattr(FitsTable, "blocks", broken)
    with pytest.raises(UnforeseenDamageError, match=rf"{path.name} cannot be read: TypeError in"):
        read_one(path, [{}])


def test_an_empty_table_gives_one_empty_block(path):
    block = read_one(path, [])
    assert block.labels.shape == (0, 5)
    assert block.n_read == 0


def test_damaged_files(path):
    file = write(path, [{}] * 500)
    content = path.read_bytes()
    path.write_bytes(content[: 2880 * 8])
    with pytest.raises(DamagedFileError, match="is cut off at row"):
        list(read_labels(file, SURVEY))
    for damaged in (b"", b"SIMPLE", b"x" * 5000):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError, match="cannot be read as FITS"):
            list(read_labels(file, SURVEY))
    fits.PrimaryHDU().writeto(path, overwrite=True)
    with pytest.raises(DamagedFileError):
        list(read_labels(file, SURVEY))


def test_duplicates_best_snr_then_first_row():
    ids = np.array([5, 3, 5, 3, 5, 9], np.int64)
    snr = np.array([10, np.nan, 30, 1, 30, np.nan], np.float32)
    assert resolve_duplicates(ids, snr).tolist() == [3, 2, 5]
    assert resolve_duplicates(ids[:0], snr[:0]).tolist() == []


@given(st.lists(st.tuples(st.integers(1, 5), st.floats(0, 10, width=32)), min_size=1))
def test_duplicates_one_row_per_star(rows):
    ids = np.array([star for star, _ in rows], np.int64)
    snr = np.array([value for _, value in rows], np.float32)
    kept = resolve_duplicates(ids, snr)
    assert ids[kept].tolist() == sorted(set(ids.tolist()))
    for row in kept:
        rivals = np.flatnonzero(ids == ids[row])
        assert snr[row] == snr[rivals].max()
        assert row == rivals[snr[rivals] == snr[row]][0]


def test_the_real_sample():
    path = Path(__file__).parents[4] / "shared/data/real-dr3/apogee"
    if not path.is_dir():
        pytest.skip("the real files are not beside this checkout")
    file = FileRef(str(path / "allStar-dr17-synspec_rev1.fits"), 0)
    blocks = list(read_labels(file, SURVEY, block_rows=5000))
    assert sum(block.n_read for block in blocks) == 24_000
    kept = sum(block.source_id.size for block in blocks)
    assert kept == 24_000 - sum(sum(block.rejected.values()) for block in blocks)
    assert kept > 20_000
    labels = np.concatenate([block.labels for block in blocks])
    errors = np.concatenate([block.label_error for block in blocks])
    assert np.isfinite(labels[:, 2]).sum() == 161
    assert (np.isfinite(labels) == np.isfinite(errors)).all()


# --- source ids to the last digit -----------------------------------------------------------------

KEY = "GAIAEDR3_SOURCE_ID"
IDS = [4295806720, 2**53 + 1, 6917528997577384321, 2**63 - 1]


def write_keys(path, key, **keywords):
    """Write good stars with another column of identifiers."""
    write(path, [{}] * len(key.array))
    with fits.open(path) as hdus:
        kept = [column for column in hdus[1].columns if column.name != KEY]
        fits.BinTableHDU.from_columns([key, *kept]).writeto(path, overwrite=True)
    with fits.open(path, mode="update") as hdus:
        hdus[1].header.update(keywords)
    return FileRef(str(path), path.stat().st_size)


def test_unsigned_ids_keep_every_digit(path):
    key = fits.Column(KEY, "K", array=np.array([*IDS, 2**63, 2**64 - 1], np.uint64), bzero=2**63)
    (block,) = read_labels(write_keys(path, key), SURVEY)
    assert block.source_id.tolist() == IDS
    assert block.rejected == {"no_source_id": 2}


def test_scaled_ids_keep_every_digit(path):
    key = fits.Column(KEY, "K", array=np.array([-1, 3]))
    (block,) = read_labels(write_keys(path, key, TZERO1=10**18), SURVEY)
    assert block.source_id.tolist() == [10**18 - 1, 10**18 + 3]


@pytest.mark.parametrize(
    ("form", "keywords"), [("D", {}), ("E", {}), ("K", {"TSCAL1": 0.1}), ("L", {})]
)
def test_other_ids_are_refused_by_name(path, form, keywords):
    key = fits.Column(KEY, form, array=np.array([1, 1]))
    with pytest.raises(InputError, match=f"allStar.fits: column {KEY} holds") as caught:
        list(read_labels(write_keys(path, key, **keywords), SURVEY))
    assert "integers" in caught.value.way_out


def test_flags_kept_as_floats_are_refused(path):
    write(path, [{}], drop=("STARFLAG",))
    with fits.open(path) as hdus:
        flag = fits.Column("STARFLAG", "D", array=[np.nan])
        columns = [flag, *hdus[1].columns]
        fits.BinTableHDU.from_columns(columns).writeto(path, overwrite=True)
    with pytest.raises(InputError, match="column STARFLAG holds floating-point"):
        list(read_labels(FileRef(str(path), 0), SURVEY))
