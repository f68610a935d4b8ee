"""A small simulated sky, and descriptions that are wrong about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.inspecting.gate import GateReport, examine_archive
from catalog_builder.simulate.sky import simulate


@pytest.fixture(scope="session")
def sky(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sky") / "archive"
    simulate("dr3", 900, 5, out)
    return out


def described(folder: Path, change: Callable[[dict[str, Any]], Any]) -> ReleaseSpec:
    """Return DR3's description with something changed."""
    content = yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())
    change(content)
    file = folder / "changed.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_release(file)


def gate(archive: Path, release: ReleaseSpec) -> GateReport:
    return examine_archive(list_partitions(str(archive), release), release)
