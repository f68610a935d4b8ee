"""Only work that a lost worker took with it is counted as lost."""

import pytest
from distributed import LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin

from catalog_builder.runtime.clusters.cut_work import CutWork


@pytest.mark.parametrize(
    ("finish", "facts", "lost"),
    [
        ("memory", {}, 0),
        ("erred", {"exception_text": "ValueError()"}, 0),
        ("erred", {}, 1),
        ("released", {}, 1),
        ("no-worker", {}, 1),
    ],
)
def test_what_ends_a_task_tells_whether_its_work_is_lost(finish, facts, lost):
    cut = CutWork()
    cut.transition("task", "waiting", "processing")
    cut.transition("task", "processing", finish, **facts)
    cut.transition("task", finish, "forgotten")
    assert cut.tasks == lost


def test_the_scheduler_tells_the_difference():
    with (
        LocalCluster(
            n_workers=1,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        cluster.get_client() as client,
    ):
        cut = CutWork()
        assert isinstance(cut, SchedulerPlugin)
        cluster.scheduler.add_plugin(cut)
        assert client.submit(sum, [1, 2]).result(timeout=30) == 3
        with pytest.raises(ZeroDivisionError):
            client.submit(divmod, 1, 0).result(timeout=30)
    assert cut.tasks == 0
