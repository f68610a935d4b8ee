"""The kill suite's parts for the tests beside it, and one undisturbed run that they share."""

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

from tests.warm import Warm


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


kills_module, interrupts_module = _beside("kills"), _beside("interrupts")


@pytest.fixture(scope="session")
def kills():
    """The module of `make faults`."""
    return kills_module


@pytest.fixture
def interrupts():
    """The module that interrupts a run at twenty moments; what it starts listens to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield interrupts_module
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """An archive and an undisturbed run over it."""
    # Without the report, which takes as long as the rest; `make faults` draws it.
    settings = (*kills_module.SETTINGS, "publish.report=false")
    made = kills_module.make_bench(tmp_path_factory.mktemp("bench"), settings=settings)
    # The undisturbed run is started as people do; what is compared with it comes without imports.
    made.programs = Warm()
    yield made
    made.programs.close()
