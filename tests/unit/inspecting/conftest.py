"""A small simulated sky, and descriptions that are wrong about it."""

from __future__ import annotations

import gzip
import shutil
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


@pytest.fixture
def archive(sky, tmp_path) -> Path:
    return Path(shutil.copytree(sky, tmp_path / "archive"))


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Apply a change to the text of a file."""
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), 1))


BIAS = "tentative_parallax_bias"
FALLBACK = {"rule": "lindegren2021", "inputs": load_release("dr3").parallax_zero_point.inputs}


def with_bias(archive, folder, cell, **rule) -> ReleaseSpec:
    """Give every star a bias, and return the description that subtracts it."""

    def add(content: bytes) -> bytes:
        lines = content.decode().splitlines()
        first = next(place for place, line in enumerate(lines) if not line.startswith("#"))
        comments, (names, *rows) = lines[:first], lines[first:]
        if comments:
            comments.append(f"# - {{name: {BIAS}, datatype: float64, unit: mas}}")
        made = [f"{names},{BIAS}", *(f"{row},{cell(n)}" for n, row in enumerate(rows))]
        return "\n".join([*comments, *made, ""]).encode()

    for path in (archive / "gdr3/gaia_source").glob("GaiaSource_*"):
        rewrite(path, add)

    def change(content):
        content["tables"]["gaia_source"]["columns"][BIAS] = {"dtype": "float64", "unit": "mas"}
        content["parallax_zero_point"] = {"rule": "column", "inputs": {"bias": BIAS}, **rule}

    return described(folder, change)


def mas(value: float) -> Callable[[int], str]:
    """Return cells of biases about a value, with a null among nine."""
    return lambda n: "null" if n % 9 == 0 else f"{value + 0.01 * (n % 7 - 3):.4f}"
