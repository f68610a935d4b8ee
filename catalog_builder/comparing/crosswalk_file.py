"""A crosswalk from a file: which new id is which old one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.readers.content import Content, look_at
from catalog_builder.archive.readers.guard import unforeseen_as_damage
from catalog_builder.comparing.matching import CrosswalkIds, Ids
from catalog_builder.comparing.sides import SOURCE_ID
from catalog_builder.ground.errors import InputError

MATCHES, STATUS = "n_matches", "status"
#: What begins a status of a row that is not to be used: several matches, whichever way.
_AMBIGUOUS: Final = ("2", "3", "several", "shared", "ambig", "split", "merged")
#: No id: ids are positive.
_NONE: Final = 0


def read_crosswalk(path: str | Path, old_column: str | None = None) -> CrosswalkIds:
    """Read a crosswalk: CSV, ECSV (plain or gzipped), FITS or Parquet.

    Parameters
    ----------
    path : str or Path
        A table with the new ids in ``source_id`` and the old ones in `old_column`; null, 0 or -1
        where there is none. Rows with ``n_matches`` above 1, or whose ``status`` begins with 2, 3,
        "several", "ambiguous" and the like, are ambiguous; so is an id that stands in two pairs.
    old_column : str, optional
        By default the only other column whose name ends in ``source_id``.

    Raises
    ------
    InputError
        If it cannot be read, or does not have these columns, or they are no integers.
    DamagedFileError
        If it is no table.
    """
    path = Path(path)
    columns = _columns(path)
    old_name = _old_column(path, sorted(columns), old_column)
    new, old = _ids(path, SOURCE_ID, columns[SOURCE_ID]), _ids(path, old_name, columns[old_name])
    unsure = _ambiguous(path, columns, len(new))
    pairs = (old > _NONE) & (new > _NONE)
    apart_old, apart_new = old[unsure & (old > _NONE)], new[unsure & (new > _NONE)]
    if STATUS in columns:  # a pair that is called unsure is no rival of one that is called sure
        pairs &= ~unsure
        apart_old, apart_new = (
            np.setdiff1d(apart_old, old[pairs]),
            np.setdiff1d(apart_new, new[pairs]),
        )
    return CrosswalkIds(
        old[pairs],
        new[pairs],
        ambiguous_old=apart_old,
        ambiguous_new=apart_new,
        title=f"the crosswalk {path.name} ({old_name} to {SOURCE_ID})",
    )


def _old_column(path: Path, names: list[str], wanted: str | None) -> str:
    if SOURCE_ID not in names:
        raise InputError(
            f"{path} has no column {SOURCE_ID}, the new ids; it has {', '.join(names[:40])}.",
            "Give what `catalog-builder crosswalk` writes, or a table with these columns.",
        )
    if wanted is not None:
        if wanted not in names or wanted == SOURCE_ID:
            raise InputError(
                f"{path} has no column {wanted} with old ids; it has {', '.join(names[:40])}.",
                "Correct --old-column.",
            )
        return wanted
    others = [name for name in names if name.endswith(SOURCE_ID) and name != SOURCE_ID]
    if len(others) != 1:
        raise InputError(
            f"{path} has {len(others)} columns beside {SOURCE_ID} whose name ends so: which has"
            " the old ids is not clear.",
            f"Name it with --old-column: one of {', '.join(names[:40])}.",
        )
    return others[0]


def _columns(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InputError(f"The crosswalk {path} is not there.", "Check --crosswalk.")
    content = look_at(str(path))
    with unforeseen_as_damage(str(path)):
        if content.format == "parquet":
            from pyarrow import parquet

            return _plain(parquet.read_table(path, memory_map=True))
        if content.format == "fits":
            return _by_astropy(path, "fits")
        return _text(path, content)


def _text(path: Path, content: Content) -> Mapping[str, Any]:
    if content.head.startswith(b"# %ECSV"):
        return _by_astropy(path, "ascii.ecsv")
    from pyarrow import csv

    if not content.gzipped:
        return _plain(csv.read_csv(path))
    import gzip

    with gzip.open(path) as stream:
        return _plain(csv.read_csv(io.BytesIO(stream.read())))


def _plain(table: Any) -> Mapping[str, Any]:
    import pyarrow as pa

    found = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_integer(column.type):
            column = column.cast(pa.int64()).fill_null(_NONE)
        elif pa.types.is_null(column.type):
            column = pa.array(np.zeros(len(column), np.int64))
        found[name] = column.to_numpy()
    return found


def _by_astropy(path: Path, kind: str) -> Mapping[str, Any]:
    from astropy.table import Table

    table = Table.read(path, format=kind)
    found = {}
    for name in table.colnames:
        column = table[name]
        if hasattr(column, "filled") and column.dtype.kind in "iu":
            column = column.filled(_NONE)
        found[name] = np.asarray(column)
    return found


def _ids(path: Path, name: str, values: NDArray[Any]) -> Ids:
    if values.dtype.kind not in "iu":
        raise InputError(
            f"{path}: {name} is {values.dtype}, not whole numbers.",
            "Write ids as 64-bit integers, and nothing, 0 or -1 for none: floats lose digits.",
        )
    return values.astype(np.int64)


def _ambiguous(path: Path, columns: Mapping[str, Any], rows: int) -> NDArray[np.bool_]:
    unsure = np.zeros(rows, dtype=bool)
    if MATCHES in columns:
        unsure |= _ids(path, MATCHES, columns[MATCHES]) > 1
    if STATUS in columns:
        values, place = np.unique(columns[STATUS].astype(str), return_inverse=True)
        said = np.array([str(value).lower().startswith(_AMBIGUOUS) for value in values])
        unsure |= said[place]
    return unsure
