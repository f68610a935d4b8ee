"""Conditions: what they mean, and that nothing else is taken for one."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.catalog.where import parse_where
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.agreed import default_schema

SCHEMA = default_schema()
CONFLICT = SCHEMA.flags["rvs_xp_conflict"].mask
ROWS = {
    "source_id": np.array([2**62 + 1, 5, 6, 7, 8]),
    "teff": np.array([4000, 5000, np.nan, 6000, 0.1], dtype=np.float32),
    "logg": np.array([1, 2, 3, np.nan, -5], dtype=np.float32),
    "quality_tier": np.array([1, 2, 0, 3, 2], dtype=np.uint8),
    "has_rvs": np.array([True, False, True, False, True]),
    "training_range": np.array([b"0000000", b"1000000", b"9999999", b"0000000", b"0000001"]),
    "flags": np.array([CONFLICT, 1, 0, CONFLICT | 1, 2]),
}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("teff > 4000", [1, 3]),
        ("4000 <= teff < 6000", [0, 1]),
        ("not teff > 4000", [0, 2, 4]),
        ("teff is null or logg is null", [2, 3]),
        ("teff is not null and logg IS NOT NULL".replace("IS NOT NULL", "is not NULL"), [0, 1, 4]),
        ("teff is None", [2]),
        ("teff != 4000", [1, 3, 4]),  # a comparison with a null is false
        ("teff not in (4000, 5000)", [3, 4]),
        ("teff in [4000, 6000]", [0, 3]),
        ("teff <= 0.1", [4]),  # in the precision of the column
        ("gold", [0]),
        ("quality_tier <= silver and quality_tier != 0", [0, 1, 4]),
        ("quality_tier in (gold, use_with_care)", [0, 3]),
        ("quality_tier in gold", [0]),
        ("rvs_xp_conflict", [0, 3]),
        ("not rvs_xp_conflict and rvs_used", [1]),
        ("has_rvs and not gold", [2, 4]),
        ("source_id == 4611686018427387905", [0]),  # which no double holds
        ("source_id > 10000000000000000000000", []),
        ("source_id > -10000000000000000000000", [0, 1, 2, 3, 4]),
        ("source_id == -5 or source_id == +5", [1]),
        ("training_range == '0000000'", [0, 3]),
        ('training_range != "0000000"', [1, 2, 4]),
        ("abs(logg) > 2", [2, 4]),
        ("-logg > 2", [4]),
        ("teff / 1000 - logg == 3", [0, 1]),
        ("quality_tier - 3 < -1", [0, 2]),  # not in bytes
        ("teff / 0 > 1", [0, 1, 3, 4]),
        ("1 < 2", [0, 1, 2, 3, 4]),
        ("2 < 1", []),
        ("(teff > 4000\n or gold)", [0, 1, 3]),
        ("quality_tier == 300", []),
    ],
)
def test_what_it_means(text, rows):
    where = parse_where(text, SCHEMA)
    assert set(where.columns) <= set(ROWS)
    assert np.flatnonzero(where(ROWS)).tolist() == rows


def test_it_says_which_columns_it_needs():
    where = parse_where("not rvs_xp_conflict and gold and logg < teff", SCHEMA)
    assert where.columns == ("teff", "logg", "quality_tier", "flags")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tefff > 3", "no column, flag or tier 'tefff'.*Did you mean teff"),
        ("rvs_conflict", "Did you mean rvs_xp_conflict"),
        ("golden", "Did you mean gold"),
        ("teff", "teff is a column of float32: compare it"),
        ("teff and gold", "teff is a column"),
        ("teff = 3", "equality is =="),
        ("teff > 3 AND gold", "write and in small"),
        ("teff <> 3", "inequality is !="),
        ("teff > 3 && gold", "`and` and `or`"),
        ("(teff > 3) & gold", "write `and`"),
        ("gold & teff > 3", "'gold & teff': write `and`"),
        ("~gold", "write `not`"),
        ("tier == 1", "Did you mean quality_tier"),
        ("teff == null", "null goes with `is`"),
        ("teff is 5", "`is` goes with null alone"),
        ("rvs_used == 1", "rvs_used is a flag"),
        ("has_rvs == True", "write the name"),
        ("teff > '5'", "is text"),
        ("training_range + 1 > 3", "is text"),
        ("3", "neither true nor false"),
        ("gold, silver", "neither true nor false"),
        ("", "cannot be read"),
        ("teff >", "cannot be read"),
        ("teff.real > 1", "no number"),
        ("teff[0] > 1", "no number"),
        ("__import__('os').system('true')", "neither true nor false"),
        ("open('x') == 1", "no number"),
        ("abs(teff, 1) > 1", "no number"),
        ("2 ** 2 > 1", "no number"),
        ("teff > (lambda: 1)", "no number"),
        ("[x for x in ()]", "neither true nor false"),
        ("(yield) > 1", "no number"),
        ("(a := 1) > 0", "no number"),
        ("f'{teff}' == 'a'", "no number"),
        ("teff > 1j", "no number"),
        ("not " * 300 + "gold", "nested"),
        ("(" * 3000 + "gold", "nested|cannot be read"),
        ("-" * 3000 + "1 < teff", "nested"),
        ("1" + "+1" * 1500 + " < teff", "nested"),
        ("gold or " * 1000 + "gold", "8004 characters"),
        ("~" * 900 + "gold", "write `not`"),
        ("teff" + ".a" * 900 + " > 1", "no number"),
        ("teff > \0", "cannot be printed"),
        ("training_range == '\x01'", "cannot be printed"),
        (r"training_range == '\d'", "backslash"),
    ],
)
def test_what_is_no_condition_is_refused(text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_where(text, SCHEMA)
    assert len(str(caught.value)) < 700


@given(st.text(max_size=60))
def test_no_text_does_anything_else(text):
    try:
        where = parse_where(text, SCHEMA)
    except ConfigError:
        return
    assert set(where.columns) <= {column.name for column in SCHEMA.all_columns}


NUMBERS = st.floats(-1e4, 1e4) | st.integers(-9, 9)
LEAVES = st.one_of(
    st.tuples(
        st.sampled_from(["teff", "logg"]), st.sampled_from(["<", "<=", ">", ">=", "=="]), NUMBERS
    ),
    st.sampled_from(["gold", "has_rvs", "rvs_used", "teff is null"]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: (*t, "both")),
    ),
    max_leaves=8,
)
SIGNS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
NAMED = {
    "gold": ROWS["quality_tier"] == 1,
    "has_rvs": ROWS["has_rvs"],
    "rvs_used": ROWS["flags"] & 1 != 0,
    "teff is null": np.isnan(ROWS["teff"]),
}


def spelt(tree):
    """Return a condition as text, and what it is of the rows."""
    if isinstance(tree, str):
        return tree, NAMED[tree]
    if tree[0] == "not":
        text, met = spelt(tree[1])
        return f"not ({text})", ~met
    if tree[-1] == "both":
        (one, met), (other, also) = spelt(tree[0]), spelt(tree[2])
        return f"({one}) {tree[1]} ({other})", met & also if tree[1] == "and" else met | also
    name, sign, number = tree
    return f"{name} {sign} {number!r}", SIGNS[sign](ROWS[name], number)


@given(TREES)
def test_it_is_what_numpy_says(tree):
    text, met = spelt(tree)
    np.testing.assert_array_equal(parse_where(text, SCHEMA)(ROWS), met)
