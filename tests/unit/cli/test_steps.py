"""Which steps a command completes."""

import signal
import sys

import pytest

from catalog_builder import cli
from catalog_builder.cli.steps import _wanted
from catalog_builder.ground.errors import ConfigError
from catalog_builder.run.config import RunConfig


def test_a_run_stops_after_the_step_it_is_told():
    assert _wanted("run", RunConfig(), "training-set") == ("ingest", "training-set")
    assert _wanted("run", RunConfig(), None)[-1] == "publish"


def test_a_step_that_is_not_part_of_the_run_is_refused():
    with pytest.raises(ConfigError, match="no such step"):
        _wanted("run", RunConfig(), "trian")
    with pytest.raises(ConfigError, match="ingest, predict, publish"):
        _wanted("run", RunConfig(model_path="model"), "train")


def test_one_step_has_no_until():
    with pytest.raises(ConfigError, match="one step"):
        _wanted("ingest", RunConfig(), "train")


def test_a_program_that_calls_this_one_keeps_its_signals(monkeypatch):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(sys, "argv", ["catalog-builder", "--version"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
