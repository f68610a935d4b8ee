"""Lists of numbers: the short cuts give what the general rules give, whatever the elements."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog_builder.archive.readers.text import lists
from catalog_builder.archive.readers.text.reader import pack_tokens
from catalog_builder.archive.readers.text.words import PADDING

TOKENS = pack_tokens(("null", "nan"))
NULLS = TOKENS.ctypes.data
LARGEST = 3.4028235677973366e38

plain = st.decimals(-10, 10, places=8, allow_nan=False).map(str)
numbers = st.one_of(
    plain,
    plain,
    st.floats(allow_nan=False).map(repr),
    st.floats(width=32, allow_nan=False).map(repr),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?(e-?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["NaN", "null", "inf", "-Infinity", "0.0", "-0.0", "1.0000000e-17", "+2.5"]),
)
elements = st.one_of(
    numbers,
    numbers,
    st.sampled_from(["", "x", "1.5x", "1.:5", "1.2e-1:", "0.1234567890123456", "--1.0", "1e", "."]),
)
blanks = st.sampled_from(["", "", "", " ", "  "])


def parse(text: str, length: int, *, general: bool = False):
    buffer = np.full(len(text) + 2 * PADDING, ord("7"), np.uint8)
    raw = np.frombuffer(text.encode() + b"\n", np.uint8)
    buffer[PADDING : PADDING + raw.size] = raw
    address, out = buffer.ctypes.data, np.full(length, -5.0)
    if general:
        cause, at, count = lists._parse_any(address, PADDING + 1, np.uint8(93), out, LARGEST, NULLS)
    else:
        marks = np.empty(length + lists.SPARE_MARKS, np.int64)
        cause, at, count = lists.parse_list(address, PADDING, out, LARGEST, NULLS, marks)
    return cause, at - PADDING, count, out


@given(st.lists(st.tuples(blanks, elements, blanks), min_size=1, max_size=300), st.integers(-1, 1))
@example([("", "0.98716646", "")] * 129, 0)
@example([("", "NaN", "")] * 3 + [("", "-0.008413001", "")], 0)
def test_short_cuts_give_what_the_general_rules_give(parts, surplus):
    text = "[" + ",".join(map("".join, parts)) + "]"
    length = max(0, len(parts) + surplus)
    quick, slow = parse(text, length), parse(text, length, general=True)
    assert quick[:3] == slow[:3]
    np.testing.assert_array_equal(quick[3], slow[3])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False).map(repr), min_size=1))
def test_numbers_are_those_of_python(texts):
    cause, _, _, out = parse("[" + ",".join(texts) + "]", len(texts))
    expected = np.array([float(text) for text in texts])
    if (abs(expected) >= LARGEST).any():
        assert cause == lists.BAD_ELEMENT
    else:
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("text", ["[1.0,2.0", "[1.0,2.0,", "[", "[1.0,2.0)", "[1.0,\n2.0]"])
def test_a_list_without_its_end_is_bad(text):
    cause, _, _, out = parse(text, 2)
    assert cause in (lists.BAD_ELEMENT, lists.WRONG_LENGTH)
    assert np.isnan(out).all()
