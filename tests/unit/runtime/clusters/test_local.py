"""Workers on this machine: what they made is heard of at once, and Ctrl-C is not for them."""

import signal
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.execution import execute, places
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    settings = ClusterSettings(workers=1)
    with make_cluster(settings, Workdir(tmp_path_factory.mktemp("local"))) as opened:
        yield opened


def test_a_cluster_that_does_not_end_in_time_costs_no_run_its_end(tmp_path, monkeypatch):
    def late():
        raise TimeoutError

    cluster = make_cluster(ClusterSettings(workers=1), Workdir(tmp_path))
    monkeypatch.setattr(cluster, "open", lambda: cluster.stack.callback(late))
    warned = []
    monkeypatch.setattr(cluster.events, "warn", warned.append)
    with cluster:
        pass
    assert "did not end within its time" in warned[0]
    with pytest.raises(ValueError, match="the run's own"), cluster:
        raise ValueError("the run's own")
    assert len(warned) == 2


def test_a_result_does_not_wait_for_the_next_task(cluster):
    workdir = cluster.workdir

    def work(context, task):
        import time

        time.sleep(0.8)
        out = workdir.new_output("rows", task.name, suffix=".txt")
        out.write_text("row")
        return Outcome(1, 1, str(out.relative_to(workdir.root)), "digest")

    tasks = [Task("s", name, "k") for name in ("a", "b", "c")]
    moments = []
    for _ in execute(cluster.client, Stage("s", 1, work), None, workdir, tasks):
        moments.append(time.monotonic())
    # Two results that came together would be 0 s apart.
    assert min(later - earlier for earlier, later in pairwise(moments)) > 0.4


def test_as_many_tasks_side_by_side_as_there_are_threads(cluster):
    assert places(cluster.client, Stage("s", 1, lambda context, task: None)) == 1


def test_workers_have_no_pages_of_their_own(cluster):
    """Those need bokeh: a third of a second and 18 MiB for each worker."""

    def modules():
        import sys

        return {"bokeh", "distributed"} & set(sys.modules)

    assert list(cluster.client.run(modules).values()) == [{"distributed"}]


def test_workers_block_ctrl_c_from_their_first_moment(cluster):
    (worker,) = [
        child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())
    ]
    status = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    masks = dict(line.split(":", 1) for line in status if line.startswith("Sig"))
    assert int(masks["SigBlk"], 16) >> (signal.SIGINT - 1) & 1
    assert not int(masks["SigBlk"], 16) >> (signal.SIGTERM - 1) & 1
