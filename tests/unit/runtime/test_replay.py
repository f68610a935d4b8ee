"""Trainings as they were, played through the estimate: within 30 % from half-way on.

A trace holds the epochs of four members, two side by side: on real Gaia DR3 spectra (22 191 stars;
all stop early, after 70 to 80 epochs), and on a demonstration of 3 000 stars (928 with labels).
Its seconds are processor time of the workers: on a free machine that is the time that passes, and
what other programs did to this one is no part of it.
"""

import json
from pathlib import Path

import pytest

from tests.benchmarks.estimates import errors, replay


def looks_of(trace):
    return json.loads((Path(__file__).parent / "traces" / f"{trace}.json").read_text())["looks"]


def wrong(looks, before=None):
    """Return the estimates (true, said) that are further off; there is one each second."""
    later = errors(replay({"looks": looks, "before": before or {}}))
    assert len(later) > 10
    assert all(left is not None for _, left in later)
    # The driver looks once a second: it does not know better than that when an epoch ended.
    return [(true, left) for true, left in later if abs(left - true) > max(0.3 * true, 1.0)]


@pytest.mark.parametrize("trace", ["real-dr3", "demo"])
def test_a_training_is_within_30_percent_from_half_way_on(trace):
    assert wrong(looks_of(trace)) == []


@pytest.mark.parametrize("part", [0.25, 0.4])
def test_a_training_that_goes_on_from_checkpoints_is_as_well(part):
    """The first two members have a part of their epochs behind them, the others wait."""
    looks = looks_of("real-dr3")
    begin = part * looks[-1][0]
    (_, at_work), *_ = [look for look in looks if look[0] >= begin]
    before = {name: steps for name, steps in at_work.items() if steps is not None}
    # Reading its data takes a member as long as it did the first time.
    start = next(moment for moment, names in looks if all(names.values()))
    rest = [[moment - begin + start, names] for moment, names in looks if moment > begin]
    assert wrong([[0.0, at_work], *rest], before) == []
