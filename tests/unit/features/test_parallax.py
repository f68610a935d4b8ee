"""The parallax zero point, by rule."""

import numpy as np

from catalog_builder.archive.release import ParallaxZeroPoint, load_release
from catalog_builder.features.parallax import zero_point


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
