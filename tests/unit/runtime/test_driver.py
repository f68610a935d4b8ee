"""What the driver does when a worker is lost at an awkward moment."""

from types import SimpleNamespace

import pytest
from distributed.comm import CommClosedError

from catalog_builder.ground.errors import ClusterError
from catalog_builder.runtime import signals
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.tasks import Task
from catalog_builder.runtime.workdir import Workdir


class Losing:
    """A client that loses a worker whenever a plugin is registered, so many times."""

    def __init__(self, losses):
        self.scheduler, self.losses, self.told = object(), losses, 0

    def register_plugin(self, plugin):
        self.told += 1
        if self.told <= self.losses:
            raise CommClosedError("Stream is closed")


@pytest.fixture
def driver(tmp_path):
    config = SimpleNamespace(cluster=ClusterSettings(attempts=3), device="cpu")
    return Driver(config, Workdir(tmp_path), events=None)


@pytest.mark.parametrize("losses", [0, 1, 2])
def test_the_others_are_told_again_when_a_worker_is_lost(driver, losses):
    client = Losing(losses)
    driver._register(client, None, Task("predict", "a", "k"))
    assert client.told == losses + 1


def test_workers_that_are_lost_again_and_again_end_it_in_words(driver):
    with pytest.raises(ClusterError, match="Workers are lost while they load"):
        driver._register(Losing(9), None, Task("predict", "a", "k"))


def test_a_signal_whose_exception_was_lost_stops_the_next_stage(driver, monkeypatch):
    monkeypatch.setattr(signals._state, "told", True)
    with pytest.raises(KeyboardInterrupt):
        driver.complete(None, None, [])
