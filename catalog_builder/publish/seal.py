"""Sealing: a catalogue is built in a hidden folder and becomes visible complete, or not at all.

The order is the safety. Files first, then their digests, then ``RELEASE.json``, then one rename;
each step is on disk before the next begins. Whatever is interrupted leaves a ``.building-*``
folder, which nothing takes for a catalogue and which the next run builds anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog_builder.catalog.digest import store_digests
from catalog_builder.catalog.layout import (
    LATEST_FILE,
    MANIFEST_FILE,
    RELEASE_FILE,
    SCHEMA_FILE,
    STORE_NAME,
    sealed_files,
)
from catalog_builder.catalog.release_json import SEALED_FIELDS, ReleaseRecord, make_record
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError


def seal(
    build_dir: Path, target_dir: Path, release: Mapping[str, Any], schema: CatalogSchema
) -> ReleaseRecord:
    """Describe, validate and reveal a finished catalogue.

    Parameters
    ----------
    build_dir : Path
        Holds ``catalog.zarr`` and the exports; see
        :func:`catalog_builder.catalog.layout.building_dir`.
    target_dir : Path
        ``<workdir>/catalogs/<release>/<version>``, which must not exist.
    release : mapping
        The fields of :class:`ReleaseRecord` that cannot be read from the files.
    schema : CatalogSchema
        What the catalogue was made with; written to ``schema.json``.

    Returns
    -------
    ReleaseRecord
        As written.

    Raises
    ------
    CatalogueError
        If the target exists, a fact is missing, or the catalogue is not valid.
    """
    _refuse_existing(target_dir)
    if given := SEALED_FIELDS & release.keys():
        raise CatalogueError(f"Fields found out by sealing were given: {sorted(given)}.")
    record = _describe(build_dir, release, schema)
    if findings := validate_catalog(build_dir):
        raise CatalogueError(
            f"{build_dir} is not sealed: {findings[0]} ({len(findings)} findings).",
            "Remove the folder and publish again; if it stays, this is a defect.",
        )
    _refuse_existing(target_dir)
    build_dir.rename(target_dir)
    _sync(target_dir.parent)
    point_latest(target_dir)
    return record


def point_latest(target_dir: Path) -> None:
    """Make a sealed version the one that its release folder stands for."""
    _write(target_dir.parent / LATEST_FILE, target_dir.name + "\n")


def _describe(build_dir: Path, release: Mapping[str, Any], schema: CatalogSchema) -> ReleaseRecord:
    for leftover in build_dir.glob(".*.partial"):
        if leftover.is_file():  # of an export that was interrupted
            leftover.unlink()
    text = json.dumps(schema.model_dump(mode="json", by_alias=True), indent=2, allow_nan=False)
    _write(build_dir / SCHEMA_FILE, text + "\n")
    _write(build_dir / MANIFEST_FILE, _manifest(build_dir))
    sealed = {
        "schema_version": schema.version,
        "schema_digest": schema.digest,
        "columns": store_digests(build_dir / STORE_NAME, schema),
        "manifest": hashlib.sha256((build_dir / MANIFEST_FILE).read_bytes()).hexdigest(),
    }
    record = make_record(release, sealed)
    _write(build_dir / RELEASE_FILE, record.to_json())
    return record


def _manifest(folder: Path) -> str:
    lines = []
    for path in sealed_files(folder):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    for directory in sorted(path for path in folder.rglob("*") if path.is_dir()):
        _sync(directory)
    return "".join(lines)


def _refuse_existing(target_dir: Path) -> None:
    if target_dir.exists():
        raise CatalogueError(
            f"{target_dir} exists: a sealed catalogue is never overwritten.",
            "Give the new one another --version.",
        )


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
