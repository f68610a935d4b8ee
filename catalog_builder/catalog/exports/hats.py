"""The catalogue as a HATS collection of Parquet files: leaves of the sky, and their margins.

LSDB reads it as a whole; DuckDB, polars, pandas, TOPCAT and astropy read its files, each of which
says what its columns are (VOParquet). It is written by the tasks of chunks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.exports import ID_STEP, ByChunks, Format, Target
from catalog_builder.catalog.exports._hats_index import (
    COLLECTION,
    COMMON,
    PARTITIONS,
    end,
    read_properties,
)
from catalog_builder.catalog.exports._hats_leaves import FINEST, INDEX, ids_of_places, index_of
from catalog_builder.catalog.exports._hats_parts import (
    MARGINS,
    PART_NAMES,
    PRIMARY,
    HatsRows,
    arrow_schema,
    leaf_folder,
    part_name,
    write,
)
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.voparquet import CONTENT_KEY, VERSION_KEY
from catalog_builder.catalog.zarr_store import read_rows, row_count
from catalog_builder.contract.schema import CatalogSchema

_DAMAGE: Final = (OSError, ValueError, KeyError, pa.ArrowException)
_NEEDED: Final = ("source_id", "ra", "dec")


def begin(target: Target) -> bool:
    """Make the folder."""
    if target.path.is_dir():
        return False
    target.path.mkdir()
    return True


def export_hats(
    store: Path, target: Path, schema: CatalogSchema, record: Mapping[str, Any]
) -> None:
    """Write a catalogue store as a HATS collection.

    Parameters
    ----------
    store : Path
        ``catalog.zarr``.
    target : Path
        Folder to write, which must not exist.
    schema : CatalogSchema
        Every column, the derived ones included, becomes a column.
    record : mapping
        The facts of RELEASE.json.
    """
    blocks = [
        {name: values[-first % ID_STEP :: ID_STEP] for name, values in block.items()}
        for first, block in read_rows(store, _NEEDED)
    ]
    some = {name: np.concatenate([block[name] for block in blocks]) for name in _NEEDED}
    ids = tuple(some["source_id"].tolist())
    if schema.contract.inputs.spelt_ids:
        ids = ids_of_places(some["ra"], some["dec"])
    made = Target(target, schema, record, row_count(store), ids)
    begin(made)
    written = [
        write(made, first, with_derived(rows, schema))
        for first, rows in read_rows(store, schema.names)
    ]
    end(made, written)


def check_quickly(path: Path, schema: CatalogSchema, log: FindingLog) -> None:
    """Compare columns, units, UCDs and counts of rows with what they must be."""
    try:
        _check_collection(path, schema, log)
    except _DAMAGE as error:
        log.add(path.name, f"cannot be read: {error}")


def check(path: Path, schema: CatalogSchema, log: FindingLog) -> None:
    """Check every file of rows too: its columns, and that its stars belong where they are."""
    check_quickly(path, schema, log)
    for name in (PRIMARY, MARGINS):
        try:
            said = _folders(path / name)
        except _DAMAGE as error:
            log.add(f"{path.name}/{name}/{PARTITIONS}", f"cannot be read: {error}")
            continue
        counted = dict.fromkeys(said, 0)
        for file in sorted((path / name).rglob(PART_NAMES)):
            place = file.relative_to(path.parent).as_posix()
            try:
                rows = _check_file(file, place, schema, log, inside=name == PRIMARY)
            except _DAMAGE as error:
                log.add(place, f"cannot be read: {error}")
                continue
            counted[file.parent] = counted.get(file.parent, 0) + rows
        for folder, rows in counted.items():
            if rows != said.get(folder, 0):
                place = folder.relative_to(path.parent).as_posix()
                log.add(place, f"has {rows} rows, {PARTITIONS} says {said.get(folder, 0)}")
    _check_margins(path, schema, log)


def _check_collection(path: Path, schema: CatalogSchema, log: FindingLog) -> None:
    said = read_properties(path / COLLECTION)
    if said["hats_primary_table_url"] != PRIMARY:
        log.add(f"{path.name}/{COLLECTION}", f"its catalogue is not {PRIMARY}")
    if said.get("all_margins", MARGINS) != MARGINS:
        log.add(f"{path.name}/{COLLECTION}", f"its margins are not {MARGINS}")
    for name in (PRIMARY, MARGINS) if "all_margins" in said else (PRIMARY,):
        place = f"{path.name}/{name}"
        _check_columns(path / name / COMMON, f"{place}/{COMMON}", schema, log)
        rows = sum(_folders(path / name).values())
        told = read_properties(path / name / "hats.properties")["hats_nrows"]
        if told != str(rows):
            log.add(place, f"hats.properties says {told} rows, {PARTITIONS} says {rows}")


def _check_columns(file: Path, place: str, schema: CatalogSchema, log: FindingLog) -> None:
    found, meant = pq.read_schema(file), arrow_schema(schema)
    if not found.remove_metadata().equals(meant.remove_metadata()):
        names = set(found.names) ^ set(meant.names)
        what = f": {', '.join(sorted(names))}" if names else ""
        log.add(place, f"its columns are not those of the schema{what}")
    for key in (VERSION_KEY, CONTENT_KEY):
        if (found.metadata or {}).get(key) != meant.metadata[key]:
            log.add(place, f"{key.decode()} is not what the schema declares")


def _check_file(
    file: Path, place: str, schema: CatalogSchema, log: FindingLog, *, inside: bool
) -> int:
    """Check a file; return how many rows it has."""
    _check_columns(file, place, schema, log)
    with pq.ParquetFile(file) as opened:
        table = opened.read(columns=[INDEX, *_NEEDED])
    index, ids, ra, dec = (table[name].to_numpy() for name in (INDEX, *_NEEDED))
    if (index != index_of(ids, ra, dec)).any():
        log.add(place, "is not the pixel of ra and dec", INDEX)
    if (np.diff(index) < 0).any():
        log.add(place, "does not increase", INDEX)
    order = int(file.parents[2].name.partition("=")[2])
    pixel = int(file.parent.name.partition("=")[2])
    if not 0 <= order <= FINEST:
        log.add(place, f"there is no order {order}")
    elif ((index >> 2 * (FINEST - order) == pixel) != inside).any():
        where = "outside" if inside else "inside"
        log.add(place, f"stars lie {where} the leaf", INDEX)
    return int(table.num_rows)


def _check_margins(path: Path, schema: CatalogSchema, log: FindingLog) -> None:
    """Compare the stars of the margins with the same stars of the catalogue, a chunk at a time."""
    whole, beside = (HatsRows(path, schema, 0, name) for name in (PRIMARY, MARGINS))
    for start in beside.starts:
        there, copies = whole.chunk(start), beside.chunk(start)
        ids, wanted = there["source_id"], copies.get("source_id", there["source_id"][:0])
        row = np.searchsorted(ids, wanted)
        known = row < len(ids)
        known[known] = ids[row[known]] == wanted[known]
        place = f"{path.name}/{MARGINS}/.../{part_name(start)}"
        if not known.all():
            log.add(place, f"source_id {wanted[~known][0]} is not in {PRIMARY}")
        for name in copies.keys() & there.keys():
            same = there[name][row[known]], copies[name][known]
            if not np.array_equal(*same, equal_nan=same[0].dtype.kind == "f"):
                log.add(place, f"values are not those of {PRIMARY}", name)


def _folders(root: Path) -> dict[Path, int]:
    """Return the rows that ``partition_info.csv`` says, by the folder of each leaf."""
    if not root.is_dir():
        return {}
    lines = (root / PARTITIONS).read_text(encoding="ascii").splitlines()[1:]
    leaves = (map(int, line.split(",")) for line in lines)
    return {leaf_folder(root, order, pixel): rows for order, pixel, rows in leaves}


def open_rows(path: Path, schema: CatalogSchema) -> HatsRows | None:
    """Open the rows; None if it is not known how many there are."""
    try:
        return HatsRows(path, schema, sum(_folders(path / PRIMARY).values()))
    except _DAMAGE:
        return None


FORMAT: Final = Format(
    "hats",
    "application/vnd.apache.parquet",
    export_hats,
    check,
    open_rows,
    None,
    ByChunks(begin, write, end, needs_ids=True),
    check_quickly,
)
