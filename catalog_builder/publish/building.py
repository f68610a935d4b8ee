"""What the tasks of chunks write into: made once, and made whole again where it was damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalog_builder.catalog.credit_record import credit_attributes
from catalog_builder.catalog.origins import record_in_words, simulated_in_words, unverified_in_words
from catalog_builder.catalog.zarr_store import create_store
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.publish.chunk import Building
from catalog_builder.publish.formats import told_as_a_format
from catalog_builder.runtime.receipts import file_checksum
from catalog_builder.runtime.workdir import remove_tree


def prepare(building: Building, facts: Path, attributes: Mapping[str, str]) -> dict[str, str]:
    """Create the empty store and exports, or what is missing of an earlier attempt's.

    Parameters
    ----------
    building : Building
        The catalogue.
    facts : Path
        Folder of what tasks say of their chunks; emptied where these chunks are gone.
    attributes : mapping of str to str
        What the store says of itself.

    Returns
    -------
    dict of str to str
        Checksums of the store's metadata by file, which no receipt has.

    Raises
    ------
    CatalogueError
        If there is no row to publish.
    """
    if building.rows == 0:
        raise CatalogueError(
            "There is no source to publish: every requested one was rejected.",
            "`catalog-builder status` gives the reasons.",
        )
    store = building.store
    store.parent.mkdir(parents=True, exist_ok=True)
    unfinished = store.with_name(f".{store.name}.partial")
    remove_tree(unfinished)
    create_store(unfinished, building.schema, building.rows, building.chunk_rows, attributes)
    files = sorted(file for file in unfinished.rglob("*") if file.is_file())
    meant = {file.relative_to(unfinished).as_posix(): file_checksum(file) for file in files}
    anew = not store.exists()
    if anew:
        unfinished.rename(store)
    else:
        for name in other_metadata(meant, store):
            (store / name).parent.mkdir(exist_ok=True)
            (unfinished / name).replace(store / name)
        remove_tree(unfinished)
    for name, one in building.formats.items():
        if one.by_chunks is not None:
            with told_as_a_format(name, one):
                anew |= one.by_chunks.begin(building.target(one))
    for _, _, by_chunks, target in building.beside():
        anew |= by_chunks.begin(target)
    if anew:  # what earlier tasks wrote is not there any more
        remove_tree(facts)
    facts.mkdir(exist_ok=True)
    return meant


def attributes_of(record: Mapping[str, Any], edition: str) -> dict[str, str]:
    """Return what the zarr store says of itself; a mark only where something is simulated."""
    marks = {}
    if record["simulated"]:
        marks["simulated"] = record_in_words(record)
    if record["model"]["simulated"]:
        marks["model_simulated"] = simulated_in_words(0, 0, learnt=True)
    if unverified := unverified_in_words(record):
        marks["unverified"] = unverified
    return {"title": f"{record['catalogue']} {edition}", **credit_attributes(record), **marks}


def other_metadata(meant: Mapping[str, str], store: Path) -> list[str]:
    """Return the files that a store does not have as they are meant to be."""
    return [name for name, checksum in meant.items() if not _is(store / name, checksum)]


def _is(file: Path, checksum: str) -> bool:
    try:
        return file_checksum(file) == checksum
    except OSError:
        return False
