"""The model is on every worker, those that join late too, and never a wrong one."""

import json
import shutil

import pytest
from distributed import Client, LocalCluster

from catalog_builder.ground.errors import ModelError
from catalog_builder.inference.worker_model import ModelPlugin, worker_model
from catalog_builder.runtime.clusters.local import WORKER_ENVIRONMENT
from tests.integration.conftest import model_of


def models_in_memory():
    """Return how many models this worker holds."""
    from catalog_builder.inference import worker_model as module

    return module.worker_model.cache_info().currsize


def test_a_late_worker_has_the_model_before_its_first_task(finished):
    path = model_of(finished)
    digest = json.loads((path / "model.json").read_text())["digest"]
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            env=WORKER_ENVIRONMENT,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(ModelPlugin(path, digest))
        cluster.scale(2)
        client.wait_for_workers(2, timeout=240)
        assert sorted(client.run(models_in_memory).values()) == [1, 1]


def test_another_model_than_the_plans_is_refused(finished, tmp_path):
    path = shutil.copytree(model_of(finished), tmp_path / "model")
    worker_model.cache_clear()
    with pytest.raises(ModelError, match="the plan needs 00"):
        worker_model(path, "00" * 32)


def test_a_damaged_model_is_refused_by_the_task(finished, tmp_path):
    path = shutil.copytree(model_of(finished), tmp_path / "model")
    digest = json.loads((path / "model.json").read_text())["digest"]
    weights = next(path.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    worker_model.cache_clear()
    with pytest.raises(ModelError, match=weights.name):
        worker_model(path, digest)
