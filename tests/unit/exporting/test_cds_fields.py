"""Fields of fixed width hold every number as it is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from catalog_builder.exporting.cds_fields import Field
from catalog_builder.labels.agreed import default_schema

SCHEMA = default_schema()


def written(name, values):
    """Return the field of a column, and its values as text."""
    field = Field(SCHEMA[name])
    field.look(values)
    chars = np.full((len(values), field.width), ord(" "), dtype=np.uint8)
    field.write(chars, values)
    return field, [row.tobytes().decode() for row in chars]


FLOATS = st.floats(width=32, allow_infinity=False)


@given(arrays(np.float32, st.integers(1, 8), elements=FLOATS))
def test_float32(values):
    field, texts = written("teff", values)
    for text, value in zip(texts, values, strict=True):
        assert (text.strip() == "") == bool(np.isnan(value))
        if text.strip():
            assert np.float32(float(text)) == value
            assert "." in text  # or Fortran puts a point elsewhere
    assert field.format[0] in "FE"


@given(arrays(np.float64, st.integers(1, 8), elements=st.floats(allow_infinity=False)))
def test_float64(values):
    _, texts = written("ra", values)
    for text, value in zip(texts, values, strict=True):
        assert float(text.strip() or "nan") == value or np.isnan(value)


@given(arrays(np.int64, st.integers(1, 8)))
def test_integers(values):
    field, texts = written("source_id", values)
    assert [int(text) for text in texts] == values.tolist()
    assert field.format == f"I{field.width}"


def test_points_are_one_below_the_other():
    field, texts = written("teff", np.array([5777, 4.25, np.nan, -10.5], dtype=np.float32))
    assert texts == ["5777.0 ", "   4.25", "       ", " -10.5 "]
    assert field.format == "F7.2"
    assert field.nulls


def test_a_column_of_small_numbers_is_exponential():
    field, texts = written("teff", np.array([1.5e-12, 2], dtype=np.float32))
    assert field.format == "E16.8"
    assert texts == [f"{np.float32(1.5e-12):16.8E}", "  2.00000000E+00"]
