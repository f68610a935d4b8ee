"""Files of matrices that lie in an archive, beside its tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from catalog_builder.archive.storage import errors_as_os_errors, filesystem_of, open_bytes
from catalog_builder.features.matrices import MAX_BYTES, coefficients_in
from catalog_builder.ground.errors import CatalogBuilderError

#: Folders below the archive's own that are looked into, and files that are read.
_DEPTH: Final = 2
_MOST: Final = 20


@dataclass(frozen=True)
class FoundMatrices:
    """A file of matrices.

    Attributes
    ----------
    path : str
        From the archive's folder on.
    sha256 : str
        Its digest.
    counts : mapping of str to int
        Coefficients of each band.
    """

    path: str
    sha256: str
    counts: Mapping[str, int]


def find_matrices(archive: str) -> list[FoundMatrices]:
    """Return the files of matrices in an archive, by path; other npz files are passed over.

    Raises
    ------
    InputError
        If the archive cannot be opened.
    """
    filesystem, root = filesystem_of(archive, "The archive")
    root = root.rstrip("/")
    with errors_as_os_errors():
        files = [
            str(entry["name"]).removeprefix(root).lstrip("/")
            for _, _, entries in filesystem.walk(root, maxdepth=_DEPTH, detail=True)
            for name, entry in entries.items()
            if name.endswith(".npz")
        ]
    return list(_read(archive.rstrip("/"), sorted(files)[:_MOST]))


def _read(archive: str, files: list[str]) -> Iterator[FoundMatrices]:
    for path in files:
        try:
            with open_bytes(f"{archive}/{path}") as stream:
                content = stream.read(MAX_BYTES + 1)
            counts = coefficients_in(content, path)
        except (OSError, CatalogBuilderError):
            continue  # arrays of something else, or of none that can be used
        yield FoundMatrices(path, hashlib.sha256(content).hexdigest(), counts)
