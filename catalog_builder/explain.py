"""Everything that is known of one source, from its files to its row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from pydantic import ValidationError

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.config import RunConfig
from catalog_builder.errors import InputError, StoreError
from catalog_builder.features.ledger import REASONS
from catalog_builder.features.store import FeatureStore
from catalog_builder.flags.bits import flag_words
from catalog_builder.inference.rows import read_failed
from catalog_builder.inference.stage import PREDICTION_FAILED
from catalog_builder.runtime.quarantine import all_given_up
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.schema import CatalogSchema


def explain(root: Path, source_id: int) -> str:
    """Return what became of a source, in words.

    Parameters
    ----------
    root : Path
        A workdir.
    source_id : int
        Gaia source id.

    Raises
    ------
    StoreError
        If `root` is no workdir.
    InputError
        If nothing that was ingested could hold the source.
    """
    workdir = Workdir(root)
    release = _release_of(workdir)
    pixel = source_id >> release.partition.source_id_shift
    partition = _partition_of(workdir, pixel)
    lines = [
        f"source_id {source_id}, HEALPix level-{release.partition.healpix_level} pixel {pixel}"
    ]
    if partition is None:
        raise InputError(
            f"No partition that was ingested in {root} holds {source_id} (pixel {pixel}).",
            "Check the id and --ranges; `catalog-builder status` lists what is in quarantine.",
        )
    lines.append(f"partition {partition}")
    ingest = _receipt(workdir, "ingest", partition)
    if ingest is None:
        lines += [
            f"  not ingested: {record.reason}"
            for record in all_given_up(workdir)
            if record.task == partition
        ] or ["  not ingested yet"]
        return "\n".join(lines)
    lines += [
        f"  {table}: {facts['file']}, {facts['size']} bytes,"
        f" {facts.get('checksum') or 'no checksum listed'}"
        for table, facts in ingest.inputs.items()
    ]
    lines += _features(workdir, release, ingest, source_id)
    lines += _prediction(workdir, partition, source_id)
    lines += _catalogues(workdir, source_id)
    return "\n".join(lines)


def _release_of(workdir: Workdir) -> ReleaseSpec:
    try:
        text = (workdir.root / "config.json").read_text(encoding="utf-8")
    except OSError:
        raise StoreError(
            f"{workdir.root} is not a workdir of catalog-builder.", "Give it with --workdir."
        ) from None
    try:
        return load_release(RunConfig.model_validate_json(text).release)
    except ValidationError:
        raise StoreError(
            f"{workdir.root / 'config.json'} is damaged or of another version of the program.",
            "Give the run's command again: it writes the file anew.",
        ) from None


def _partition_of(workdir: Workdir, pixel: int) -> str | None:
    names = {path.stem for path in (workdir.receipts / "ingest").glob("[!.]*-*")}
    for name in sorted(names):
        start, _, stop = name.partition("-")
        if int(start) <= pixel <= int(stop):
            return name
    return None


def _receipt(workdir: Workdir, stage: str, name: str) -> Receipt | None:
    file = workdir.receipt_file(stage, name)
    return read_receipt(file) if file.exists() else None


def _features(
    workdir: Workdir, release: ReleaseSpec, receipt: Receipt, source_id: int
) -> list[str]:
    store = FeatureStore(workdir.root / receipt.output)
    tables = list(release.tables)
    lines = []
    for row in np.flatnonzero(store.column("rejected_source_id") == source_id):
        reason = REASONS[int(store.column("rejected_reason")[row])]
        table = tables[int(store.column("rejected_table")[row])]
        lines.append(
            f"  row {store.column('rejected_row')[row]} of {table} was left out:"
            f" {reason} ({reason.sentence})"
        )
    place = _find(store.column("source_id"), source_id)
    if place is None:
        return [*lines, "not in the features: " + ("see above" if lines else "never asked for")]
    block = store.read(slice(place, place + 1))
    has = [name for name in ("rvs", "xp", "photometry", "parallax") if block[f"has_{name}"][0]]
    lines.append(f"features, row {place}: {', '.join(has) or 'no usable input'}")
    lines += [
        f"  {name} = {block[name][0]}"
        for name in sorted(block)
        if block[name].ndim == 1 and name != "source_id"
    ]
    return lines


def _prediction(workdir: Workdir, partition: str, source_id: int) -> list[str]:
    receipt = _receipt(workdir, "predict", partition)
    if receipt is None:
        given_up = [
            f"not predicted: {record.reason}"
            for record in all_given_up(workdir)
            if (record.stage, record.task) == ("predict", partition)
        ]
        return given_up or ["not predicted yet"]
    if source_id in read_failed(workdir.root / receipt.output):
        return [
            f"prediction: {PREDICTION_FAILED} (it has inputs, and the model gives no finite answer"
            " to them)"
        ]
    group = zarr.open_group(workdir.root / receipt.output, mode="r")
    return ["prediction", *_row(group, source_id)]


def _catalogues(workdir: Workdir, source_id: int) -> list[str]:
    lines = []
    for store in sorted(workdir.catalogs.glob(f"*/[!.]*/{STORE_NAME}")):
        ids = np.asarray(zarr.open_group(store, mode="r")["source_id"][:])  # type: ignore[index]
        place = _find(ids, source_id)
        where = "not in it" if place is None else f"row {place}"
        lines.append(f"catalogue {store.parent.relative_to(workdir.catalogs)}: {where}")
    return lines or ["in no sealed catalogue yet"]


def _row(group: zarr.Group, source_id: int) -> list[str]:
    place = _find(np.asarray(group["source_id"][:]), source_id)  # type: ignore[index]
    if place is None:
        return ["  has no row"]
    values = {name: np.asarray(array[place])[()] for name, array in group.arrays()}
    schema = CatalogSchema.load()
    lines = list(_labels(values, schema))
    words = flag_words(int(values["flags"]), schema.flags)
    sentences = {bit.name: bit.sentence for bit in schema.flags.bits}
    return [*lines, *(f"  flag {word}: {sentences.get(word, '')}" for word in words)]


def _labels(values: dict[str, Any], schema: CatalogSchema) -> Iterable[str]:
    for column in schema.columns:
        error = f"e_{column.name}"
        if error in values:
            value, sigma = float(values[column.name]), float(values[error])
            text = "null" if np.isnan(value) else f"{value:.6g} +- {sigma:.3g} {column.unit}"
            yield f"  {column.name} = {text}".rstrip()


def _find(ids: np.ndarray[Any, Any], source_id: int) -> int | None:
    place = int(np.searchsorted(ids, source_id))
    return place if place < ids.size and int(ids[place]) == source_id else None
