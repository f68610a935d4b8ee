"""The reference pages say what the program says."""

import importlib.util
import json
import re
import tomllib
from urllib.parse import urlsplit

import pytest
import yaml

from tests.integration.documented import DOCS, PAGES, ROOT, cells_of, name_of, text_of


def module(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


generate, conf = module("generate"), module("conf")


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_the_page_is_up_to_date(name):
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == generate.PAGES[name](), f"docs/{name} is out of date: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_in_the_documentation_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page)):
        assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_and_tests_that_the_documentation_names_are_there(page):
    for name, test in re.findall(
        r"(?:::)?((?:tests|catalog_builder|schemas)/[\w/-]+\.(?:py|yaml))(?:::(\w+))?",
        text_of(page),
    ):
        assert (ROOT / name).exists(), f"{name_of(page)} names {name}"
        assert not test or f"def {test}(" in (ROOT / name).read_text(encoding="utf-8")


def test_addresses_targets_of_make_and_yaml_of_the_documentation_are_well_formed():
    """Addresses are not asked, since tests have no network."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    addresses, made, blocks = set(), set(), []
    for page in PAGES:
        text = text_of(page)
        addresses |= set(re.findall(r"\]\((\w+:[^)]*)\)", text))
        made |= set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE))
        blocks += re.findall(r"^ *```ya?ml\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    assert addresses
    for address in addresses:
        assert urlsplit(address).scheme == "https", address
        assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", urlsplit(address).netloc), address
        assert not re.search(r"\s", address), address
    assert {"demo", "test", "docs"} <= made <= targets
    assert len(blocks) > 5
    for block in blocks:
        assert yaml.safe_load(block), block


def test_links_out_of_the_docs_lead_to_the_repository():
    page = "[a](../schemas) [b](../Makefile) [c](flags.md) [d](../docs/flags.md#x)"
    assert conf.to_the_repository(page, DOCS) == (
        f"[a]({conf.REPOSITORY}/tree/main/schemas) [b]({conf.REPOSITORY}/blob/main/Makefile)"
        " [c](flags.md) [d](../docs/flags.md#x)"
    )


def test_the_lists_of_the_front_page_are_the_menus_and_no_page_is_lost():
    text = "# T\n\n## One\n\n- [a](a.md)\n\n## Two\n\n- [b](in/b.ipynb), [a](a.md)\n"
    menus = conf.with_menus(text, {"index", "a", "in/b", "new", "decisions/0001-x"})
    assert re.findall(r":caption: (.*)\n\n(.*)\n```", menus) == [
        ("One", "a"), ("Two", "in/b"), ("More", "new"),
    ]  # fmt: skip


def test_every_page_can_be_reached_from_the_first():
    """On the site other pages come under `More`; who reads the repository has only these links."""
    seen, left = set(), [DOCS / "index.md", DOCS / "decisions" / "README.md"]
    while left:
        page = left.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([\w./-]+\.(?:md|ipynb))[)#]", text_of(page))
        left += [(page.parent / target).resolve() for target in targets]
    unseen = {name_of(page) for page in PAGES} - {name_of(page) for page in seen} - {"README.md"}
    assert not unseen, f"docs/index.md has no line for {unseen}"


def test_notebooks_are_kept_with_their_output_and_without_errors():
    for page in PAGES:
        if page.suffix != ".ipynb":
            continue
        assert cells_of(page, "code")
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        outputs = [each for cell in cells for each in cell.get("outputs", ())]
        assert outputs, f"{name_of(page)}: run `python -m tests.long.tutorials --write`"
        assert not [each for each in outputs if each["output_type"] == "error"]
        assert not [each for each in outputs if each.get("name") == "stderr"]


def test_records_have_the_next_number_and_a_date():
    records = sorted((DOCS / "decisions").glob("0*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    listed = text_of(DOCS / "decisions" / "README.md")
    for record in records:
        head, _, rest = record.read_text(encoding="utf-8").partition("\n\n")
        assert head.startswith(f"# {record.name[:4]}. ")
        assert re.match(r"\*\d{1,2} \w+ \d{4}", rest), record.name
        assert record.name in listed


def test_commits_are_checked_by_the_rules_of_the_tests():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]] == ["make lint"]


def test_the_picture_of_the_rooms_is_the_order_that_is_checked():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (rooms,) = (c for c in project["tool"]["importlinter"]["contracts"] if c["id"] == "rooms")
    picture = (DOCS / "design.md").read_text(encoding="utf-8").split("## Rooms")[1]
    drawn = re.findall(r"^(\w+)/ +\S", picture.split("```")[1], re.MULTILINE)
    assert drawn == rooms["layers"]
    package = DOCS.parent / "catalog_builder"
    assert sorted(drawn) == sorted(path.parent.name for path in package.glob("*/__init__.py"))
