"""What is said of a stage while it is at work: sums, steps, time left; to a person and `status`."""

import json
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from catalog_builder.labels.agreed import default_contract
from catalog_builder.looking.status import read_status
from catalog_builder.looking.status_text import in_words
from catalog_builder.model.stage import ASSEMBLE, MEMBER, TrainContext
from catalog_builder.run.config import load_config
from catalog_builder.runtime import events as events_module
from catalog_builder.runtime import watch as watch_module
from catalog_builder.runtime.events import Events, _Lines
from catalog_builder.runtime.lock import driver_lock
from catalog_builder.runtime.plans import write_plan
from catalog_builder.runtime.receipts import Receipt, write_receipt
from catalog_builder.runtime.running import mark, tell
from catalog_builder.runtime.tasks import Stage, Task
from catalog_builder.runtime.watch import StageWatch, read_progress
from catalog_builder.runtime.workdir import Workdir

TASKS = [Task("ingest", name, "key") for name in ("a", "b", "c")]
INGEST = Stage("ingest", 1, lambda context, task: None)


class Said:
    """A meter that remembers."""

    def __init__(self):
        self.done, self.left, self.text = 0.0, None, ""

    def show(self, done, left, text=""):
        self.done, self.left, self.text = done, left, text


def receipt(task, rows, seconds=1.0):
    return Receipt(
        stage="ingest",
        task=task,
        stage_version=1,
        key="key",
        rows_in=rows,
        rows_out=rows,
        output="x",
        output_digest="d",
        pattern="**/*",
        inventory="none",
        seconds=seconds,
    )


@pytest.fixture
def run(tmp_path):
    workdir = Workdir(tmp_path)
    events = Events(workdir.logs, verbosity=-1)
    yield workdir, events
    events.close()


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.02)


def test_rows_are_those_of_the_whole_stage(run):
    workdir, events = run
    meter = Said()
    with StageWatch(workdir, events, meter, INGEST, None, TASKS, lambda: 2) as watch:
        for task in TASKS:
            watch.finished(task.name, receipt(task.name, 1000))
        wait_for(lambda: (meter.done, meter.text, meter.left) == (3, "3,000 rows", 0.0))
    assert not workdir.progress_file.exists()


def test_a_failure_is_no_row_and_is_counted(run):
    workdir, events = run
    meter = Said()
    with StageWatch(workdir, events, meter, INGEST, None, TASKS, lambda: 2) as watch:
        watch.finished("a", receipt("a", 10))
        watch.finished("b", None)
        wait_for(lambda: (meter.done, meter.text) == (2, "10 rows; 1 failed"))


def test_a_stage_that_ends_between_two_looks_is_shown_to_its_end(run, monkeypatch):
    workdir, events = run
    monkeypatch.setattr(watch_module, "LOOK_SECONDS", 60.0)
    meter = Said()
    with StageWatch(workdir, events, meter, INGEST, None, TASKS, lambda: 2) as watch:
        for task in TASKS:
            watch.finished(task.name, receipt(task.name, 10))
    assert (meter.done, meter.text, meter.left) == (3, "30 rows", 0.0)


def test_taking_note_costs_the_same_however_much_is_left(run):
    """At the end of 12 000 tasks on 256 workers a driver spent 29 ms on each that was finished."""
    workdir, events = run
    tasks = [Task("ingest", f"{number:06d}", "key", work=2.0) for number in range(12_000)]
    meter, workers = Said(), 256
    watch = StageWatch(workdir, events, meter, INGEST, None, tasks, lambda: workers)
    with ExitStack() as marks:
        for task in tasks[:workers]:
            marks.enter_context(mark(workdir, "ingest", task.name))
        watch._look(time.monotonic())
        begin = time.thread_time()
        for task in (*tasks[: workers - 1], *tasks[workers:512]):
            watch.finished(task.name, receipt(task.name, 10, seconds=4.0))
        assert (time.thread_time() - begin) / 511 < 1e-3
        begin = time.thread_time()
        watch._show(time.monotonic())
        assert time.thread_time() - begin < 0.1
    # What is finished is forgotten, and what is left is worth what it is worth.
    assert set(watch._seen) == {tasks[workers - 1].name}
    assert watch._work_left == 2.0 * (12_000 - 511)
    assert meter.done == 511
    assert meter.left == pytest.approx(4.0 * (12_000 - 512) / workers, rel=0.05)


def test_a_worker_has_a_first_task_and_later_ones(run):
    """Which are first is told by the order in which tasks were begun, also when some are done."""
    workdir, events = run
    watch = StageWatch(workdir, events, Said(), INGEST, None, TASKS, lambda: 2)
    for names in ("a", "ab", "bc"):
        with ExitStack() as marks:
            for name in names:
                marks.enter_context(mark(workdir, "ingest", name))
            watch._look(time.monotonic())
        if names == "ab":
            watch.finished("a", receipt("a", 1))
    now = time.monotonic()
    assert [watch._fact_of(name, now).first for name in "bc"] == [True, False]


@pytest.fixture
def training(run):
    """A member that is trained: its context, its task, and a function that ends an epoch."""
    workdir, _ = run
    settings = load_config(None, ["model.epochs=10", "model.patience=4"], {}).model
    context = TrainContext(workdir, default_contract(), settings, 1, "cpu", {})
    task = Task("train", "member-00", "0123456789abcdef")
    log = workdir.models / "members" / "member-00-0123456789ab" / "training.jsonl"
    log.parent.mkdir(parents=True)

    def end_epoch(epoch, best=None, loss=-1.5):
        row = {"epoch": epoch, "best_epoch": best or epoch, "validation_loss": loss}
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")

    return context, task, end_epoch


def test_epochs_tell_what_is_left_and_status_says_the_same(run, training):
    workdir, events = run
    context, task, end_epoch = training
    write_plan(workdir, "train", [task])
    events.record("stage", stage="train", stall_seconds=60)
    meter = Said()
    with (
        driver_lock(workdir.lock_file),
        mark(workdir, "train", "member-00"),
        StageWatch(workdir, events, meter, MEMBER, context, [task], lambda: 2),
    ):
        wait_for(lambda: meter.text == "1 at work")
        assert meter.left is None
        ends = []
        for epoch in (1, 2, 3):
            time.sleep(0.2)
            end_epoch(epoch)
            ends.append(time.monotonic())
            wait_for(lambda number=epoch: f"epoch {number} of 10" in meter.text)
        expected = 7 * (ends[2] - ends[0]) / 2
        assert meter.left == pytest.approx(expected, rel=0.5)
        wait_for(lambda: "epoch 3" in read_progress(workdir).text)
        (stage,) = read_status(workdir.root).stages
        assert stage.seconds_left == pytest.approx(expected, rel=0.6)
        assert "member-00: epoch 3 of 10, loss -1.500" in in_words(read_status(workdir.root))


def test_a_member_that_gets_no_better_is_expected_to_give_up(training):
    context, task, end_epoch = training
    assert MEMBER.part(context, task) is None
    end_epoch(2)
    assert (MEMBER.part(context, task).of, MEMBER.part(context, task).resigned) == (10, 0.0)
    end_epoch(5, best=2)  # three of four epochs of patience are gone
    part = MEMBER.part(context, task)
    assert (part.done, part.of, part.soonest, part.resigned) == (5, 10, 6, 0.75)
    # That of a fold has no validation stars to give up by.
    end_epoch(6, loss=None)
    part = MEMBER.part(context, task)
    assert (part.of, part.text, part.soonest, part.resigned) == (10, "epoch 6 of 10", None, 0.0)


def test_a_task_that_leaves_nothing_to_see_tells_its_share(run, training):
    context, workdir = training[0], run[0]
    task = Task("model", "ensemble", "key")
    with mark(workdir, "model", "ensemble"):
        assert ASSEMBLE.part(context, task) is None
        tell(workdir, "model", "ensemble", 0.374)
        part = ASSEMBLE.part(context, task)
        assert (part.done, part.of, part.text) == (37, 100, "37% done")
    assert not list((workdir.running / "model").iterdir())


def test_a_member_that_begins_anew_counts_from_there(run, training):
    """Its checkpoint was damaged: what was logged before is no pace."""
    workdir, events = run
    context, task, end_epoch = training
    end_epoch(8)
    watch = StageWatch(workdir, events, Said(), MEMBER, context, [task], lambda: 1)
    with mark(workdir, "train", task.name):
        watch._look(0.0)
        for epoch in (1, 2, 3):
            end_epoch(epoch)
            watch._look(10.0 * epoch)
        assert watch._estimate(30.0) == pytest.approx(70.0)


@pytest.mark.parametrize("text", ["", "{", "[]\n", "null", '{"epoch": 1}', "\x00\xff"])
def test_a_damaged_log_says_nothing(run, training, text):
    context, task, _ = training
    workdir, _ = run
    (log,) = workdir.models.glob("members/*")
    (log / "training.jsonl").write_text(text)
    assert MEMBER.part(context, task) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"run": 1}'])
def test_damaged_progress_is_none(run, text):
    workdir, _ = run
    workdir.running.mkdir()
    workdir.progress_file.write_text(text)
    assert read_progress(workdir) is None


def test_the_log_has_a_line_now_and_then(run, monkeypatch):
    workdir, events = run
    monkeypatch.setattr(watch_module, "LOG_SECONDS", 0.1)
    (log,) = workdir.logs.glob("run-*.jsonl")
    with StageWatch(workdir, events, Said(), INGEST, None, TASKS, lambda: 2):
        wait_for(lambda: log.read_text().count("\n") >= 2)
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert {each["event"] for each in told} == {"progress"}
    assert (told[0]["stage"], told[0]["done"], told[0]["total"]) == ("ingest", 0, 3)


@pytest.fixture
def lines(monkeypatch):
    """Lines for somebody without a terminal, at times that the test sets."""
    said, clock = [], SimpleNamespace(now=0.0)
    monkeypatch.setattr(events_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    meter = _Lines(SimpleNamespace(say=said.append), "train", 4, "{:.0f}".format)
    return meter, clock, said


def test_a_long_task_is_a_line_a_minute(lines):
    meter, clock, said = lines
    for second in range(601):
        clock.now = float(second)
        meter.show(0, 1000.0 - second, f"epoch {second // 10}")
    assert len(said) == 10
    assert said[0] == "train: 0 of 4, 60 s so far, about 16 min left (epoch 6)"


def test_short_tasks_are_a_line_in_fifteen_seconds_and_one_at_the_end(lines):
    meter, clock, said = lines
    for second in range(41):
        clock.now = float(second)
        meter.show(second / 10, 40.0 - second)
    for _ in range(100):
        clock.now += 30.0
        meter.show(4, 0.0)
    assert said == [
        "train: 2 of 4, 15 s so far, about 25 s left",
        "train: 3 of 4, 30 s so far, about 10 s left",
        "train: 4 of 4, in 40 s",
    ]


def test_a_result_that_the_scheduler_holds_back_counts_when_its_receipt_is_there(run):
    workdir, events = run
    meter = Said()
    with StageWatch(workdir, events, meter, INGEST, None, TASKS, lambda: 2) as watch:
        with mark(workdir, "ingest", "a"):
            wait_for(lambda: meter.text == "1 at work")
            write_receipt(workdir.receipt_file("ingest", "a"), receipt("a", 10))
        wait_for(lambda: (meter.done, meter.text) == (1, "10 rows"))
        watch.finished("a", receipt("a", 10))
        assert (meter.done, meter.text) == (1, "10 rows")
