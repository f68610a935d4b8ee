"""The compiled number parser against Python's own."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog_builder.archive.readers.text import numbers
from catalog_builder.archive.readers.text.reader import pack_tokens
from catalog_builder.archive.readers.text.words import PADDING

TOKENS = pack_tokens(("", "null", "nan"))
NULLS = TOKENS.ctypes.data


def parse(text):
    raw = text if isinstance(text, bytes) else text.encode()
    buffer = np.frombuffer(raw + b"\n" + b"7" * PADDING, np.uint8).copy()
    value, at, status = numbers.parse_value(buffer.ctypes.data, 0, NULLS)
    assert 0 <= at <= len(raw)
    return value, at, status


@given(st.floats(allow_nan=False))
@example(5e-324)
@example(2.2250738585072014e-308)
@example(1.7976931348623157e308)
@example(9007199254740993.0)
@example(2044234582497731.5)
@example(-0.0)
def test_float64_round_trip(value):
    parsed, _, status = parse(repr(value))
    assert status == numbers.OK
    assert parsed == value
    assert np.signbit(parsed) == np.signbit(value)


@given(
    st.integers(0, 10**19 - 1),
    st.integers(-345, 310),
    st.sampled_from(["", "-", "+"]),
    st.sampled_from(["e", "E"]),
    st.integers(0, 19),
)
@example(9007199254740993, 0, "", "e", 0)  # exactly half way between two float64
@example(4503599627370497, -1, "", "e", 3)
@example(24703282292062327, -340, "", "e", 0)  # half of the smallest subnormal
@example(123456789012345678, 22, "", "e", 0)
def test_decimals_of_up_to_19_digits_are_correctly_rounded(mantissa, power, sign, letter, point):
    digits = str(mantissa)
    point = min(point, len(digits))
    text = f"{sign}{digits[: len(digits) - point]}.{digits[len(digits) - point :]}{letter}{power}"
    parsed, at, status = parse(text)
    assert (status, at) == (numbers.OK, len(text))
    assert parsed == float(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_many_digits_are_right_to_one_unit(value):
    text = format(value, "f")
    parsed, _, status = parse(text)
    assert status == numbers.OK
    assert abs(parsed - float(text)) <= np.spacing(abs(float(text)))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_round_trip_in_every_notation(value):
    single = np.float32(value)
    for text in (
        str(single),
        np.format_float_positional(single, unique=True),
        np.format_float_scientific(single, unique=True),
        f"{value:.9e}",
    ):
        assert np.float32(parse(text)[0]) == single


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("00001.5", 1.5),
        ("0." + "0" * 40 + "1", 1e-41),
        ("1" + "0" * 40, 1e40),
        ("1e400", np.inf),
        ("-1e400", -np.inf),
        ("1e-400", 0.0),
        ("1e99999999999999999999", np.inf),
        ("0e99999999999999999999", 0.0),
        ("inf", np.inf),
        ("-Infinity", -np.inf),
        ("+INF", np.inf),
    ],
)
def test_spellings(text, value):
    assert parse(text) == (value, len(text), numbers.OK)


@pytest.mark.parametrize("text", ["", "null", "NULL", "NaN", "nan", "nAn"])
def test_nulls(text):
    value, at, status = parse(text)
    assert (at, status) == (len(text), numbers.NULL)
    assert np.isnan(value)


@pytest.mark.parametrize(
    "text",
    ["abc", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1_000", "0x10", "--1", "nul", "nulls",
     "infinit", "infinityy", "1a", "1e5x", "1/2", "١", "-null", "1;2"],
)  # fmt: skip
def test_nonsense(text):
    value, _, status = parse(text)
    assert status == numbers.BAD
    assert np.isnan(value)


@pytest.mark.parametrize("end", [",", "]", ")", '"', " ", "\t", "\r", "\n"])
def test_what_ends_a_token(end):
    assert parse(f"1.5{end}9") == (1.5, 3, numbers.OK)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_no_bytes_lead_outside_the_text(raw):
    line = raw.split(b"\n")[0]
    value, at, status = parse(line)
    assert at <= len(line)
    assert status in {numbers.OK, numbers.NULL, numbers.BAD}
    if status == numbers.OK:
        expected = float(line[:at])
        assert value == expected or abs(value - expected) <= np.spacing(abs(expected))


@given(st.integers(-(2**63) + 1, 2**63 - 1))
@example(4611686018427387905)
def test_integers_are_exact(value):
    buffer = np.frombuffer(f"{value},".encode() + b"\n" * PADDING, np.uint8).copy()
    parsed, _, status = numbers.parse_integer(buffer.ctypes.data, 0, NULLS)
    assert (parsed, status) == (value, numbers.OK)


@pytest.mark.parametrize(
    ("text", "value", "status"),
    [
        ("31.0", 31, numbers.OK),
        ("3.1e1", 31, numbers.OK),
        ("-7.", -7, numbers.OK),
        ("31.5", 0, numbers.BAD),
        ("9223372036854775808", 0, numbers.BAD),
        ("99999999999999999999999", 0, numbers.BAD),
        ("1e300", 0, numbers.BAD),
        ("inf", 0, numbers.BAD),
        ("null", 0, numbers.NULL),
        ("", 0, numbers.NULL),
        ("12a", 0, numbers.BAD),
        ("0x1f", 0, numbers.BAD),
    ],
)
def test_integers_in_other_clothes(text, value, status):
    buffer = np.frombuffer(text.encode() + b"\n" * PADDING, np.uint8).copy()
    assert numbers.parse_integer(buffer.ctypes.data, 0, NULLS)[::2] == (value, status)
