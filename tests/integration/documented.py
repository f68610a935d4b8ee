"""The commands and Python blocks that the documentation shows, as written there."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTEBOOKS = tuple(sorted(DOCS.rglob("*.ipynb")))
#: Packages beyond the tested set that a notebook imports.
NEEDS = {"crossmatch": "lsdb"}
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")), *NOTEBOOKS)

_FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
#: The program, or its image, and what follows on the line.
_CALL = re.compile(r"(?:^|[\s'\"/(])catalog-builder(?::[\w.-]+|[.]sif)?[ ]+(?P<arguments>[^\n]*)")
#: What begins a call: a subcommand or an option; anything else is another program's argument.
_BEGIN = re.compile(r"[a-z]+(-[a-z]+)*|--?[a-z][a-z-]*")


@dataclass(frozen=True)
class Command:
    """One command line: where it stands, and its arguments as written."""

    page: str
    text: str
    shell: bool

    @property
    def arguments(self) -> list[str]:
        """The arguments as a shell takes them apart; `...` stands for what a reader fills in."""
        return [part for part in shlex.split(self.text, comments=True) if part != "..."]

    @property
    def is_mention(self) -> bool:
        """Whether a sentence only names a subcommand."""
        return not self.shell and len(self.arguments) == 1


def cells_of(notebook: Path, kind: str) -> list[str]:
    """Return the cells of one kind (`code`, `markdown`) of a notebook, but those tagged `long`."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == kind and "long" not in cell["metadata"].get("tags", ())
    ]


def text_of(page: Path) -> str:
    """Return what a page says; of a notebook without its code, which has a test of its own."""
    if page.suffix == ".ipynb":
        return "\n\n".join(cells_of(page, "markdown"))
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    """Return the name of a page within the repository."""
    return page.relative_to(ROOT).as_posix()


def commands_of(text: str, page: str) -> list[Command]:
    """Return every command line of a page, in code blocks and within sentences."""
    found = []
    for language, block in _FENCE.findall(text):
        if language != "python":
            lines = re.sub(r"\\\n\s*", " ", block)
            found += _calls(lines, page, shell=language in {"sh", "bash", "console"})
    for code in _CODE.findall(_FENCE.sub("", text)):
        found += _calls(" ".join(code.split()), page, shell=False)
    return found


def _calls(text: str, page: str, *, shell: bool) -> list[Command]:
    found = []
    for match in _CALL.finditer(text):
        # A drawing goes on behind some spaces, a shell behind | ; & and the quote it stands in.
        arguments = re.split(r" {3,}(?![ -])|[|;&']", match["arguments"])[0].strip()
        if _BEGIN.fullmatch(arguments.split(" ", 1)[0]):
            found.append(Command(page, " ".join(arguments.split("  #")[0].split()), shell))
    return found


def all_commands() -> list[Command]:
    """Return the commands of all pages, each text once."""
    every = [command for page in PAGES for command in commands_of(text_of(page), name_of(page))]
    return list({(command.text, command.is_mention): command for command in every}.values())


def python_blocks() -> dict[str, list[str]]:
    """Return the Python blocks of each page that has some, from top to bottom.

    Those of CONTRIBUTING.md are parts of modules: tests/unit/test_contributing.py puts them there.
    """
    found = {}
    for page in set(PAGES) - {ROOT / "CONTRIBUTING.md"}:
        blocks = [
            block
            for language, block in _FENCE.findall(text_of(page))
            if language in {"python", "py", "pycon"}
        ]
        if blocks:
            found[name_of(page)] = blocks
    return found
