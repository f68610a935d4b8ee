"""Which files make up the other table: one file, a folder of parts, an archive, a CDS folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.comparing.outside.fixed import README, described_files
from catalog_builder.comparing.outside.mapping import OtherTable
from catalog_builder.comparing.sides import SOURCE_ID, Side
from catalog_builder.ground.errors import InputError

_ENDINGS: Final = (
    *(".csv", ".csv.gz", ".ecsv", ".ecsv.gz", ".txt", ".txt.gz", ".tsv", ".dat", ".dat.gz"),
    *(".parquet", ".pq", ".fits", ".fit", ".fits.gz", ".vot", ".votable", ".xml"),
)
#: First and last pixel of a file, before its ending; bits of an id below HEALPix level 0.
_RANGE: Final = re.compile(r"(\d+)-(\d+)(?:\.\w+)+$")
_ID_BITS: Final = 59
#: What says that a folder is a HATS catalogue, and where its rows are.
_HATS, _ROWS_OF_HATS = ("hats.properties", "properties"), "dataset"


def find_files(other: Path, mapping: OtherTable | None = None) -> list[Path]:
    """Return the files of another table, in order of their names.

    Parameters
    ----------
    other : Path
        A file; or a folder with what the mapping names, a CDS ReadMe with its data, a HATS
        catalogue, or nothing but parts of the table.
    mapping : OtherTable, optional
        Says where the table lies in an archive.

    Raises
    ------
    InputError
        If there is none.
    """
    if other.is_file():
        return [other]
    if not other.is_dir():
        raise InputError(f"{other} is not there.", "Give a file, or a folder of files.")
    for pattern in () if mapping is None else mapping.files:
        for place in sorted(other.glob(pattern)):
            if found := [place] if place.is_file() else list(_tables_in(place)):
                return found if place.is_dir() else sorted(other.glob(pattern))
    if (other / README).is_file() and (found := list(described_files(other / README))):
        return found
    if any((other / name).is_file() for name in _HATS):
        found = list(_tables_in(other / _ROWS_OF_HATS, deep=True))
    else:
        found = list(_tables_in(other))
    if not found:
        looked = "" if mapping is None else f" Looked for {', '.join(mapping.files) or 'nothing'}."
        raise InputError(
            f"{other} holds no table that can be read.{looked}",
            "Give the file, or the folder with its parts: CSV, ECSV, FITS, Parquet, VOTable, or a"
            " CDS ReadMe with its data.",
        )
    return found


def occupied_pixels(side: Side, level: int) -> NDArray[np.bool_]:
    """Return which HEALPix pixels of a level, nested, hold an id of a table."""
    found = np.zeros(12 << (2 * level), dtype=bool)
    for chunk in range(len(side.starts) - 1):
        pixels = side.read(chunk, [SOURCE_ID])[SOURCE_ID] >> (_ID_BITS - 2 * level)
        found[pixels[(pixels >= 0) & (pixels < len(found))]] = True
    return found


def files_with_stars(files: Sequence[Path], occupied: NDArray[np.bool_]) -> list[Path]:
    """Return the files in whose range of pixels there is a star, and those without a range."""
    found = []
    for path in files:
        limits = _RANGE.search(path.name)
        if limits is None or occupied[int(limits[1]) : int(limits[2]) + 1].any():
            found.append(path)
    return found


def _tables_in(folder: Path, *, deep: bool = False) -> Iterator[Path]:
    for path in sorted(folder.rglob("*") if deep else folder.iterdir()):
        hidden = path.name.startswith((".", "_"))
        if not hidden and path.is_file() and path.name.lower().endswith(_ENDINGS):
            yield path
