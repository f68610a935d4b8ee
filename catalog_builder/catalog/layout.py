"""Where things lie in ``<workdir>/catalogs/<release>/<version>/``, and what is a catalogue.

A folder is a catalogue if it holds ``RELEASE.json`` and is not one that is being built.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from catalog_builder.errors import CatalogueError

RELEASE_FILE: Final = "RELEASE.json"
MANIFEST_FILE: Final = "SHA256SUMS"
SCHEMA_FILE: Final = "schema.json"
STORE_NAME: Final = "catalog.zarr"
FITS_NAME: Final = "catalog.fits"

LATEST_FILE: Final = "latest"
BUILDING_PREFIX: Final = ".building-"


def building_dir(target: Path) -> Path:
    """Return where the catalogue of this folder is built: hidden, beside it, on the same disk."""
    return target.with_name(f"{BUILDING_PREFIX}{target.name}")


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


def sealed_files(folder: Path) -> Iterator[Path]:
    """Yield every file of a catalogue that its manifest lists, sorted by path."""
    own = {folder / RELEASE_FILE, folder / MANIFEST_FILE}
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and path not in own)
