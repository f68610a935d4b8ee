"""The files of an archive in groups that may be tables, whatever its layout."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, NamedTuple, get_args

from catalog_builder.archive.marks import MARK_FILE
from catalog_builder.archive.storage import errors_as_os_errors, filesystem_of, is_local
from catalog_builder.archive.tables import FileFormat
from catalog_builder.ground.errors import InputError

#: Entries of an archive that are looked at, and how deep; a release has tens of thousands.
_MOST_ENTRIES, _DEPTH = 50_000, 8
#: The folder of a simulated archive that no reader looks into.
TRUTH: Final = "truth"
_ENDINGS: Final = (*get_args(FileFormat), "vot.gz")
_RANGE: Final = re.compile(r"(?P<stem>.*?)(?P<range>\d+(?:[^0-9a-zA-Z]{0,2}[a-zA-Z_-]{0,4}\d+)?)")
#: A folder that is one piece of many: ``region=0123``, ``Norder=3``, ``0017``, ``pix_0017``.
_PIECE: Final = re.compile(
    r"[A-Za-z_]+=.*|((pix|pixel|ipix|hpx|healpix|region|tile|chunk|part|order|norder)[_-]?)?\d+",
    re.I,
)
#: What files in such folders begin with, if that comes again and again. A digit or two between
#: letters are of the word, as in ``Dr3Neighbourhood_``.
_WORD: Final = re.compile(r"[A-Za-z]+(?:(?:[_-]|\d{1,2})[A-Za-z]+)*[_-]?")
_FEW_WORDS: Final = 0.3
#: With which a random name may begin.
_HEXADECIMAL: Final = re.compile(r"[a-f0-9_-]+", re.I)
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
    places : dict of str to str
        URL and place in the archive.
    """

    folder: str
    stem: str
    ending: str
    files: dict[str, int] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.files.values())

    @property
    def top(self) -> str:
        """The folder above all of its files."""
        return self.folder.partition("*")[0].rstrip("/").removesuffix("/dataset")

    @property
    def last_folder(self) -> str:
        """The name of a folder that says what the files are."""
        return self.folder.replace("/*", "").removesuffix("/dataset").rsplit("/", 1)[-1]

    @property
    def in_pieces(self) -> bool:
        """Whether its files lie in folders of which each is a piece of the table."""
        return "*" in self.folder

    def place_of(self, url: str) -> str:
        """Return where a file lies in the folder above all."""
        return self.places[url].removeprefix(self.top).lstrip("/")

    @property
    def name(self) -> str:
        """What the group is called on a page."""
        return f"{self.folder}/{self.stem}*.{self.ending}".removeprefix("/")

    @property
    def example(self) -> str:
        """URL of a file to look at: the middle one, whose range says most, and one with content."""
        if self.in_pieces:  # of those in folders the largest, since some have hardly a row
            return max(sorted(self.files), key=self.files.__getitem__)
        urls = sorted(url for url, size in self.files.items() if size) or sorted(self.files)
        return urls[len(urls) // 2]

    def others(self, count: int) -> list[str]:
        """Return URLs of some more files, from the first to the last one."""
        urls = sorted(url for url in self.files if url != self.example)
        step = max(1, len(urls) // max(1, count))
        return urls[::step][:count]

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
    found: list[_File] = []
    simulated = any(str(entry["name"]) == f"{root}/{MARK_FILE}" for entry in entries)
    for entry in entries:
        path = str(entry["name"])
        place, _, base = path.removeprefix(root).lstrip("/").rpartition("/")
        if simulated and place.partition("/")[0] == TRUTH:
            continue  # what the stars of a simulation are is no table of the archive
        folder = _common(place)
        ending = next((each for each in _ENDINGS if base.lower().endswith(f".{each}")), None)
        if _SUMS.search(base):
            sums.setdefault(folder.partition("*")[0].rstrip("/"), []).append(base)
        elif ending is not None and not base.startswith(("_", ".")):
            url = path if is_local(filesystem) else str(filesystem.unstrip_protocol(path))
            plain = base[: -len(ending) - 1]
            size = int(entry.get("size") or 0)
            found.append(_File(url, f"{place}/{base}".lstrip("/"), folder, plain, ending, size))
    words = _words(found)
    for file in found:
        if "*" in file.folder:
            stem, label = words.get((file.folder, _word(file.plain)), ""), ""
        else:
            match = _RANGE.fullmatch(file.plain)
            stem, label = (match["stem"], match["range"]) if match else (file.plain, "")
        key = (file.folder, stem, file.ending)
        group = groups.setdefault(key, Group(*key))
        group.files[file.url] = file.size
        group.places[file.url] = file.place
        group.ranges.append(label)
    if not groups and not filesystem.exists(root):
        raise InputError(f"The archive {archive} is not there.", "Check the path or address.")
    for group in groups.values():
        group.sums = sums.get(group.top, [])
    return sorted(groups.values(), key=lambda group: group.name)


class _File(NamedTuple):
    """A file that may be part of a table."""

    url: str
    place: str
    folder: str
    plain: str
    ending: str
    size: int


def _common(place: str) -> str:
    """Return a folder with a star for those that are one of many."""
    parts = ["*" if _PIECE.fullmatch(part) else part for part in place.split("/")]
    return "/".join(part for part, _ in groupby(parts) if part)


def _word(plain: str) -> str:
    match = _WORD.match(plain)
    if match is None or plain.startswith("Npix=") or _HEXADECIMAL.fullmatch(match[0]):
        return ""
    return match[0]


def _words(files: Sequence[_File]) -> dict[tuple[str, str], str]:
    """Return the beginnings of names in folders of pieces that tell tables apart.

    Where nearly every file begins otherwise, as random names do, these tell nothing.
    """
    counts: dict[str, Counter[str]] = {}
    for file in files:
        if "*" in file.folder:
            counts.setdefault(file.folder, Counter())[_word(file.plain)] += 1
    return {
        (folder, word): word
        for folder, several in counts.items()
        if len(several) == 1 or len(several) <= _FEW_WORDS * several.total()
        for word in several
    }


def _walk(filesystem: Any, root: str) -> Iterator[dict[str, Any]]:
    """Yield the files below a folder, and below the folders that its links lead to."""
    waiting, count = [(root, _DEPTH)], 0
    known = [os.path.realpath(root)] if is_local(filesystem) else []
    while waiting:
        top, depth = waiting.pop(0)
        for place, _, files in filesystem.walk(top, maxdepth=depth, detail=True):
            below = depth - 1 - place.removeprefix(top).count("/")
            for entry in files.values():
                if known and entry.get("islink") and filesystem.isdir(entry["name"]):
                    if below > 0 and _is_new(os.path.realpath(entry["name"]), known):
                        waiting.append((str(entry["name"]), below))
                    continue
                yield entry
                count += 1
                if count >= _MOST_ENTRIES:
                    return


def _is_new(folder: str, known: list[str]) -> bool:
    """Tell whether a folder shares no file with those that are known, and note it if so."""
    new = not any(os.path.commonpath([folder, one]) in {folder, one} for one in known)
    if new:
        known.append(folder)
    return new
