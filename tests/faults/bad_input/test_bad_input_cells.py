"""A bad cell becomes null and is counted; its row and its source stay."""

import numpy as np
import pytest

from catalog_builder.features.store import FeatureStore

GAIA = "gaia_source"
RVS = "rvs_mean_spectrum"


def stored(bench, column, source_id):
    """Return a value of the first partition's feature store."""
    store = FeatureStore(bench.workdir / bench.receipt(bench.archive.first)["output"])
    return store.column(column)[np.flatnonzero(store.column("source_id") == source_id)[0]]


@pytest.mark.parametrize(
    ("column", "value", "counted"),
    [
        ("parallax", "abc", True),
        ("parallax", "inf", True),
        ("parallax", "1e999", True),
        ("parallax", "1.2.3", True),
        ("parallax", "", False),
        ("parallax", "NULL", False),
        ("ruwe", "1e39", True),  # no float32
        ("ra", "abc", True),
        ("ra", "null", False),
        ("ra", "NaN", False),
        ("ra", "360.5", True),
        ("dec", "-90.5", True),
        ("dec", "Infinity", True),
        ("phot_g_mean_mag", "12,5", True),  # quoted by the writer: one cell
        ("phot_bp_mean_mag", "--", False),
    ],
)
def test_a_bad_number_is_null(bench, column, value, counted):
    source_id = bench.archive.set(GAIA, 3, column, value)
    books = bench.ingest()
    assert np.isnan(stored(bench, column, source_id))
    assert books.cells == ({f"{GAIA}.{column}": 1} if counted else {})
    assert (books.rows_in, books.rejected) == (bench.clean_books.rows_in, {})


@pytest.mark.parametrize("value", ["31.5", "99999", "abc"])
def test_a_bad_integer_is_null(bench, value):
    bench.archive.set(GAIA, 3, "astrometric_params_solved", value)
    books = bench.ingest()
    assert books.cells == {f"{GAIA}.astrometric_params_solved": 1}
    assert books.rejected == {}


def test_a_bad_boolean_is_null(bench):
    bench.archive.set(GAIA, 3, "has_rvs", "perhaps")
    assert bench.ingest().cells == {f"{GAIA}.has_rvs": 1}


@pytest.mark.parametrize("value", ["-0.1", "0", "nan"])
def test_a_parallax_without_a_positive_error_is_no_input(bench, value):
    source_id = bench.archive.set(GAIA, 3, "parallax_error", value)
    books = bench.ingest()
    assert not stored(bench, "has_parallax", source_id)
    assert books.has["parallax"] == bench.clean_books.has["parallax"] - 1
    assert books.rejected == {}


def test_text_that_is_no_utf8_harms_nothing_where_it_is_not_read(bench):
    content = bench.archive.text(GAIA).to_bytes().replace(b"Gaia DR3 ", b"Ga\xefa\xff DR3 ")
    bench.archive.write_text(GAIA, content)
    assert bench.ingest().receipt["output_digest"] == bench.clean_books.receipt["output_digest"]


def test_a_bad_cell_of_an_unused_column_is_nothing(bench):
    bench.archive.set(RVS, 0, "combined_transits", "abc")
    books = bench.ingest()
    assert books.cells == {f"{RVS}.combined_transits": 1}
    assert books.rows == {}
