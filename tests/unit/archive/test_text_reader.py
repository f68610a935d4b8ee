"""CSV and ECSV: what is read, what is refused, and what is left out and counted."""

import contextlib
import gzip
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.readers import DamagedFileError, read_blocks
from catalog_builder.archive.readers.block import Block
from catalog_builder.archive.rejects import RejectReason
from catalog_builder.ground.errors import CatalogBuilderError, InputError

HEADER = "source_id,flux,flux_error,weight,n\n"
GOOD = '5,"[1,2,3,4]","[0.1,0.2,0.3,0.4]","[7,8]",3\n'

ECSV = """# %ECSV 1.0
# ---
# delimiter: ','
# datatype:
# - {name: source_id, datatype: int64}
# - {name: flux, datatype: string, subtype: 'float32[null]'}
# - {name: flux_error, datatype: string, subtype: 'float32[null]'}
# - {name: weight, datatype: string, subtype: 'float64[null]'}
# - {name: n, datatype: int16}
"""


def only(blocks: list[Block]) -> Block:
    (block,) = blocks
    return block


def reasons(block: Block) -> list[tuple[int, int | None, str]]:
    return [(row.row, row.source_id, row.reason.value) for row in block.rejects]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.ecsv", "x.ecsv.gz"])
@pytest.mark.parametrize("header", [HEADER, ECSV + HEADER, "# just a remark\n" + HEADER])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_good_row(read, name, header, end):
    block = only(read((header + GOOD).replace("\n", end), name=name))
    columns = block.columns
    assert columns["source_id"].tolist() == [5]
    assert columns["flux"].dtype == np.float32
    assert columns["flux"].tolist() == [[1, 2, 3, 4]]
    assert columns["flux_error"].tolist() == np.float32([[0.1, 0.2, 0.3, 0.4]]).tolist()
    assert columns["weight"].dtype == np.float64
    assert columns["weight"].tolist() == [[7, 8]]
    assert columns["n"].dtype == np.int16
    assert columns["n"].tolist() == [3]
    assert (block.n_read, block.n_rows, len(block.rejects), block.cell_nulls) == (1, 1, 0, {})


@pytest.mark.parametrize(
    "cell",
    ["[1,2,null,4]", "(1, 2, NaN, 4)", "[ 1.0 , 2e0,nan,+4.]", "[1,2,,4]", " [1,2,NULL,4] ",
     "[1\t,2,\tnull,4]", "(1,2, ,4)"],
)  # fmt: skip
def test_spellings_of_an_array(read, cell):
    block = only(read(HEADER + f'5,"{cell}","[1,1,1,1]",,\n'))
    assert block.columns["flux"].tolist()[0][::3] == [1, 4]
    assert block.columns["flux"][0, 1] == 2
    assert np.isnan(block.columns["flux"][0, 2])


@pytest.mark.parametrize("cell", ["", "null", '"null"', '""', "NaN", " null ", "NULL"])
def test_a_null_array_is_a_row_of_nan(read, cell):
    block = only(read(HEADER + f'5,{cell},"[1,1,1,1]",{cell},1\n'))
    assert block.columns["flux"].shape == (1, 4)
    assert np.isnan(block.columns["flux"]).all()
    assert np.isnan(block.columns["weight"]).all()
    assert block.cell_nulls == {}


def test_columns_are_found_by_name(read):
    text = (
        'junk,N,weight,"flux_error",more,Flux,SOURCE_ID\n'
        '"a, ""quoted"" thing",3,"[7,8]","[4,3,2,1]",1,"[1,2,3,4]",5\n'
    )
    columns = only(read(text)).columns
    assert columns["source_id"].tolist() == [5]
    assert columns["flux"].tolist() == [[1, 2, 3, 4]]
    assert columns["flux_error"].tolist() == [[4, 3, 2, 1]]
    assert columns["n"].tolist() == [3]


def test_the_exact_name_wins_over_other_cases(read):
    text = 'FLUX,flux,flux_error,source_id\nx,"[1,2,3,4]","[1,2,3,4]",5\n'
    assert only(read(text)).columns["flux"].tolist() == [[1, 2, 3, 4]]


def test_absent_optional_columns_are_null(read):
    columns = only(read('source_id,flux,flux_error\n5,"[1,2,3,4]","[1,2,3,4]"\n')).columns
    assert columns["n"].tolist() == [0]
    assert np.isnan(columns["weight"]).all()


def test_only_the_columns_asked_for(read):
    block = only(read(HEADER + GOOD, columns=["n"]))
    assert list(block.columns) == ["source_id", "n"]
    with pytest.raises(InputError, match="no described column fluxx"):
        read(HEADER + GOOD, columns=["fluxx"])


@pytest.mark.parametrize("true", ["True", "TRUE", "t", "1", '"True"', " true"])
@pytest.mark.parametrize("false", ["False", "f", "0", "null", "", '"false"'])
def test_booleans(read, true, false):
    text = f"source_id,ra,has_rvs\n1,2.5,{true}\n2,2.5,{false}\n"
    block = only(read(text, "gaia_source"))
    assert block.columns["has_rvs"].tolist() == [True, False]
    assert block.cell_nulls == {}


def test_bad_cells_of_scalars_become_null_and_are_counted(read):
    text = (
        "source_id,ra,grvs_mag,snr,params,has_rvs\n"
        "1,abc,12x,1e39,40000,maybe\n"
        '2,1.5,"1 2",1e38,-3.0,"t"x\n'
        "3,null,inf,-inf,,\n"
    )
    block = only(read(text, "gaia_source"))
    columns = block.columns
    assert np.isnan(columns["ra"]).tolist() == [True, False, True]
    assert np.isnan(columns["grvs_mag"]).tolist() == [True, True, False]
    assert np.isnan(columns["snr"]).tolist() == [True, False, False]
    assert columns["params"].tolist() == [0, -3, 0]
    assert columns["has_rvs"].tolist() == [False, False, False]
    assert block.cell_nulls == {"ra": 1, "grvs_mag": 2, "snr": 1, "params": 1, "has_rvs": 2}
    assert not block.rejects


def test_alternative_names(read):
    assert only(read("source_id,ra,rvs_snr\n1,2,9\n", "gaia_source")).columns["snr"][0] == 9
    assert only(read("source_id,ra,snr\n1,2,9\n", "gaia_source")).columns["snr"][0] == 9


@pytest.mark.parametrize(
    "key", ["", "null", "abc", "0", "-5", "5.5", "9223372036854775808", "1e30"]
)
def test_a_bad_source_id_rejects_the_row(read, key):
    block = only(read(HEADER + GOOD + GOOD.replace("5", key, 1) + GOOD))
    assert reasons(block) == [(1, None, "bad_source_id")]
    assert block.row_numbers.tolist() == [0, 2]
    assert block.n_read == 3


@pytest.mark.parametrize(
    ("cell", "reason", "detail"),
    [
        ('"[1,2,3]"', "wrong_array_length", "flux: 3 elements, expected 4"),
        ('"[1,2,3,4,5]"', "wrong_array_length", "flux: 5 elements, expected 4"),
        ('"[]"', "wrong_array_length", "flux: 0 elements, expected 4"),
        ('"[ ]"', "wrong_array_length", "flux: 0 elements"),
        ('"[1,2,abc,4]"', "bad_number", "flux: element 2 is not a number"),
        ('"[1,2,1e39,4]"', "bad_number", "flux: element 2"),
        ('"[1,2,3,1e39]"', "bad_number", "flux: element 3"),
        ('"[1,2,3,4"', "bad_number", "flux: element 4"),
        ('"[1,2,3,4)"', "bad_number", "flux: element 4"),
        ('"[1;2;3;4]"', "bad_number", "flux: element 0"),
        ('"[1 2 3 4]"', "bad_number", "flux: element 1"),
        ('"1,2,3,4"', "bad_number", "flux: element 0"),
        ('"[1,2,3,4] x"', "bad_number", "flux"),
        ('"[1,2,3,4]" x', "bad_number", "flux"),
        ('"[[1,2],[3,4]]"', "bad_number", "flux: element 0"),
        ("abc", "bad_number", "flux: element 0"),
        ('"[1,2,3,4]', "malformed_row", "7 fields"),
        ("[1,2,3,4", "malformed_row", "7 fields"),
    ],
)
def test_a_bad_required_array_rejects_the_row(read, cell, reason, detail):
    bad = f'6,{cell},"[1,1,1,1]",,1\n'
    block = only(read(HEADER + GOOD + bad + GOOD))
    assert reasons(block) == [(1, 6, reason)]
    assert block.rejects[0].detail.startswith(detail)
    assert block.columns["flux"].tolist() == [[1, 2, 3, 4]] * 2


def test_a_bad_optional_array_is_null(read):
    cells = ['"[1]"', '"[1,x]"', '"[1,2]"', "null"]
    block = only(read(HEADER + "".join(f'5,"[1,2,3,4]","[1,2,3,4]",{c},1\n' for c in cells)))
    assert not block.rejects
    assert block.cell_nulls == {"weight": 2}
    assert np.isnan(block.columns["weight"]).all(axis=1).tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ('5,"[1,2,3,4]","[1,2,3,4]",\n', "4 fields, the header has 5"),
        ('5,"[1,2,3,4]","[1,2,3,4]",,1,9\n', "6 fields, the header has 5"),
        ("5\n", "1 fields, the header has 5"),
        ("# a remark\n", "1 fields"),
        ('5,"[1,2,3,4]","[1,2,3,4]",,"1\n', "n: an opening quote without a closing one"),
    ],
)
def test_a_row_of_another_length(read, line, detail):
    block = only(read(HEADER + GOOD + line + GOOD))
    assert [row.reason for row in block.rejects] == [RejectReason.MALFORMED_ROW]
    assert block.rejects[0].detail.startswith(detail)
    assert block.n_rows == 2


def test_a_lost_quote_costs_one_row(read):
    lost = GOOD.replace('[7,8]"', "[7,8]")
    block = only(read(HEADER + GOOD * 3 + lost + GOOD * 3))
    assert reasons(block) == [(3, 5, "malformed_row")]
    assert block.n_rows == 6


def test_rejected_rows_do_not_count_cells(read):
    block = only(read(HEADER + '5,"[1]","[1,2,3,4]","[1]",x\n'))
    assert (block.n_rows, block.cell_nulls) == (0, {})


def test_more_rejects_than_the_parser_takes_at_once(read):
    block = only(read(HEADER + (GOOD + "bad\n") * 1000))
    assert block.n_rows == 1000
    assert [row.row for row in block.rejects] == list(range(1, 2000, 2))


@pytest.mark.parametrize("block_rows", [1, 3, 7, 8, 100])
def test_blocks_have_whole_numbers_of_rows(read, block_rows):
    lines = "".join(f'{k + 1},"[{k},2,3,4]","[1,1,1,1]",,\n' for k in range(8))
    blocks = read(HEADER + lines, block_rows=block_rows)
    assert [block.n_rows for block in blocks[:-1]] == [block_rows] * (len(blocks) - 1)
    assert np.concatenate([b.columns["flux"][:, 0] for b in blocks]).tolist() == list(range(8))
    assert np.concatenate([b.row_numbers for b in blocks]).tolist() == list(range(8))
    assert [block.first_row for block in blocks] == list(range(0, 8, block_rows))


def test_no_newline_at_the_end_and_blank_lines(read):
    text = HEADER + "\n" + GOOD + "\r\n\n" + GOOD.rstrip("\n")
    assert only(read(text)).row_numbers.tolist() == [0, 1]


@pytest.mark.parametrize("text", [HEADER, ECSV + HEADER, HEADER.rstrip("\n"), HEADER + "\n\n"])
def test_header_only(read, text):
    assert read(text) == []


@pytest.mark.parametrize("text", ["", "\n\n", ECSV, "# remark"])
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_no_header_at_all(read, text, name):
    with pytest.raises(DamagedFileError, match="no line of column names") as caught:
        read(text, name=name)
    assert caught.value.reason is RejectReason.TRUNCATED_FILE


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("source_id,flux\n", "column flux_error is missing; the header has: source_id, flux"),
        ("flux,flux_error\n", "column source_id is missing"),
        ("source_id,flux,flux,flux_error\n", "column flux stands 2 times"),
        ("source_id,Flux,FLUX,flux_error\n", "column flux stands 2 times"),
        (ECSV.replace("','", "' '") + HEADER, "delimiter ' '"),
        (ECSV.replace("datatype:\n", "datatype\n") + HEADER, "not YAML"),
        (ECSV.replace("int16}", "int16") + HEADER, "not YAML"),
        ("# %ECSV 1.0\n# - a\n" + HEADER, "holds no settings"),
        ("# %ECSV 1.0\n# delimiter: ','\n" + HEADER, "does not list the columns"),
        (ECSV.replace("int16}", "int16, unit: mas}") + HEADER, "n is in 'mas'.*'no unit'"),
        (ECSV.replace("n, datatype: int16", "n, datatype: string") + HEADER, "n is described as s"),
        (
            ECSV.replace("flux, datatype: string, subtype: 'float32[null]'", "flux, datatype: f")
            + HEADER,
            "flux is described as f, but .* a list of 4 float32",
        ),
    ],
)
def test_headers_that_are_refused(read, header, message):
    with pytest.raises(InputError, match=message) as caught:
        read(header + GOOD)
    assert "x.csv" in str(caught.value)


def test_another_unit_is_refused_and_another_spelling_is_not(read):
    text = (
        "# %ECSV 1.0\n# delimiter: ','\n# datatype:\n"
        "# - {name: ra, datatype: float64, unit: UNIT}\n"
        "source_id,ra\n1,2.5\n"
    )
    for unit in ("deg", "degree"):
        assert only(read(text.replace("UNIT", unit), "gaia_source")).columns["ra"][0] == 2.5
    with pytest.raises(InputError, match=r"ra is in 'rad'.*'deg'"):
        read(text.replace("UNIT", "rad"), "gaia_source")


def _good_until_damage(path, release, **options):
    iterator = read_blocks(FileRef(str(path), 0), "rvs_mean_spectrum", release, **options)
    blocks = []
    try:
        for block in iterator:
            blocks.append(block)
    except DamagedFileError as damage:
        return blocks, damage
    return blocks, None


def _random_text(n_rows):
    rng = np.random.default_rng(1)
    lines = [
        f'{k + 1},"{rng.random(4).tolist()}","{rng.random(4).tolist()}",,1\n' for k in range(n_rows)
    ]
    return (HEADER + "".join(lines)).encode()


@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.999])
def test_a_truncated_gzip_yields_its_complete_rows(tiny, tmp_path, share):
    whole = gzip.compress(_random_text(3000))
    path = tmp_path / "x.csv.gz"
    path.write_bytes(whole[: int(len(whole) * share)])
    blocks, damage = _good_until_damage(path, tiny, block_rows=100)
    assert damage is not None
    assert damage.reason is RejectReason.TRUNCATED_FILE
    rows = sum(block.n_rows for block in blocks)
    assert abs(rows - 3000 * share) < 150
    assert all(not block.rejects for block in blocks)


def test_a_truncated_plain_file_loses_only_its_last_row(read):
    text = _random_text(10)
    block = only(read(text[:-20]))
    assert block.n_rows == 9
    assert len(block.rejects) == 1


def test_gzip_in_several_members_and_padded(tiny, tmp_path):
    text = _random_text(500)
    path = tmp_path / "x.csv.gz"
    cut = len(text) // 2 + 3
    path.write_bytes(gzip.compress(text[:cut]) + gzip.compress(text[cut:]) + b"\0" * 512)
    blocks, damage = _good_until_damage(path, tiny)
    assert damage is None
    assert sum(block.n_rows for block in blocks) == 500


def test_a_wrong_crc_and_no_gzip_at_all(tiny, tmp_path):
    whole = gzip.compress(_random_text(50))
    path = tmp_path / "x.csv.gz"
    for content in (whole[:-8] + b"\0\0\0\0" + whole[-4:], b"not gzip" * 20):
        path.write_bytes(content)
        _, damage = _good_until_damage(path, tiny)
        assert damage is not None
        assert damage.reason is RejectReason.UNREADABLE_FILE


def test_a_missing_file_and_no_rows_at_once(tiny, tmp_path):
    with pytest.raises(DamagedFileError, match=r"gone\.csv cannot be read"):
        list(read_blocks(FileRef(str(tmp_path / "gone.csv"), 0), "rvs_mean_spectrum", tiny))
    with pytest.raises(ValueError, match="block_rows"):
        list(read_blocks(FileRef("x.csv", 0), "rvs_mean_spectrum", tiny, block_rows=0))


def test_a_huge_row_is_read_and_an_endless_one_refused(read, tiny, tmp_path):
    padded = GOOD.replace("[1,2", "[1," + " " * 3_000_000 + "2")
    assert only(read(HEADER + padded + GOOD, name="x.csv.gz")).columns["flux"].shape == (2, 4)
    path = tmp_path / "endless.csv.gz"
    path.write_bytes(gzip.compress(HEADER.encode() + GOOD.encode() + b"1" * (40 << 20), 1))
    blocks, damage = _good_until_damage(path, tiny)
    assert sum(block.n_rows for block in blocks) == 1
    assert "line of more than 32 MiB" in str(damage)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("# x" * (3 << 20) + "\n" + HEADER, "header of more than 4 MiB"),
        ("#\n" * 30_000 + HEADER, "or 20000 lines"),
        (HEADER.rstrip() + ",x" * 10_000 + "\n", "more than 10000 columns"),
    ],
)
def test_an_endless_header_is_refused(read, header, reason):
    with pytest.raises(DamagedFileError, match=reason):
        read(header, name="x.csv.gz")


@pytest.mark.parametrize("bomb", ["- " * 200_000, "x: " + "[" * 200_000, "a: &a [*a]"])
def test_a_header_that_ends_a_parser_is_refused(read, bomb):
    with pytest.raises(InputError, match="its ECSV header is not taken"):
        read(f"# %ECSV 1.0\n# ---\n# {bomb}\n" + HEADER, name="x.ecsv.gz")


def test_aliases_in_the_name_of_a_column_are_not_written_out(read):
    laugh = "\n".join(
        [
            "# %ECSV 1.0",
            "# ---",
            "# delimiter: ','",
            "# a0: &a0 [x, x, x, x, x, x, x, x, x]",
            *(f"# a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)),
            "# datatype:",
            "# - {name: *a9, datatype: float64}",
        ]
    )
    with pytest.raises(InputError, match="aliases written out"):
        read(laugh + "\n" + HEADER, name="x.ecsv.gz")


def test_memory_does_not_grow_with_the_file(tiny, tmp_path):
    peaks = []
    for n_rows in (20_000, 80_000):
        path = tmp_path / f"{n_rows}.csv.gz"
        path.write_bytes(gzip.compress(HEADER.encode() + GOOD.encode() * n_rows, 1))
        tracemalloc.start()
        total = sum(
            block.n_rows for block in read_blocks(FileRef(str(path), 0), "rvs_mean_spectrum", tiny)
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == n_rows
    assert peaks[1] < 1.2 * peaks[0]


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
spelled = st.one_of(
    finite.map(lambda value: (str(np.float32(value)), value)),
    finite.map(lambda value: (f"{value:.9e}".upper(), value)),
    st.sampled_from([(text, np.nan) for text in ("", "null", "NaN", "nan", "NULL")]),
)
no_fixture_state = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@no_fixture_state
@given(
    st.lists(st.lists(spelled, min_size=4, max_size=4), min_size=1, max_size=5),
    st.sampled_from(["[]", "()"]),
    st.sampled_from([",", ", ", " ,", "\t,  "]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_arrays_round_trip_in_every_spelling(read, rows, brackets, comma, end):
    lines = [
        f'7,"{brackets[0]}{comma.join(text for text, _ in row)}{brackets[1]}","[1,1,1,1]",,1'
        for row in rows
    ]
    block = only(read(HEADER + end.join(lines) + end))
    expected = np.array([[value for _, value in row] for row in rows], np.float32)
    np.testing.assert_array_equal(block.columns["flux"], expected)


@no_fixture_state
@given(st.binary(max_size=400))
def test_any_bytes_after_the_header_are_rows_or_rejects(read, raw):
    blocks = read(HEADER.encode() + raw)
    lines = [line for line in raw.split(b"\n") if line not in {b"", b"\r"}]
    assert sum(block.n_read for block in blocks) == len(lines)
    for block in blocks:
        assert block.n_read == block.n_rows + len(block.rejects)


tokens = st.sampled_from(
    [b'"', b",", b"[", b"]", b"(", b")", b"\n", b"\r", b"1", b"2.5e-3", b"null", b"NaN", b" ",
     b"abc", b'""', b"-", b"e", b".", b"#", b"\0", b"\xff", b"[1,2,3,4]", b"9" * 25]
)  # fmt: skip


@no_fixture_state
@given(st.lists(tokens, max_size=60).map(b"".join), st.integers(1, 3))
def test_fragments_of_tables_never_break_the_books(read, raw, block_rows):
    blocks = read(HEADER.encode() + GOOD.encode() + raw, block_rows=block_rows)
    numbers = [row.row for block in blocks for row in block.rejects]
    numbers += [row for block in blocks for row in block.row_numbers.tolist()]
    assert sorted(numbers) == list(range(len(numbers)))
    assert blocks[0].columns["flux"].shape[1] == 4


@no_fixture_state
@given(st.binary(max_size=300), st.sampled_from(["x.csv", "x.csv.gz", "x.fits", "x.parquet"]))
def test_any_file_gives_only_documented_errors(tiny, tmp_path, raw, name):
    path = tmp_path / name
    path.write_bytes(raw)
    with contextlib.suppress(CatalogBuilderError):
        list(read_blocks(FileRef(str(path), len(raw)), "rvs_mean_spectrum", tiny))


@no_fixture_state
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans())
def test_damage_anywhere_in_an_ecsv_file(tiny, tmp_path, place, damage, compress):
    text = (ECSV + HEADER + GOOD * 20).encode()
    content = gzip.compress(text, mtime=0) if compress else text
    place %= len(content)
    path = tmp_path / ("x.csv.gz" if compress else "x.csv")
    path.write_bytes(content[:place] + damage + content[place + len(damage) :])
    with contextlib.suppress(CatalogBuilderError):
        for block in read_blocks(FileRef(str(path), 0), "rvs_mean_spectrum", tiny):
            assert block.n_read == block.n_rows + len(block.rejects)


@pytest.mark.parametrize("line", ["x\n", "-1,null,null,,\n", '5,"[1]",null,,\n', '"\n'])
def test_a_million_bad_rows_cost_next_to_nothing(read, line):
    read(HEADER + GOOD)  # the first call compiles
    begin = time.process_time()
    blocks = read(HEADER + GOOD + line * 1_000_000, name="x.csv.gz")
    assert time.process_time() - begin < 2
    assert sum(len(block.rejects) for block in blocks) == 1_000_000
    assert max(block.n_read for block in blocks) <= 2 * 2048


FLOAT_KEYS = ["5.0", "5.", ".5", "5e0", "6.917528997577384e+18", "6917528997577384321.0", "-1E3"]


@pytest.mark.parametrize("key", FLOAT_KEYS)
def test_a_key_written_as_a_float_is_rejected(read, key):
    block = only(read(HEADER + GOOD + GOOD.replace("5", key, 1) + GOOD))
    assert reasons(block) == [(1, None, "bad_source_id")]
    assert "source_id: a floating-point number" in block.rejects[0].detail


@pytest.mark.parametrize("key", FLOAT_KEYS)
@pytest.mark.parametrize("columns", [None, ["source_id"]])
def test_a_file_whose_keys_are_floats_is_refused_by_name(read, key, columns):
    text = HEADER + GOOD.replace("5", key, 1) * 5
    with pytest.raises(InputError, match=r"x\.csv: column source_id holds floating-p") as caught:
        read(text, columns=columns, block_rows=2)
    assert "64-bit integers" in caught.value.way_out


@pytest.mark.parametrize("kind", ["float64", "float32", "float16"])
def test_a_key_described_as_a_float_is_refused_by_name(read, kind):
    header = ECSV.replace("source_id, datatype: int64", f"source_id, datatype: {kind}") + HEADER
    with pytest.raises(InputError, match="column source_id holds floating-point"):
        read(header + GOOD)


def test_a_key_described_as_a_boolean_is_refused(read):
    header = ECSV.replace("source_id, datatype: int64", "source_id, datatype: bool") + HEADER
    with pytest.raises(InputError, match="source_id is described as bool"):
        read(header + GOOD)


@pytest.mark.parametrize("kind", ["uint64", "int64", "uint32"])
def test_integers_of_any_kind_are_keys(read, kind):
    header = ECSV.replace("source_id, datatype: int64", f"source_id, datatype: {kind}") + HEADER
    assert only(read(header + GOOD)).columns["source_id"].tolist() == [5]


def test_a_bad_member_gives_no_row_and_those_before_it_do(tiny, tmp_path):
    text = _random_text(4000)
    cut = text.index(b"\n2001,") + 1
    one, other = gzip.compress(text[:cut]), gzip.compress(text[cut:])
    path = tmp_path / "x.csv.gz"
    for content, rows in ((one + other[:-8] + bytes(8), 2000), (one[:-8] + bytes(8) + other, 0)):
        path.write_bytes(content)
        blocks, damage = _good_until_damage(path, tiny, block_rows=100)
        assert sum(block.n_read for block in blocks) == rows
        assert damage.reason is RejectReason.UNREADABLE_FILE
