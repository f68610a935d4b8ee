"""Status says what plan, receipts, marks and log say, whatever state they are in."""

import json
import os
import random
import shutil
import socket
import time

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog_builder.ground.errors import StoreError
from catalog_builder.looking.status import read_status
from catalog_builder.looking.status_text import duration, in_words
from catalog_builder.runtime.plans import read_plan, write_plan
from catalog_builder.runtime.quarantine import give_up
from catalog_builder.runtime.running import mark
from catalog_builder.runtime.tasks import Outcome, Stage, Task, run_task
from catalog_builder.runtime.workdir import Workdir


def work(workdir, task):
    out = workdir.new_output("features", task.name, suffix=".txt")
    out.write_text("rows")
    return Outcome(
        10,
        8,
        str(out.relative_to(workdir.root)),
        "digest",
        rejected={"all_nan": 2},
        notes={"row_rejects": {"rvs": {"all_nan": 3}}},
    )


STAGE = Stage("ingest", 1, work)
NAMES = [f"{n:06d}-{n:06d}" for n in range(8)]


def tasks(key="k"):
    return [Task("ingest", name, key) for name in NAMES]


def log(workdir, *events):
    workdir.logs.mkdir(exist_ok=True)
    lines = [json.dumps({"run": "r", "time": moment(ago), **event}) for ago, event in events]
    (workdir.logs / "run-20260101T000000Z-aaaa.jsonl").write_text("\n".join(lines) + "\n")


def moment(ago):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))


def hold_lock(workdir):
    me = {"host": socket.gethostname(), "pid": os.getpid(), "since": "now"}
    me["started"] = psutil.Process().create_time()
    workdir.lock_file.write_text(json.dumps(me))


@pytest.fixture
def half_done(tmp_path):
    """Eight planned, three done, one failed, one in quarantine, one being worked on."""
    workdir = Workdir(tmp_path)
    write_plan(workdir, "ingest", tasks())
    done = [run_task(STAGE, workdir, workdir, task) for task in tasks()[:3]]
    give_up(workdir, tasks()[3], "it killed its worker")
    begun = {"event": "stage", "stage": "ingest", "planned": 8, "pending": 8, "stall_seconds": 60}
    said = [
        {"event": "done", "stage": "ingest", "task": receipt.task, "rows_in": 10}
        for receipt in done
    ]
    failure = {"event": "failure", "stage": "ingest", "task": NAMES[4], "reason": "no such file"}
    log(workdir, (30, begun), (20, said[0]), (15, said[1]), (10, said[2]), (5, failure))
    return workdir


def ingest(workdir):
    return read_status(workdir.root).stages[0]


def test_a_run_that_is_going_on(half_done):
    hold_lock(half_done)
    with mark(half_done, "ingest", NAMES[5]):
        status = read_status(half_done.root)
    (stage,) = status.stages
    assert (stage.state, stage.planned, stage.done) == ("running", 8, 3)
    assert (stage.rows_in, stage.rows_out, stage.rejected) == (30, 24, {"all_nan": 6})
    assert stage.rejected_rows == {"all_nan in rvs": 9}
    assert stage.failed == {NAMES[4]: "no such file"}
    assert stage.quarantined == {NAMES[3]: "it killed its worker"}
    assert [found["task"] for found in stage.running] == [NAMES[5]]
    assert stage.rate == pytest.approx(1.0, rel=0.1)  # 30 rows in 30 s
    assert stage.seconds_left == pytest.approx(40, rel=0.1)  # 4 left, one in 10 s
    assert len(stage.slowest) == 3
    assert status.stalled_seconds is None
    text = in_words(status)
    for words in ("running, process", "3/8", "1 running", "no such file", "it killed its worker"):
        assert words in text
    assert json.loads(status.to_json())["stages"][0]["done"] == 3


def test_a_run_that_stands_still(half_done):
    hold_lock(half_done)
    log(half_done, (100, {"event": "stage", "stage": "ingest", "stall_seconds": 60}))
    assert read_status(half_done.root).stalled_seconds == pytest.approx(100, abs=3)
    assert "nothing was finished for" in in_words(read_status(half_done.root))


def test_a_run_that_failed(half_done):
    with (half_done.logs / "run-20260101T000000Z-aaaa.jsonl").open("a") as file:
        error = {"event": "error", "time": moment(1), "problem": "All is lost.", "way_out": "Run."}
        file.write(json.dumps(error) + '\n{"event": "do')  # and half a line
    status = read_status(half_done.root)
    assert status.stages[0].state == "failed"
    assert status.stages[0].running == []
    assert status.last_error == "All is lost. Run."
    assert "not running" in in_words(status)


def test_receipts_of_another_plan_do_not_count(half_done):
    write_plan(half_done, "ingest", tasks("another"))
    stage = ingest(half_done)
    assert (stage.done, stage.stale, stage.rows_in, stage.quarantined) == (0, 3, 0, {})


def test_a_later_success_clears_a_failure(half_done):
    run_task(STAGE, half_done, half_done, tasks()[4])
    assert ingest(half_done).failed == {}


def test_a_plan_is_complete_when_the_rest_is_in_quarantine(half_done):
    for task in tasks()[4:]:
        run_task(STAGE, half_done, half_done, task)
    assert ingest(half_done).state == "complete"


def test_a_folder_that_is_no_workdir_is_named(tmp_path):
    with pytest.raises(StoreError, match="is not a workdir"):
        read_status(tmp_path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(seed=st.integers(0, 2**32))
def test_any_damage_leaves_a_status(half_done, seed):
    """Cut, empty, remove or scramble files and folders at random: status still answers."""
    rng = random.Random(seed)
    copy = half_done.root.with_name(f"damaged-{seed}")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(half_done.root, copy)
    hold_lock(Workdir(copy))
    with mark(Workdir(copy), "ingest", NAMES[6]):
        paths = sorted(path for path in copy.rglob("*") if path.is_file())
        for path in rng.sample(paths, 3):
            data = path.read_bytes()
            deed = rng.randrange(4)
            if deed == 0:
                path.unlink()
            elif deed == 1:
                path.write_bytes(data[: rng.randrange(len(data) + 1)])
            elif deed == 2:
                path.write_bytes(rng.randbytes(len(data)))
            else:
                path.write_text(rng.choice(["[]", "null", "1", '{"a": 1}', '"x"', "\n\n"]))
        status = read_status(copy)
        assert json.loads(status.to_json())["workdir"] == str(copy)
        assert in_words(status)
    shutil.rmtree(copy)


def test_an_unchanged_plan_is_not_written_again(tmp_path):
    workdir = Workdir(tmp_path)
    write_plan(workdir, "ingest", tasks())
    (file,) = workdir.plans.iterdir()
    before = file.stat().st_mtime_ns, file.stat().st_ino
    write_plan(workdir, "ingest", tasks())
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    assert read_plan(workdir, "ingest") == dict.fromkeys(NAMES, "k")
    assert read_plan(workdir, "predict") is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.24, "0.2 s"), (59.6, "60 s"), (600, "10 min"), (7200, "2 h 00"), (200_000, "2 d 7 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
