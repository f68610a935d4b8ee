"""A training as it was, played through the estimate: within 30 % from half-way on.

The trace holds the epochs of the four members that were trained on real Gaia DR3 spectra (22 191
stars, two side by side; each stopped early, after 70 to 80 epochs). Its seconds are processor time
of the workers: on a free machine that is the time that passes, and what other programs did to this
one is no part of it.
"""

import json
from pathlib import Path

import pytest

from tests.benchmarks.estimates import errors, replay

TRACE = json.loads((Path(__file__).parent / "traces" / "real-dr3.json").read_text())


def wrong(looks, before=None):
    """Return the estimates (true, said) that are further off; there is one each second."""
    later = errors(replay({"looks": looks, "before": before or {}}))
    assert len(later) > 50
    assert all(left is not None for _, left in later)
    # The driver looks once a second: it does not know better than that when an epoch ended.
    return [(true, left) for true, left in later if abs(left - true) > max(0.3 * true, 1.0)]


def test_a_training_is_within_30_percent_from_half_way_on():
    assert wrong(TRACE["looks"]) == []


@pytest.mark.parametrize("part", [0.25, 0.4])
def test_a_training_that_goes_on_from_checkpoints_is_as_well(part):
    """The first two members have a part of their epochs behind them, the others wait."""
    looks = TRACE["looks"]
    begin = part * looks[-1][0]
    (_, at_work), *_ = [look for look in looks if look[0] >= begin]
    before = {name: steps for name, steps in at_work.items() if steps is not None}
    # Reading its data takes a member as long as it did the first time.
    start = next(moment for moment, names in looks if all(names.values()))
    rest = [[moment - begin + start, names] for moment, names in looks if moment > begin]
    assert wrong([[0.0, at_work], *rest], before) == []
