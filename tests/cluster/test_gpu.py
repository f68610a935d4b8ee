"""Training has a GPU job of its own while it lasts, and no CPU takes its place in silence."""

import os

import pytest

from catalog_builder.ground.errors import ConfigError
from catalog_builder.model.stage import _device
from catalog_builder.run.config import load_config
from tests.cluster.conftest import settings


def test_the_gpu_job_is_there_for_its_tasks_and_given_back(quiet_bed, cluster):
    given = settings("slurm", gpu_queue="gpu", gpu_cores=1)
    with cluster(given) as opened:
        assert {where for _, where, _ in quiet_bed.jobs()} == {"cpu"}
        with opened.offering("GPU") as client:
            there = {"resources": {"GPU": 1}, "pure": False}
            asked = client.submit(os.getenv, "SLURM_JOB_PARTITION", **there)
            assert asked.result(timeout=60) == "gpu"
            # This GPU is a fake. Without `gpu_fallback` a run insists on one that works.
            device = load_config(None, [], given).training_device
            with pytest.raises(ConfigError, match="the worker that trains has no GPU"):
                client.submit(_device, device, **there).result(timeout=60)
        quiet_bed.wait_until(lambda: {where for _, where, _ in quiet_bed.jobs()} == {"cpu"})
        assert opened.losses() == {}
