"""How tests are dealt out to processes (``pytest --numprocesses 3``), and their patience."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

# Three processes share two cores, and mostly wait: with two threads each, networks as small as
# those of the tests wait for each other and take twice the time. Set before torch and NumPy are
# imported, and inherited by what tests start.
for _threads in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMBA_NUM", "POLARS_MAX"):
    os.environ.setdefault(f"{_threads}_THREADS", "1")

#: What takes longest begins first; until it ends, the rest fills the other processes.
LONGEST = ("tests/integration/", "tests/faults/")
#: Files that do not look at the run which the others of their folder share, and where they belong:
#: in one process with those others, they would be the last to end by minutes.
APART = {
    "tests/faults/test_interrupts.py": "signals",
    "tests/integration/test_data_only.py": "skies of their own",
    "tests/integration/test_other_survey.py": "skies of their own",
    "tests/integration/test_simulate_workers.py": "skies of their own",
}

# A busy machine is no defect: what may take how long is said by pytest's timeout.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest in front; the order is kept otherwise."""
    items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in LONGEST])


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a folder in one process: they share its clusters and archives."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", maxsplit=1)[0]
            return APART.get(file, file.rpartition("/")[0])

    return ByFolder(config, log)
