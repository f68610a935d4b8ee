"""One driver per workdir; a dead one's lock is taken over."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from catalog_builder.errors import StoreError
from catalog_builder.runtime.lock import HEARTBEAT_SECONDS, driver_lock, holder

HOLD = """
import sys, time
from pathlib import Path
from catalog_builder.runtime.lock import driver_lock
with driver_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other_driver(tmp_path):
    lock = tmp_path / "driver.lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield lock, process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_driver_is_refused_and_told_who_holds_it(other_driver):
    lock, process = other_driver
    with (
        pytest.raises(StoreError, match=rf"process {process.pid} on {socket.gethostname()}"),
        driver_lock(lock),
    ):
        pass
    assert holder(lock)["pid"] == process.pid


def test_a_dead_drivers_lock_is_taken_over(other_driver):
    lock, process = other_driver
    process.kill()
    process.wait()
    assert holder(lock) is None
    with driver_lock(lock):
        assert holder(lock)["pid"] == os.getpid()
    assert not lock.exists()
    assert list(lock.parent.iterdir()) == []


def test_a_recycled_pid_is_not_the_holder(tmp_path):
    lock = tmp_path / "driver.lock"
    me = {"host": socket.gethostname(), "pid": os.getpid(), "started": 1.0, "since": "long ago"}
    lock.write_text(json.dumps(me))
    with driver_lock(lock):
        assert json.loads(lock.read_text())["started"] != 1.0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "here"}'])
def test_a_torn_lock_is_taken_over(tmp_path, text):
    lock = tmp_path / "driver.lock"
    lock.write_text(text.replace("here", socket.gethostname()))
    with driver_lock(lock):
        assert holder(lock)["pid"] == os.getpid()


def test_a_holder_elsewhere_lives_as_long_as_it_is_heard(tmp_path):
    lock = tmp_path / "driver.lock"
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 1.0, "since": "now"}))
    with pytest.raises(StoreError, match="elsewhere"), driver_lock(lock):
        pass
    silent = time.time() - 11 * HEARTBEAT_SECONDS
    os.utime(lock, (silent, silent))
    with driver_lock(lock):
        assert holder(lock)["pid"] == os.getpid()
