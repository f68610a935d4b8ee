"""The partitions of an archive, each with the files of every table that reach into it.

An archive is any folder that fsspec can list: a path, ``file://``, ``memory://``, ``s3://`` ...
Each folder is listed once, however many partitions it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from catalog_builder.archive.files import FileRef, checksum_matches, make_file
from catalog_builder.archive.folders import TableFolder, find_table
from catalog_builder.archive.not_there import nothing_found
from catalog_builder.archive.pieces import cut_evenly, cut_into_pieces, reach_into
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.storage import filesystem_of, find_out
from catalog_builder.archive.tables import TableName
from catalog_builder.ground.errors import ConfigError, InputError

__all__ = [
    "FileRef",
    "Partition",
    "TableFolder",
    "checksum_matches",
    "find_table",
    "list_partitions",
]


#: Files whose size a server is asked for at the same time, where its listing gives none.
_ASKED_AT_ONCE = 16


@dataclass(frozen=True)
class Partition:
    """A piece of the sky, with the files of each table that reach into it.

    Parameters
    ----------
    name : str
        The range as the archive writes it, e.g. ``000000-003111``.
    start, stop : int
        Inclusive pixel numbers at the release's partition level.
    files : mapping of str to tuple of FileRef
        By logical table name; none is empty.
    first_of : frozenset of str
        URLs of those files of which this is the first piece, among files of several pieces: what
        belongs to no piece is accounted for here.
    strays : tuple of str
        With the first partition of an archive: files that would be a table's but lie in no region.
    """

    name: str
    start: int
    stop: int
    files: Mapping[TableName, tuple[FileRef, ...]]
    first_of: frozenset[str] = frozenset()
    strays: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files; of one that reaches beyond, its share."""
        return sum(map(self.size_of, self.files))

    def size_of(self, table: TableName) -> int:
        """Bytes of the files of a table, in the same way."""
        return sum(
            round(file.size * file.share(self.start, self.stop))
            for file in self.files.get(table, ())
        )


def list_partitions(
    archive: str, release: ReleaseSpec, ranges: Sequence[str] = ()
) -> list[Partition]:
    """List the partitions of an archive, in HEALPix order.

    Parameters
    ----------
    archive : str
        Path or URL of the archive's root.
    release : ReleaseSpec
        What the archive looks like.
    ranges : sequence of str
        ``start-stop`` or single pixels, also several in one text with commas: only partitions
        that overlap one of them. Empty for all.

    Returns
    -------
    list of Partition
        The pieces of the sky into which the files of the driving tables cut it
        (`pieces.cut_into_pieces`), with all files that reach into them.

    Raises
    ------
    InputError
        If the archive, its source table, a joined one or every driving table is not there or cannot
        be listed, or two ranges of one table overlap.
    ConfigError
        If a range is not one, or no partition lies in any of them.
    """
    driving = release.driving_tables
    names = dict.fromkeys((*release.looked_up, *driving))
    parse_ranges(ranges, release)  # what can be said without the archive is said first
    folders = {name: find_table(archive, release, name) for name in names}
    for name in release.looked_up:
        if folders[name] is None:
            raise nothing_found(archive, release, [name])
    if all(folders[name] is None for name in driving):
        raise nothing_found(archive, release, driving)
    found = {name: folder for name, folder in folders.items() if folder is not None}
    if release.partition.layout == "ranges":
        for folder in found.values():
            _refuse_overlaps(folder)
    else:
        # Pieces go by bytes: what a listing does not say is asked for before.
        found |= {name: sized(found[name]) for name in driving if name in found}
    partitions = _cut(found, release)
    selected = _select(partitions, ranges, release)
    vague = {name for name, folder in found.items() if folder.without_size}
    strays = tuple(place for folder in found.values() for place in folder.strays)
    selected[:1] = [replace(part, strays=strays) for part in selected[:1]]
    return _with_sizes(selected, vague) if vague else selected


def _cut(found: Mapping[TableName, TableFolder], release: ReleaseSpec) -> list[Partition]:
    """Return the pieces of the sky with their files."""
    labels: dict[tuple[int, int], str] = {}
    for folder in found.values():
        labels.update(folder.labels)
    driving = [
        file for name in release.driving_tables if name in found for file in found[name].files
    ]
    if release.partition.layout == "anywhere":
        pieces = cut_evenly(driving, release.partition.n_pixels)
    else:
        pieces = cut_into_pieces(driving)
    reaching = {name: reach_into(folder.files, pieces) for name, folder in found.items()}
    partitions: list[Partition] = []
    met: set[str] = set()
    for place, (start, stop) in enumerate(pieces):
        files = {name: lists[place] for name, lists in reaching.items() if lists[place]}
        shared = {
            file.url
            for several in files.values()
            for file in several
            if file.limits is not None and not (start <= file.limits[0] <= file.limits[1] <= stop)
        }
        name = labels.get((start, stop)) or release.partition.name_of(start, stop)
        partitions.append(Partition(name, start, stop, files, frozenset(shared - met)))
        met |= shared
    return partitions


def told_of_choices(partitions: Iterable[Partition], shown: int = 3) -> str:
    """Say which files were taken of several for one range, and which lie in no region."""
    doubled: dict[str, None] = {}
    strays: list[str] = []
    for partition in partitions:
        strays += partition.strays
        for _, files in sorted(partition.files.items()):
            for file in files:
                if file.passed_over:
                    doubled[f"{file.name}, not {' or '.join(file.passed_over)}"] = None
    told = [
        f"{what}: {'; '.join(names[:shown])}"
        + (f"; and so {len(names) - shown} more" if len(names) > shown else "")
        for what, names in (
            (
                "several files hold the same partition of a table, and one of them is read",
                list(doubled),
            ),
            ("files that lie in no region are not read", strays),
        )
        if names
    ]
    return ". ".join(told)


def _with_sizes(partitions: Sequence[Partition], tables: Iterable[TableName]) -> list[Partition]:
    """Return partitions with the sizes and times of the files of some tables."""
    vague = frozenset(tables)
    known = _ask_sizes(
        file
        for part in partitions
        for name, files in part.files.items()
        if name in vague
        for file in files
    )
    return [
        replace(
            part,
            files={
                name: tuple(known[file.url] for file in files) if name in vague else files
                for name, files in part.files.items()
            },
        )
        for part in partitions
    ]


def sized(folder: TableFolder) -> TableFolder:
    """Return a folder with the sizes and times of its files."""
    if not folder.without_size:
        return folder
    known = _ask_sizes(folder.files)
    files = tuple(known[file.url] for file in folder.files)
    return replace(folder, files=files, without_size=False)


def _ask_sizes(files: Iterable[FileRef]) -> dict[str, FileRef]:
    """Ask for the sizes and times of files, several at once; return the files by URL."""
    asked = {file.url: file for file in files}
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        facts = pool.map(_size_and_time, asked)
        return {
            file.url: replace(file, size=fact.size, mtime=fact.mtime)
            for file, fact in zip(asked.values(), facts, strict=True)
        }


def _size_and_time(url: str) -> FileRef:
    filesystem, path = filesystem_of(url, "The file")
    try:
        return make_file(url, find_out(filesystem, path))
    except OSError:
        return FileRef(url, 0)  # the reader will say what is wrong with it


def _refuse_overlaps(folder: TableFolder) -> None:
    for left, right in zip(folder.files, folder.files[1:], strict=False):
        if left.limits and right.limits and right.limits[0] <= left.limits[1]:
            raise InputError(
                f"The ranges of {left.name} and {right.name} overlap.",
                "A table is cut into ranges of its own: remove the files that are not of this"
                " archive.",
            )


def _select(
    partitions: list[Partition], ranges: Sequence[str], release: ReleaseSpec
) -> list[Partition]:
    wanted = parse_ranges(ranges, release)
    if not wanted:
        return partitions
    selected = [
        part
        for part in partitions
        if any(start <= part.stop and part.start <= stop for start, stop in wanted)
    ]
    if not selected:
        raise ConfigError(
            f"No partition of {release.title} in this archive lies in ranges {', '.join(ranges)}.",
            f"It has {len(partitions)}, from {partitions[0].name} to {partitions[-1].name}.",
        )
    return selected


def parse_ranges(ranges: Sequence[str], release: ReleaseSpec) -> list[tuple[int, int]]:
    """Return the inclusive pixel numbers of ranges; several may stand in one text, with commas.

    Raises
    ------
    ConfigError
        If one is no range, is empty, or lies outside of the sky.
    """
    wanted = [parse_range(part) for text in ranges for part in text.split(",")]
    rule = release.partition
    for start, stop in wanted:
        if stop >= rule.n_pixels:
            raise ConfigError(
                f"ranges: {start if start == stop else f'{start}-{stop}'} lies outside of the sky.",
                f"Ranges are level-{rule.healpix_level} HEALPix pixels, 0 to {rule.n_pixels - 1}.",
            )
    return wanted


def parse_range(text: str) -> tuple[int, int]:
    """Return the inclusive pixel numbers of ``000000-003111``, or of one pixel, ``3111``.

    Raises
    ------
    ConfigError
        If the text is neither.
    """
    match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", text)
    start = int(match[1]) if match else 0
    stop = int(match[2] or match[1]) if match else -1
    if stop < start:
        raise ConfigError(
            f"ranges: {text.strip()!r} is not a range.",
            "Write 000000-003111 for a range of pixels, or 3111 for one pixel.",
        )
    return start, stop
