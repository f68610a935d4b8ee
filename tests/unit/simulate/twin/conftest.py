"""One small sky in two releases, in either layout."""

from __future__ import annotations

import pytest

from catalog_builder.simulate.twin.sky import Recipe, simulate_two

#: Enough of each kind in few stars.
SHARES = {"changed": 0.1, "split": 0.05, "merged": 0.05}


@pytest.fixture(scope="session")
def twins(tmp_path_factory):
    """Write 240 stars as text in ranges; return the summary."""
    out = tmp_path_factory.mktemp("twins") / "sky"
    return simulate_two("dr4", "dr3", 240, 7, out, Recipe(layout="ranges", **SHARES))


@pytest.fixture(scope="session")
def regions(tmp_path_factory):
    """Write the same stars as Parquet in folders by region; return the summary."""
    out = tmp_path_factory.mktemp("regions") / "sky"
    return simulate_two("dr4", "dr3", 240, 7, out, Recipe(layout="regions", **SHARES))
