"""What an operator does to a run: starts it twice, stops it, asks how far it is."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from catalog_builder.runtime.lock import holder

STATUS = (sys.executable, "-m", "catalog_builder.cli", "status", "--workdir")
PATIENCE = 240.0


def wait_for(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def going_on(kills, bench, tmp_path):
    """A run in a process group of its own, held before the first receipt of a prediction."""
    workdir, flag = tmp_path / "work", tmp_path / "held"
    kills.begin_at(bench.reference, workdir, "predict")
    with (tmp_path / "log").open("wb") as log:
        process = bench.programs.Popen(
            bench.command(workdir),
            env=kills.holding("predict", flag),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        wait_for(flag.exists, process)
        yield workdir, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_second_driver_is_refused_and_a_stopped_one_lets_go(kills, bench, going_on, tmp_path):
    workdir, process = going_on
    second = bench.programs.run(bench.command(workdir), env=kills.environment())
    assert second.returncode == 5
    assert f"is in use by process {process.pid} on" in second.stderr
    assert "Traceback" not in second.stderr

    seen = json.loads(bench.programs.run([*STATUS, str(workdir), "--json"]).stdout)
    assert seen["driver"]["pid"] == process.pid
    predict = next(stage for stage in seen["stages"] if stage["stage"] == "predict")
    assert (predict["state"], predict["planned"]) == ("running", 6)
    assert predict["running"]

    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 130
    assert "the same command goes on" in (tmp_path / "log").read_text()
    assert not (workdir / "driver.lock").exists()
    assert "not running" in bench.programs.run([*STATUS, str(workdir)]).stdout

    bench.finish(workdir)
    assert kills.differences(bench.reference, workdir) == []


def test_ctrl_c_reaches_driver_and_workers_and_ends_cleanly(going_on, tmp_path):
    workdir, process = going_on
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    log = (tmp_path / "log").read_text()
    assert "the same command goes on" in log
    assert "Traceback" not in log
    assert holder(workdir / "driver.lock") is None
    assert not (workdir / "driver.lock").exists()


def test_logs_and_records_hold_no_home_and_no_environment(bench):
    home = f"{Path.home()}/"
    for file in [
        *bench.reference.glob("logs/*"),
        *bench.reference.glob("receipts/*/*"),
        *bench.reference.glob("catalogs/*/*/RELEASE.json"),
    ]:
        text = file.read_text()
        assert home not in text, file
        assert os.environ["PATH"] not in text, file
