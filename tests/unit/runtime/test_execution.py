"""A worker that outlives its driver puts nothing over the next driver's work."""

import json
import subprocess
import sys

import pytest

from catalog_builder.ground.errors import StoreError
from catalog_builder.runtime.lock import driver_lock, token_of
from catalog_builder.runtime.receipts import read_receipt
from catalog_builder.runtime.running import mark, running
from catalog_builder.runtime.tasks import Outcome, Stage, Task, review, run_task
from catalog_builder.runtime.workdir import Workdir, remove_unfinished

TASK = Task("s", "a", "k")


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path)


def stage_that(workdir, deed=lambda: None):
    def work(context, task):
        out = workdir.new_output("rows", task.name, suffix=".txt")
        out.write_text("row")
        deed()
        return Outcome(1, 1, str(out.relative_to(workdir.root)), "digest")

    return Stage("s", 1, work)


def test_a_task_of_a_driver_that_is_gone_writes_no_receipt(workdir):
    with driver_lock(workdir.lock_file) as old:
        assert old == token_of(workdir.lock_file)
    with driver_lock(workdir.lock_file) as new:
        assert new != old
        with pytest.raises(StoreError, match="another one has taken over"):
            run_task(stage_that(workdir), None, workdir, TASK, old)
        assert not workdir.receipt_file("s", "a").exists()
        run_task(stage_that(workdir), None, workdir, TASK, new)
    assert "a" in review(workdir, [TASK]).done


def test_a_task_whose_driver_let_go_of_the_lock_still_counts(workdir):
    with driver_lock(workdir.lock_file) as token:
        pass
    run_task(stage_that(workdir), None, workdir, TASK, token)
    assert "a" in review(workdir, [TASK]).done


def test_a_task_is_marked_while_it_is_worked_on(workdir):
    seen = []
    run_task(stage_that(workdir, lambda: seen.extend(running(workdir))), None, workdir, TASK)
    assert [(found.stage, found.task) for found in seen] == [("s", "a")]
    assert "s/a for 0 s" in seen[0].in_words
    assert running(workdir) == []


def test_half_a_mark_is_passed_over(workdir):
    with mark(workdir, "s", "a"):
        (file,) = workdir.running.glob("*/*.json")
        file.write_text(file.read_text()[:10])
        assert running(workdir) == []


def test_the_mark_of_a_dead_process_is_not_shown(workdir):
    script = (
        "import os, sys, pathlib; from catalog_builder.runtime import running, workdir;"
        "mark = running.mark(workdir.Workdir(pathlib.Path(sys.argv[1])), 's', 'a');"
        "mark.__enter__(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", script, str(workdir.root)], check=False)
    assert list(workdir.running.glob("*/*.json"))
    assert running(workdir) == []


def test_a_new_output_replaces_the_old_one(workdir):
    stage = stage_that(workdir)
    first = run_task(stage, None, workdir, TASK)
    assert run_task(stage, None, workdir, TASK).output == first.output, "done is done"
    second = run_task(stage, None, workdir, Task("s", "a", "another key"))
    assert first.output != second.output
    assert [path.name for path in (workdir.root / "rows").iterdir()] == [second.output[5:]]


def test_rows_that_do_not_balance_are_a_defect(workdir):
    def work(context, task):
        (workdir.root / "rows").mkdir()
        return Outcome(3, 1, "rows", "digest", rejected={"x": 1})

    with pytest.raises(RuntimeError, match="do not balance"):
        run_task(Stage("s", 1, work), None, workdir, TASK)
    assert not workdir.receipt_file("s", "a").exists()


def test_a_receipt_says_nothing_of_its_time(workdir):
    run_task(stage_that(workdir), None, workdir, TASK)
    content = json.loads(workdir.receipt_file("s", "a").read_text())
    assert read_receipt(workdir.receipt_file("s", "a")).digest == content["digest"]
    assert not {"time", "host", "pid", "user"} & content.keys()


def test_what_a_killed_writer_left_is_swept(workdir):
    run_task(stage_that(workdir), None, workdir, TASK)
    receipt = workdir.receipt_file("s", "a")
    torn = receipt.with_name(f".{receipt.name}.0123abcd")
    torn.write_text(receipt.read_text()[:20])
    remove_unfinished(workdir.receipts)
    assert list(receipt.parent.iterdir()) == [receipt]
