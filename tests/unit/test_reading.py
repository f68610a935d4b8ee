"""Catalogues are read without what only making them needs: the extra `run`."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from catalog_builder import DISTRIBUTION
from catalog_builder.ground.extras import RUN

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]

#: Packages of the extra are not there; what is imported of this program must not miss them.
READING = """
import importlib, sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import catalog_builder
from catalog_builder.ground.errors import ConfigError
for name in catalog_builder.__all__:
    try:
        getattr(catalog_builder, name)
    except ConfigError as error:
        print(name, error)
for module in {modules!r}:
    importlib.import_module(f"catalog_builder.{{module}}")
"""
#: What the commands import that read: see `catalog_builder/cli`.
MODULES = (
    "cli.program",
    "catalog.validate",
    "catalog.science",
    "comparing.page",
    "comparing.figures",
    "exporting.delimited",
    "exporting.parquet",
    "looking.doctor",
    "looking.status",
)


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_extra_is_what_is_refused_without_it():
    known = packages_distributions()
    named = {plain(re.match(r"[A-Za-z0-9._-]+", each)[0]) for each in EXTRAS["run"]}
    assert {plain(known[package][0]) for package in RUN} == named


def test_reading_misses_nothing_and_labelling_names_the_extra():
    done = subprocess.run(
        [sys.executable, "-c", READING.format(absent=set(RUN), modules=MODULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (said,) = done.stdout.splitlines()
    assert re.match(r"predict predict needs what is not installed here: \w+\. ", said)
    assert f"'{DISTRIBUTION}[run]'" in said


@pytest.mark.parametrize("command", [["run"], ["simulate", "--out", "sky"], ["train"]])
def test_a_command_that_makes_names_the_extra_before_it_begins(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("catalog_builder.ground.extras.RUN", ("no_such_package", "numpy"))
    from catalog_builder.cli import program

    monkeypatch.setattr(sys, "argv", ["catalog-builder", *command])
    assert program.run() == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "not installed here: no_such_package." in said
    assert f"pip install '{DISTRIBUTION}[run]'" in said
    assert not any(tmp_path.iterdir())
