"""The folder of a table: what it lists, which file each partition has there, the checksums."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from catalog_builder.archive.files import FileRef, make_file, read_checksums
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.storage import (
    errors_as_os_errors,
    filesystem_of,
    find_out,
    is_local,
    why_no_folder,
)
from catalog_builder.archive.tables import TableName, TableSpec
from catalog_builder.ground.errors import InputError


@dataclass(frozen=True)
class TableFolder:
    """The folder in which a table was found, with its partitions' files by range.

    Parameters
    ----------
    url : str
        Where it is.
    files : mapping of (int, int) to FileRef
        By inclusive pixel numbers.
    names : mapping of (int, int) to str
        The ranges as the archive writes them.
    without_size : bool
        Whether the listing gives no sizes, as a page of links does not.
    """

    url: str
    files: Mapping[tuple[int, int], FileRef]
    names: Mapping[tuple[int, int], str]
    without_size: bool = False


class Choice(NamedTuple):
    """The file that was chosen for a range.

    Parameters
    ----------
    label : str
        The range as the archive writes it.
    entry : dict
        fsspec's description of the file.
    others : tuple of str
        Names of the files of the range that were not taken.
    """

    label: str
    entry: dict[str, Any]
    others: tuple[str, ...] = ()


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
        listing = _list(filesystem, path)
        chosen = choose_files(_through_links(filesystem, listing), spec, release)
        if not chosen:
            continue
        present = {_base_name(entry) for entry in listing}
        checksums = read_checksums(_url(filesystem, path), present, release.checksums)
        files = {
            limits: replace(
                make_file(_url(filesystem, entry["name"]), entry),
                checksum=checksums.get(_base_name(entry)),
                passed_over=others,
            )
            for limits, (_, entry, others) in chosen.items()
        }
        names = {limits: choice.label for limits, choice in chosen.items()}
        without_size = any(choice.entry.get("size") is None for choice in chosen.values())
        return TableFolder(_url(filesystem, path), files, names, without_size)
    return None


def _through_links(filesystem: Any, listing: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield the entries of a listing; a link has size, time and kind of what it leads to."""
    for entry in listing:
        if not (is_local(filesystem) and entry.get("islink")):
            yield entry
            continue
        try:
            yield {**find_out(filesystem, entry["name"]), "name": entry["name"]}
        except OSError:
            # It leads nowhere: the reader says so, by name. Its own time means nothing.
            link = entry.get("destination")
            yield {"name": entry["name"], "size": 0, "type": "other", "destination": link}


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


def choose_files(
    listing: Iterable[dict[str, Any]], spec: TableSpec, release: ReleaseSpec
) -> dict[tuple[int, int], Choice]:
    """Pick one file per range by their names: where there are several, the ending preferred.

    What is no file (a folder, a pipe) comes last: alone it is taken, for the reader to refuse.
    """
    endings = "|".join(re.escape(ending) for ending in spec.formats)
    rule = release.partition
    pattern = re.compile(
        f"{re.escape(spec.stem)}(?P<label>{rule.range_pattern})[.](?P<ending>{endings})"
    )
    rank: dict[str, int] = {ending: number for number, ending in enumerate(spec.formats)}
    found: dict[tuple[int, int], list[tuple[bool, int, str, Choice]]] = {}
    for entry in listing:
        name = _base_name(entry)
        match = pattern.fullmatch(name)
        if match is None:
            continue
        limits = int(match["start"]), int(match["stop"])
        if not 0 <= limits[0] <= limits[1] < rule.n_pixels:
            raise InputError(
                f"{entry['name']}: {match['label']} is no range of level-{rule.healpix_level} "
                f"pixels (0 to {rule.n_pixels - 1}).",
                "Rename or remove the file.",
            )
        is_odd = entry.get("type") in {"directory", "other"}
        candidate = is_odd, rank[match["ending"]], name, Choice(match["label"], entry)
        found.setdefault(limits, []).append(candidate)
    chosen = {}
    for limits, candidates in found.items():
        candidates.sort(key=lambda candidate: candidate[:3])
        others = tuple(name for _, _, name, _ in candidates[1:])
        chosen[limits] = candidates[0][3]._replace(others=others)
    return chosen


def _base_name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _url(filesystem: Any, path: str) -> str:
    return path if is_local(filesystem) else str(filesystem.unstrip_protocol(path))
