"""Columns that names do not tell are told by what belongs to them, and by the length of arrays."""

import pytest

from catalog_builder.archive.tables import ColumnSpec
from catalog_builder.inspecting.likeness import Likeness, match_names
from catalog_builder.inspecting.profile import Profile
from catalog_builder.inspecting.siblings import candidates, match_siblings

ARRAYS = {name: ColumnSpec(dtype="float32", length=2401) for name in ("flux", "flux_error")}
SCALARS = {name: ColumnSpec(dtype="float64") for name in ("parallax", "parallax_error")}


def array(name, length=961):
    return Profile(name, "array", rows=9, lengths={length: 9})


def found(described, matched, *profiles):
    """Return what is found beyond columns that names tell."""
    there = {each.name: each for each in profiles}
    kind = "array" if described is ARRAYS else "float"
    fits = {key: {each.name for each in profiles if each.kind == kind} for key in described}
    given = {name: Likeness(column, 0.9) for name, column in matched.items()}
    return {k: v.name for k, v in match_siblings(given, described, there, fits).items()}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("spectrum", "spectrum_error"),
        ("Spec", "e_Spec"),
        ("normalised", "normalised_sig"),
        ("f", "f_stddev"),
    ],
)
def test_a_value_and_its_error_find_each_other(value, error):
    columns = array(value), array(error), array("other")
    assert found(ARRAYS, {"flux_error": error}, *columns) == {"flux": value}
    assert found(ARRAYS, {"flux": value}, *columns) == {"flux_error": error}


def test_so_do_numbers():
    columns = Profile("pi", "float"), Profile("pi_unc", "float"), Profile("mu", "float")
    assert found(SCALARS, {"parallax": "pi"}, *columns) == {"parallax_error": "pi_unc"}
    assert found(SCALARS, {"parallax_error": "pi_unc"}, *columns) == {"parallax": "pi"}


def test_the_only_array_as_long_is_taken():
    assert found(ARRAYS, {"flux_error": "sigma"}, array("sigma"), array("s"), array("x", 55)) == {
        "flux": "s"
    }
    # None is known, and none is as long as described: two of one length are the two.
    assert found(ARRAYS, {}, array("s"), array("u_std"), array("x", 55)) == {
        "flux": "s", "flux_error": "u_std",
    }  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        *("ivar", "mask", "wavelength", "sky_model", "snr", "background", "residuals", "bestfit"),
        *("blaze", "throughput", "exposure", "count", "normalisation"),
    ],
)
def test_what_says_that_it_is_something_else_is_not_taken(other):
    assert found(ARRAYS, {"flux": "s"}, array("s"), array(other)) == {}
    assert found(ARRAYS, {"flux_error": "sigma"}, array("sigma"), array(other)) == {}


def test_of_two_that_may_be_it_none_is_taken_and_both_are_named():
    columns = array("a"), array("b"), array("long", 5000)
    assert found(ARRAYS, {}, *columns) == {}
    fits = {each.name for each in columns}
    there = {each.name: each for each in columns}
    error = {"flux_error": Likeness("b", 0.9)}
    assert candidates("flux", error, ARRAYS, there, fits) == (
        "candidates: a (array of 961), long (array of 5000)"
    )
    assert candidates("flux", {}, ARRAYS, {}, set()) == "no column is like it"


def test_candidates_of_numbers_share_a_telling_word_or_the_unit():
    columns = [
        Profile("pi", "float", unit="mas"),
        Profile("parallax_over_error", "float"),
        Profile("mean_flux", "float"),
    ]
    spec = {"parallax": ColumnSpec(dtype="float64", unit="mas")}
    there = {each.name: each for each in columns}
    said = candidates("parallax", {}, spec, there, set(there))
    assert said == "candidates: parallax_over_error, pi"


def test_an_error_is_found_also_where_the_value_is_described_by_its_name():
    described = {"flux": ["spectrum"], "flux_error": ["flux_error"]}
    names = ["spectrum", "spectrum_error"]
    found = match_names(described, names, {key: set(names) for key in described}, {})
    assert {k: v.name for k, v in found.items()} == {
        "flux": "spectrum", "flux_error": "spectrum_error",
    }  # fmt: skip
