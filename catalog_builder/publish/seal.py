"""Sealing: a catalogue is built in a hidden folder and becomes visible complete, or not at all.

The order is the safety. Files first, then their digests, then ``RELEASE.json``, then one rename;
each step is on disk before the next begins. Whatever is interrupted leaves a ``.building-*``
folder, which nothing takes for a catalogue and which the next run goes on with.

The rows were written, read back, checked and summed up by the tasks of their chunks. Here their
sums are put together; read are the sizes of all files, and the bytes of a sample of the chunks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from catalog_builder.catalog.digest import BLOCK_ROWS
from catalog_builder.catalog.exports import Part
from catalog_builder.catalog.finding import FindingLog
from catalog_builder.catalog.layout import (
    LATEST_FILE,
    MANIFEST_FILE,
    PARTS_FILE,
    RELEASE_FILE,
    SCHEMA_FILE,
    SELECTION_NAME,
    STORE_NAME,
)
from catalog_builder.catalog.manifests import digest_of, file_line, gap_of, part_line
from catalog_builder.catalog.release_json import SEALED_FIELDS, ReleaseRecord, make_record
from catalog_builder.catalog.side_files import kinds_of, side_file
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.catalog.validate import check_declarations
from catalog_builder.catalog.validate_rows import OpenCatalogue, spans
from catalog_builder.ground.disk import sync
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.publish.chunk import Building
from catalog_builder.publish.facts import ChunkFacts
from catalog_builder.publish.formats import told_as_a_format
from catalog_builder.publish.gather import (
    Gathered,
    check_sample,
    check_sizes,
    gather,
    sampled,
)
from catalog_builder.report.tally import Tally

#: Reads the facts of a chunk.
Facts = Callable[[int], ChunkFacts]
#: Writes pages into the catalogue's folder, and returns what RELEASE.json says of them; the tally
#: is that of all rows, if they were summed up.
Pages = Callable[[Building, Tally | None], Mapping[str, Any]]
_OWN: Final = frozenset({MANIFEST_FILE, PARTS_FILE, RELEASE_FILE, STORE_NAME})


def seal(
    building: Building,
    target_dir: Path,
    facts_of: Facts,
    add_pages: Pages | None = None,
) -> ReleaseRecord:
    """Put together, describe, check and reveal a catalogue whose chunks are written.

    Parameters
    ----------
    building : Building
        Its hidden folder holds ``catalog.zarr`` and the exports that are written by chunks; its
        record has the fields of :class:`ReleaseRecord` that sealing does not find out.
    target_dir : Path
        ``<workdir>/catalogs/<release>/<version>``, which must not exist.
    facts_of : callable
        Returns what the task of a chunk said, by the chunk's number.
    add_pages : callable, optional
        ``add_pages(building, tally)`` writes files into the folder of the catalogue, beside the
        zarr store: they are sealed with it. The tally is that of all rows, or None. What it
        returns are fields of RELEASE.json. There are no pages without it.

    Returns
    -------
    ReleaseRecord
        As written.

    Raises
    ------
    CatalogueError
        If the target exists, a fact is missing, or the chunks are not the catalogue.
    ChunkDamageError
        If what a chunk's task wrote has changed since.
    """
    _refuse_existing(target_dir)
    if given := SEALED_FIELDS & building.record.keys():
        raise CatalogueError(f"Fields found out by sealing were given: {sorted(given)}.")
    for leftover in building.folder.glob(".*.partial"):
        if leftover.is_file():  # of an attempt that was interrupted
            leftover.unlink()
    sums, parts = (_partial(building.folder / name) for name in (MANIFEST_FILE, PARTS_FILE))
    with sums.open("w", encoding="utf-8") as sum_lines:
        with parts.open("w", encoding="utf-8") as part_lines:
            schema, edges = building.schema, building.edges
            tally = Tally(schema, edges, building.regimes) if building.report else None
            chunks = (facts_of(index) for index in range(building.chunks))
            made = gather(building, chunks, sum_lines, part_lines, tally)
            check_sizes(made)
            check_sample(made, {index: facts_of(index) for index in sampled(building.chunks)})
            _end_formats(made, part_lines)
        told: Mapping[str, Any] = {}
        if add_pages is not None:
            told = add_pages(building, tally)
        record = _describe(made, sum_lines, told)
    _check(building)
    _refuse_existing(target_dir)
    building.folder.rename(target_dir)
    sync(target_dir.parent)
    point_latest(target_dir)
    return record


def point_latest(target_dir: Path) -> None:
    """Make a sealed version the one that its release folder stands for."""
    _write(target_dir.parent / LATEST_FILE, target_dir.name + "\n")


def _end_formats(made: Gathered, lines: TextIO) -> None:
    """Write what depends on all chunks, the formats that are written at once, and the parts."""
    building = made.building
    for name, one in building.formats.items():
        target = building.target(one)
        with told_as_a_format(name, one):
            if one.by_chunks is None:
                one.write(building.store, target.path, building.schema, building.record)
                if not target.path.is_file():
                    raise ValueError(f"there is no {one.file_name}")
                continue
            _list_parts(made, one.by_chunks.end(target, made.written[name]), lines)
    for name, _, by_chunks, target in building.beside():
        _list_parts(made, by_chunks.end(target, made.written[name]), lines)
    for file, parts in made.parts.items():
        size = (building.folder / file).stat().st_size
        if gap := gap_of(sorted(parts, key=lambda part: part.start), size):
            raise CatalogueError(
                f"{building.folder / file} is not sealed: {gap}.",
                "Remove the folder and publish again; if it stays, this is a defect.",
            )


def _list_parts(made: Gathered, parts: Iterable[Part], lines: TextIO) -> None:
    for part in parts:
        lines.write(part_line(part))
        made.parts.setdefault(part.file, []).append(part)


def _describe(made: Gathered, sums: TextIO, told: Mapping[str, Any]) -> ReleaseRecord:
    building, schema = made.building, made.building.schema
    folder = building.folder
    text = json.dumps(schema.model_dump(mode="json", by_alias=True), indent=2, allow_nan=False)
    _write(folder / SCHEMA_FILE, text + "\n")
    partial = _partial(folder / PARTS_FILE)
    if made.parts:
        partial.replace(folder / PARTS_FILE)
        sums.write(file_line(PARTS_FILE, _digest(folder / PARTS_FILE)))
    else:
        partial.unlink()
    for name in _other_files(building, made.parts):
        sums.write(file_line(name, _digest(folder / name)))
    sums.close()
    _partial(folder / MANIFEST_FILE).replace(folder / MANIFEST_FILE)
    manifest = _digest(folder / MANIFEST_FILE)
    for directory in (*_folders(building), folder):
        sync(directory)
    sealed = {
        "schema_version": schema.version,
        "schema_digest": schema.digest,
        "columns": made.columns,
        "block_rows": BLOCK_ROWS,
        "exports": {
            name: {"file": one.file_name, "media_type": one.media_type}
            for name, one in building.formats.items()
        },
        "manifest": manifest,
    }
    record = make_record({**building.record, **told, **_tables(building, told)}, sealed)
    _write(folder / RELEASE_FILE, record.to_json())
    return record


def _tables(building: Building, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what RELEASE.json says of the tables beside the catalogue."""
    found: dict[str, Any] = dict(told.get("tables") or {})
    for table in building.tables:
        files = {kind: side_file(table, kind) for kind in kinds_of(table, building.formats)}
        facts = SideFacts(declared=table, rows=building.rows, files=files)
        found[table.name] = facts.model_dump(by_alias=True)
    return {"tables": found} if found else {}


def _other_files(building: Building, parts: Mapping[str, list[Part]]) -> Iterator[str]:
    """Yield the files that no chunk wrote: metadata, whole exports, and all pages."""
    yield f"{STORE_NAME}/zarr.json"
    for name in building.schema.names:
        yield f"{STORE_NAME}/{name}/zarr.json"
    by_chunks = {file.split("/")[0] for file in parts}
    for path in sorted(building.folder.iterdir()):
        if path.name in _OWN | by_chunks or path.name.startswith("."):
            continue
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (
            file.relative_to(building.folder).as_posix() for file in files if file.is_file()
        )


def _folders(building: Building) -> Iterator[Path]:
    for name in building.schema.names:
        yield building.store / name / "c"
        yield building.store / name
    yield building.store
    for *_, target in building.beside():
        yield from sorted((p for p in target.path.rglob("*") if p.is_dir()), reverse=True)
        yield from (target.path for _ in range(target.path.is_dir()))
    selection = building.folder / SELECTION_NAME
    yield from sorted((p for p in selection.rglob("*") if p.is_dir()), reverse=True)
    yield from (selection for _ in range(selection.is_dir()))


def _check(building: Building) -> None:
    """Check the declarations of the store and of the exports, as `validate` does it."""
    log = FindingLog()
    check_declarations(building.folder, building.schema, log)
    for one in building.formats.values():
        check = one.check if one.by_chunks is None else one.check_quickly
        if check is not None:
            check(building.folder / one.file_name, building.schema, log)
    # What no chunk's task has compared with the rows.
    whole = {one.file_name: name for name, one in building.formats.items() if not one.by_chunks}
    if whole:
        catalogue = OpenCatalogue(building.folder, building.schema, building.schema.names, whole)
        catalogue.check_lengths(building.rows, log)
        for start, stop in spans(building.rows):
            log.extend(catalogue.check_span(start, stop, digests=False).findings)
    if findings := log.as_list():
        raise CatalogueError(
            f"{building.folder} is not sealed: {findings[0]} ({len(findings)} findings).",
            "Remove the folder and publish again; if it stays, this is a defect.",
        )


def _refuse_existing(target_dir: Path) -> None:
    if target_dir.exists():
        raise CatalogueError(
            f"{target_dir} exists: a sealed catalogue is never overwritten.",
            "Give the new one another --version.",
        )


def _digest(path: Path) -> str:
    """Return the digest of a file that is on disk when this returns."""
    sync(path)
    return digest_of(path)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _write(path: Path, text: str) -> None:
    partial = _partial(path)
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync(path.parent)
