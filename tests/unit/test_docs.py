"""The reference pages say what the program says."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SPEC = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_the_page_is_up_to_date(name):
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == generate.PAGES[name](), f"docs/{name} is out of date: run `make docs`"


def test_links_in_the_documentation_lead_somewhere():

    root = DOCS.parent
    for page in [root / "README.md", *sorted(DOCS.glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_that_the_documentation_names_are_there():
    root = DOCS.parent
    for page in [root / "README.md", *sorted(DOCS.glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"(?:tests|catalog_builder|schemas)/[\w/-]+\.(?:py|yaml)", text):
            assert (root / name).exists(), f"{page.name} names {name}"


def test_the_picture_of_the_rooms_is_the_order_that_is_checked():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (rooms,) = (c for c in project["tool"]["importlinter"]["contracts"] if c["id"] == "rooms")
    picture = (DOCS / "design.md").read_text(encoding="utf-8").split("## Rooms")[1]
    drawn = re.findall(r"^(\w+)/ +\S", picture.split("```")[1], re.MULTILINE)
    assert drawn == rooms["layers"]
    package = DOCS.parent / "catalog_builder"
    assert sorted(drawn) == sorted(path.parent.name for path in package.glob("*/__init__.py"))
