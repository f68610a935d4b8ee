"""What stands for no value, for true and between fields, as releases say it; in every format."""

import csv
import gzip
import io
import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.readers.text.delimiters import with_commas
from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import ConfigError, InputError

SOURCE, RVS = "gaia_source", "rvs_mean_spectrum"
DELIMITERS = [",", ";", "\t", "|", " "]


@pytest.fixture
def described(tiny_yaml, tmp_path):
    """Return a function that loads the tiny release with changes to a copy of it."""

    def load(change):
        content = yaml.safe_load(yaml.safe_dump(tiny_yaml))
        change(content)
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return load_release(path)

    return load


def column(content, name, **keys):
    for table in content["tables"].values():
        if name in table["columns"]:
            table["columns"][name] |= keys


def block_of(path, release, table=SOURCE):
    (block,) = read_blocks(FileRef(str(path), path.stat().st_size), table, release)
    return block


def write(path, columns):
    """Write columns in the format that the file's name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".fits":
        made = [_fits_column(name, np.asarray(values)) for name, values in columns.items()]
        fits.BinTableHDU.from_columns(made).writeto(path)
    else:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        path.write_bytes(gzip.compress(text.getvalue().encode()))
    return path


def _fits_column(name, values):
    if values.dtype.kind == "U":
        form = f"{values.dtype.itemsize // 4}A"
    else:
        form = {"i1": "I", "i2": "I", "i8": "K", "f4": "E", "f8": "D", "b1": "L"}[
            values.dtype.str[1:]
        ]
    return fits.Column(name, form, array=values)


FORMATS = pytest.mark.parametrize("name", ["x.csv.gz", "x.parquet", "x.fits"])


@FORMATS
def test_numbers_that_stand_for_no_value(described, tmp_path, name):
    def change(content):
        column(content, "grvs_mag", nulls=[-999, 99.5])
        column(content, "ra", nulls=[-999.0])
        column(content, "params", nulls=[-1])

    columns = {
        "source_id": [1, 2, 3],
        "ra": np.array([-999.0, 5.0, -999.25]),
        "grvs_mag": np.array([12.5, -999.0, 99.5], "f4"),
        "snr": np.array([-999.0, 1.0, 2.0], "f4"),
        "params": np.array([31, -1, -2], "i2"),
    }
    block = block_of(write(tmp_path / name, columns), described(change))
    np.testing.assert_array_equal(block.columns["ra"], [np.nan, 5.0, -999.25])
    np.testing.assert_array_equal(block.columns["grvs_mag"], np.float32([12.5, np.nan, np.nan]))
    np.testing.assert_array_equal(block.columns["snr"], np.float32([-999.0, 1.0, 2.0]))
    assert block.columns["params"].tolist() == [31, 0, -2]
    assert block.columns["grvs_mag"].dtype == np.float32
    assert block.columns["params"].dtype == np.int16
    assert block.cell_nulls == {}


def test_elements_that_stand_for_no_value(described, tmp_path):
    release = described(lambda content: column(content, "flux", nulls=[-9.99]))
    path = tmp_path / "x.csv"
    path.write_text('source_id,flux,flux_error\n5,"[1,-9.99,3,4]","[-9.99,1,1,1]"\n')
    block = block_of(path, release, RVS)
    np.testing.assert_array_equal(block.columns["flux"], np.float32([[1, np.nan, 3, 4]]))
    assert block.columns["flux_error"][0, 0] == np.float32(-9.99)


@pytest.mark.parametrize(
    ("name", "nulls", "message"),
    [
        ("has_rvs", [0], "nulls are numbers, and the column is of booleans"),
        ("params", [-99999], "nulls has -99999, which no int16 is"),
        ("params", [0.5], "nulls has 0.5, which no int16 is"),
        ("grvs_mag", [1e39], r"nulls has 1e\+39, which no float32 is"),
        ("grvs_mag", [float("nan")], "finite"),
        ("source_id", [-1], "columns must hold `source_id`"),
    ],
)
def test_nulls_that_cannot_stand_there_are_refused(described, name, nulls, message):
    with pytest.raises(ConfigError, match=message):
        described(lambda content: column(content, name, nulls=nulls))


@FORMATS
def test_booleans_are_bytes(tiny, tmp_path, name):
    columns = {"source_id": [1, 2, 3, 4], "ra": np.zeros(4)}
    columns["has_rvs"] = np.array([0, 1, 3, -1], "i1")
    block = block_of(write(tmp_path / name, columns), tiny)
    # 3 and -1 are no booleans, in any format: null, and counted.
    assert block.columns["has_rvs"].tolist() == [False, True, False, False]
    assert block.cell_nulls == {"has_rvs": 2}


@FORMATS
def test_booleans_are_words(tiny, tmp_path, name):
    columns = {"source_id": [1, 2, 3, 4, 5], "ra": np.zeros(5)}
    columns["has_rvs"] = np.array(["TRUE", "f", "null", "perhaps", " t "])
    block = block_of(write(tmp_path / name, columns), tiny)
    assert block.columns["has_rvs"].tolist() == [True, False, False, False, True]
    assert block.cell_nulls == {"has_rvs": 1}


@FORMATS
@pytest.mark.parametrize("values", [[3], [1, 2, 3]])
def test_a_byte_that_announces_spectra_is_the_same_in_every_format(
    described, tmp_path, name, values
):
    def change(content):
        column(content, "has_rvs", dtype="int8")
        (product,) = content["spectra"]["rvs"]["products"]
        product["announced_by"]["values"] = values

    release = described(change)
    given = [0, 1, 2, 3, 4]
    columns = {"source_id": [1, 2, 3, 4, 5], "ra": np.zeros(5)}
    columns["has_rvs"] = np.array(given, "i1")
    block = block_of(write(tmp_path / name, columns), release)
    said = release.spectra["rvs"].products[0].announced_by.said_by(block.columns["has_rvs"])
    assert said.tolist() == [value in values for value in given]


def test_words_in_parquet_may_be_null(tiny, tmp_path):
    columns = {"source_id": [1, 2], "ra": [0.0, 0.0], "has_rvs": pa.array(["t", None])}
    block = block_of(write(tmp_path / "x.parquet", columns), tiny)
    assert block.columns["has_rvs"].tolist() == [True, False]
    assert block.cell_nulls == {}


def test_words_for_numbers_stay_refused(tiny, tmp_path):
    columns = {"source_id": [1], "ra": [0.0], "params": ["31"]}
    with pytest.raises(InputError, match="column params holds text, but"):
        block_of(write(tmp_path / "x.parquet", columns), tiny)


ROWS = 'source_id,flux,flux_error,name,weight,n\n5,"[1,2,3,4]","[1,1,1,1]","a;b, ""c"" |\t",,3\n'


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_delimiters(described, tmp_path, delimiter, end, bom):
    release = described(lambda content: content["text"].update(delimiter=delimiter))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    for row in csv.reader(io.StringIO(ROWS)):
        # Blanks one after the other part fields once: what is empty is in quotes.
        writer.writerow(["null" if cell == "" else cell for cell in row])
    path = tmp_path / "x.csv"
    path.write_bytes((bom + "# a remark, with; all| of\tthem" + end + text.getvalue()).encode())
    block = block_of(path, release, RVS)
    assert block.columns["source_id"].tolist() == [5]
    assert block.columns["flux"].tolist() == [[1, 2, 3, 4]]
    assert block.columns["n"].tolist() == [3]
    assert np.isnan(block.columns["weight"]).all()
    assert (len(block.rejects), block.cell_nulls) == (0, {})


def test_lists_without_quotes_and_a_comma_that_is_no_delimiter(described, tmp_path):
    release = described(lambda content: content["text"].update(delimiter=";"))
    path = tmp_path / "x.csv"
    path.write_text(
        "source_id;flux;flux_error;name;weight;n\n"
        "5;[1, 2,3,4];(1,1,1,1);a, b, and c;[7,8];3\n"
        "6;[1,2,3,4];[1,1,1,1];;;1,5\n"
        "7;[1,2,3,4];[1,1,1,1];;3\n"
    )
    block = block_of(path, release, RVS)
    assert block.columns["source_id"].tolist() == [5, 6]
    assert block.columns["weight"][0].tolist() == [7, 8]
    assert block.columns["n"].tolist() == [3, 0]
    assert block.cell_nulls == {"n": 1}
    assert [(r.row, r.source_id, r.reason.value) for r in block.rejects] == [
        (2, 7, "malformed_row")
    ]


def test_columns_set_by_blanks(described, tmp_path):
    release = described(lambda content: content["text"].update(delimiter=" "))
    path = tmp_path / "x.csv"
    path.write_text(
        "  source_id      ra   grvs_mag   \n"
        "          1    10.5       12.5\n"
        '2 \t 11.5 "null"  \n'
        "  3   null\t13.5\n"
    )
    block = block_of(path, release)
    assert block.columns["source_id"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(block.columns["ra"], [10.5, 11.5, np.nan])
    np.testing.assert_array_equal(block.columns["grvs_mag"], np.float32([12.5, np.nan, 13.5]))


ECSV = """# %ECSV 1.0
# ---
{}# datatype:
# - {{name: source_id, datatype: int64}}
# - {{name: ra, datatype: float64, unit: deg}}
source_id{}ra
1{}2.5
"""


@pytest.mark.parametrize(
    ("line", "in_file", "described_as", "refused"),
    [
        ("# delimiter: ','\n", ",", ",", None),
        ("# delimiter: ' '\n", " ", " ", None),
        ("", " ", " ", None),
        ("# delimiter: ','\n", ",", ";", r"gives the delimiter ',', the release description ';'"),
        ("", " ", ",", r"gives the delimiter ' ', the release description ','"),
    ],
)
def test_the_header_of_an_ecsv_says_the_same(
    described, tmp_path, line, in_file, described_as, refused
):
    release = described(lambda content: content["text"].update(delimiter=described_as))
    path = tmp_path / "x.ecsv"
    path.write_text(ECSV.format(line, in_file, in_file))
    if refused is None:
        assert block_of(path, release).columns["ra"].tolist() == [2.5]
    else:
        with pytest.raises(InputError, match=refused):
            block_of(path, release)


def test_another_delimiter_is_refused(described):
    with pytest.raises(ConfigError, match=r"text\.delimiter"):
        described(lambda content: content["text"].update(delimiter=":"))


cells = st.text(st.sampled_from('ab,;|"[( \t.'), max_size=6)


@given(
    rows=st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=4),
    delimiter=st.sampled_from([";", "\t", "|"]),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
def test_fields_stay_what_they_are_wherever_pieces_end(rows, delimiter, cuts):
    """Quoted fields come back as they were, and no row gets another number of fields."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        rows
    )
    whole = ("names\n" + text.getvalue()).encode()
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    pieces = [whole[a:b] for a, b in itertools.pairwise(places)]
    made = b"".join(with_commas(iter(pieces), delimiter)).decode()
    assert list(csv.reader(io.StringIO(made)))[1:] == rows
