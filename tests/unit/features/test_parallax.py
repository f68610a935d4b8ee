"""The parallax zero point, by rule."""

import numpy as np
import pytest

from catalog_builder.archive.release import ParallaxZeroPoint, load_release
from catalog_builder.archive.zero_point import SolutionBits
from catalog_builder.features.parallax import by_fallback, zero_point

INPUTS = dict(load_release("dr3").parallax_zero_point.inputs)
WITH_FALLBACK = ParallaxZeroPoint(
    rule="column",
    inputs={"bias": "tentative_parallax_bias"},
    fallback={"rule": "lindegren2021", "inputs": INPUTS},
)


def columns(**changes):
    base = {
        "phot_g_mean_mag": [12.5, 12.5, 12.5, 5.0],
        "nu_eff_used_in_astrometry": [1.5, np.nan, 1.5, 1.5],
        "pseudocolour": [np.nan, 1.5, np.nan, np.nan],
        "ecl_lat": [30.0, 30.0, 30.0, 30.0],
        "astrometric_params_solved": [31, 95, 3, 31],
    }
    return {name: np.array(values) for name, values in {**base, **changes}.items()}


def test_lindegren_applies_where_its_inputs_exist():
    rule = load_release("dr3").parallax_zero_point
    found = zero_point(rule, columns(), 4)
    assert (np.abs(found[:2]) < 0.1).all()
    assert (found[:2] < 0).all()  # the zero point of Gaia DR3 is negative at these magnitudes
    assert np.isnan(found[2:]).all()  # no parallax; brighter than the calibration


def test_null_inputs_give_null():
    rule = load_release("dr3").parallax_zero_point
    found = zero_point(rule, columns(ecl_lat=[np.nan] * 4), 4)
    assert np.isnan(found).all()


def test_a_column_is_taken_as_it_is():
    rule = ParallaxZeroPoint(rule="column", inputs={"bias": "tentative_parallax_bias"})
    found = zero_point(rule, {"tentative_parallax_bias": np.array([-0.03, np.nan])}, 2)
    np.testing.assert_array_equal(found, [-0.03, np.nan])


def test_no_rule_means_no_correction():
    assert (zero_point(ParallaxZeroPoint(rule="none"), {}, 3) == 0).all()


def test_a_null_bias_falls_back_to_the_stated_rule():
    bias = np.array([-0.01, np.nan, np.nan, np.nan])
    block = columns() | {"tentative_parallax_bias": bias}
    found = zero_point(WITH_FALLBACK, block, 4)
    published = zero_point(load_release("dr3").parallax_zero_point, columns(), 4)
    np.testing.assert_array_equal(found, [-0.01, *published[1:]])
    # The third has no parallax and the fourth is too bright: the fallback says nothing of them.
    used = by_fallback(WITH_FALLBACK, block, found)
    np.testing.assert_array_equal(used, [False, True, False, False])


def test_a_fallback_may_be_no_correction():
    rule = ParallaxZeroPoint(rule="column", inputs={"bias": "b"}, fallback={"rule": "none"})
    block = {"b": np.array([-0.01, np.nan, np.inf])}
    found = zero_point(rule, block, 3)
    np.testing.assert_array_equal(found, [-0.01, 0, 0])
    np.testing.assert_array_equal(by_fallback(rule, block, found), [False, True, True])


def test_a_bias_that_is_to_be_added():
    rule = ParallaxZeroPoint(rule="column", inputs={"bias": "b"}, sign="add")
    np.testing.assert_array_equal(zero_point(rule, {"b": np.array([0.03])}, 1), [-0.03])


#: Values of DR4's astrometric_params, and the branch of the zero point: none, 5 or 6 parameters.
MASKS = {
    **{3: None, 7: 31, 27: None, 31: 31, 63: 31, 95: 95, 479: 95, 2015: 95, 2079: 31},
    **{2463: 31, 3999: 31, 4127: 31, 4575: 95, 6111: 95, 6175: 31, 8223: 31, 8607: 31},
    **{10143: 31, 10271: 31, 0: None},
}


@pytest.mark.parametrize(("mask", "branch"), MASKS.items())
def test_the_branch_is_told_by_bits(mask, branch):
    assert branch == (None if not mask & 4 else 95 if mask & 64 else 31)
    rule = load_release("dr3").parallax_zero_point
    both = {"nu_eff_used_in_astrometry": [1.5], "pseudocolour": [1.6]}
    both |= {"phot_g_mean_mag": [15.0], "ecl_lat": [10.0]}
    (found,) = zero_point(rule, columns(**both, astrometric_params_solved=[mask]), 1)
    if branch is None:
        assert np.isnan(found)
    else:
        (named,) = zero_point(rule, columns(**both, astrometric_params_solved=[branch]), 1)
        (other,) = zero_point(rule, columns(**both, astrometric_params_solved=[126 - branch]), 1)
        assert found == named != other


def test_other_bits_can_be_described():
    rule = ParallaxZeroPoint(
        rule="lindegren2021", inputs=INPUTS, bits=SolutionBits(parallax=0, pseudocolour=1)
    )
    found = zero_point(rule, columns(astrometric_params_solved=[1, 3, 2, 4]), 4)
    assert np.isfinite(found).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"rule": "none", "sign": "add"}, "go with the rule column"),
        ({"rule": "none", "fallback": {"rule": "none"}}, "go with the rule column"),
        ({"rule": "none", "bits": {"parallax": 3}}, "looks at no bits"),
        ({"rule": "column", "inputs": {"bias": "b"}, "fallback": {"rule": "column"}}, "lindegren"),
        (
            {"rule": "column", "inputs": {"bias": "b"}, "fallback": {"rule": "lindegren2021"}},
            "needs exactly the inputs",
        ),
    ],
)
def test_rules_that_say_nothing_are_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        ParallaxZeroPoint.model_validate(rule)
