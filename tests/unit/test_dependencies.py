"""Whatever the program imports is declared: another library's own dependencies may go any day."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def plain(name):
    """Return the name of a distribution as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements):
    return {plain(re.match(r"[A-Za-z0-9._-]+", each)[0]) for each in requirements}


def imported(folder):
    """Return the packages that the modules below a folder import, and where, lazily or not."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            else:
                continue
            for module in modules:
                package = module.partition(".")[0]
                if package not in sys.stdlib_module_names and package != "catalog_builder":
                    found.setdefault(package, str(path.relative_to(ROOT)))
    return found


def test_every_package_that_is_imported_is_declared():
    everyone = packages_distributions()
    declared = names(PROJECT["dependencies"])
    for extra, requirements in PROJECT["optional-dependencies"].items():
        # What developers and the site have, users have not.
        declared |= names(requirements) if extra not in {"dev", "docs"} else set()
    found = imported(ROOT / "catalog_builder")
    assert {"numpy", "torch", "zarr"} <= set(found)
    undeclared = {
        package: path
        for package, path in found.items()
        if not {plain(name) for name in everyone.get(package, [package])} & declared
    }
    assert undeclared == {}
