"""One driver per workdir; a dead one's lock is taken over."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from catalog_builder.ground.errors import StoreError
from catalog_builder.runtime import lock as lock_module
from catalog_builder.runtime.identity import describe_self
from catalog_builder.runtime.lock import driver_lock, holder

HOLD = """
import sys, time
from pathlib import Path
from catalog_builder.runtime.lock import driver_lock
with driver_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


#: A heartbeat that tests can wait for.
QUICK = 0.3


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock_module, "HEARTBEAT_SECONDS", QUICK)


@pytest.fixture
def beating():
    """Refresh a lock from a thread, as its holder does; the times it gives are the test's."""
    stop, threads = threading.Event(), []

    def begin(path, moment=None):
        def beat():
            number = 0
            while not stop.wait(QUICK):
                number += 1
                os.utime(path, None if moment is None else (moment + number, moment + number))

        threads.append(threading.Thread(target=beat))
        threads[-1].start()

    yield begin
    stop.set()
    for thread in threads:
        thread.join()


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


def test_a_recycled_pid_is_not_the_holder(tmp_path, quick):
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


def written(path, **facts):
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": "now", **facts}))
    return path


def aged(path, seconds):
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def refused(path):
    with pytest.raises(StoreError, match="in use"), driver_lock(path):
        pass
    return True


def taken_over(path):
    with driver_lock(path):
        return holder(path)["pid"] == os.getpid()


OTHER_BOOT = {**describe_self(), "boot": "another", "since": "now"}
OTHER_NAMESPACE = {**describe_self(), "namespaces": ["pid:[1]", ""], "since": "now"}


@pytest.mark.parametrize("step", [-86400.0, -3.0, 3.0, 86400.0])
def test_a_step_of_the_clock_does_not_free_a_live_lock(other_driver, monkeypatch, step):
    lock, process = other_driver
    # What a process is told of its start moves with the clock; the ticks do not.
    told, now = psutil.Process.create_time, time.time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: told(self) + step)
    monkeypatch.setattr(time, "time", lambda: now() + step)
    aged(lock, -step)
    assert refused(lock)
    assert holder(lock)["pid"] == process.pid


def test_a_recycled_pid_is_told_by_its_ticks(tmp_path):
    me = describe_self()
    lock = tmp_path / "driver.lock"
    lock.write_text(json.dumps({**me, "ticks": me["ticks"] - 1, "since": "before"}))
    assert holder(lock) is None
    assert taken_over(lock)


def test_a_zombie_holds_nothing(other_driver):
    lock, process = other_driver
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert taken_over(lock)


def test_a_holder_elsewhere_lives_as_long_as_it_is_heard(tmp_path, quick):
    lock = written(tmp_path / "driver.lock", started=1.0)
    assert refused(lock)
    aged(lock, 11 * QUICK)
    assert holder(lock) is None
    assert taken_over(lock)


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
@pytest.mark.parametrize("facts", [{"started": 1.0}, OTHER_BOOT, OTHER_NAMESPACE])
def test_a_holder_elsewhere_survives_a_step_of_the_clock(tmp_path, quick, beating, step, facts):
    lock = written(tmp_path / "driver.lock", **facts)
    aged(lock, step)
    beating(lock, time.time() - step)
    assert refused(lock)


@pytest.mark.parametrize("ago", [-86400.0, 86400.0])
@pytest.mark.parametrize("facts", [{"started": 1.0}, OTHER_BOOT, OTHER_NAMESPACE])
def test_a_dead_holder_elsewhere_is_found_out_whatever_its_clock(tmp_path, quick, ago, facts):
    lock = written(tmp_path / "driver.lock", **facts)
    aged(lock, ago)
    assert taken_over(lock)
    assert list(tmp_path.iterdir()) == []


def test_the_clock_of_this_host_does_not_age_a_lock_elsewhere(tmp_path, monkeypatch):
    lock = written(tmp_path / "driver.lock", started=1.0)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 86400.0)
    assert refused(lock)
    assert holder(lock)["host"] == "elsewhere"


def test_a_restarted_container_waits_and_is_not_refused(tmp_path, quick):
    told = []
    lock = written(tmp_path / "driver.lock", **OTHER_NAMESPACE)
    with driver_lock(lock, told.append):
        assert holder(lock)["pid"] == os.getpid()
    assert "no sign of life" in told[0]


def test_a_live_lock_of_version_0_1_0_survives_a_step_of_the_clock(tmp_path, quick, beating):
    me = {"host": socket.gethostname(), "pid": os.getpid(), "since": "now"}
    lock = written(tmp_path / "driver.lock", **me, started=psutil.Process().create_time() - 3600)
    beating(lock)
    assert refused(lock)


def test_a_dead_lock_of_version_0_1_0_is_taken_over_at_once(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock = written(tmp_path / "driver.lock", host=socket.gethostname(), pid=gone.pid, started=1.0)
    begin = time.monotonic()
    assert taken_over(lock)
    assert time.monotonic() - begin < 5


def test_version_0_1_0_sees_that_a_lock_of_today_is_held(tmp_path):
    lock = tmp_path / "driver.lock"
    with driver_lock(lock):
        started = json.loads(lock.read_text())["started"]
        assert started == pytest.approx(psutil.Process().create_time(), abs=0.5)


def test_a_lock_that_was_taken_over_is_not_kept_alive_by_the_earlier_holder(tmp_path, quick):
    lock = tmp_path / "driver.lock"
    with driver_lock(lock):
        written(lock, started=1.0)
        aged(lock, 1000)
        before = lock.stat().st_mtime
        time.sleep(3 * QUICK)
        assert lock.stat().st_mtime == before
    assert lock.exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="root and unshare are needed"
)
def test_a_live_holder_in_another_pid_namespace_is_not_robbed(tmp_path, quick):
    """Its pid is another process here, or none."""
    lock = tmp_path / "driver.lock"
    beat = f"import catalog_builder.runtime.lock as module; module.HEARTBEAT_SECONDS = {QUICK}"
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", beat + HOLD]
    process = subprocess.Popen(
        [*command, str(lock)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        if process.stdout.readline() != "held\n":
            pytest.skip("no namespace may be made here")
        assert json.loads(lock.read_text())["pid"] == 1
        assert refused(lock)
        assert holder(lock)["pid"] == 1
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()
        process.stdout.close()
    assert taken_over(lock)
