"""The partitions of an archive, each with its file in every table.

An archive is any folder that fsspec can list: a path, ``file://``, ``memory://``, ``s3://`` ...
Each folder is listed once, however many partitions it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from catalog_builder.archive.files import FileRef, checksum_matches, make_file
from catalog_builder.archive.folders import TableFolder, find_table
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.storage import filesystem_of, find_out, is_local
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
    """One HEALPix range of the archive with its file in each table that has one.

    Parameters
    ----------
    name : str
        The range as the archive writes it, e.g. ``000000-003111``.
    start, stop : int
        Inclusive pixel numbers at the release's partition level.
    files : mapping of str to FileRef
        By logical table name.
    """

    name: str
    start: int
    stop: int
    files: Mapping[TableName, FileRef]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


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
        The union over the source table, the joined and the driving tables of all ranges in which a
        driving table has a file.

    Raises
    ------
    InputError
        If the archive, its source table, a joined one or every driving table is not there or cannot
        be listed, or two ranges overlap.
    ConfigError
        If a range is not one, or no partition lies in any of them.
    """
    driving = release.driving_tables
    names = dict.fromkeys((*release.looked_up, *driving))
    parse_ranges(ranges, release)  # what can be said without the archive is said first
    folders = {name: find_table(archive, release, name) for name in names}
    for name in release.looked_up:
        if folders[name] is None:
            raise _nothing_found(archive, release, [name])
    if all(folders[name] is None for name in driving):
        raise _nothing_found(archive, release, driving)
    found = {name: folder for name, folder in folders.items() if folder is not None}
    labels: dict[tuple[int, int], str] = {}
    for folder in found.values():
        labels.update(folder.names)
    _refuse_overlaps(labels, found)
    partitions = [
        Partition(
            name=labels[limits],
            start=limits[0],
            stop=limits[1],
            files={
                name: found[name].files[limits] for name in found if limits in found[name].files
            },
        )
        for limits in sorted(labels)
    ]
    wanted = [part for part in partitions if any(name in part.files for name in driving)]
    selected = _select(wanted, ranges, release)
    vague = {name for name, folder in found.items() if folder.without_size}
    return _with_sizes(selected, vague) if vague else selected


def told_of_choices(partitions: Iterable[Partition], shown: int = 3) -> str:
    """Say which files were taken where a partition has several of a table; empty where none has."""
    doubled = [
        f"{file.name}, not {' or '.join(file.passed_over)}"
        for partition in partitions
        for _, file in sorted(partition.files.items())
        if file.passed_over
    ]
    if not doubled:
        return ""
    more = f"; and so {len(doubled) - shown} more" if len(doubled) > shown else ""
    return (
        "several files hold the same partition of a table, and one of them is read: "
        f"{'; '.join(doubled[:shown])}{more}"
    )


def _with_sizes(partitions: Sequence[Partition], tables: Iterable[TableName]) -> list[Partition]:
    """Ask for the sizes and times of the files of some tables, several at once."""
    vague = frozenset(tables)
    urls = [file.url for part in partitions for name, file in part.files.items() if name in vague]
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        facts = dict(zip(urls, pool.map(_size_and_time, urls), strict=True))
    return [
        replace(
            part,
            files={
                name: replace(file, size=facts[file.url].size, mtime=facts[file.url].mtime)
                if name in vague
                else file
                for name, file in part.files.items()
            },
        )
        for part in partitions
    ]


def _size_and_time(url: str) -> FileRef:
    filesystem, path = filesystem_of(url, "The file")
    try:
        return make_file(url, find_out(filesystem, path))
    except OSError:
        return FileRef(url, 0)  # the reader will say what is wrong with it


def _refuse_overlaps(
    labels: Mapping[tuple[int, int], str], folders: Mapping[TableName, TableFolder]
) -> None:
    ordered = sorted(labels)
    for left, right in pairwise(ordered):
        if right[0] <= left[1]:
            files = [
                next(
                    folder.files[limits].name
                    for folder in folders.values()
                    if limits in folder.files
                )
                for limits in (left, right)
            ]
            raise InputError(
                f"The ranges of {files[0]} and {files[1]} overlap.",
                "All tables must be cut into the same ranges: remove the files that are not of "
                "this archive.",
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


def _nothing_found(archive: str, release: ReleaseSpec, tables: Sequence[TableName]) -> InputError:
    filesystem, root = filesystem_of(archive, "The archive")
    looked = [
        f"{folder}/{spec.stem}*.{spec.formats[0]}"
        for spec in (release.tables[name] for name in tables)
        for folder in spec.folders
    ]
    way_out = _archive_above(root, filesystem, release, tables)
    if filesystem.isdir(root):
        what = f"{archive} holds no {' or '.join(tables)} of {release.title}."
    else:
        # An object store has no folders: there an empty one is one that is not there.
        there = "is a file, not a folder" if filesystem.isfile(root) else "is not there"
        what, way_out = f"The archive {archive} {there}.", "Check --archive."
    return InputError(
        f"{what} Looked for {', '.join(looked)} and the other formats of the release description.",
        way_out or "Give the folder above these with --archive.",
    )


def _archive_above(
    root: str, filesystem: Any, release: ReleaseSpec, tables: Sequence[TableName]
) -> str:
    """Say which folder is the archive where one inside of it was given; or nothing.

    On this machine only: above the root of a server's address is another server.
    """
    if not is_local(filesystem):
        return ""
    folders = [folder for name in tables for folder in release.tables[name].folders]
    above, found = root.rstrip("/"), ""
    # The outermost one: the label survey's file lies there too.
    for _ in range(max(folder.count("/") for folder in folders) + 2):
        above = above.rpartition("/")[0]
        if above and any(filesystem.isdir(f"{above}/{folder}") for folder in folders):
            found = f"This looks like a folder inside of an archive: give --archive {above}."
    return found
