"""The site: Sphinx over the Markdown that is also read in the repository (``make docs``).

Pages link to each other, and to files of the repository, as Markdown does everywhere. Two things
are done to them here: links that leave ``docs/`` become links to the repository, and the lists of
`index.md` become the menus of the site, so that there is one list for both.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from catalog_builder import __version__

HERE = Path(__file__).parent
_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = _PROJECT["urls"]["Repository"]

project = "catalog-builder"
author = copyright = "The catalog-builder developers"  # noqa: A001
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "sphinx_copybutton"]
exclude_patterns = ["site", "tutorials/.ipynb_checkpoints"]
myst_heading_anchors = 3  # as the repository's own pages have them
nb_execution_mode = "off"  # notebooks are kept with their output; `make check-long` runs them
autodoc_typehints = "none"  # the docstrings say it in words
numpydoc_show_class_members = False
# Docstrings name classes of other packages, and places where things are defined, not exported.
nitpick_ignore_regex = [("py:.*", ".*")]
# Shell sessions and drawings have no lexer; one that fails is not worth a warning.
suppress_warnings = ["misc.highlighting_failure"]
highlight_language = "text"
smartquotes = False  # `--model` is no dash

html_theme = "pydata_sphinx_theme"  # that of astropy and its affiliated packages
html_title = f"catalog-builder {version}"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
templates_path = ["site/templates"]
html_sidebars = {"**": ["pages.html"]}
html_show_sourcelink = False
html_sourcelink_suffix = ""  # notebooks are offered as files of their own name
html_theme_options = {
    "github_url": REPOSITORY,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc", "notebook"],
    "navbar_align": "left",
    "navbar_center": [],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

_LINK = re.compile(r"(\]\()((?:\.\./)+[^)\s#]+)(#[^)\s]*)?\)")
_PAGE = re.compile(r"\]\(([\w/-]+)\.(?:md|ipynb)\)")
_MENU = "\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def to_the_repository(text: str, folder: Path) -> str:
    """Return a page with its links to files beside ``docs/`` leading to the repository."""

    def lead(match: re.Match[str]) -> str:
        target = (folder / match[2]).resolve()
        if target.is_relative_to(HERE):
            return match[0]
        kind = "tree" if target.is_dir() else "blob"
        path = target.relative_to(HERE.parent).as_posix()
        return f"{match[1]}{REPOSITORY}/{kind}/main/{path}{match[3] or ''})"

    return _LINK.sub(lead, text)


def with_menus(text: str, pages: set[str]) -> str:
    """Return the front page with a menu for each of its lists; what is in none goes to `More`."""
    menus, listed = "", {"index"}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        caption = section.splitlines()[0]
        if named := [name for name in _PAGE.findall(section) if name not in listed]:
            menus += _MENU.format(caption=caption, pages="\n".join(dict.fromkeys(named)))
            listed.update(named)
    rest = sorted(page for page in pages - listed if not page.startswith("decisions/"))
    return text + menus + (_MENU.format(caption="More", pages="\n".join(rest)) if rest else "")


def _read(app: Any, docname: str, source: list[str]) -> None:
    if app.env.doc2path(docname).suffix != ".md":
        return
    text = to_the_repository(source[0], (HERE / docname).parent)
    if docname == "index":
        text = with_menus(text, set(app.env.found_docs))
    if docname == "decisions/README":
        records = sorted(page.stem for page in (HERE / "decisions").glob("0*.md"))
        text += _MENU.format(caption="Records", pages="\n".join(records))
    source[0] = text


def setup(app: Any) -> None:
    """Have Sphinx ask for each page."""
    app.connect("source-read", _read)
