"""Where things lie in ``<workdir>/catalogs/<release>/<version>/``, and what is a catalogue.

A folder is a catalogue if it holds ``RELEASE.json`` and is not one that is being built.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from catalog_builder.ground.errors import CatalogueError

RELEASE_FILE: Final = "RELEASE.json"
MANIFEST_FILE: Final = "SHA256SUMS"
PARTS_FILE: Final = "SHA256PARTS"
SCHEMA_FILE: Final = "schema.json"
STORE_NAME: Final = "catalog.zarr"
REPORT_NAME: Final = "report.html"
DRIFT_PAGE: Final = "drift.html"
DRIFT_JSON: Final = "drift.json"
#: The folder of counts behind the selection function.
SELECTION_NAME: Final = "selection"
#: What lies in a catalogue's folder beside its exports.
OWN_NAMES: Final = frozenset(
    {
        *(RELEASE_FILE, MANIFEST_FILE, PARTS_FILE, SCHEMA_FILE, STORE_NAME),
        *(REPORT_NAME, DRIFT_PAGE, DRIFT_JSON, SELECTION_NAME),
    }
)

LATEST_FILE: Final = "latest"
BUILDING_PREFIX: Final = ".building-"


def building_dir(target: Path) -> Path:
    """Return where the catalogue of this folder is built: hidden, beside it, on the same disk."""
    return target.with_name(f"{BUILDING_PREFIX}{target.name}")


def facts_dir(target: Path) -> Path:
    """Return where the tasks of chunks say what they wrote, until that catalogue is sealed."""
    building = building_dir(target)
    return building.with_name(f"{building.name}.facts")


def is_building(folder: Path) -> bool:
    """Tell whether a folder is one that :func:`building_dir` names."""
    return folder.absolute().name.startswith(BUILDING_PREFIX)


def find_catalogue(path: str | Path) -> Path:
    """Return the folder of the sealed catalogue that a path stands for.

    Parameters
    ----------
    path : str or Path
        The folder of a version, its ``catalog.zarr``, or the folder of a release (or its file
        ``latest``), of which the latest version is taken.

    Raises
    ------
    CatalogueError
        If there is none.
    """
    folder = Path(path)
    if folder.name == STORE_NAME or (folder.name == LATEST_FILE and folder.is_file()):
        folder = folder.parent
    if (folder / LATEST_FILE).is_file():
        folder = folder / (folder / LATEST_FILE).read_text(encoding="utf-8").strip()
    if not (folder / RELEASE_FILE).is_file() or is_building(folder):
        raise _no_catalogue(Path(path), folder)
    return folder


def _no_catalogue(path: Path, folder: Path) -> CatalogueError:
    """Say what a path is that is no catalogue, and where there is one near by."""
    if not path.exists():
        why = ": it is not there"
    elif is_building(folder):
        why = ": it is still being built, or was left so"
    elif folder not in {path, path.parent}:
        why = f": the latest version that it names, {folder.name}, is not there"
    else:
        why = ""
    # From a workdir, from its folder of catalogues, or from a file of a catalogue.
    near = [*path.glob(f"*/{LATEST_FILE}"), *path.glob(f"catalogs/*/{LATEST_FILE}")]
    near += [file for file in (path.parent / RELEASE_FILE,) if path.is_file() and file.is_file()]
    found = " or ".join(str(file.parent) for file in sorted(near)[:3])
    return CatalogueError(
        f"{path} is not a sealed catalogue{why}.",
        f"Give {found}."
        if found
        else f"Give the folder of a version (it holds {RELEASE_FILE}) or of a release.",
    )


@dataclass
class Contents:
    """What lies in a catalogue's folder, by path inside it, sorted.

    Attributes
    ----------
    files : list of str
        Regular files.
    folders : list of str
        Folders in it, at any depth.
    others : dict of str to str
        What a catalogue never has, and what it is: symbolic links, pipes, devices, sockets, and
        folders that cannot be listed. No link is followed.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)


def contents(folder: Path) -> Contents:
    """List a catalogue's folder, without opening or following anything in it."""
    found = Contents()
    _list(folder, "", found)
    found.files.sort()
    found.folders.sort()
    return found


def _list(folder: Path, prefix: str, found: Contents) -> None:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        found.others[prefix.rstrip("/") or "."] = f"cannot be listed: {error.strerror}"
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_file(follow_symlinks=False):
            found.files.append(name)
        elif entry.is_dir(follow_symlinks=False):
            found.folders.append(name)
            _list(folder / entry.name, f"{name}/", found)
        else:
            found.others[name] = _kind(entry.stat(follow_symlinks=False).st_mode)


def _kind(mode: int) -> str:
    for is_kind, words in (
        (stat.S_ISLNK, "is a symbolic link, not a file or folder of its own"),
        (stat.S_ISFIFO, "is a pipe, not a file"),
        (stat.S_ISSOCK, "is a socket, not a file"),
    ):
        if is_kind(mode):
            return words
    return "is a device, not a file"
