"""What each stage makes does not change under the same version."""

import os

import pytest

from tests.integration import golden


def test_no_stage_makes_something_else_under_its_old_version(finished):
    found = golden.fingerprints(finished)
    if os.environ.get("RECORD_GOLDEN"):
        golden.record(found)
    recorded = golden.recorded()
    assert set(found) == set(recorded)
    for stage, now in found.items():
        then = recorded[stage]
        changed = golden.differences(stage, now, then)
        again = "and record it: RECORD_GOLDEN=1 pytest tests/integration/test_golden.py"
        assert now["version"] == then["version"], f"{stage} has a new version: look at it, {again}"
        assert not changed, f"{stage} makes something else: raise its Stage.version, {again}"


@pytest.mark.parametrize("stage", ["ingest", "predict"])
def test_a_mean_off_by_a_twentieth_of_the_spread_is_noticed(finished, stage):
    now = golden.fingerprints(finished)[stage]
    name = next(n for n, d in now["arrays"].items() if d[0] == "<f4" and len(d) > 3 and d[4] > 0)
    moved = list(now["arrays"][name])
    moved[3] += 0.05 * moved[4]
    other = {**now, "arrays": {**now["arrays"], name: moved}}
    assert golden.differences(stage, now, other)
    assert not golden.differences(stage, now, now)
