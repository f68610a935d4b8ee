"""Many small tasks travel in bundles, and none suffers for another."""

from collections import Counter
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from catalog_builder.ground.errors import InputError
from catalog_builder.runtime import execution
from catalog_builder.runtime.execution import execute
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Failure, Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir


def work(context, task):
    root = Path(context)
    with (root / f"{task.name}.tries").open("a") as tries:
        tries.write("x")
    if task.name == "t05":
        raise InputError("Its input is at fault.", "Correct it.")
    (root / task.name).write_text("row")
    return Outcome(1, 1, task.name, "digest")


@pytest.fixture
def client():
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as c,
        Client(c) as client,
    ):
        yield client


@pytest.mark.parametrize("per_thread", [1, 1000])
def test_every_task_ends_once_whatever_the_bundles(client, tmp_path, monkeypatch, per_thread):
    monkeypatch.setattr(execution, "BUNDLES_PER_THREAD", per_thread)
    tasks = [Task("s", f"t{number:02}", "key") for number in range(20)]
    results = list(execute(client, Stage("s", 1, work), str(tmp_path), Workdir(tmp_path), tasks))

    receipts = [result for result in results if isinstance(result, Receipt)]
    (failure,) = (result for result in results if isinstance(result, Failure))
    assert Counter(receipt.task for receipt in receipts) == Counter(
        task.name for task in tasks if task.name != "t05"
    )
    assert failure.task.name == "t05"
    assert "Its input is at fault." in failure.reason
    tries = {file.stem: len(file.read_text()) for file in tmp_path.glob("*.tries")}
    assert tries.pop("t05") == (2 if per_thread == 1 else 1)
    assert set(tries.values()) == {1}


def test_bundles_leave_every_thread_many_of_them(client):
    tasks = [Task("s", str(number), "key") for number in range(20_000)]
    assert {len(bundle) for bundle in execution._bundles(client, tasks)} == {16}
    assert [len(bundle) for bundle in execution._bundles(client, tasks[:130])] == [2] * 65
    assert [len(bundle) for bundle in execution._bundles(client, tasks[:100])] == [1] * 100
