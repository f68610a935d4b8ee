"""Is a catalogue what its schema and its seal say? Every difference becomes a finding.

Nothing is trusted that can be recomputed: the seal of ``RELEASE.json``, the digest of every file,
the declarations of every column, the digest of every column, the equality of the exports with the
store, and the rules that the rows must keep. Here is what can be said without reading the rows;
these and the files are read in pieces, by as many processes as are asked for
(`catalog_builder.catalog.validate_content`).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import zarr
from pydantic import ValidationError
from zarr.errors import ZarrUserWarning

from catalog_builder.catalog.cf import code_attributes
from catalog_builder.catalog.exports import Part, format_of
from catalog_builder.catalog.finding import Finding, FindingLog
from catalog_builder.catalog.layout import (
    MANIFEST_FILE,
    PARTS_FILE,
    RELEASE_FILE,
    SCHEMA_FILE,
    SELECTION_NAME,
    STORE_NAME,
    Contents,
    contents,
    find_catalogue,
)
from catalog_builder.catalog.manifests import CHANGED, gap_of, read_parts, read_sums
from catalog_builder.catalog.release_json import ReleaseRecord, explain, read_release
from catalog_builder.catalog.selection_store import check_selection
from catalog_builder.catalog.side_check import check_tables
from catalog_builder.catalog.validate_content import Listed, check_content, readers
from catalog_builder.catalog.validate_rows import OpenCatalogue
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.documents import parse_json, read_document
from catalog_builder.ground.errors import CatalogueError, ConfigError
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.stores.whole_store import CatalogueStore

#: Parts that are read; what lies beside them is only listed.
_OWN: Final = frozenset({RELEASE_FILE, MANIFEST_FILE, PARTS_FILE, SCHEMA_FILE, STORE_NAME, "."})

#: Blocks of rows that a sample has.
SAMPLE: Final = 16


def validate_catalog(
    path: str | Path, *, workers: int = 1, sample: int | None = None
) -> list[Finding]:
    """Check a catalogue.

    Parameters
    ----------
    path : str or Path
        The folder of a version, or of a release, of which the latest version is taken.
    workers : int
        Processes that read side by side.
    sample : int, optional
        Read this many blocks of rows, taken at random all over the catalogue, and their files and
        parts of files; not compared are then the digests of columns and the sums in FITS headers.
        By default everything is read.

    Returns
    -------
    list of Finding
        Empty if all is well.

    Raises
    ------
    CatalogueError
        If there is no catalogue at all.
    """
    folder = _folder(Path(path))
    log = FindingLog()
    present = contents(folder)
    for name, kind in sorted(present.others.items()):
        log.add(name, kind)
    # To open them could wait for ever, or read what lies somewhere else.
    unopened = {name.split("/")[0] for name in present.others}
    if unopened & _OWN:
        return log.as_list()
    record = _record(folder, log)
    exports = _exports(record, log)
    if unopened & exports.keys():
        return log.as_list()
    schema = _schema(folder, record, log)
    listed = _listed(folder, present, record, log)
    readable = check_declarations(folder, schema, log)
    if not any(name.startswith(SELECTION_NAME) for name in present.others):
        check_selection(folder, None if record is None else record.selection, log)
    if not unopened & _beside(record):
        check_tables(folder, None if record is None else record.tables, log, rows=sample is None)
    there = {*present.files, *present.folders}
    exports = {name: kind for name, kind in exports.items() if name in there}
    catalogue = OpenCatalogue(folder, schema, readable, exports)
    with readers(catalogue, workers) as read:
        check_content(catalogue, listed, record, log, read, sample)
    return log.as_list()


def _beside(record: ReleaseRecord | None) -> set[str]:
    """Return the names of all files and folders of tables beside the catalogue."""
    tables = {} if record is None or record.tables is None else record.tables
    return {file for facts in tables.values() for file in facts.files.values()}


def _folder(path: Path) -> Path:
    if (path / STORE_NAME).is_dir() or (path / RELEASE_FILE).is_file():
        return path
    return find_catalogue(path)


def _record(folder: Path, log: FindingLog) -> ReleaseRecord | None:
    try:
        record = read_release(folder)
    except CatalogueError as error:
        log.add(RELEASE_FILE, error.problem)
        return None
    if record.seal != record.expected_seal():
        log.add(RELEASE_FILE, "it was edited after sealing: its seal does not match its content")
    return record


def _exports(record: ReleaseRecord | None, log: FindingLog) -> dict[str, str]:
    """Return the names of the exports' formats by file name."""
    said = None if record is None else record.exports
    if said is None:  # as before records said so
        return {format_of("fits").file_name: "fits"}
    found = {}
    for name, exported in said.items():
        try:
            format_of(name)
            found[exported.file] = name
        except ConfigError as error:
            log.add(exported.file, f"it is not compared with {STORE_NAME}: {error.problem}")
    return found


def _schema(folder: Path, record: ReleaseRecord | None, log: FindingLog) -> CatalogSchema:
    """Return the schema that the catalogue was made with, or today's if that is lost."""
    try:
        text = parse_json(read_document(folder / SCHEMA_FILE))
        schema = CatalogSchema.model_validate(text)
    except ValidationError as error:
        log.add(SCHEMA_FILE, explain(error))
        return default_schema()
    except (OSError, ValueError) as error:
        log.add(SCHEMA_FILE, f"cannot be read: {error}")
        return default_schema()
    if record and (record.schema_digest, record.schema_version) != (schema.digest, schema.version):
        log.add(SCHEMA_FILE, f"is not the schema that {RELEASE_FILE} names")
    return schema.or_else(default_contract())


def _listed(
    folder: Path, present: Contents, record: ReleaseRecord | None, log: FindingLog
) -> Listed:
    """Return what the lists of the catalogue say of the files that are there."""
    if MANIFEST_FILE not in present.files:
        log.add(MANIFEST_FILE, "missing")
        return Listed({}, {})
    text = (folder / MANIFEST_FILE).read_bytes()
    if record and hashlib.sha256(text).hexdigest() != record.manifest:
        log.add(MANIFEST_FILE, f"is not the list that {RELEASE_FILE} seals")
    files = read_sums(text)
    parts = _parts(folder, files, present, log)
    listed = files.keys() | parts.keys()
    found = set(present.files) - {RELEASE_FILE, MANIFEST_FILE}
    for name in sorted(listed - found - present.others.keys()):
        log.add(name, "missing")
    for name in sorted(found - listed):
        log.add(name, "not part of the sealed catalogue")
    for name in sorted(set(present.folders) - _folders_of(listed)):
        log.add(name, "a folder that is not part of the sealed catalogue")
    return Listed(
        {name: files[name] for name in sorted(found & files.keys())},
        {name: parts[name] for name in sorted(found & parts.keys())},
    )


def _parts(
    folder: Path, files: Mapping[str, str], present: Contents, log: FindingLog
) -> dict[str, list[Part]]:
    """Return the parts of large files; that they make these up is checked here."""
    if not {PARTS_FILE} <= files.keys() & set(present.files):
        return {}
    try:
        parts = read_parts((folder / PARTS_FILE).read_bytes())
    except (OSError, ValueError) as error:
        log.add(PARTS_FILE, f"cannot be read: {error}")
        return {}
    for name in sorted(parts.keys() & set(present.files)):
        if problem := gap_of(parts[name], (folder / name).stat().st_size):
            log.add(name, f"{CHANGED}: {problem}")
    return parts


def _folders_of(names: Iterable[str]) -> set[str]:
    """Return the folders that files lie in, at any depth."""
    return {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}


def check_declarations(folder: Path, schema: CatalogSchema, log: FindingLog) -> tuple[str, ...]:
    """Compare the arrays with the schema; return the names of those that can be read."""
    present: tuple[str, ...] = ()
    # The arrays' own metadata first; then the copy in the group, which xarray reads instead.
    for consolidated in (False, True):
        try:
            arrays = _arrays(folder / STORE_NAME, consolidated=consolidated)
        except CatalogueError as error:
            log.add(STORE_NAME, error.problem)
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.add(STORE_NAME, f"cannot be opened: {error}")
            continue
        for mismatch in schema.validate_dataset(arrays):
            log.add(STORE_NAME, mismatch.problem, mismatch.column)
        for name, array in arrays.items():
            # Catalogues of before do not say what their codes are called.
            for key, declared in code_attributes(schema, name).items():
                if array.attrs.get(key, declared) != declared:
                    log.add(STORE_NAME, f"{key} is not what the schema declares", name)
        if not consolidated:
            present = tuple(name for name in schema.names if name in arrays)
    return present


def _arrays(store: Path, *, consolidated: bool) -> dict[str, zarr.Array[Any]]:
    with warnings.catch_warnings():
        # zarr warns of an array whose metadata it cannot read; here it is found missing.
        warnings.simplefilter("ignore", ZarrUserWarning)
        group = zarr.open_group(CatalogueStore(store), mode="r", use_consolidated=consolidated)
        return dict(group.arrays())
