"""YAML and JSON from outside: parsed only within bounds of size, depth and expansion.

Whatever a stranger wrote is looked at before a parser builds anything from it. PyYAML's compiled
composer recurses on the machine's stack and ends the process at some ten thousand levels; aliases
make a kilobyte stand for gigabytes as soon as somebody prints what was built.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import yaml

#: Bytes of a document, levels of nesting, and nodes and characters once every alias is written
#: out. A Gaia ECSV header has 60 kB, 5 levels and 2 000 nodes; a model's document about 100 kB.
MAX_BYTES: Final = 16 << 20
MAX_DEPTH: Final = 50
MAX_NODES: Final = 200_000
#: Values of a JSON document: an empty list of two characters takes 60 bytes of memory.
MAX_VALUES: Final = 1_000_000
#: Characters of a YAML value that is no text, and of an integer. Numbers in base 60 take time that
#: grows with their square, and so does the time of a mapping whose keys are integers of one hash,
#: multiples of 2^61 - 1: below 2^64 there are eight.
MAX_PLAIN, MAX_INTEGER = 10_000, 20

#: The compiled loader is the same safe loader, some ten times faster on headers of 1 500 lines; it
#: takes tabs where the other does not.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()
_TEXT_TAGS = {None, "!", "tag:yaml.org,2002:str"}

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {**dict.fromkeys(b"[{", 1), **dict.fromkeys(b"]}", -1)}


class DocumentError(ValueError):
    """Why a document is not taken, in words without its name; the caller names it."""


def read_document(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file that ought to be small.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Bytes it may have.

    Raises
    ------
    OSError
        If it cannot be read.
    DocumentError
        If it has more bytes.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    _refuse_size(len(content), limit)
    return content


def parse_yaml(text: str | bytes, limit: int = MAX_BYTES) -> Any:
    """Parse one YAML document of plain values.

    Parameters
    ----------
    text : str or bytes
        The document, in UTF-8 if bytes.
    limit : int
        Bytes or characters it may have.

    Returns
    -------
    object
        Dicts, lists and scalars; None for an empty document.

    Raises
    ------
    DocumentError
        If it is not YAML, or is too large, nested too deeply, or larger than `MAX_NODES` nodes or
        `MAX_BYTES` characters with every alias written out.
    """
    _refuse_size(len(text), limit)
    try:
        text = _decoded(text)
        _Extent().take(text)
        return yaml.load(text, Loader=LOADER)  # noqa: S506 (a safe loader)
    # TypeError: a mapping as a key; OverflowError: a date beyond all years.
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"it is not YAML: {_first_line(error)}") from error


def parse_json(text: str | bytes, limit: int = MAX_BYTES) -> Any:
    """Parse one JSON document.

    Parameters
    ----------
    text : str or bytes
        The document, in UTF-8 if bytes.
    limit : int
        Bytes or characters it may have.

    Raises
    ------
    DocumentError
        If it is not JSON, too large, or nested more than `MAX_DEPTH` levels deep.
    """
    _refuse_size(len(text), limit)
    try:
        text = _decoded(text)
        _refuse_structure(text.encode("utf-8", "replace"))
        return json.loads(text)
    except ValueError as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"it is not JSON: {_first_line(error)}") from error


@dataclass
class _Open:
    """A collection that has begun: its anchor, and the extent of the document before it."""

    anchor: str | None
    nodes: int
    characters: int


class _Extent:
    """What a YAML document would hold with every alias written out, from its events alone."""

    def __init__(self) -> None:
        self.nodes = self.characters = 0
        self._anchors: dict[str, tuple[int, int]] = {}

    def take(self, text: str) -> None:
        # Events come one by one, and none is read behind the one that is too many.
        begun: list[_Open] = []
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.CollectionStartEvent):
                begun.append(_Open(event.anchor, self.nodes, self.characters))
                _refuse_depth(len(begun))
                self._add(1, len(event.tag or ""))
            elif isinstance(event, yaml.CollectionEndEvent):
                self._name(begun.pop())
            elif isinstance(event, yaml.ScalarEvent):
                _refuse_long(event)
                start = _Open(event.anchor, self.nodes, self.characters)
                self._add(1, len(event.value) + len(event.tag or ""))
                self._name(start)
            elif isinstance(event, yaml.AliasEvent):
                if any(each.anchor == event.anchor for each in begun):
                    raise DocumentError(f"*{event.anchor} in it stands for itself")
                self._add(*self._anchors.get(str(event.anchor), (1, 0)))

    def _add(self, nodes: int, characters: int) -> None:
        self.nodes, self.characters = self.nodes + nodes, self.characters + characters
        if self.nodes > MAX_NODES or self.characters > MAX_BYTES:
            raise DocumentError(
                f"with its aliases written out it has more than {MAX_NODES} values"
                f" or {MAX_BYTES} characters"
            )

    def _name(self, start: _Open) -> None:
        if start.anchor is not None:
            extent = (self.nodes - start.nodes, self.characters - start.characters)
            self._anchors[start.anchor] = extent


def _refuse_long(scalar: yaml.ScalarEvent) -> None:
    # The compiled parser spells plain as "", the other as None.
    if scalar.style and scalar.tag in _TEXT_TAGS:
        return
    tag: str = scalar.tag or _RESOLVER.resolve(  # type: ignore[no-untyped-call]
        yaml.ScalarNode, scalar.value, (True, False)
    )
    most = MAX_INTEGER if tag.endswith(":int") else MAX_PLAIN
    if len(scalar.value) > most:
        raise DocumentError(f"a value in it has {len(scalar.value)} characters")


def _refuse_structure(text: bytes) -> None:
    """Refuse JSON whose brackets are nested too deeply, or that holds too many values."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH and text.count(b",") <= MAX_VALUES:
        return
    bare = _STRINGS.sub(b"", text)
    if bare.count(b",") > MAX_VALUES:
        raise DocumentError(f"it holds more than {MAX_VALUES} values")
    steps = map(_STEP.__getitem__, bare.translate(None, _NO_BRACKETS))
    _refuse_depth(max(accumulate(steps), default=0))


def _refuse_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DocumentError(f"it is nested more than {MAX_DEPTH} levels deep")


def _refuse_size(size: int, limit: int) -> None:
    if size > limit:
        raise DocumentError(f"it has more than {limit} bytes")


def _decoded(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf-8")


def _first_line(error: Exception) -> str:
    where = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error) or type(error).__name__
    line = f" (line {where.line + 1})" if where is not None else ""
    return f"{str(reason).splitlines()[0]}{line}"
