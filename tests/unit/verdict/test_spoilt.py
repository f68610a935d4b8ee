"""What is wrong turns its own checks red, and nothing else."""

import pytest

from tests.spoilt import SPOILT, red
from tests.unit.verdict.conftest import make_sky


def test_nothing_wrong_fails_nothing_on_ten_skies(schema):
    """One sky in a hundred may fail by chance: of ten, none or one."""
    failed = [red(make_sky(schema, seed).judge()) for seed in range(2, 12)]
    assert sum(map(bool, failed)) <= 1, failed


def test_all_that_can_be_tested_is(honest):
    states = honest.judge()
    assert [name for name, state in states.items() if state == "not tested"] == ["drift"]
    assert len(states) >= 12


@pytest.mark.parametrize("what", list(SPOILT))
def test_a_spoilt_catalogue_fails_its_own_checks(honest, what):
    spoil, expected = SPOILT[what]
    sky = honest.copy()
    spoil(sky)
    assert red(sky.judge()) == expected
