"""A small simulated sky that several tests look at."""

from __future__ import annotations

import pytest

from catalog_builder.simulate.sky import simulate


@pytest.fixture(scope="session")
def sky(tmp_path_factory):
    """Write 480 stars in 6 partitions; return the folder and the summary."""
    out = tmp_path_factory.mktemp("sky") / "archive"
    return out, simulate("dr3", 480, 7, out)
