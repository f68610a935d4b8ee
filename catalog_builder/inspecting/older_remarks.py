"""What a description says of its own lines, in comments with a mark: ``[check] as DR3's``.

A draft keeps them behind the lines that it takes over: they say how sure these are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from catalog_builder.ground.documents import LOADER, DocumentError, parse_yaml
from catalog_builder.inspecting.drafting import Path

#: A word in brackets is a mark; what is none stays where it is.
_MARK: Final = re.compile(r"\[[A-Za-z][A-Za-z -]{0,30}\]")


@dataclass(frozen=True)
class OlderRemarks:
    """The marked comments of a description.

    Attributes
    ----------
    behind : dict of path to str
        What stands behind a key, on its line.
    above : dict of path to list of str
        Lines of comments right above a key, where one of them has a mark.
    """

    behind: dict[Path, str] = field(default_factory=dict)
    above: dict[Path, list[str]] = field(default_factory=dict)


def read_remarks(text: str) -> OlderRemarks:
    """Read the marked comments of a description; none of what is no YAML."""
    try:
        parse_yaml(text)  # within its bounds
    except DocumentError:
        return OlderRemarks()
    paths: dict[int, Path] = {}
    for line, path in _keys(yaml.compose(text, Loader=LOADER), ()):
        paths.setdefault(line, path)  # of several on a line the outermost
    found, above = OlderRemarks(), list[str]()
    for number, (is_alone, comment) in enumerate(_comments(text)):
        if is_alone:
            above.append(comment)
            continue
        if number in paths:
            if _MARK.search(comment):
                found.behind[paths[number]] = comment
            if any(map(_MARK.search, above)):
                found.above[paths[number]] = above
        above = []
    return found


def _keys(node: Any, path: Path) -> Iterator[tuple[int, Path]]:
    """Yield the line of each key, and where it is."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            yield key.start_mark.line, here
            yield from _keys(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _keys(value, (*path, place))


def _comments(text: str) -> Iterator[tuple[bool, str]]:
    """Yield for each line whether it is a comment and nothing else, and its comment or nothing."""
    lines = text.splitlines()
    ends: dict[int, int] = {}
    for token in yaml.scan(text, Loader=LOADER):
        for place in range(token.start_mark.line, token.end_mark.line):
            ends[place] = len(lines[place])  # a text goes on to the next line
        if getattr(token, "style", None) in {"|", ">"}:  # and begins behind a comment
            begin = token.start_mark
            ends[begin.line] = begin.column + len(lines[begin.line][begin.column :].split()[0])
        ends[token.end_mark.line] = max(ends.get(token.end_mark.line, 0), token.end_mark.column)
    for number, line in enumerate(lines):
        rest = line[ends.get(number, 0) :].strip()
        comment = rest.lstrip("#").strip() if rest.startswith("#") else ""
        yield line.lstrip().startswith("#") and bool(comment), comment
