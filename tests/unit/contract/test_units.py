import pytest

from catalog_builder.contract.units import parse_unit, same_unit


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("W.m**-2.nm**-1", "W m-2 nm-1"),
        ("um**-1", "um-1"),
        ("'electron'.s**-1", "electron s-1"),
        ("log(cm.s**-2)", "dex(cm s-2)"),
        ("log cgs", "dex(cm s-2)"),
        (None, ""),
        ("---", "1"),
        ("km.s**-1", "km/s"),
        ("not a unit", "not a unit"),
    ],
)
def test_spellings_of_the_same_unit(left, right):
    assert same_unit(left, right)


@pytest.mark.parametrize(
    ("left", "right"), [("mas", "arcsec"), ("mag", ""), ("W", "erg/s"), ("furlongs", "deg")]
)
def test_different_units(left, right):
    assert not same_unit(left, right)


def test_a_wrong_unit_is_a_value_error():
    with pytest.raises(ValueError, match="degg"):
        parse_unit("degg")
