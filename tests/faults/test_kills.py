"""A short form of `make faults`: a few kills, each followed by the same command."""

import time

import pytest

KILLS = [
    ("predict", "driver", "predict"),
    ("train", "worker", ""),
    ("publish", "driver", "publish"),
]


@pytest.mark.parametrize(("step", "victim", "before_receipt"), KILLS)
def test_the_same_command_goes_on_after_a_kill(
    kills, bench, tmp_path, step, victim, before_receipt
):
    kill = kills.Kill(step, victim, seed=time.time_ns(), before_receipt=before_receipt)
    made = kills.experiment(bench, kill, tmp_path / "work")  # a dead driver's lock, too
    assert made["findings"] == [], f"seed {kill.seed}, {made['moment']}"


@pytest.mark.parametrize("place", ["rows", "leaf", "header", "described", "revealed"])
def test_a_catalogue_is_the_same_wherever_its_making_was_killed(kills, bench, tmp_path, place):
    """Until it is revealed nothing of it can be seen; behind that all of it."""
    victim, _ = kills.WITHIN[place]
    kill = kills.Kill("publish", victim, seed=1, within=place)
    made = kills.experiment(bench, kill, tmp_path / "work")
    assert made["findings"] == [], made["moment"]


def test_a_lost_scheduler_ends_the_run_in_words_and_the_next_one_goes_on(kills, bench, tmp_path):
    kill = kills.Kill("predict", "scheduler", seed=1)
    assert kills.experiment(bench, kill, tmp_path / "work")["findings"] == []
    log = (tmp_path / "work.log").read_text()
    assert "is lost" in log
    assert "Traceback" not in log


def test_the_suite_kills_every_step_at_least_three_times(kills):
    planned = kills.schedule(20, seed=1)
    for step in kills.STEPS:
        of_step = [kill for kill in planned if kill.step == step]
        assert len(of_step) >= 3
        assert {kill.victim for kill in of_step} == {"driver", "worker", "scheduler"}
        assert any(kill.before_receipt for kill in of_step)
    assert len({kill.seed for kill in planned}) == 20
