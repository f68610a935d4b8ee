"""The package has one name wherever it is installed by name, and one address."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from catalog_builder import DISTRIBUTION, __version__
from catalog_builder.ground.errors import ConfigError
from catalog_builder.runtime.clusters import registry
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.workdir import Workdir

ROOT = Path(__file__).parents[2]
_WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, TOOLS = _WHOLE["project"], _WHOLE["tool"]
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "deploy/Containerfile")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "catalog_builder").rglob("*.py")),
]
#: The name with an extra, or installed by name: `catalog-builder` there is another project.
INSTALLED = re.compile(r"(?<![\w-])catalog-builder\[|pip install[^\n`]*[ '\"]catalog-builder\b")


def test_the_name_and_the_version_are_those_of_the_package():
    assert PROJECT["name"] == DISTRIBUTION
    assert PROJECT["dynamic"] == ["version"]
    one = ROOT / TOOLS["hatch"]["version"]["path"]  # the one place where it stands
    assert f'__version__ = "{__version__}"' in one.read_text(encoding="utf-8")
    assert PROJECT["scripts"] == {"catalog-builder": "catalog_builder.cli:main"}


def test_the_search_finds_the_other_project():
    for bad in (
        "pip install 'catalog-builder[hpc]'",
        "pip install catalog-builder",
        "catalog-builder[tls]",
    ):
        assert INSTALLED.search(bad)
    assert not INSTALLED.search("pip install 'gaia-catalog-builder[hpc]'")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nobody_is_told_to_install_another_project(path):
    text = path.read_text(encoding="utf-8")
    assert not INSTALLED.search(text)
    for extra in re.findall(r"(?:\{DISTRIBUTION\}|gaia-catalog-builder|'\.)\[([\w,]+)\]", text):
        assert set(extra.split(",")) <= PROJECT["optional-dependencies"].keys()


def test_a_missing_extra_is_named_as_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.KINDS, "grid", ("no_such_package", "Grid"))
    with pytest.raises(ConfigError, match=r"pip install 'gaia-catalog-builder\[hpc\]'"):
        registry.make_cluster(ClusterSettings(kind="grid"), Workdir(tmp_path))


def test_there_is_one_address():
    urls = PROJECT["urls"]
    assert set(urls) == {"Homepage", "Documentation", "Repository", "Issues", "Changelog"}
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["repository-code"] == urls["Repository"]
    assert f'source="{urls["Repository"]}"' in (ROOT / "deploy/Containerfile").read_text()
