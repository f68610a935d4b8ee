"""A release description in the making: its lines, and where each is from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from catalog_builder.inspecting.measure import Lines

Path = tuple[Any, ...]

FOUND: Final = "found"
CHECK: Final = "to be checked"
#: Of a file that is to be named yet.
NO_DIGEST: Final = "0" * 64


@dataclass
class Draft:
    """A description in the making.

    Attributes
    ----------
    content : dict
        What the YAML will hold.
    marks : dict of path to str
        Where lines are from, where that is not the older release.
    remarks : list of str
        What has no line any more, and why.
    lines : dict of str to Lines
        What was measured on spectra of lines.
    sentinels : list of float
        Numbers that stand for null in several columns.
    """

    content: dict[str, Any]
    marks: dict[Path, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    lines: dict[str, Lines] = field(default_factory=dict)
    sentinels: list[float] = field(default_factory=list)

    def put(self, path: Path, value: Any, mark: str) -> None:
        """Set a line, and say where it is from."""
        target = self.content
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value
        self.marks[path] = mark

    def drop(self, path: Path, why: str) -> None:
        """Take a line out, and remember why."""
        target = self.content
        for part in path[:-1]:
            target = target[part]
        if target.pop(path[-1], None) is not None:
            self.remarks.append(f"{'.'.join(map(str, path))} was left out: {why}")
