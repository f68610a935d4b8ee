"""The folder of a table: what it lists, which files lie there for which pixels, the checksums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from catalog_builder.archive.cuts import choose_files, is_part
from catalog_builder.archive.files import FileRef, make_file, read_checksums
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.storage import (
    errors_as_os_errors,
    filesystem_of,
    find_out,
    is_local,
    why_no_folder,
)
from catalog_builder.archive.tables import PartitionRule, TableName
from catalog_builder.ground.errors import InputError

#: Folders of a server that are listed at the same time, and how deep they go at most.
_LISTED_AT_ONCE, _DEPTH = 16, 8


@dataclass(frozen=True)
class TableFolder:
    """The folder in which a table was found, with its files.

    Parameters
    ----------
    url : str
        Where it is.
    files : tuple of FileRef
        In HEALPix order, each with its limits.
    labels : mapping of (int, int) to str
        Ranges as the archive writes them.
    without_size : bool
        Whether the listing gives no sizes, as a page of links does not.
    strays : tuple of str
        Files that would be the table's but lie in no region.
    """

    url: str
    files: tuple[FileRef, ...]
    labels: Mapping[tuple[int, int], str]
    without_size: bool = False
    strays: tuple[str, ...] = ()

    def by_range(self, rule: PartitionRule) -> dict[tuple[int, int], tuple[str, list[FileRef]]]:
        """Return name and files of each range, in HEALPix order; a whole sky where none is told."""
        found: dict[tuple[int, int], tuple[str, list[FileRef]]] = {}
        for file in self.files:
            limits = file.limits or (0, rule.n_pixels - 1)
            name = self.labels.get(limits) or rule.name_of(*limits)
            found.setdefault(limits, (name, []))[1].append(file)
        return dict(sorted(found.items()))


def find_table(archive: str, release: ReleaseSpec, table: TableName) -> TableFolder | None:
    """Find the first of a table's folders that holds files of it; None where there is none.

    Raises
    ------
    InputError
        If a folder is there but cannot be listed, or a file name holds no sensible range.
    """
    spec = release.tables[table]
    filesystem, root = filesystem_of(archive, "The archive")
    for folder in spec.folders:
        path = f"{root.rstrip('/')}/{folder}"
        listing = list(_through_links(filesystem, _walk(filesystem, path, release.partition)))
        chosen, strays = choose_files(listing, spec, release)
        if not chosen:
            continue
        checksums = _checksums(filesystem, listing, release)
        files = tuple(
            replace(
                make_file(_url(filesystem, choice.entry["name"]), choice.entry),
                checksum=checksums.get(choice.place),
                passed_over=choice.others,
                place="" if release.partition.layout == "ranges" else _place(folder, choice.place),
                limits=choice.limits,
            )
            for choice in chosen
        )
        labels = {choice.limits: choice.label for choice in chosen if choice.label}
        without_size = any(choice.entry.get("size") is None for choice in chosen)
        told = tuple(_place(folder, place) for place in strays)
        return TableFolder(_url(filesystem, path), files, labels, without_size, told)
    return None


def _place(folder: str, place: str) -> str:
    """Return a place in the archive."""
    return f"{folder}/{place}".removeprefix("./")


def _checksums(
    filesystem: Any, listing: Iterable[Mapping[str, Any]], release: ReleaseSpec
) -> dict[str, str]:
    """Return checksums by place: from the list in each folder, or from one above them all."""
    rule = release.checksums
    found: dict[str, str] = {}
    if rule is None:
        return {}
    for entry in listing:
        if _base_name(entry) != rule.file_name:
            continue
        parent = str(entry["name"]).rstrip("/").removesuffix(rule.file_name).rstrip("/")
        place = entry["place"].rpartition("/")[0]
        above_all = release.partition.layout != "ranges" and not place
        listed = read_checksums(_url(filesystem, parent), {rule.file_name}, rule, by_path=above_all)
        found |= {f"{place}/{name}".lstrip("/"): checksum for name, checksum in listed.items()}
    return found


def _through_links(filesystem: Any, listing: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the entries of a listing; a link has size, time and kind of what it leads to."""
    for entry in listing:
        if not (is_local(filesystem) and entry.get("islink")):
            yield entry
            continue
        try:
            facts = find_out(filesystem, entry["name"])
            yield {**facts, "name": entry["name"], "place": entry["place"]}
        except OSError:
            # It leads nowhere: the reader says so, by name. Its own time means nothing.
            link = entry.get("destination")
            known = {"name": entry["name"], "place": entry["place"]}
            yield {**known, "size": 0, "type": "other", "destination": link}


def _walk(filesystem: Any, path: str, rule: PartitionRule) -> Iterator[dict[str, Any]]:
    """Yield what lies in a folder, and in those of its folders that are parts of a table.

    Each entry has its ``place`` in the folder.
    """
    level: list[tuple[str, str]] = [(path, "")]
    with ThreadPoolExecutor(_LISTED_AT_ONCE) as pool:
        for _ in range(_DEPTH):
            following = []
            listings = pool.map(lambda folder: _list(filesystem, folder[0]), level)
            for (_, above), entries in zip(level, listings, strict=True):
                for entry in entries:
                    place = f"{above}{_base_name(entry)}"
                    if is_part(_base_name(entry), rule) and _is_folder(filesystem, entry):
                        following.append((str(entry["name"]).rstrip("/"), f"{place}/"))
                    else:
                        yield {**entry, "place": place}
            level = following
    if level:
        raise InputError(
            f"{path} has folders more than {_DEPTH} deep, such as {level[0][0]}.",
            "Name the folder nearer to the files at `folders` of the release description.",
        )


def _is_folder(filesystem: Any, entry: Mapping[str, Any]) -> bool:
    if entry.get("islink") and is_local(filesystem):
        return bool(filesystem.isdir(entry["name"]))
    return entry.get("type") == "directory"


def _list(filesystem: Any, path: str) -> list[dict[str, Any]]:
    try:
        with errors_as_os_errors():
            filesystem.invalidate_cache(path)
            return list(filesystem.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        wrong = why_no_folder(filesystem, path)
        if wrong is None:
            return []
        raise InputError(
            f"The folder {path} cannot be listed: {wrong}.", "Correct or remove the link."
        ) from None
    except OSError as error:
        raise InputError(
            f"The folder {path} cannot be listed: {error}.",
            "Check that it is readable, or that the address is right.",
        ) from error


def _base_name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _url(filesystem: Any, path: str) -> str:
    return path if is_local(filesystem) else str(filesystem.unstrip_protocol(path))
