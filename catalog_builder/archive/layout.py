"""Where the files of an archive lie: folders of tables, partitions, checksum lists.

An archive is any folder that fsspec can list: a path, ``file://``, ``memory://``, ``s3://`` ...
Each folder is listed once, however many partitions it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from catalog_builder.archive.files import (
    FileRef,
    checksum_matches,
    modification_time,
    read_checksums,
)
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName, TableSpec
from catalog_builder.errors import ConfigError, InputError

__all__ = [
    "FileRef",
    "Partition",
    "TableFolder",
    "checksum_matches",
    "find_table",
    "list_partitions",
]


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


@dataclass(frozen=True)
class TableFolder:
    """The folder in which a table was found, with its partitions' files by range."""

    url: str
    files: Mapping[tuple[int, int], FileRef]
    names: Mapping[tuple[int, int], str]


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
        The union over the source table and the driving tables of all ranges in which a driving
        table has a file.

    Raises
    ------
    InputError
        If the archive, its source table or every driving table is not there or cannot be listed,
        or two ranges overlap.
    ConfigError
        If a range is not one, or no partition lies in any of them.
    """
    driving = release.driving_tables
    names = dict.fromkeys((release.source_table, *driving))
    parse_ranges(ranges, release)  # what can be said without the archive is said first
    folders = {name: find_table(archive, release, name) for name in names}
    if folders[release.source_table] is None:
        raise _nothing_found(archive, release, [release.source_table])
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
    return _select(wanted, ranges, release)


def find_table(archive: str, release: ReleaseSpec, table: TableName) -> TableFolder | None:
    """Find the first of a table's folders that holds files of it; None where there is none.

    Raises
    ------
    InputError
        If a folder is there but cannot be listed, or a file name holds no sensible range.
    """
    spec = release.tables[table]
    filesystem, root = _filesystem(archive)
    for folder in spec.folders:
        path = f"{root.rstrip('/')}/{folder}"
        listing = _list(filesystem, path)
        chosen = choose_files(listing, spec, release)
        if not chosen:
            continue
        present = {_base_name(entry) for entry in listing}
        checksums = read_checksums(filesystem, path, present, release.checksums)
        files, names = {}, {}
        for limits, (label, entry) in chosen.items():
            name = _base_name(entry)
            files[limits] = FileRef(
                url=_url(filesystem, entry["name"]),
                size=int(entry.get("size") or 0),
                mtime=modification_time(entry),
                checksum=checksums.get(name),
            )
            names[limits] = label
        return TableFolder(_url(filesystem, path), files, names)
    return None


def _filesystem(archive: str) -> tuple[Any, str]:
    try:
        filesystem, root = fsspec.url_to_fs(archive)
    except (ValueError, ImportError, OSError) as error:
        raise InputError(
            f"The archive {archive} cannot be opened: {error}.",
            "Give a path, or a URL whose file system is installed.",
        ) from error
    return filesystem, str(root)


def _list(filesystem: Any, path: str) -> list[dict[str, Any]]:
    filesystem.invalidate_cache(path)
    try:
        return list(filesystem.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(
            f"The folder {path} cannot be listed: {error}.",
            "Check that it is readable, or that the address is right.",
        ) from error


def choose_files(
    listing: Iterable[dict[str, Any]], spec: TableSpec, release: ReleaseSpec
) -> dict[tuple[int, int], tuple[str, dict[str, Any]]]:
    """Pick one file per range: where there are several formats, the one preferred."""
    endings = "|".join(re.escape(ending) for ending in spec.formats)
    rule = release.partition
    pattern = re.compile(
        f"{re.escape(spec.stem)}(?P<label>{rule.range_pattern})[.](?P<ending>{endings})"
    )
    rank: dict[str, int] = {ending: number for number, ending in enumerate(spec.formats)}
    chosen: dict[tuple[int, int], tuple[str, dict[str, Any]]] = {}
    ranks: dict[tuple[int, int], int] = {}
    for entry in listing:
        match = pattern.fullmatch(_base_name(entry))
        if match is None or entry.get("type") == "directory":
            continue
        limits = int(match["start"]), int(match["stop"])
        if not 0 <= limits[0] <= limits[1] < rule.n_pixels:
            raise InputError(
                f"{entry['name']}: {match['label']} is no range of level-{rule.healpix_level} "
                f"pixels (0 to {rule.n_pixels - 1}).",
                "Rename or remove the file.",
            )
        if rank[match["ending"]] < ranks.get(limits, len(rank)):
            ranks[limits] = rank[match["ending"]]
            chosen[limits] = match["label"], entry
    return chosen


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
    filesystem, root = _filesystem(archive)
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
    """Say which folder is the archive where one inside of it was given; or nothing."""
    folders = [folder for name in tables for folder in release.tables[name].folders]
    above, found = root.rstrip("/"), ""
    # The outermost one: the label survey's file lies there too.
    for _ in range(max(folder.count("/") for folder in folders) + 2):
        above = above.rpartition("/")[0]
        if above and any(filesystem.isdir(f"{above}/{folder}") for folder in folders):
            found = f"This looks like a folder inside of an archive: give --archive {above}."
    return found


def _base_name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _url(filesystem: Any, path: str) -> str:
    return path if isinstance(filesystem, LocalFileSystem) else filesystem.unstrip_protocol(path)
