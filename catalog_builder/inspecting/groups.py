"""The files of an archive in groups that may be tables, whatever its layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from catalog_builder.archive.storage import errors_as_os_errors, filesystem_of, is_local
from catalog_builder.ground.errors import InputError

#: Entries of an archive that are looked at, and how deep; a release has tens of thousands.
_MOST_ENTRIES, _DEPTH = 50_000, 8
_ENDINGS: Final = ("csv.gz", "ecsv.gz", "csv", "ecsv", "fits.gz", "fits", "parquet", "pq", "vot.gz")
_RANGE: Final = re.compile(r"(?P<stem>.*?)(?P<range>\d+(?:[^0-9a-zA-Z]{0,2}[a-zA-Z_-]{0,4}\d+)?)")
#: A folder that is one piece of many: ``region=0123``, ``Norder=3``, ``0017``.
_PIECE: Final = re.compile(r"[A-Za-z_]+=.*|\d+")
_SUMS: Final = re.compile(r"md5|sha\d*|checksum", re.I)


@dataclass
class Group:
    """Files that look like pieces of one table.

    Attributes
    ----------
    folder, stem, ending : str
        What they have in common; the folder relative to the archive, with ``*`` for pieces.
    files : dict of str to int
        URL and size.
    ranges : list of str
        What stands between stem and ending, by file.
    sums : list of str
        Names of checksum lists beside them.
    """

    folder: str
    stem: str
    ending: str
    files: dict[str, int] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.files.values())

    @property
    def name(self) -> str:
        """What the group is called on a page."""
        return f"{self.folder}/{self.stem}*.{self.ending}".removeprefix("/")

    @property
    def example(self) -> str:
        """URL of a file to look at: the middle one, whose range says most, and one with content."""
        urls = sorted(url for url, size in self.files.items() if size) or sorted(self.files)
        return urls[len(urls) // 2]

    def range_of(self, url: str) -> tuple[int, int] | None:
        """Return the numbers in a file's name; None where there are none."""
        numbers = [int(part) for part in re.findall(r"\d+", self._label(url))]
        return (numbers[0], numbers[-1]) if numbers else None

    def _label(self, url: str) -> str:
        base = url.rsplit("/", 1)[-1]
        return base.removeprefix(self.stem).removesuffix(f".{self.ending}")

    @property
    def pattern(self) -> str | None:
        """A regular expression of the ranges in the names; None where they have none."""
        labels = [label for label in self.ranges if label]
        shapes = {re.sub(r"\d+", "#", label) for label in labels}
        if not labels or len(shapes) != 1:
            return None
        numbers = [re.findall(r"\d+", label) for label in labels]
        widths = {len(number) for several in numbers for number in several}
        digits = rf"\d{{{widths.pop()}}}" if len(widths) == 1 else r"\d+"
        shape = shapes.pop()
        if shape.count("#") == 1:
            return rf"(?=(?P<stop>{digits}))(?P<start>{digits})"
        before, _, after = shape.partition("#")
        between = after.partition("#")[0]
        escaped = [re.escape(part).replace(r"\-", "-") for part in (before, between)]
        return rf"{escaped[0]}(?P<start>{digits}){escaped[1]}(?P<stop>{digits})"


def find_groups(archive: str) -> list[Group]:
    """Find all that may be a table in an archive, by folder, beginning of the name, and ending.

    Raises
    ------
    InputError
        If the archive is not there or cannot be listed.
    """
    filesystem, root = filesystem_of(archive, "The archive")
    root = root.rstrip("/")
    groups: dict[tuple[str, str, str], Group] = {}
    sums: dict[str, list[str]] = {}
    try:
        with errors_as_os_errors():
            entries = list(_walk(filesystem, root))
    except OSError as error:
        raise InputError(
            f"The archive {archive} cannot be listed: {error}.", "Check the path or address."
        ) from error
    for entry in entries:
        path = str(entry["name"])
        folder, _, base = path.removeprefix(root).lstrip("/").rpartition("/")
        folder = "/".join("*" if _PIECE.fullmatch(part) else part for part in folder.split("/"))
        ending = next((each for each in _ENDINGS if base.lower().endswith(f".{each}")), None)
        if ending is None:
            if _SUMS.search(base):
                sums.setdefault(folder, []).append(base)
            continue
        plain = base[: -len(ending) - 1]
        match = _RANGE.fullmatch(plain)
        stem, label = (match["stem"], match["range"]) if match else (plain, "")
        group = groups.setdefault((folder, stem, ending), Group(folder, stem, ending))
        url = path if is_local(filesystem) else str(filesystem.unstrip_protocol(path))
        group.files[url] = int(entry.get("size") or 0)
        group.ranges.append(label)
    if not groups and not filesystem.exists(root):
        raise InputError(f"The archive {archive} is not there.", "Check the path or address.")
    for group in groups.values():
        group.sums = sums.get(group.folder, [])
    return sorted(groups.values(), key=lambda group: group.name)


def _walk(filesystem: Any, root: str) -> Iterator[dict[str, Any]]:
    count = 0
    for _, _, files in filesystem.walk(root, maxdepth=_DEPTH, detail=True):
        for entry in files.values():
            yield entry
            count += 1
            if count >= _MOST_ENTRIES:
                return
