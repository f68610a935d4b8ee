"""The publish stages: chunks of the catalogue written side by side, then exported and sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from catalog_builder.catalog.exports import Format, formats_of
from catalog_builder.catalog.layout import REPORT_NAME, STORE_NAME, building_dir
from catalog_builder.catalog.origins import record_in_words, simulated_in_words, unverified_in_words
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.catalog.zarr_store import create_store, write_rows
from catalog_builder.comparing.drift import make_drift
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.errors import CatalogBuilderError, CatalogueError
from catalog_builder.inference.rows import read_rows
from catalog_builder.inference.stage import PARTITION_NOT_PREDICTED
from catalog_builder.publish.seal import point_latest, seal
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.runtime.chunks import plan_chunks
from catalog_builder.runtime.damage import Damage, DamagedStoreError, Need
from catalog_builder.runtime.receipts import Receipt, file_checksum
from catalog_builder.runtime.tasks import Outcome, Stage, Task
from catalog_builder.runtime.workdir import Workdir, remove_tree


@dataclass(frozen=True)
class Edition:
    """One catalogue to be: its place follows from all that it is made of."""

    release: str
    version: str
    digest: str

    @property
    def name(self) -> str:
        """Return the version's folder name: the user's name and the digest."""
        return f"{self.version}-{self.digest[:8]}"

    def folder(self, workdir: Workdir) -> Path:
        """Return where it will stand, sealed."""
        return workdir.catalogs / self.release / self.name


@dataclass(frozen=True)
class PublishContext:
    """What all publish tasks share."""

    workdir: Workdir
    schema: CatalogSchema
    settings: PublishSettings
    edition: Edition
    #: Facts for RELEASE.json; only the sealing task needs them.
    record: Mapping[str, Any]
    #: Checksums of the store's metadata by file, as `prepare_store` left them; no receipt has them.
    metadata: Mapping[str, str] = field(default_factory=dict)


def _write_chunk(context: PublishContext, task: Task) -> Outcome:
    root = context.workdir.root
    store = _store(context)
    _refuse_other_metadata(context)
    pieces = [read_rows(root / path, start, stop) for path, start, stop in task.payload["pieces"]]
    columns = {
        name: np.concatenate([piece[name] for piece in pieces]) for name in context.schema.names
    }
    write_rows(store, context.schema, task.payload["start"], columns)
    rows = len(columns["source_id"])
    return Outcome(
        rows_in=rows,
        rows_out=rows,
        output=str(store.relative_to(root)),
        output_digest=task.key,
        pattern=f"*/c/{task.payload['index']}",
    )


def _seal(context: PublishContext, task: Task) -> Outcome:
    del task
    folder = context.edition.folder(context.workdir)
    if not folder.exists():
        building = building_dir(folder)
        _refuse_other_metadata(context)
        exports = _export(context, building)
        if context.settings.report:
            from catalog_builder.report.page import make_report  # matplotlib

            page = building / REPORT_NAME
            make_report(building / STORE_NAME, context.record, context.schema, page)
        facts = {**context.record, "exports": exports, **_drift(context, building)}
        seal(building, folder, facts, context.schema)
    elif findings := validate_catalog(folder):
        raise CatalogueError(
            f"{folder} stands in the way and is damaged: {findings[0]}.",
            "See `catalog-builder validate`, then remove the folder or choose another --version.",
        )
    else:  # a killed run sealed it before the receipt was written
        point_latest(folder)
    sealed = read_release(folder)
    return Outcome(
        rows_in=sealed.accounting.requested,
        rows_out=sealed.accounting.published,
        rejected=sealed.accounting.rejected,
        output=str(folder.relative_to(context.workdir.root)),
        output_digest=digest_json(sealed.columns),
        notes={"seal": sealed.seal},
    )


def _export(context: PublishContext, building: Path) -> dict[str, dict[str, str]]:
    """Write each format that is asked for; return what RELEASE.json says of them."""
    formats = formats_of(context.settings.formats, context.schema)
    for name, one in formats.items():
        target = building / one.file_name
        with _told_as_a_format(name, one):
            one.write(building / STORE_NAME, target, context.schema, context.record)
            if not target.is_file():
                raise ValueError(f"there is no {one.file_name}")
    return {
        name: {"file": one.file_name, "media_type": one.media_type} for name, one in formats.items()
    }


def _drift(context: PublishContext, building: Path) -> dict[str, Any]:
    """Lay the comparison with an older catalogue beside the store, where it is asked for."""
    settings = context.settings
    if settings.drift_from is None:
        return {}
    store, crosswalk = building / STORE_NAME, settings.drift_crosswalk
    return make_drift(settings.drift_from, store, context.schema, context.record, crosswalk)


@contextmanager
def _told_as_a_format(name: str, one: Format) -> Iterator[None]:
    """Name the format in whatever its module raises: it may be anybody's.

    Raises
    ------
    CatalogueError
        Not for errors with words of their own, nor for those of the disk.
    """
    try:
        yield
    except (CatalogBuilderError, OSError, MemoryError):
        raise
    except Exception as error:  # whichever it is: formats come from anywhere
        raise CatalogueError(
            f"The export format {name} failed: {type(error).__name__}: {error}.",
            f"Correct {one.write.__module__}, or take {name} out of publish.formats.",
        ) from error


CHUNKS = Stage("publish-chunks", version=3, work=_write_chunk)
SEAL = Stage("publish", version=4, work=_seal, sealed=True)


def edition_of(
    predictions: Sequence[Receipt],
    books: Mapping[str, Any],
    inputs: Mapping[str, str],
    model_digest: str,
    schema: CatalogSchema,
    settings: PublishSettings,
    release: str,
    version: str,
    origin: Mapping[str, Any],
) -> Edition:
    """Return the edition that these rows make."""
    key = {
        "version": [CHUNKS.version, SEAL.version],
        "rows": [receipt.output_digest for receipt in predictions],
        "accounting": books,
        "inputs": dict(inputs),
        "model": model_digest,
        "schema": schema.digest,
        "settings": settings.model_dump(mode="json"),
        "release": release,
        "name": version,
        "origin": dict(origin),
    }
    return Edition(release, version, digest_json(key))


def accounting(
    features: Sequence[Receipt], census: Sequence[Receipt], predictions: Sequence[Receipt]
) -> dict[str, Any]:
    """Return requested, published and rejected sources over all partitions.

    Parameters
    ----------
    features : sequence of Receipt
        Of the partitions that were ingested.
    census : sequence of Receipt
        Of those that were not, and whose sources were only counted.
    predictions : sequence of Receipt
        Of those that were predicted; stars without a finite answer are rejected there.
    """
    rejected: Counter[str] = Counter()
    for receipt in (*features, *census, *predictions):
        rejected.update(receipt.rejected)
    ingested = sum(receipt.rows_out for receipt in features)
    published = sum(receipt.rows_out for receipt in predictions)
    # The rest is in partitions whose prediction was given up.
    if lost := ingested - sum(receipt.rows_in for receipt in predictions):
        rejected[PARTITION_NOT_PREDICTED] = lost
    return {
        "requested": sum(receipt.rows_in for receipt in (*features, *census)),
        "published": published,
        "rejected": dict(sorted(rejected.items())),
    }


def plan_chunk_tasks(
    edition: Edition, predictions: Sequence[Receipt], settings: PublishSettings
) -> list[Task]:
    """Return a task for each chunk of the catalogue."""
    counts = [receipt.rows_out for receipt in predictions]
    tasks = []
    for chunk in plan_chunks(counts, settings.chunk_rows):
        pieces = [
            (predictions[piece.partition].output, piece.start, piece.stop) for piece in chunk.pieces
        ]
        key = digest_json([edition.digest, chunk.index])
        payload = {"index": chunk.index, "start": chunk.start, "pieces": pieces}
        used = [predictions[piece.partition] for piece in chunk.pieces]
        needs = tuple(Need(receipt.stage, receipt.task) for receipt in used)
        tasks.append(Task(CHUNKS.name, f"{edition.name}-{chunk.index:06d}", key, payload, needs))
    return tasks


def plan_seal(edition: Edition, chunks: Sequence[Task]) -> list[Task]:
    """Return the one task that exports and seals what the tasks of chunks wrote."""
    # Whatever is wrong with a chunk is seen when it is exported.
    needs = tuple(Need(chunk.stage, chunk.name, checked="nothing") for chunk in chunks)
    return [Task(SEAL.name, edition.name, edition.digest, needs=needs)]


def prepare_store(context: PublishContext) -> PublishContext:
    """Create the empty store that chunk tasks fill, or what is missing of an earlier attempt's.

    Returns
    -------
    PublishContext
        The context of the tasks that fill and seal it: it knows what its metadata are.

    Raises
    ------
    CatalogueError
        If there is no row to publish.
    """
    if context.record["accounting"]["published"] == 0:
        raise CatalogueError(
            "There is no source to publish: every requested one was rejected.",
            "`catalog-builder status` gives the reasons.",
        )
    store = _store(context)
    store.parent.mkdir(parents=True, exist_ok=True)
    unfinished = store.with_name(f".{STORE_NAME}.partial")
    remove_tree(unfinished)
    rows = context.record["accounting"]["published"]
    chunk_rows = min(context.settings.chunk_rows, rows)
    create_store(unfinished, context.schema, rows, chunk_rows, _attributes(context))
    files = sorted(file for file in unfinished.rglob("*") if file.is_file())
    meant = {file.relative_to(unfinished).as_posix(): file_checksum(file) for file in files}
    if store.exists():
        for name in _other_metadata(meant, store):
            (store / name).parent.mkdir(exist_ok=True)
            (unfinished / name).replace(store / name)
        remove_tree(unfinished)
    else:
        unfinished.rename(store)
    return replace(context, metadata=meant)


def _store(context: PublishContext) -> Path:
    return building_dir(context.edition.folder(context.workdir)) / STORE_NAME


def _other_metadata(meant: Mapping[str, str], store: Path) -> list[str]:
    """Return the files that a store does not have as they are meant to be."""
    return [name for name, checksum in meant.items() if not _is(store / name, checksum)]


def _is(file: Path, checksum: str) -> bool:
    try:
        return file_checksum(file) == checksum
    except OSError:
        return False


def _refuse_other_metadata(context: PublishContext) -> None:
    """Compare the store's metadata, which no receipt and no checksum covers, with what is meant."""
    store, root = _store(context), context.workdir.root
    if other := _other_metadata(context.metadata, store):
        raise DamagedStoreError.of(
            Damage(CHUNKS.name, "metadata", str((store / name).relative_to(root)), "is damaged")
            for name in other
        )


def _attributes(context: PublishContext) -> dict[str, str]:
    """Return what the zarr store says of itself; a mark only where something is simulated."""
    record = context.record
    marks = {}
    if record["simulated"]:
        marks["simulated"] = record_in_words(record)
    if record["model"]["simulated"]:
        marks["model_simulated"] = simulated_in_words(0, 0, learnt=True)
    if unverified := unverified_in_words(record):
        marks["unverified"] = unverified
    return {"title": f"{record['catalogue']} {context.edition.name}", **marks}
