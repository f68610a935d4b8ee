"""A release description in the making: its lines, and where each is from."""

from __future__ import annotations

from collections.abc import Iterable
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
    notes : dict of path to list of str
        What stands as a comment below the lines of a mapping.
    candidates : dict of str to str
        Of a column that was not found, what it may be, in words.
    lacking : list of str
        Lines that are to be filled in before the description can be used.
    carried : dict of path to str
        Rules that are as in the older release, and that no file confirms: what is to be checked.
    unlike : list of str
        Tables and columns by which the archive is not wholly like the older release.
    """

    content: dict[str, Any]
    marks: dict[Path, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    lines: dict[str, Lines] = field(default_factory=dict)
    sentinels: list[float] = field(default_factory=list)
    notes: dict[Path, list[str]] = field(default_factory=dict)
    candidates: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    carried: dict[Path, str] = field(default_factory=dict)
    unlike: list[str] = field(default_factory=list)

    def put(self, path: Path, value: Any, mark: str) -> None:
        """Set a line, and say where it is from."""
        target = self.content
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = value
        self.marks[path] = mark

    def note(self, path: Path, words: str) -> None:
        """Say something at a place."""
        self.notes.setdefault(path, []).append(words)

    def not_found(self, columns: Iterable[str]) -> str:
        """Say that columns were not found, and what each may be."""
        return "; ".join(
            f"{name} not found" + (f" ({self.candidates[name]})" if name in self.candidates else "")
            for name in columns
        )

    def drop(self, path: Path, why: str) -> None:
        """Take a line out, and say why: at its place, and among the remarks."""
        target = self.content
        for part in path[:-1]:
            target = target[part]
        if target.pop(path[-1], None) is not None:
            self.remarks.append(f"{'.'.join(map(str, path))} was left out: {why}")
            self.note(path[:-1], f"{path[-1]} was left out: {why}")
