"""A task that keeps killing its worker is given up; its neighbours and the run are not."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import cloudpickle
import pytest

from catalog_builder.ground.errors import ClusterError, InputError
from catalog_builder.looking.status import read_status
from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.quarantine import all_given_up
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir
from tests.warm import forked_workers

# Workers cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def work(workdir: Workdir, task: Task) -> Outcome:
    """Write one row, unless the task's file says to die, to eat memory or to be wrong."""
    with (workdir.root / f"starts-{task.name}").open("a") as starts:
        starts.write("x")
    deed = (workdir.root / f"deed-{task.name}").read_text()
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "eat":
        eaten = []
        while True:
            eaten.append(b"x" * (32 << 20))
            time.sleep(0.02)
    if deed == "wrong":
        raise InputError(f"{task.name} is wrong.", "Correct it.")
    out = workdir.new_output("rows", task.name, suffix=".txt")
    out.write_text("row")
    return Outcome(1, 1, str(out.relative_to(workdir.root)), "digest")


def lacking(workdir: Workdir, task: Task) -> Outcome:
    """Write one row, and say that it went without something if a file says so."""
    outcome = work(workdir, task)
    lacks = (workdir.root / f"lacks-{task.name}").exists()
    return replace(outcome, notes={"problem": "no file"}) if lacks else outcome


LACKING = Stage(
    "work", version=1, work=lacking, expendable=True, incomplete=lambda found: bool(found.notes)
)
EXPENDABLE = Stage("work", version=1, work=work, expendable=True)
NEEDED = Stage("work", version=1, work=work)


class Bench:
    """A workdir, its tasks' deeds and a way to complete them."""

    def __init__(self, root: Path) -> None:
        self.workdir = Workdir(root)

    def tasks(self, key: str = "k", **deeds: str) -> list[Task]:
        for name, deed in deeds.items():
            (self.workdir.root / f"deed-{name}").write_text(deed)
        return [Task("work", name, key) for name in deeds]

    def starts(self, name: str) -> int:
        return len((self.workdir.root / f"starts-{name}").read_text())

    @contextmanager
    def driver(self, *, retry: bool = False, **cluster) -> Iterator[Driver]:
        settings = {"workers": 1, "attempts": 2, "performance_report": False, **cluster}
        config = RunConfig.model_validate({"workdir": self.workdir.root, "cluster": settings})
        with (
            closing(Events(self.workdir.logs, verbosity=-1)) as events,
            Driver(config, self.workdir, events, retry_quarantined=retry) as driver,
        ):
            yield driver


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def quick():
    """Workers begin without their imports, a dozen of them in these tests."""
    with forked_workers(("distributed.nanny", "catalog_builder.runtime.execution")):
        yield


def complete(driver, stage, bench, tasks):
    return [receipt.task for receipt in driver.complete(stage, bench.workdir, tasks)]


def test_a_task_that_kills_its_worker_is_given_up_alone(quick, bench, capsys):
    deeds = {"a": "good", "b": "die", "c": "good", "d": "good"}
    with bench.driver() as driver:
        assert complete(driver, EXPENDABLE, bench, bench.tasks(**deeds)) == ["a", "c", "d"]
        (record,) = all_given_up(bench.workdir)
        assert record.task == "b"
        assert "killed its worker" in record.reason
        assert "work/b is in quarantine" in capsys.readouterr().err
        tried = bench.starts("b")
        assert tried == 4  # `attempts` times in company, and as often alone
        status = {stage.stage: stage for stage in read_status(bench.workdir.root).stages}["work"]
        assert list(status.quarantined) == ["b"]
        assert (status.state, status.done, status.failed) == ("complete", 3, {})

        complete(driver, EXPENDABLE, bench, bench.tasks(**deeds))
        assert bench.starts("b") == tried, "what is in quarantine is not tried again"

        corrected = bench.tasks(key="another", **(deeds | {"b": "good"}))
        assert complete(driver, EXPENDABLE, bench, corrected) == ["a", "b", "c", "d"]


def test_quarantine_is_left_when_asked_for(quick, bench):
    with bench.driver(attempts=1) as driver:
        assert complete(driver, EXPENDABLE, bench, bench.tasks(a="wrong", b="good")) == ["b"]
        assert all_given_up(bench.workdir)[0].reason == "a is wrong. Correct it."
    with bench.driver(retry=True) as driver:
        assert complete(driver, EXPENDABLE, bench, bench.tasks(a="good", b="good")) == ["a", "b"]
    assert all_given_up(bench.workdir) == []


def test_another_try_is_one_in_a_run(quick, bench):
    """What is planned anew, since something was damaged, does not have it all done again."""
    (bench.workdir.root / "lacks-a").touch()
    tasks = bench.tasks(a="good", b="good", c="wrong")
    with bench.driver(attempts=1) as driver:
        assert complete(driver, LACKING, bench, tasks) == ["a", "b"]
        before = {name: bench.starts(name) for name in "abc"}
    with bench.driver(retry=True, attempts=1) as driver:
        for _ in range(2):
            assert complete(driver, LACKING, bench, tasks) == ["a", "b"]
    again = {name: bench.starts(name) - count for name, count in before.items()}
    assert again == {"a": 1, "b": 0, "c": 1}


def test_a_task_that_eats_all_memory_is_given_up(bench):
    with bench.driver(attempts=1, memory_limit="500MiB") as driver:
        assert complete(driver, EXPENDABLE, bench, bench.tasks(a="eat", b="good")) == ["b"]
    assert [record.task for record in all_given_up(bench.workdir)] == ["a"]


def test_a_stage_that_needs_every_task_fails_when_the_others_are_done(quick, bench):
    with bench.driver(attempts=1) as driver:
        tasks = bench.tasks(a="die", b="good")
        with pytest.raises(ClusterError, match=r"1 of 2 tasks failed, the others are done. a: it"):
            driver.complete(NEEDED, bench.workdir, tasks)
        assert driver.executed == {"work": 1}
    status = {stage.stage: stage for stage in read_status(bench.workdir.root).stages}["work"]
    assert status.state == "failed"
    assert list(status.failed) == ["a"]
    assert all_given_up(bench.workdir) == []
