"""The columns about a star's place."""

import numpy as np
import pytest

from catalog_builder.galaxy.columns import DIRECTION, PLACE, galactic_columns
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.labels.agreed import default_schema

SUN = GalaxySettings(sun_radius=8.0, sun_height=0.0)


def block(**given):
    columns = {
        "ra": [266.405, 86.405, 192.859],  # the centre, the anticentre, the northern pole
        "dec": [-28.936, 28.936, 27.128],
        "parallax_corrected": [0.5, 1.0, 2.0],
        "parallax_error": np.float32([0.01, 0.02, 0.02]),
    } | given
    return {name: np.asarray(values) for name, values in columns.items()}


def test_the_columns_are_those_that_are_declared():
    declared = {column.name for column in default_schema().columns}
    made = tuple(galactic_columns(block(), SUN))
    assert made == (*DIRECTION, *PLACE)
    assert set(made) <= declared


def test_places_of_three_directions():
    found = galactic_columns(block(), SUN)
    np.testing.assert_allclose(found["distance"], [2000.0, 1000.0, 500.0], rtol=3e-3)
    np.testing.assert_allclose(found["galactocentric_radius"], [6.0, 9.0, 8.0], rtol=2e-3)
    np.testing.assert_allclose(found["galactocentric_azimuth"], 180.0, atol=0.1)
    np.testing.assert_allclose(found["galactocentric_height"], [0.0, 0.0, 0.5], atol=5e-3)


def test_intervals_hold_the_value_and_turn_with_the_direction():
    found = galactic_columns(block(), SUN)
    for name in ("distance", "galactocentric_radius", "galactocentric_height"):
        assert (found[f"{name}_lower"] <= found[f"{name}_upper"]).all()
    # Farther away is nearer to the centre for the first, and farther for the second.
    radius = "galactocentric_radius"
    width = (found["distance_upper"] - found["distance_lower"]) / 1000.0
    for star in (0, 1):
        across = found[f"{radius}_upper"][star] - found[f"{radius}_lower"][star]
        assert across == pytest.approx(width[star], rel=0.05)
        assert found[f"{radius}_lower"][star] < found[radius][star] < found[f"{radius}_upper"][star]


def test_a_radius_is_never_below_that_of_the_nearest_point_of_its_line_of_sight():
    # l = 30: the line of sight passes the centre at 4 kpc, and the interval spans that point.
    ra, dec = 281.5216, -2.6091
    far = block(ra=[ra], dec=[dec], parallax_corrected=[1 / 6.9], parallax_error=np.float32([0.02]))
    found = galactic_columns(far, SUN)
    assert found["distance_lower"][0] < 6930 < found["distance_upper"][0]
    assert 4.0 <= found["galactocentric_radius_lower"][0] < 4.02
    assert 4.1 < found["galactocentric_radius_upper"][0] < 4.3


def test_what_is_missing_is_null_or_left_out():
    found = galactic_columns(block(ra=[np.nan, 86.405, 192.859]), SUN)
    assert all(np.isnan(values[0]) for values in found.values())
    assert all(np.isfinite(values[1:]).all() for values in found.values())
    found = galactic_columns(block(parallax_corrected=[np.nan] * 3), SUN)
    assert np.isfinite(found["l"]).all()
    assert np.isnan(found["galactocentric_radius_upper"]).all()
    bare = {name: values for name, values in block().items() if not name.startswith("parallax")}
    assert galactic_columns(bare, SUN).keys() == {"l", "b"}
    assert galactic_columns({}, SUN) == {}
