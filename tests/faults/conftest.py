"""The kill suite's parts for the tests beside it, and one undisturbed run that they share."""

import importlib.util
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("kills", Path(__file__).with_name("kills.py"))
kills_module = importlib.util.module_from_spec(_SPEC)
sys.modules["kills"] = kills_module
_SPEC.loader.exec_module(kills_module)


@pytest.fixture(scope="session")
def kills():
    """The module of `make faults`."""
    return kills_module


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """An archive and an undisturbed run over it."""
    return kills_module.make_bench(tmp_path_factory.mktemp("bench"))
