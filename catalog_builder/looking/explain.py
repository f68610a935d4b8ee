"""Everything that is known of one source, from its files to its row.

It is told of a run in any state: steps that are still to come, partitions that were given up, and
stores that have been cleaned away are said to be just that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from pydantic import ValidationError

from catalog_builder.archive.identifiers import key_of
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.catalog.layout import STORE_NAME
from catalog_builder.catalog.open import schema_of
from catalog_builder.contract.contract import Contract
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.ledger import REASONS
from catalog_builder.features.store import FeatureStore
from catalog_builder.flags.bits import flag_words
from catalog_builder.ground.documents import DocumentError, parse_json, read_document
from catalog_builder.ground.errors import CatalogBuilderError, ConfigError, InputError, StoreError
from catalog_builder.inference.rows import read_failed, read_rows
from catalog_builder.inference.stage import PREDICTION_FAILED
from catalog_builder.labels.agreed import contract_of, contract_of_model, default_schema
from catalog_builder.labels.survey import load_survey
from catalog_builder.model.locate import MODEL_JSON
from catalog_builder.run.config import RunConfig
from catalog_builder.run.recorded import recorded_config
from catalog_builder.runtime.plans import read_plan
from catalog_builder.runtime.quarantine import all_given_up
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.stores.whole_store import DAMAGE, CatalogueStore

#: Source ids are positive signed 64-bit integers.
_LARGEST_ID = 2**63 - 1
#: What is raised for stores that are not there or are damaged.
_UNREADABLE = (CatalogBuilderError, *DAMAGE)
#: How a partition is named in plans and receipts.
_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")


def explain(root: Path, source_id: int | str) -> str:
    """Return what became of a source, in words.

    Parameters
    ----------
    root : Path
        A workdir.
    source_id : int or str
        Source id; the archive's word, where the release's identifiers are words.

    Raises
    ------
    StoreError
        If `root` is no workdir, or no run in it got as far as a plan.
    InputError
        If the number is no source id, or no partition of the run could hold the source.
    """
    workdir = Workdir(root)
    workdir.require()
    config = recorded_config(workdir)
    release = load_release(config.release, config.several_spectra)
    rule = release.partition
    word, source_id = source_id, _number(source_id, release)
    level, pixel = rule.healpix_level, source_id >> rule.source_id_shift
    if not 0 < source_id <= _LARGEST_ID or (rule.ids_tell and pixel >= rule.n_pixels):
        raise InputError(
            f"{word} is no source id of {release.title}: it lies in no pixel of the sky.",
            "Give it as the archive does, all its digits: a float or a spreadsheet rounds it.",
        )
    if rule.ids_tell:
        partition = _partition_of(workdir, pixel)
        lines = [f"source_id {source_id}, HEALPix level-{level} pixel {pixel}"]
    else:
        partition = _partition_with(workdir, source_id)
        said = f" ({word})" if str(word) != str(source_id) else ""
        lines = [f"source_id {source_id}{said}, whose place on the sky its id does not tell"]
    if partition is None:
        where = f" (pixel {pixel})" if rule.ids_tell else ""
        raise InputError(
            f"No partition of the run in {root} holds {source_id}{where}.",
            "Check the id, and the --ranges and the archive of the run.",
        )
    lines.append(f"partition {partition}")
    ingest = _receipt(workdir, "ingest", partition)
    if ingest is None:
        lines += _why_missing(workdir, "ingest", partition, "  not ingested")
    else:
        place, told = _ingested(workdir, release, ingest, source_id)
        schema = _schema_of_run(config, release)
        lines += [*told, *_prediction(workdir, partition, place, source_id, schema)]
    lines += _catalogues(workdir, source_id, lines)
    return "\n".join(lines)


def _number(source_id: int | str, release: ReleaseSpec) -> int:
    """Return an identifier's number: itself, or the key of a word; 0 for what is neither."""
    try:
        return int(source_id)
    except ValueError:
        return key_of(str(source_id).encode()) if "source_id" in release.spelt else 0


def _ingested(
    workdir: Workdir, release: ReleaseSpec, ingest: Receipt, source_id: int
) -> tuple[int | None, list[str]]:
    """Return the source's row in the feature store, if it has one, and what is told of it."""
    files = [
        f"  {table}: {facts['file']}, {facts['size']} bytes,"
        f" {facts.get('checksum') or 'no checksum listed'}"
        for table, facts in ingest.inputs.items()
    ]
    try:
        place, told = _features(workdir, release, ingest, source_id)
    except StoreError as error:
        return None, [*files, f"features: {error}"]
    return place, [*files, *told]


def _schema_of_run(config: RunConfig, release: ReleaseSpec) -> CatalogSchema:
    """Return the schema of a run's predictions: of its model if one was given, or its survey."""
    try:
        if config.model_path is None:
            return CatalogSchema.of(contract_of(release, load_survey(config.training.survey)))
        content = parse_json(read_document(Path(config.model_path) / MODEL_JSON))
        model = Contract.model_validate(content["contract"])
        return CatalogSchema.of(contract_of_model(model, release))
    except (ConfigError, OSError, DocumentError, ValidationError, LookupError, TypeError):
        # The description or the model is gone, or is of before models said.
        return default_schema()


def _partition_of(workdir: Workdir, pixel: int) -> str | None:
    """Return the partition of a pixel: of the last plan, or else of any earlier one."""
    earlier = {path.stem for path in (workdir.receipts / "ingest").glob("[!.]*")}
    for name in (*sorted(read_plan(workdir, "ingest") or ()), *sorted(earlier)):
        match = _RANGE.fullmatch(name)
        if match is not None and int(match[1]) <= pixel <= int(match[2]):
            return name
    return None


def _partition_with(workdir: Workdir, source_id: int) -> str | None:
    """Return the partition whose features have a source, or had and rejected it."""
    earlier = {path.stem for path in (workdir.receipts / "ingest").glob("[!.]*")}
    for name in (*sorted(read_plan(workdir, "ingest") or ()), *sorted(earlier)):
        receipt = _receipt(workdir, "ingest", name)
        try:
            store = None if receipt is None else FeatureStore(workdir.root / receipt.output)
            if store is not None and any(
                (store.column(column) == source_id).any()
                for column in ("source_id", "rejected_source_id")
            ):
                return name
        except StoreError:
            continue  # another one may have it
    return None


def _receipt(workdir: Workdir, stage: str, name: str) -> Receipt | None:
    try:
        return read_receipt(workdir.receipt_file(stage, name))
    except OSError:
        return None  # there is none, or it was replaced while it was read


def _why_missing(workdir: Workdir, stage: str, partition: str, what: str) -> list[str]:
    """Say why a partition has no receipt of a stage that could be read."""
    if workdir.receipt_file(stage, partition).exists():
        return [f"{what}: its receipt is damaged, and the next run makes it again"]
    plan = read_plan(workdir, stage) or {}
    given_up = [
        record
        for record in all_given_up(workdir)
        if (record.stage, record.task) == (stage, partition)
    ]
    return [
        f"{what}: {record.reason}"
        if plan.get(partition, record.key) == record.key
        else f"{what} yet; with earlier files or settings: {record.reason}"
        for record in given_up
    ] or [f"{what} yet"]


def _stale(workdir: Workdir, receipt: Receipt) -> str:
    """Return a remark where a receipt is not of the stage's last plan."""
    plan = read_plan(workdir, receipt.stage)
    same = plan is None or plan.get(receipt.task) == receipt.key
    return "" if same else " (of an earlier plan: the next run makes it again)"


def _features(
    workdir: Workdir, release: ReleaseSpec, receipt: Receipt, source_id: int
) -> tuple[int | None, list[str]]:
    """Return the source's row in the feature store, if it has one, and what the store says."""
    if not (workdir.root / receipt.output).exists():
        return None, ["features: no longer there (`clean --intermediate` removes them)"]
    store = FeatureStore(workdir.root / receipt.output)
    tables = list(release.tables)
    lines = []
    for row in np.flatnonzero(store.column("rejected_source_id") == source_id):
        reason = REASONS[int(store.column("rejected_reason")[row])]
        table = tables[int(store.column("rejected_table")[row])]
        number = int(store.column("rejected_row")[row])
        where = f"row {number} of {table}" if number >= 0 else f"it in {table}"
        lines.append(f"  {where} was left out: {reason} ({reason.sentence})")
    place = _find(store.column("source_id"), source_id)
    if place is None:
        asked = f"no row in {' or '.join(release.driving_tables)} of this archive asks for it"
        why = "rejected, see above" if lines else f"never asked for: {asked}"
        return None, [*lines, f"not in the features{_stale(workdir, receipt)}: {why}"]
    block = store.read(slice(place, place + 1))
    has = [name for name in release.inputs.names if block[f"has_{name}"][0]]
    usable = ", ".join(has) or "no usable input"
    lines.append(f"features, row {place}{_stale(workdir, receipt)}: {usable}")
    lines += [
        f"  {name} = {block[name][0]}"
        for name in sorted(block)
        if block[name].ndim == 1 and name != "source_id"
    ]
    return place, lines


def _prediction(
    workdir: Workdir, partition: str, place: int | None, source_id: int, schema: CatalogSchema
) -> list[str]:
    receipt = _receipt(workdir, "predict", partition)
    if receipt is None:
        return _why_missing(workdir, "predict", partition, "not predicted")
    if not (workdir.root / receipt.output).exists():
        return ["prediction: no longer there (`clean --intermediate` removes them)"]
    if place is None:
        return ["not predicted: not in the features"]
    return _predicted_row(workdir, receipt, place, source_id, schema)


def _predicted_row(
    workdir: Workdir, receipt: Receipt, place: int, source_id: int, schema: CatalogSchema
) -> list[str]:
    """Tell the row of predictions that was made from a row of the features."""
    # Rows lie in the order of the features that they were made from, without those that failed.
    try:
        failed = read_failed(workdir.root / receipt.output)
        row = place - int((failed < source_id).sum())
        rows = read_rows(workdir.root / receipt.output, row, row + 1)
        found = rows["source_id"].tolist()
        first = {name: column[0] for name, column in rows.items() if found}
        told = list(_in_words(first, schema)) if first else []
    except _UNREADABLE as error:
        return [f"prediction: {receipt.output} cannot be read ({error})"]
    if source_id in failed:
        return [
            f"prediction{_stale(workdir, receipt)}: {PREDICTION_FAILED} (it has inputs, and the"
            " model gives no finite answer to them)"
        ]
    if found != [source_id]:
        return ["not predicted yet from these features"]
    return [f"prediction{_stale(workdir, receipt)}", *told]


def _catalogues(workdir: Workdir, source_id: int, told: list[str]) -> list[str]:
    lines: list[str] = []
    for store in sorted(workdir.catalogs.glob(f"*/[!.]*/{STORE_NAME}")):
        name = f"catalogue {store.parent.relative_to(workdir.catalogs)}"
        try:
            place, values = _catalogue_row(store, source_id)
            row = [] if place is None else list(_in_words(values, schema_of(store)))
        except _UNREADABLE as error:
            lines.append(f"{name}: cannot be read ({error}); `catalog-builder validate` says more")
            continue
        if place is None:
            lines.append(f"{name}: not in it")
            continue
        lines.append(f"{name}: row {place}")
        # Another version, or another model, may say something else than today's prediction.
        lines += row if told[-len(row) :] != row else []
    return lines or ["in no sealed catalogue yet"]


def _catalogue_row(store: Path, source_id: int) -> tuple[int | None, dict[str, Any]]:
    group = zarr.open_group(CatalogueStore(store), mode="r")
    place = _find(np.asarray(group["source_id"][:]), source_id)  # type: ignore[index]
    if place is None:
        return None, {}
    return place, {column: np.asarray(array[place])[()] for column, array in group.arrays()}


def _in_words(values: Mapping[str, Any], schema: CatalogSchema) -> Iterator[str]:
    """Yield the labels with their errors, and the flags in words, of one row of a catalogue."""
    for column in schema.columns:
        error = f"e_{column.name}"
        if error in values and column.name in values:
            value, sigma = float(values[column.name]), float(values[error])
            text = "null" if np.isnan(value) else f"{value:.6g} +- {sigma:.3g} {column.unit}"
            yield f"  {column.name} = {text}".rstrip()
    sentences = {bit.name: bit.sentence for bit in schema.flags.bits}
    for word in flag_words(values, schema.flags):
        yield f"  flag {word}: {sentences.get(word, 'not described in this version')}"


def _find(ids: np.ndarray[Any, Any], source_id: int) -> int | None:
    place = int(np.searchsorted(ids, source_id))
    return place if place < ids.size and int(ids[place]) == source_id else None
