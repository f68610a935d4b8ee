"""A cluster whose workers end as they start is given up in time, with a word."""

import os
from contextlib import closing

import dask
import pytest

from catalog_builder.ground.errors import ClusterError
from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.clusters import presence
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.tasks import Stage, Task
from catalog_builder.runtime.workdir import Workdir

SETTINGS = {"workers": 1, "performance_report": False}

#: A preload: workers end at once when the flag is there.
PRELOAD = """
import os

def dask_setup(worker):
    if os.path.exists({flag!r}):
        os._exit(3)
"""


@pytest.fixture
def flag(tmp_path):
    """A file; while it is there, no worker can start."""
    flag = tmp_path / "flag"
    preload = tmp_path / "preload.py"
    preload.write_text(PRELOAD.format(flag=str(flag)))
    with dask.config.set({"distributed.worker.preload": [str(preload)]}):
        yield flag


def test_workers_that_cannot_start_are_a_cluster_error(flag, tmp_path):
    flag.touch()
    cluster = make_cluster(ClusterSettings(workers=1), Workdir(tmp_path), Events(None, -1))
    with pytest.raises(ClusterError, match="cannot be started"), cluster:
        pass


def test_a_cluster_that_will_have_no_worker_again_is_given_up(flag, tmp_path, monkeypatch):
    monkeypatch.setattr(presence, "PATIENCE_SECONDS", 3.0)
    monkeypatch.setattr(presence, "POLL_SECONDS", 0.1)

    def work(context, task):
        flag.touch()
        os._exit(4)

    workdir = Workdir(tmp_path)
    config = RunConfig.model_validate({"workdir": tmp_path, "cluster": SETTINGS})
    stage = Stage("work", version=1, work=work, expendable=True)
    with (
        closing(Events(None, -1)) as events,
        Driver(config, workdir, events) as driver,
        pytest.raises(ClusterError, match=r"no worker for \d s"),
    ):
        driver.complete(stage, None, [Task("work", "a", "k"), Task("work", "b", "k")])
