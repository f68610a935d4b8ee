"""A task that eats the memory of its worker three times is given up, and its job survives."""

import json
from contextlib import closing

from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.quarantine import all_given_up
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.workdir import Workdir
from tests.cluster.conftest import settings
from tests.cluster.hungry import STAGE


def test_a_partition_that_eats_memory_is_quarantined_with_that_reason(quiet_bed, tmp_path):
    given = settings("slurm", workers=1, cluster={"performance_report": False, "attempts": 2})
    given["cluster"] |= {"memory_limit": "400MiB"}
    config = RunConfig.model_validate({**given, "workdir": tmp_path / "work"})
    workdir = Workdir(tmp_path / "work")
    workdir.create()
    tasks = [Task("hungry", name, "k") for name in ("eats", "fasts")]
    with (
        closing(Events(workdir.logs, verbosity=-1)) as voice,
        Driver(config, workdir, voice) as driver,
    ):
        done = driver.complete(STAGE, workdir, tasks)
        jobs = quiet_bed.jobs()
    assert [receipt.task for receipt in done] == ["fasts"]
    (record,) = all_given_up(workdir)
    assert record.task == "eats"
    assert "lack of memory" in record.reason
    # Dask restarts the worker before the batch system ends its job.
    assert len(jobs) == 1
    (log,) = workdir.logs.glob("*.jsonl")
    events = {found["event"]: found for found in map(json.loads, log.read_text().splitlines())}
    assert "jobs_ended" not in events["losses"]
    assert events["losses"]["tasks_cut_short"] == 4  # twice in company, twice alone
